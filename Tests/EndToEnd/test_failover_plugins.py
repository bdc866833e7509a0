"""What plugins see of further attempts, and what becomes of everything when much fails at once."""
import os
import random
import re
import subprocess
import threading
import time

import pytest

from harness import eventually, serve
from test_phases import EVERYTHING, library, proxy  # noqa: F401  fixtures
from wire import Truncated, reply, request

RESULT = r"call upstream_result status=(\d+) attempt=(\d) result=(\d)"
RESPONSE, TIMEOUT, CLOSED, ABANDONED = "0", "2", "3", "5"


def first(origin):
    return {"address": origin.address}


def then(origin):
    return {"address": origin.address, "priority": 1}


def silent(c):
    while c.read_request():
        pass


def results(p):
    p.wait_log("call request_end")
    return re.findall(RESULT, p.log)


@pytest.mark.parametrize("script, on, want", [
    (serve(reply(status="503 No")), ["503"], [("503", "1", RESPONSE), ("200", "2", RESPONSE)]),
    (lambda c: c.read_request(), ["reset"], [("0", "1", CLOSED), ("200", "2", RESPONSE)]),
    (silent, ["timeout"], [("0", "1", TIMEOUT), ("200", "2", RESPONSE)]),
], ids=["status", "reset", "timeout"])
def test_each_attempt_is_told(proxy, origin, client, script, on, want):  # noqa: F811
    bad, good = origin(script), origin(serve(reply(b"good")))
    p = proxy(first(bad), then(good), plugins=[EVERYTHING],
              upstream={"retries": {"on": on, "try_timeout": "200ms"}})
    assert client(p).request().body == b"good"
    assert results(p) == want
    # The dropped response passed no hook of its own.
    assert p.log.count("call upstream_response") == p.log.count("call response_headers") == 1
    assert p.log.count("call upstream_request") == 2


def test_both_attempts_of_a_hedge_are_told(proxy, origin, client):  # noqa: F811
    bad, good = origin(silent), origin(serve(reply(b"good")))
    p = proxy(first(bad), then(good), plugins=[EVERYTHING], upstream={"hedge": {"after": "100ms"}})
    assert client(p).request().body == b"good"
    assert results(p) == [("0", "1", ABANDONED), ("200", "2", RESPONSE)]
    bad.wait_closed(1)


@pytest.mark.parametrize("how", ["now", "thread", "deadline"])
def test_a_hook_of_a_hedged_attempt_waits(proxy, origin, client, how):  # noqa: F811
    bad, good = origin(silent), origin(serve(reply(b"good")))
    p = proxy(first(bad), then(good), plugins=[{"upstream_request": "suspend:" + how}],
              upstream={"hedge": {"after": "100ms"}})
    assert client(p).request().body == b"good"
    assert bad.requests[0].get("x-resumed") == good.requests[0].get("x-resumed")


def test_attempts_at_the_same_time_have_edits_of_their_own(proxy, origin, client):  # noqa: F811
    bad, good = origin(silent), origin(serve(reply(b"good")))
    p = proxy(first(bad), then(good), plugins=[{"upstream_request": "edit:mine"}],
              upstream={"hedge": {"after": "100ms"}})
    assert client(p).request().body == b"good"
    for app in bad, good:
        assert [v for n, v in app.requests[0].fields if n.lower() == "x-edited"] == ["mine"]


def test_the_first_answers_while_a_hook_of_the_second_waits(proxy, origin, client):  # noqa: F811
    """The hook of the second attempt waits for ever; its wait ends with it."""
    def slow(c):
        c.read_request()
        time.sleep(0.7)
        c.send(reply(b"first"))

    app, other = origin(slow), origin(serve(reply(b"second")))
    p = proxy(first(app), then(other), plugins=[{"upstream_request": "suspend:deadline"}],
              listener={"timeouts": {"suspend": "20s"}}, upstream={"hedge": {"after": "100ms"}})
    assert client(p).request().body in (b"first", b"second")
    assert client(p).request().status == 200


