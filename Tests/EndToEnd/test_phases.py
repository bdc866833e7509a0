"""Phases and verdicts through the binary, by a plugin whose configuration is its behaviour."""
import os
import re
import subprocess
import threading

import pytest

import harness
from harness import serve
from wire import Client, Truncated, chunk, pattern, reply, request

HERE = os.path.dirname(os.path.abspath(__file__))
HEADS = ["request_headers", "upstream_request", "upstream_response", "response_headers"]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("phases") / "libphases.so")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
         "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins/phases.c"), "-lpthread"], check=True)
    return path


@pytest.fixture
def proxy(sluice, library):
    """Starts a proxy with a chain of scripted plugins: one dictionary each."""

    def make(*peers, plugins, on_error=None, **over):
        names = ["p%d" % i for i in range(len(plugins))]
        entries = {n: {"library": library, "config": p} for n, p in zip(names, plugins)}
        if on_error:
            for entry in entries.values():
                entry["on_error"] = on_error
        return sluice(*peers, plugins=entries, chain=names, **over)

    return make


def calls(proxy):
    """Names of the phases in which plugins were called, with the plugin's number."""
    return re.findall(r"plugin=p(\d) call (\w+)", proxy.log)


EVERYTHING = {phase: "continue" for phase in [
    "request_headers", "request_body", "upstream_request", "upstream_result", "upstream_response",
    "upstream_body", "response_headers", "response_body", "local_reply", "request_end"]}


# ------------------------------------------------------------------- order
def test_phases_run_in_order_and_back(proxy, origin, client):
    app = origin(serve(reply(b"hello")))
    p = proxy(app, plugins=[EVERYTHING, EVERYTHING])
    assert client(p).request("POST", body=b"body").body == b"hello"
    p.wait_log("p1 call request_end")
    seen = calls(p)
    there = [(n, ph) for ph in ["request_headers"] for n in "01"]
    assert seen[:2] == there
    order = [ph for n, ph in seen if n == "0"]
    assert order == ["request_headers", "upstream_request", "request_body", "upstream_result",
                     "upstream_response", "response_headers", "upstream_body", "response_body",
                     "request_end"]
    for phase in ["upstream_response", "response_headers", "upstream_body", "response_body"]:
        assert [n for n, ph in seen if ph == phase] == ["1", "0"], phase
    for phase in ["upstream_request", "request_body", "request_end"]:
        assert [n for n, ph in seen if ph == phase] == ["0", "1"], phase


def test_no_body_hook_without_a_body(proxy, origin, client):
    app = origin(serve(lambda r: b"HTTP/1.1 204 No Content\r\n\r\n"))
    p = proxy(app, plugins=[EVERYTHING])
    assert client(p).request().status == 204
    p.wait_log("call request_end")
    assert not [ph for _, ph in calls(p) if ph.endswith("body")]


def test_a_malformed_request_ends_once(proxy, origin, client):
    app = origin(serve(reply()))
    p = proxy(app, plugins=[EVERYTHING])
    c = client(p)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n")
    assert c.response().status == 400
    p.wait_log("call request_end .*outcome=4")
    assert [ph for _, ph in calls(p)] == ["local_reply", "response_headers", "response_body",
                                          "request_end"]


def test_the_result_of_each_attempt(proxy, origin, client):
    dead, app = origin(serve(reply())), origin(serve(reply()))
    dead.stop_listening()
    p = proxy(dead, app, plugins=[EVERYTHING])
    assert client(p).request().status == 200
    p.wait_log("call request_end")
    results = re.findall(r"call upstream_result status=(\d+) attempt=(\d) result=(\d)", p.log)
    assert results[-1][0] == "200" and results[-1][2] == "0"
    if len(results) > 1:  # the balancer may have begun with the living one
        assert results[0] == ("0", "1", "1")
    assert len(results) == int(results[-1][1])
    attempts = [ph for _, ph in calls(p) if ph == "request_headers"]
    assert len(attempts) == 1


def test_the_result_of_an_attempt_that_fails_at_once(proxy, origin, client, tmp_path):
    app = origin(serve(reply()))
    p = proxy({"address": "unix:%s/none" % tmp_path}, {"address": app.address, "priority": 1},
              plugins=[EVERYTHING])
    assert client(p).request().status == 200
    p.wait_log("call request_end")
    results = re.findall(r"call upstream_result status=(\d+) attempt=(\d) result=(\d)", p.log)
    assert results == [("0", "1", "1"), ("200", "2", "0")]


