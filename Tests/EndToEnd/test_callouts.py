"""Requests of plugins' own (`sluice.http_client/1`) through the binary."""
import os
import re
import socket
import subprocess
import threading

import pytest

import harness
from harness import serve
from wire import chunk, reply

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("callout") / "libcallout.so")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
         "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins/callout.c")], check=True)
    return path


@pytest.fixture
def proxy(sluice, library):
    """A proxy whose plugin asks the origins `auth`, with the plugin's configuration."""

    def make(app, *auth, limits=None, **config):
        peers = {"peers": [getattr(a, "address", a) for a in auth]}
        if limits:
            peers["limits"] = limits
        plugins = {"ask": {"library": library, "config": config}}
        if len(auth) > 1:
            peers["balancer"] = "rr"
            plugins["rr"] = {"library": "libRoundRobin.so"}
        return sluice(app, plugins=plugins, chain=["ask"], upstreams={"auth": peers})

    return make


def allow(user="ann", body=b"fine"):
    return serve(lambda r: reply(body, fields=[("X-User", user)]))


def test_the_answer_decides(proxy, origin, client):
    app = origin(serve(reply(b"page")))
    auth = origin(serve(lambda r: reply(
        status="200 OK" if r.get("x-original") == "/good" else "401 No",
        fields=[("X-User", "ann")])))
    c = client(proxy(app, auth))
    for _ in range(3):
        assert c.request(target="/good").body == b"page"
        assert app.requests[-1].get("x-user") == "ann"
        assert c.request(target="/bad").status == 403
    assert len(app.requests) == 3
    asked = auth.requests[-1]
    assert (asked.method, asked.target) == ("GET", "/check")
    assert asked.get("host") == auth.address
    assert auth.connections == 1  # pooled


def test_a_callout_with_a_body(proxy, origin, client):
    app, auth = origin(serve(reply(b"page"))), origin(allow())
    c = client(proxy(app, auth, method="POST"))
    assert c.request().body == b"page"
    assert auth.requests[-1].method == "POST"
    assert auth.requests[-1].body == b"question"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nX-User: bob\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"ab")
    + chunk(b"c") + b"0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-User: bob\r\nContent-Length: 3\r\n\r\nabc"])
def test_framing_of_the_answer(proxy, origin, client, answer):
    app, auth = origin(serve(reply(b"page"))), origin(serve(answer))
    p = proxy(app, auth)
    c = client(p)
    for _ in range(2):
        assert c.request().body == b"page"
        assert app.requests[-1].get("x-user") == "bob"
    p.wait_log("(?s)done outcome=0 status=200 body=3.*done outcome=0 status=200 body=3")


def test_an_answer_that_ends_with_its_connection(proxy, origin, client):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.0 200 OK\r\nX-User: eve\r\n\r\nuntil the end")

    app, auth = origin(serve(reply(b"page"))), origin(script)
    assert client(proxy(app, auth)).request().body == b"page"
    assert app.requests[-1].get("x-user") == "eve"