def test_a_limit_passes_local_reply(proxy, origin, client):  # noqa: F811
    app = origin(silent)
    p = proxy(app, plugins=[EVERYTHING], upstream={"limits": {"in_flight": 1}})
    c = client(p)
    c.send(request())
    app.wait_requests(1)
    assert client(p).request().status == 503
    p.wait_log("call local_reply")
    assert "upstream_result" not in p.log


def test_a_plugins_own_request_keeps_to_the_limits(sluice, origin, client, tmp_path):
    from test_callouts import HERE
    path = str(tmp_path / "libcallout.so")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-I",
         os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins/callout.c")], check=True)
    app, auth = origin(serve(reply(b"page"))), origin(silent)
    p = sluice(app, plugins={"ask": {"library": path, "config": {}}}, chain=["ask"], upstreams={
        "auth": {"peers": [auth.address], "limits": {"per_peer": {"connections": 1}}}})
    held = client(p)
    held.send(request())
    auth.wait_requests(1)
    begun = time.monotonic()
    assert client(p).request().status >= 400
    assert time.monotonic() - begun < 5
    assert auth.connections == 1


@pytest.mark.parametrize("speaks", ["h1", "h2c"])
@pytest.mark.seconds(120)
def test_counts_are_zero_after_chaos(sluice, origin, h2origin, client, speaks):
    """Peers that fail in every way, hedges, waits and clients that leave: in the end as many
    requests as the limit says are let in at the same time, and retries are in the budget again."""
    calm, held = threading.Event(), threading.Event()
    chance = random.Random(7)

    def mood():
        if held.is_set():
            return "silent"
        return "ok" if calm.is_set() else chance.choice(
            ["ok", "ok", "slow", "503", "reset", "silent"])

    def h1(c):
        while True:
            if c.read_request() is None:
                return
            now = mood()
            if now == "reset":
                return
            if now == "silent":
                time.sleep(0.4)
                return
            if now == "slow":
                calm.wait(0.12)
            c.send(reply(b"ok", status="503 No" if now == "503" else "200 OK"))

    def h2(c, r):
        now = mood()
        if now == "reset":
            c.rst(r.id)
        elif now != "silent":
            if now == "slow":
                calm.wait(0.05)
            c.answer(r.id, b"ok", status="503" if now == "503" else "200")

    peers = [origin(h1) if speaks == "h1" else h2origin(lambda c: c.serve(h2)) for _ in range(3)]
    p = sluice(*peers, workers=2, upstream={
        "protocol": speaks,
        "retries": {"on": ["connect", "refused", "reset", "timeout", "503"], "try_timeout": "300ms",
                    "timeout": "900ms", "budget": {"percent": 50, "min": 4}},
        "hedge": {"after": "50ms"},
        "limits": {"in_flight": 6, "pending": 8, "pending_timeout": "300ms", "connections": 8,
                   "per_peer": {"in_flight": 4, "connections": 4}}})
    seen = set()

    def run(number):
        local = random.Random(number)
        for _ in range(25):
            try:
                c = client(p)
                method = local.choice(["GET", "GET", "PUT", "POST"])
                c.send(request(method, body=b"" if method == "GET" else b"x" * 70_000))
                if local.random() < 0.2:
                    c.reset()
                else:
                    seen.add(c.response().status)
            except (OSError, Truncated):
                pass

    threads = [threading.Thread(target=run, args=(n,)) for n in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen <= {200, 502, 503, 504} and 200 in seen
    calm.set()

    def all_pass():
        return all(client(p).request().status == 200 for _ in range(12))

    eventually(all_pass, "every request passes")
    # As many as the limit says get to the peers, the others wait in vain.
    held.set()
    clients = [client(p) for _ in range(10)]
    for number, c in enumerate(clients):
        c.send(request(target="/held/%d" % number))
    statuses = sorted(c.response().status for c in clients)
    paths = [getattr(r, "target", None) or r.path for o in peers for r in o.requests]
    assert len({path for path in paths if path.startswith("/held/")}) == 6
    assert statuses[:4] == [503] * 4 and set(statuses[4:]) <= {502, 504}
    assert "crash" not in p.log and "signal" not in p.log