def test_of_two_holders_the_first_counts(proxy, origin, client):
    app = origin(serve(reply(b"z" * 1000)))
    holder = {"response_headers": "hold", "response_body": "continue"}
    p = proxy(app, plugins=[holder, holder])
    r = client(p).request()
    assert r.body == b"z" * 1000
    assert r.get("x-held") == "yes"
    p.wait_log("p0 call response_body")
    assert calls(p) == [("1", "response_headers"), ("1", "response_body"),
                        ("0", "response_headers"), ("0", "response_body")]


def test_a_whole_response_over_the_bound_whose_head_is_out(proxy, origin, client):
    app = origin(serve(reply(b"y" * 5000)))
    p = proxy(app, plugins=[{"response_headers": "continue", "response_body": "whole",
                             "policy": "unknown", "buffer": 4999}])
    c = client(p)
    c.send(request())
    with pytest.raises((Truncated, ConnectionError)):
        c.response()


def test_the_times_of_an_attempt(proxy, origin, client):
    app = origin(serve(reply()))
    p = proxy(app, plugins=[{"upstream_result": "continue"}])
    c = client(p)
    for _ in range(2):
        assert c.request().status == 200
    p.wait_log("(?s)attempt connected=1 first_byte=1 reused=0"
               ".*attempt connected=0 first_byte=1 reused=1")


# ----------------------------------------------------------------- waiting
@pytest.mark.parametrize("how", ["now", "thread"])
@pytest.mark.parametrize("phase", HEADS)
def test_a_hook_of_a_head_waits(proxy, origin, client, phase, how):
    app = origin(serve(reply(b"hello")))
    p = proxy(app, plugins=[{phase: "suspend:" + how}, {phase: "edit:after"}])
    c = client(p)
    for _ in range(3):
        r = c.request()
        assert r.body == b"hello"
        seen = r if "response" in phase else app.requests[-1]
        assert seen.get("x-resumed") == phase
        assert seen.get("x-edited") == "after"
    p.wait_log("(?s)" + ".*".join(["resumed in %s reason=1 payload=7" % phase] * 3))
    assert p.log.count("resumed in") == 3


@pytest.mark.parametrize("phase", HEADS)
def test_a_wait_ends_in_time(proxy, origin, client, phase):
    app = origin(serve(reply(b"hello")))
    p = proxy(app, plugins=[{phase: "suspend:deadline", "resumed": "respond:403"}])
    assert client(p).request().status == 403
    p.wait_log("reason=2 payload=0")


def test_the_manifest_bounds_a_wait(proxy, origin, client):
    app = origin(serve(reply(b"hello")))
    p = proxy(app, plugins=[{"request_headers": "suspend:never"}],
              listener={"timeouts": {"suspend": "50ms"}})
    assert client(p).request().body == b"hello"
    p.wait_log("reason=2")


def test_of_three_resumes_one_counts(proxy, origin, client):
    app = origin(serve(reply()))
    p = proxy(app, plugins=[{"request_headers": "suspend:twice"}])
    assert client(p).request().status == 200
    p.wait_log("resume 2 is -3")
    assert p.log.count("resumed in request_headers") == 1
    assert re.findall(r"resume \d is (-?\d)", p.log) == ["0", "-3", "-3"]


@pytest.mark.parametrize("phase", HEADS)
def test_a_client_leaves_while_a_hook_waits(proxy, origin, client, phase):
    app = origin(serve(reply()))
    p = proxy(app, plugins=[{phase: "suspend:never", "request_end": "continue"}])
    c = client(p)
    c.send(request())
    p.wait_log("call " + phase)
    c.reset()
    p.wait_log("call request_end .*outcome=1")
    assert "resumed in" not in p.log
    p.signal(15)
    assert p.wait_end() == 0


def test_a_wait_that_no_hook_may_have(proxy, origin, client):
    app = origin(serve(reply()))
    for plugin in [{"request_end": "suspend:now"}, {"upstream_result": "suspend:now"},
                   {"request_headers": "suspend:now", "deaf": 1}]:
        p = proxy(app, plugins=[plugin], on_error="closed:418")
        status = client(p).request().status
        assert status == (418 if "deaf" in plugin else 200)
        p.wait_log("failed in phase")