@pytest.mark.parametrize("answer", [
    b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"",
    b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"])
def test_an_answer_that_is_none(proxy, origin, client, answer):
    def script(connection):
        connection.read_request()
        connection.send(answer)

    app, auth = origin(serve(reply())), origin(script)
    assert client(proxy(app, auth)).request().status == 503


@pytest.mark.parametrize("size,status", [(1000, 200), (1001, 503)])
def test_the_bound_of_an_answer(proxy, origin, client, size, status):
    app, auth = origin(serve(reply())), origin(allow(body=b"x" * size))
    p = proxy(app, auth, body_max=1000)
    assert client(p).request().status == status
    p.wait_log("done outcome=%d" % (3 if status == 503 else 0))


def test_a_callout_takes_too_long(proxy, origin, client):
    def script(connection):
        connection.read_request()
        release.wait(harness.DEADLINE)

    release = threading.Event()
    app, auth = origin(serve(reply())), origin(script)
    p = proxy(app, auth, timeout_ms=30)
    assert client(p).request().status == 503
    p.wait_log("done outcome=2")
    release.set()


def test_the_next_peer_is_asked(proxy, origin, client):
    app, dead, auth = origin(serve(reply(b"page"))), origin(allow()), origin(allow())
    dead.stop_listening()
    c = client(proxy(app, dead, auth))
    for _ in range(4):
        assert c.request().body == b"page"


def test_no_peer_is_there(proxy, origin, client):
    app, dead = origin(serve(reply())), origin(allow())
    dead.stop_listening()
    p = proxy(app, dead)
    assert client(p).request().status == 503
    p.wait_log("done outcome=1")


@pytest.mark.parametrize("count", [1, 2])
def test_a_callout_keeps_to_the_limits_of_peers(proxy, origin, client, count):
    """It does not wait: over the limit it fails at once, and later ones find the place again."""
    entered, release = threading.Semaphore(0), threading.Semaphore(0)

    def script(connection):
        while connection.read_request() is not None:
            entered.release()
            assert release.acquire(timeout=harness.DEADLINE)
            connection.send(reply(fields=[("X-User", "ann")]))

    app, auth = origin(serve(reply(b"page"))), [origin(script) for _ in range(count)]
    p = proxy(app, *auth, limits={"per_peer": {"in_flight": 1}}, timeout_ms=10_000)
    for _ in range(2):
        waiting = [client(p) for _ in range(count)]
        for c in waiting:
            c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert entered.acquire(timeout=harness.DEADLINE)
        assert client(p).request().status == 503
        release.release(count)
        assert [c.response().body for c in waiting] == [b"page"] * count


def test_a_pooled_connection_that_was_closed(proxy, origin, client):
    def script(connection):
        connection.read_request()
        connection.send(reply(fields=[("X-User", "ann")]))

    app, auth = origin(serve(reply(b"page"))), origin(script)
    c = client(proxy(app, auth))
    for _ in range(5):
        assert c.request().body == b"page"


def test_a_client_leaves_while_a_callout_runs(proxy, origin, client):
    def script(connection):
        connection.read_request()
        assert connection.ended()

    app, auth = origin(serve(reply())), origin(script)
    p = proxy(app, auth)
    c = client(p)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    auth.wait_requests(1)
    c.reset()
    auth.wait_closed(1)
    assert "done" not in p.log
    p.signal(15)
    assert p.wait_end() == 0


def test_a_cancelled_callout_is_not_heard_of(proxy, origin, client):
    app, auth = origin(serve(reply(b"page"))), origin(allow())
    p = proxy(app, auth, cancels=1)
    c = client(p)
    for _ in range(3):
        assert c.request().body == b"page"
    assert "done" not in p.log


@pytest.mark.parametrize("config,status", [
    ({"upstream": "nobody"}, 503), ({"path": "check"}, 501), ({"path": "/a b"}, 501),
    ({"method": "BAD METHOD"}, 501), ({"body_max": 1048577}, 501), ({"timeout_ms": 60001}, 501),
    ({"count": 17}, 502), ({"count": 16}, 200)])
def test_bounds_of_a_callout(proxy, origin, client, config, status):
    app, auth = origin(serve(reply())), origin(allow())
    assert client(proxy(app, auth, **config)).request().status == status


def test_as_many_callouts_as_a_worker_has(proxy, origin, client):
    """1,024 run at the same time, one more is refused when it is begun, and each of those that were
    taken has an outcome; then there is room for as many again."""
    # Nobody takes its connections, so nobody answers.
    auth = socket.create_server(("127.0.0.1", 0), backlog=2_100)
    p = proxy(origin(serve(reply())), "127.0.0.1:%d" % auth.getsockname()[1],
              crowd=1030, timeout_ms=1_000)
    for number in range(1, 3):
        assert client(p).request().status == 204
        p.wait_log("(?s)" + "crowd begun=1024 refused=6 by -2\\D.*" * number)
        p.wait_log("(?s)" + "crowd done ok=0 failed=(\\d+) timeout=(\\d+).*" * number)
        failed, late = re.findall(r"crowd done ok=0 failed=(\d+) timeout=(\d+)", p.log)[-1]
        assert int(failed) + int(late) == 1024
    auth.close()