def test_suspend_without_its_verdict_is_over(proxy, origin, client):
    app = origin(serve(reply()))
    p = proxy(app, plugins=[{"request_headers": "suspend:thread-forgotten"}])
    assert client(p).request().status == 200
    p.wait_log("resume 0 is")
    assert "resumed in" not in p.log


def test_suspend_verdict_without_a_wait_is_an_error(proxy, origin, client):
    app = origin(serve(reply()))
    p = proxy(app, plugins=[{"request_headers": "verdict:2"}], on_error="closed:418")
    assert client(p).request().status == 418


def test_a_suspended_request_with_a_body(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"request_headers": "suspend:thread"}])
    data = pattern(300_000)
    c = client(p)
    for _ in range(2):
        assert c.request("POST", body=data).body == data


# ------------------------------------------------------------------ bodies
SIZES = [1, 2, 1000, 70_000, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("action", ["continue", "pass", "suspend:thread", "suspend:now"])
@pytest.mark.parametrize("phase", ["request_body", "upstream_body", "response_body"])
def test_a_body_passes_unchanged(proxy, origin, client, phase, action, size):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{phase: action}, {phase: "continue"}])
    data = pattern(size)
    c = client(p)
    for _ in range(2):
        r = c.request("POST", body=data)
        assert r.body == data
        assert r.get("content-length") == str(size)
    assert app.requests[-1].get("content-length") == str(size)


def upper(data):
    return data.upper()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("times", [1, 3, 40])
def test_a_body_grows(proxy, origin, client, size, times):
    data = (b"abcdefgh" * (size // 8 + 1))[:size]
    wanted = b"".join(bytes([b]) * times for b in upper(data))
    app = origin(serve(lambda r: reply(data)))
    p = proxy(app, plugins=[{"response_body": "expand:%d" % times, "policy": "unknown",
                             "response_headers": "continue"}])
    r = client(p).request()
    assert r.chunked and r.get("content-length") is None
    assert r.body == wanted


def test_a_growing_body_waits_for_a_slow_client(proxy, origin, client):
    data = b"a" * 200_000
    app = origin(serve(lambda r: reply(data)))
    p = proxy(app, plugins=[{"response_body": "expand:100", "policy": "unknown",
                             "response_headers": "continue"}])
    before = p.rss()
    c = Client(p.address, receive_buffer=4096)
    c.send(request())
    head = c.head()
    p.wait_log("call response_body")
    c.quiet()
    assert p.rss() - before < 16 << 20
    c.chunked_body(head)
    assert head.body == b"A" * 20_000_000
    c.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_request_body_changes(proxy, origin, client, size):
    data = (b"abcdefgh" * (size // 8 + 1))[:size]
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"request_body": "expand:2", "request_policy": "unknown",
                             "request_headers": "continue"}])
    c = client(p)
    for _ in range(2):
        r = c.request("POST", body=data)
        assert r.body == b"".join(bytes([b]) * 2 for b in upper(data))
        assert app.requests[-1].chunked


def test_halves_by_reserve_and_commit(proxy, origin, client):
    data = b"abcdefgh" * 9_000
    app = origin(serve(lambda r: reply(data)))
    p = proxy(app, plugins=[{"response_body": "halves"}, {"upstream_body": "halves"}])
    assert client(p).request().body == upper(data)


def test_stages_feed_each_other(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"ab" * 5_000)))
    grow = {"response_body": "expand:9", "policy": "unknown", "response_headers": "continue"}
    p = proxy(app, plugins=[grow, grow, {"upstream_body": "expand:3"}])
    body = client(p).request().body
    assert body == (b"A" * 243 + b"B" * 243) * 5_000


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_policies_of_a_response(proxy, origin, client, version):
    app = origin(serve(lambda r: reply(b"hello")))

    def get(**plugin):
        p = proxy(app, plugins=[dict(plugin, response_headers="continue")])
        r = client(p).request(version=version)
        return r.body, r.get("content-length")

    assert get(policy="exact:14", response_body="append") == (b"hello and more", "14")
    assert get(policy="unknown", response_body="append") == (b"hello and more", None)
    assert get(policy="drop") == (b"", "0")
    assert get(policy="drop", response_body="append") == (b"", "0")
    assert get(policy="same", response_body="continue") == (b"hello", "5")


def test_policies_of_a_request(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))

    def post(**plugin):
        p = proxy(app, plugins=[dict(plugin, request_headers="continue")])
        body = client(p).request("POST", body=b"hello").body
        seen = app.requests[-1]
        return body, seen.get("content-length"), seen.chunked

    assert post(request_policy="exact:14", request_body="append") == (
        b"hello and more", "14", False)
    assert post(request_policy="unknown", request_body="append") == (
        b"hello and more", None, True)
    assert post(request_policy="drop") == (b"", "0", False)


def test_head_gets_no_length_that_is_not_known(proxy, origin, client):
    app = origin(serve(lambda r: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
    p = proxy(app, plugins=[{"response_body": "append", "policy": "unknown",
                             "response_headers": "continue"}])
    r = client(p).request("HEAD")
    assert r.get("content-length") is None and not r.chunked


@pytest.mark.parametrize("plugin,body", [
    ({"response_body": "append"}, b"hello"), ({"response_body": "drop"}, b"hello"),
    ({"response_body": "append", "policy": "exact:15", "response_headers": "continue"}, b"hello"),
])
def test_a_length_that_was_not_announced_cuts(proxy, origin, client, plugin, body):
    app = origin(serve(lambda r: reply(body)))
    p = proxy(app, plugins=[plugin])
    c = client(p)
    c.send(request())
    with pytest.raises((Truncated, ConnectionError)):
        c.response()
    p.wait_log("changed the length of a response's body")


def test_a_request_whose_length_is_wrong_is_answered(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"request_body": "append"}])
    assert client(p).request("POST", body=b"hello").status == 500
    p.wait_log("changed the length of a request's body")


@pytest.mark.parametrize("action", ["stuck", "leaves", "error", "verdict:77"])
def test_a_body_hook_that_fails_is_stepped_over(proxy, origin, client, action):
    app = origin(serve(lambda r: reply(r.body)))
    for phase in ["request_body", "response_body"]:
        p = proxy(app, plugins=[{phase: action}], on_error="open")
        data = pattern(100_000)
        assert client(p).request("POST", body=data).body == data
        p = proxy(app, plugins=[{phase: action}], on_error="closed:418")
        c = client(p)
        if phase == "request_body":
            assert c.request("POST", body=data).status == 418
        else:
            c.send(request("POST", body=data))
            with pytest.raises((Truncated, ConnectionError)):
                c.response()


def test_a_body_that_was_changed_can_not_be_stepped_over(proxy, origin, client):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"one"))
        app.go.wait(harness.DEADLINE)
        connection.send(chunk(b"two") + b"0\r\n\r\n")

    app = origin(script)
    app.go = threading.Event()
    p = proxy(app, plugins=[{"response_body": "late-error", "response_headers": "continue",
                             "policy": "unknown"}], on_error="open")
    c = client(p)
    c.send(request())
    c.head()
    assert c.until(b"begun ").endswith(b"begun ")
    app.go.set()
    with pytest.raises((Truncated, ConnectionError)):
        c.until(b"0\r\n\r\n")


@pytest.mark.parametrize("phase", ["request_body"])
def test_a_request_body_hook_answers(proxy, origin, client, phase):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[EVERYTHING, {phase: "respond:403"}])
    r = client(p).request("POST", body=b"bad")
    assert (r.status, r.body) == (403, b"from the plugin\n")
    p.wait_log("p0 call request_end")
    assert ("0", "response_headers") in calls(p)


def test_a_response_body_hook_answers_too_late(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"hello")))
    p = proxy(app, plugins=[{"response_body": "respond:403"}])
    c = client(p)
    c.send(request())
    with pytest.raises((Truncated, ConnectionError)):
        c.response()


# ------------------------------------------------------------------- whole
@pytest.mark.parametrize("size,whole", [(1, 1), (100_000, 1), (100_001, 0)])
def test_a_whole_request_body(proxy, origin, client, size, whole):
    app = origin(serve(lambda r: reply(r.body)))
    plugin = {"request_headers": "continue", "request_body": "whole", "request_policy": "unknown",
              "request_buffer": 100_000}
    p = proxy(app, plugins=[plugin])
    r = client(p).request("POST", body=b"x" * size)
    if whole:
        assert r.body == b"<1 %d>" % size
        assert app.requests[-1].get("content-length") == str(len(r.body))
    else:
        assert r.status == 413
        p.wait_log("limits.body_buffer")
        assert not app.requests
    p = proxy(app, plugins=[dict(plugin, overflow="stream")])
    r = client(p).request("POST", body=b"x" * size)
    found = re.findall(rb"<(\d) (\d+)>", r.body)
    assert sum(int(n) for _, n in found) == size
    assert found[0][0] == (b"1" if whole else b"0")


def test_a_body_that_overflows_goes_on_in_chunks(proxy, origin, client):
    """The rest is not kept once the plugin that wanted all of it takes chunks."""
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"request_headers": "continue", "request_body": "halves",
                             "request_buffer": 1000, "overflow": "stream"}],
              listener={"limits": {"body_buffer": "8KiB"}})
    c = client(p)
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" + b"a" * 2000)
    app.wait(lambda: app.connections, "a connection before the body's end")
    c.send(b"a" * 1000)
    assert c.response().body == b"A" * 3000


@pytest.mark.parametrize("policy", ["unknown", "exact:40000000"])
def test_what_plugins_make_of_a_whole_body_is_bounded(proxy, origin, client, policy):
    """A whole body of 200 kB becomes 40 MB, which goes to the origin as fast as that takes it."""
    data = b"a" * 200_000
    app = origin(serve(lambda r: reply(b"%d %d" % (len(r.body), r.body.count(b"A")))))
    p = proxy(app, plugins=[{"request_headers": "continue", "request_body": "expand:200",
                             "request_policy": policy, "request_buffer": 300_000}],
              listener={"limits": {"body_buffer": "1MiB"}})
    before = p.rss()
    assert client(p).request("POST", body=data).body == b"40000000 40000000"
    assert p.rss("VmHWM") - before < 12 << 20


def test_the_manifest_bounds_a_whole_body(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    plugin = {"request_headers": "continue", "request_body": "whole", "request_policy": "unknown",
              "request_buffer": 1 << 40}
    p = proxy(app, plugins=[plugin], listener={"limits": {"body_buffer": "8KiB"}})
    c = client(p)
    assert c.request("POST", body=b"x" * 8192).body == b"<1 8192>"
    assert c.request("POST", body=b"x" * 8193).status == 413


def test_a_client_that_waits_for_100_is_asked_for_a_whole_body(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"request_headers": "continue", "request_body": "continue",
                             "request_buffer": 1000}])
    c = client(p)
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    assert not app.requests
    c.send(b"body")
    assert c.response().body == b"body"


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_whole_response_body(proxy, origin, client, size):
    app = origin(serve(lambda r: reply(b"y" * size)))
    p = proxy(app, plugins=[{"response_headers": "continue", "response_body": "whole",
                             "policy": "unknown", "buffer": 100_000}])
    assert client(p).request().body == b"<1 %d>" % size


def test_a_whole_response_body_over_the_bound(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"y" * 5000)))
    p = proxy(app, plugins=[{"response_headers": "hold", "response_body": "whole",
                             "policy": "unknown", "buffer": 4999}])
    assert client(p).request().status == 502


# ---------------------------------------------------------------- trailers
TRAILED = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"hello")
           + b"0\r\nX-Gone: 1\r\nX-Stays: 2\r\n\r\n")


def test_trailers_can_be_changed(proxy, origin, client):
    app = origin(serve(lambda r: TRAILED))
    p = proxy(app, plugins=[{"response_body": "trailer"}])
    c = client(p)
    c.send(request())
    c.head()
    raw = c.until(b"0\r\n") + c.until(b"\r\n\r\n")
    trailers = raw[raw.index(b"0\r\n") + 3:]
    assert b"X-Stays: 2\r\n" in trailers and b"x-sum: 42\r\n" in trailers
    assert b"Gone" not in trailers


def test_trailers_can_be_added(proxy, origin, client):
    app = origin(serve(lambda r: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       + chunk(b"hello") + b"0\r\n\r\n"))
    p = proxy(app, plugins=[{"response_body": "trailer"}])
    c = client(p)
    c.send(request())
    c.head()
    assert c.until(b"\r\n\r\n").endswith(b"0\r\nx-sum: 42\r\n\r\n")


# -------------------------------------------------------------------- hold
@pytest.mark.parametrize("size", [1, 5_000, 60_000])
@pytest.mark.parametrize("at", [0, 1_000_000])
def test_a_head_is_held_until_its_body_is_seen(proxy, origin, client, size, at):
    app = origin(serve(lambda r: reply(b"z" * size)))
    p = proxy(app, plugins=[
        {"response_headers": "edit:outer", "response_body": "continue"},
        {"response_headers": "hold", "response_body": "continue", "release_at": at},
        {"response_headers": "edit:inner"}])
    c = client(p)
    for _ in range(2):
        r = c.request()
        assert r.body == b"z" * size
        assert r.get("x-held") == "yes" and r.get("x-edited") == "outer"
        assert r.get("content-length") == str(size)
        assert r.get("x-seen") == (str(size) if at == 0 else None)


def test_a_held_head_goes_when_too_much_is_kept(proxy, origin, client):
    app = origin(serve(lambda r: reply(pattern(400_000))))
    p = proxy(app, plugins=[{"response_headers": "hold", "response_body": "continue",
                             "release_at": 1 << 40}])
    assert client(p).request().body == pattern(400_000)


def test_a_held_head_goes_in_time(proxy, origin, client):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        app.go.wait(harness.DEADLINE)
        connection.send(b"def")

    app = origin(script)
    app.go = threading.Event()
    p = proxy(app, plugins=[{"response_headers": "hold", "response_body": "continue",
                             "release_at": 1 << 40}],
              listener={"timeouts": {"suspend": "50ms"}})
    c = client(p)
    c.send(request())
    head = c.head()
    app.go.set()
    assert head.get("x-held") == "yes"
    assert c.read(6) == b"abcdef"


def test_a_held_head_goes_while_its_plugin_waits(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"abc")))
    p = proxy(app, plugins=[{"response_headers": "hold", "response_body": "suspend:never",
                             "release_at": 1}])
    c = client(p)
    c.send(request())
    assert c.head().get("x-seen") == "3"


def test_a_held_response_can_be_replaced(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"secret")))
    p = proxy(app, plugins=[EVERYTHING, {"response_headers": "hold",
                                         "response_body": "respond:451"}])
    r = client(p).request()
    assert (r.status, r.body) == (451, b"from the plugin\n")


def test_hold_without_a_body_hook_is_an_error(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"x")))
    p = proxy(app, plugins=[{"response_headers": "hold"}], on_error="closed:418")
    assert client(p).request().status == 418


def test_a_hook_behind_a_held_head_waits(proxy, origin, client):
    app = origin(serve(lambda r: reply(b"z" * 1000)))
    p = proxy(app, plugins=[
        {"response_headers": "suspend:thread", "response_body": "pass"},
        {"response_headers": "hold", "response_body": "continue", "release_at": 1}])
    c = client(p)
    for _ in range(3):
        r = c.request()
        assert r.body == b"z" * 1000 and r.get("x-resumed") == "response_headers"


# ----------------------------------------------------------- local replies
def test_a_local_reply_goes_through_body_hooks(proxy, client):
    p = proxy(plugins=[{"response_headers": "continue", "response_body": "append",
                        "policy": "unknown"}, {"request_headers": "respond:200"}],
              routes=[{"match": {}}])
    r = client(p).request()
    assert r.body == b"from the plugin\n and more" and r.chunked


@pytest.mark.parametrize("how", ["suspend:thread", "suspend:now"])
def test_a_hook_of_a_local_reply_waits(proxy, client, how):
    p = proxy(plugins=[{"response_headers": how, "response_body": "suspend:thread"},
                       {"request_headers": "respond:200"}], routes=[{"match": {}}])
    c = client(p)
    for _ in range(3):
        r = c.request()
        assert r.body == b"from the plugin\n" and r.get("x-resumed") == "response_headers"


# -------------------------------------------------------------------- asks
def test_what_was_asked_with_an_answer_is_forgotten(proxy, client):
    p = proxy(plugins=[{"response_headers": "continue"},
                       {"request_headers": "respond:200", "request_policy": "drop"}],
              routes=[{"match": {}}])
    c = client(p)
    for _ in range(2):
        assert c.request().body == b"from the plugin\n"


# ---------------------------------------------------------------- interest
def test_interest_narrows_what_is_called(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[dict(EVERYTHING, interest=1 << 9 | 1 << 11)])
    assert client(p).request("POST", body=b"x").body == b"x"
    p.wait_log("call request_end")
    assert [ph for _, ph in calls(p)] == ["request_headers", "response_body", "request_end"]


# ------------------------------------------------------------ event stream
def test_an_event_stream_is_not_delayed(proxy, origin, client):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(20):
            connection.send(chunk(b"event %d\n" % number))
            app.seen.acquire(timeout=harness.DEADLINE)
        connection.send(b"0\r\n\r\n")

    app = origin(script)
    app.seen = threading.Semaphore(0)
    p = proxy(app, plugins=[{"response_body": "expand:2", "policy": "unknown",
                             "response_headers": "continue"}, {"upstream_body": "pass"}])
    c = client(p)
    c.send(request())
    c.head()
    for number in range(20):
        c.until(b"\n\n\r\n")
        app.seen.release()
    assert c.until(b"0\r\n\r\n")


def test_retries_do_not_run_the_request_again(proxy, origin, client):
    def script(connection):
        connection.read_request()
        if connection.number == 0:
            connection.send(reply(b"first"))
            connection.read_head()
            connection.reset()
            return
        connection.origin.note_body = True
        connection.send(reply(b"again"))

    app = origin(script)
    p = proxy(app, plugins=[{"request_headers": "continue", "request_body": "expand:2",
                             "request_policy": "unknown", "upstream_request": "edit:attempt"}])
    c = client(p)
    assert c.request().body == b"first"
    assert c.request("PUT", body=b"ab").body == b"again"
    assert app.requests[-1].body == b"AABB"
    assert app.requests[-1].all("x-edited") == ["attempt"]
    seen = [ph for _, ph in calls(p)]
    assert seen.count("request_headers") == 2 and seen.count("request_body") == 1


# ------------------------------------------------- statuses without a body
@pytest.mark.parametrize("body_hook", [{}, {"response_body": "continue"}])
@pytest.mark.parametrize("status", [204, 304])
def test_a_plugin_can_not_give_a_body_to_a_status_without_one(
        proxy, origin, client, status, body_hook):
    answers = [reply(b"a body that must not be seen"),
               b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x")
               + b"0\r\n\r\n"]
    app = origin(serve(lambda r: answers[int(r.target[1:])]))
    p = proxy(app, plugins=[dict(body_hook, response_headers="status:%d" % status)])
    c = client(p)
    for target in ["/0", "/1", "/0", "/1"]:
        r = c.request(target=target)
        assert r.status == status and not r.chunked
        assert not (status == 204 and r.get("content-length"))
    p = proxy(plugins=[{"response_headers": "status:%d" % status}, {
        "request_headers": "respond:200"}], routes=[{"match": {}}])
    c = client(p)
    for _ in range(3):
        assert c.request().status == status


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_status_without_a_body_becomes_one_with_an_empty_body(proxy, origin, client, status):
    app = origin(serve(b"HTTP/1.1 " + status + b"\r\n\r\n"))
    c = client(proxy(app, plugins=[{"response_headers": "status:200"}]))
    for _ in range(3):
        r = c.request()
        assert (r.status, r.body, r.get("content-length")) == (200, b"", "0")


def test_an_empty_body_has_no_length_of_a_plugin(proxy, origin, client):
    app = origin(serve(reply(b"")))
    c = client(proxy(app, plugins=[{"response_headers": "continue", "response_body": "append",
                                    "policy": "exact:9"}]))
    for _ in range(3):
        r = c.request()
        assert (r.body, r.get("content-length")) == (b"", "0")


def test_two_hooks_of_one_body_wait(proxy, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"response_body": "wait-pass:thread", "request_body": "suspend:thread"},
                            {"response_body": "wait-pass:thread", "request_body": "suspend:now"}])
    data = pattern(600_000)
    c = client(p)
    for _ in range(3):
        assert c.request("POST", body=data).body == data


@pytest.mark.parametrize("how", ["now", "thread"])
def test_the_holder_of_a_head_waits_with_its_body(proxy, origin, client, how):
    app = origin(serve(lambda r: reply(r.body)))
    p = proxy(app, plugins=[{"response_headers": "hold", "response_body": "suspend:" + how,
                             "release_at": 1}])
    data = pattern(100_000)
    c = client(p)
    for _ in range(3):
        r = c.request("POST", body=data)
        assert r.body == data and r.get("x-held") == "yes"
    p.signal(15)
    assert p.wait_end() == 0


@pytest.mark.parametrize("how", ["now", "thread"])
def test_a_hook_holds_after_it_has_waited(proxy, origin, client, how):
    app = origin(serve(lambda r: reply(b"z" * 1000)))
    p = proxy(app, plugins=[{"response_headers": "suspend:" + how, "resumed": "hold",
                             "response_body": "continue", "release_at": 1}])
    c = client(p)
    for _ in range(3):
        r = c.request()
        assert r.body == b"z" * 1000
        assert r.get("x-held") == "yes" and r.get("x-seen") == "1000"
