"""What another attempt follows, how long attempts may take, and how many there may be."""
import re
import socket
import threading
import time

import pytest

import h2origin as h2
from h2frames import REFUSED_STREAM
from harness import eventually, serve
from wire import Truncated, chunk, pattern, reply, request

SLOW = "30s"


def resets(c):
    """Takes each request, and ends the connection without a byte of a response."""
    c.read_request()


def silent(c):
    """Takes each request and answers none."""
    while c.read_request():
        pass


def says(status, body=b"no"):
    return serve(reply(body, status="%d Some" % status))


def targets(*origins):
    return [len(o.requests) for o in origins]


@pytest.fixture(params=["h1", "h2c"])
def bad_and_good(request, sluice, origin, h2origin):
    """A proxy before two peers, the first of which does what the test says: (proxy, bad, good)."""

    def make(bad, upstream=None, body=b"fine", **over):
        if request.param == "h1":
            first = origin(BAD_H1[bad])
            second = origin(serve(lambda r: reply(body + b" " + r.body[:9])))
        else:
            first = h2origin(lambda c: c.serve(BAD_H2[bad]))
            second = h2origin(lambda c: c.serve(
                lambda c, r: c.answer(r.id, body + b" " + bytes(r.body[:9]))))
        settings = {"protocol": request.param, **(upstream or {})}
        return sluice(first, second, upstream=settings, **over), first, second

    return make


BAD_H1 = {"resets": resets, "silent": silent, "503": says(503), "500": says(500)}
BAD_H2 = {
    "resets": lambda c, r: c.rst(r.id),
    "silent": lambda c, r: None,
    "503": lambda c, r: c.answer(r.id, b"no", status="503"),
    "500": lambda c, r: c.answer(r.id, b"no", status="500"),
}


# ----------------------------------------------------------------- conditions
@pytest.mark.parametrize("bad, on, extra", [
    ("resets", "reset", {}),
    ("silent", "timeout", {"timeouts": {"first_byte": "100ms"}}),
    ("503", "503", {}),
])
@pytest.mark.parametrize("method, body", [("GET", b""), ("PUT", b"whole")])
def test_a_listed_condition_is_followed_by_another_peer(bad_and_good, client, bad, on, extra,
                                                        method, body):
    retries = {"on": [on], "budget": {"min": 10}}
    p, first, second = bad_and_good(bad, {"retries": retries, **extra})
    c = client(p)
    for _ in range(4):
        answer = c.request(method, body=body)
        assert (answer.status, answer.body) == (200, b"fine " + body)
    assert len(second.requests) == 4 and 1 <= len(first.requests) <= 4


@pytest.mark.parametrize("bad, on, status, extra", [
    ("resets", ["timeout", "503"], 502, {}),
    ("silent", ["reset", "503"], 504, {"timeouts": {"first_byte": "100ms"}}),
    ("500", ["reset", "timeout", "503"], 500, {}),
])
def test_a_condition_that_is_not_listed_is_not(bad_and_good, client, bad, on, status, extra):
    p, first, second = bad_and_good(bad, {"retries": {"on": on}, **extra})
    c = client(p)
    assert sorted(c.request().status for _ in range(4)) == [200, 200, status, status]
    assert targets(first, second) == [2, 2]


@pytest.mark.parametrize("bad, status, extra", [
    ("resets", 502, {}), ("silent", 504, {"timeouts": {"first_byte": "100ms"}}), ("503", 503, {})])
def test_a_post_is_sent_once(bad_and_good, client, bad, status, extra):
    """RFC 9110 section 9.2.2."""
    retries = {"on": ["connect", "refused", "reset", "timeout", "503"]}
    p, first, second = bad_and_good(bad, {"retries": retries, **extra})
    c = client(p)
    assert sorted(c.request("POST", body=b"x").status for _ in range(4)) == [
        200, 200, status, status]
    assert targets(first, second) == [2, 2]


def test_a_refused_stream_is_sent_again_whatever_the_method(sluice, h2origin, client):
    def script(c):
        c.serve(lambda c, r: c.rst(r.id, REFUSED_STREAM) if len(server.requests) % 2 else
                c.answer(r.id, b"fine"))

    server = h2origin(script)
    upstream = {"protocol": "h2c", "retries": {"on": ["refused"]}}
    assert client(sluice(server, upstream=upstream)).request("POST", body=b"x").status == 200
    assert len(server.requests) == 2


def test_a_refused_stream_is_not_sent_again_when_it_is_not_listed(sluice, h2origin, client):
    server = h2origin(lambda c: c.serve(lambda c, r: c.rst(r.id, REFUSED_STREAM)))
    upstream = {"protocol": "h2c", "retries": {"on": ["connect"]}}
    assert client(sluice(server, upstream=upstream)).request().status == 502
    assert len(server.requests) == 1


def test_a_failed_connect_is_final_when_it_is_not_listed(sluice, origin, client):
    app = origin(serve(reply()))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        refusing = "127.0.0.1:%d" % s.getsockname()[1]
        c = client(sluice(refusing, app, upstream={"retries": {"on": []}}))
        assert sorted(c.request().status for _ in range(4)) == [200, 200, 502, 502]


def test_a_response_that_began_is_final(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 5")

    bad, good = origin(script), origin(serve(reply()))
    c = client(sluice(bad, good, upstream={"retries": {"on": ["reset", "timeout"]}}))
    assert sorted(c.request().status for _ in range(2)) == [200, 502]
    assert targets(bad, good) == [1, 1]


def test_a_response_whose_head_went_out_is_never_replaced(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    bad, good = origin(script), origin(serve(reply()))
    p = sluice(bad, good, upstream={"retries": {"on": ["reset", "timeout"]}})
    cut = 0
    for _ in range(2):
        try:
            client(p).request()
        except Truncated:
            cut += 1
    assert (cut, targets(bad, good)) == (1, [1, 1])


def test_an_interim_response_makes_the_attempt_final(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(status="503 No"))

    bad, good = origin(script), origin(serve(reply()))
    c = client(sluice(bad, good, upstream={"retries": {"on": ["reset", "503"]}}))
    statuses = []
    while len(statuses) < 2:
        c.send(request())
        answer = c.response()
        while answer.status == 103:
            answer = c.response()
        statuses.append(answer.status)
    assert sorted(statuses) == [200, 503]
    assert targets(bad, good) == [1, 1]


# ------------------------------------------------------------- whose response
def test_the_last_response_is_passed_on(sluice, origin, client):
    """When all peers say it, the client hears it."""
    peers = [origin(says(503, b"%d" % n)) for n in range(3)]
    c = client(sluice(*peers, upstream={"retries": {"on": ["503"], "attempts": 16}}))
    answer = c.request()
    assert answer.status == 503 and answer.body in [b"0", b"1", b"2"]
    assert targets(*peers) == [1, 1, 1]


def test_attempts_are_bounded(sluice, origin, client):
    peers = [origin(says(503)) for _ in range(4)]
    c = client(sluice(*peers, upstream={"retries": {"on": ["503"], "attempts": 2}}))
    assert c.request().status == 503
    assert sum(targets(*peers)) == 2


def test_the_only_peer_is_asked_once(sluice, origin, client):
    bad = origin(says(503))
    c = client(sluice(bad, upstream={"retries": {"on": ["503", "reset"]}}))
    assert c.request().status == 503
    assert len(bad.requests) == 1


def test_a_short_response_that_is_dropped_keeps_its_connection(sluice, origin, client):
    bad, good = origin(says(503)), origin(serve(reply()))
    c = client(sluice(bad, good, upstream={"retries": {"on": ["503"], "budget": {"min": 9}}}))
    assert [c.request().status for _ in range(6)] == [200] * 6
    assert len(bad.requests) >= 2 and bad.connections == 1


def test_a_long_response_that_is_dropped_ends_its_connection(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\nbegin")
        c.read(1)

    bad, good = origin(script), origin(serve(reply(b"good")))
    c = client(sluice(bad, good, upstream={"retries": {"on": ["503"], "budget": {"min": 9}}}))
    assert [c.request().body for _ in range(4)] == [b"good"] * 4
    bad.wait_closed(bad.connections)


@pytest.mark.parametrize("size", [1, 65_536, 65_537])
def test_a_body_within_the_replay_buffer_is_sent_again(sluice, origin, client, size):
    bad, good = origin(resets), origin(serve(lambda r: reply(b"%d" % len(r.body))))
    p = sluice(bad, good, upstream={"retries": {"on": ["reset"], "budget": {"min": 9}}})
    body = pattern(size)
    answers = [client(p).request("PUT", body=body) for _ in range(2)]
    if size <= 65_536:
        assert [a.body for a in answers] == [b"%d" % size] * 2
        assert all(r.body == body for r in good.requests)
    else:
        assert sorted(a.status for a in answers) == [200, 502]


def test_a_chunked_body_is_sent_again(sluice, origin, client):
    bad, good = origin(resets), origin(serve(lambda r: reply(r.body)))
    p = sluice(bad, good, upstream={"retries": {"on": ["reset"], "budget": {"min": 9}}})
    for _ in range(2):
        c = client(p)
        c.send(b"PUT / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
               + chunk(b"abc") + chunk(b"def") + b"0\r\n\r\n")
        assert c.response().body == b"abcdef"


# ---------------------------------------------------------------------- times
def test_an_attempt_has_its_time(bad_and_good, client):
    p, first, second = bad_and_good(
        "silent", {"retries": {"on": ["timeout"], "try_timeout": "150ms", "budget": {"min": 9}}})
    c = client(p)
    assert [c.request().status for _ in range(4)] == [200] * 4


def test_an_attempt_without_another_is_504(bad_and_good, client):
    p, first, second = bad_and_good("silent", {"retries": {"try_timeout": "150ms"}})
    c = client(p)
    assert sorted(c.request().status for _ in range(2)) == [200, 504]


def test_all_attempts_have_a_time_together(sluice, origin, client):
    peers = [origin(silent) for _ in range(4)]
    retries = {"on": ["timeout"], "attempts": 16, "try_timeout": "250ms", "timeout": "600ms",
               "budget": {"min": 9}}
    c = client(sluice(*peers, upstream={"retries": retries}))
    begun = time.monotonic()
    assert c.request().status == 504
    assert 0.6 <= time.monotonic() - begun < 2
    assert 2 <= sum(targets(*peers)) <= 3


def test_a_slow_upload_is_no_slow_peer(sluice, origin, client):
    good = origin(serve(lambda r: reply(r.body)))
    c = client(sluice(good, upstream={"retries": {"try_timeout": "200ms", "timeout": "300ms"}}))
    c.send(b"PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n")
    for byte in b"slow":
        time.sleep(0.15)
        c.send(bytes([byte]))
    assert c.response().body == b"slow"


def test_a_connect_has_the_time_of_its_attempt(sluice, origin, client):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for s in fillers:
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
    full = "127.0.0.1:%d" % listener.getsockname()[1]
    good = origin(serve(reply()))
    c = client(sluice(full, good, upstream={
        "timeouts": {"connect": SLOW}, "retries": {"try_timeout": "150ms"}}))
    assert [c.request().status for _ in range(2)] == [200, 200]
    for s in fillers + [listener]:
        s.close()


# --------------------------------------------------------------------- budget
def test_the_budget_has_an_edge(sluice, origin, client):
    """As many requests as the least are retried at the same time, and not one more."""
    held = threading.Event()

    def slow(c):
        c.read_request()
        held.wait(20)
        c.send(reply())

    bad, good = origin(resets), origin(slow)
    p = sluice(bad, good, upstream={
        "retries": {"on": ["reset"], "budget": {"percent": 0, "min": 2}}})
    clients = [client(p) for _ in range(8)]
    for c in clients:
        c.send(request())
    eventually(lambda: len(bad.requests) == 4 and len(good.requests) == 6, "all are answered")
    held.set()
    assert sorted(c.response().status for c in clients) == [200] * 6 + [502] * 2
    p.wait_log("retries.budget is used up")
    # What was in the budget is given back.
    assert [client(p).request().status for _ in range(4)] == [200] * 4


def test_no_budget_is_no_retry(sluice, origin, client):
    bad, good = origin(resets), origin(serve(reply()))
    c = client(sluice(bad, good, upstream={
        "retries": {"on": ["reset"], "budget": {"percent": 0, "min": 0}}}))
    assert sorted(c.request().status for _ in range(2)) == [200, 502]


def test_a_failed_connect_is_not_in_the_budget(sluice, origin, client):
    good = origin(serve(reply()))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        refusing = "127.0.0.1:%d" % s.getsockname()[1]
        c = client(sluice(refusing, good, upstream={
            "retries": {"on": ["connect", "reset"], "budget": {"percent": 0, "min": 0}}}))
        assert [c.request().status for _ in range(4)] == [200] * 4


def test_the_log_tells_of_each_attempt(sluice, origin, client):
    bad, good = origin(says(503)), origin(serve(reply()))
    p = sluice(bad, good, upstream={"retries": {"on": ["503"], "budget": {"min": 9}}})
    c = client(p)
    assert [c.request().status for _ in range(2)] == [200, 200]
    p.wait_log("another attempt after status 503; peer " + re.escape(bad.address))


# ---------------------------------------------------------------------- hedge
def hedged(after="100ms", **retries):
    return {"hedge": {"after": after}, "retries": {"budget": {"min": 9}, **retries}}


def test_a_hedge_is_answered_by_the_second(bad_and_good, client):
    p, first, second = bad_and_good("silent", hedged())
    c = client(p)
    assert [c.request().body for _ in range(4)] == [b"fine "] * 4
    assert len(second.requests) == 4


def test_a_hedge_is_answered_by_the_first(sluice, origin, client):
    second = threading.Event()
    seen = []

    def one_is_slow(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            seen.append(head)
            if len(seen) % 2:
                # The first of the two: answers once the other one is asked.
                assert second.wait(10)
                c.send(reply(b"first"))
            else:
                second.set()
                c.read(1)

    peers = [origin(one_is_slow), origin(one_is_slow)]
    p = sluice(*peers, upstream=hedged())
    assert client(p).request().body == b"first"
    assert targets(*peers) == [1, 1]
    # The other attempt was ended, the first one's connection is kept.
    eventually(lambda: sum(o.closed for o in peers) == 1, "one connection is closed")


def test_a_quick_answer_needs_no_hedge(sluice, origin, client):
    peers = [origin(serve(reply())) for _ in range(2)]
    c = client(sluice(*peers, upstream=hedged("10s")))
    assert [c.request().status for _ in range(4)] == [200] * 4
    assert sum(targets(*peers)) == 4


@pytest.mark.parametrize("method, body", [("POST", b""), ("PUT", b"x"), ("GET", b"x")])
def test_only_reads_without_a_body_are_hedged(sluice, origin, client, method, body):
    def slow(c):
        while c.read_request():
            time.sleep(0.3)
            c.send(reply())

    peers = [origin(slow) for _ in range(2)]
    c = client(sluice(*peers, upstream=hedged("50ms")))
    fields = [] if body else [("Content-Length", "0")]
    assert c.request(method, "/", fields, body).status == 200
    assert sum(targets(*peers)) == 1


def test_when_the_second_fails_the_first_goes_on(sluice, origin, client):
    seen = []

    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            seen.append(head)
            if len(seen) == 2:
                return
            time.sleep(0.5)
            c.send(reply(b"first"))

    peers = [origin(script), origin(script)]
    assert client(sluice(*peers, upstream=hedged())).request().body == b"first"
    assert targets(*peers) == [1, 1]


def test_when_the_first_fails_the_second_goes_on(sluice, origin, client):
    seen = []

    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            seen.append(head)
            if len(seen) == 1:
                time.sleep(0.3)
                return
            time.sleep(0.5)
            c.send(reply(b"second"))

    peers = [origin(script), origin(script)]
    assert client(sluice(*peers, upstream=hedged())).request().body == b"second"
    assert targets(*peers) == [1, 1]


def test_when_both_fail_it_is_502(sluice, origin, client):
    def script(c):
        c.read_request()
        time.sleep(0.3)

    peers = [origin(script), origin(script)]
    assert client(sluice(*peers, upstream=hedged())).request().status == 502
    assert targets(*peers) == [1, 1]


def test_hedges_are_in_the_budget(sluice, origin, client):
    def slow(c):
        while c.read_request():
            time.sleep(0.4)
            c.send(reply())

    peers = [origin(slow) for _ in range(2)]
    c = client(sluice(*peers, upstream=hedged("50ms", budget={"percent": 0, "min": 0})))
    assert c.request().status == 200
    assert sum(targets(*peers)) == 1


def test_a_client_that_leaves_ends_both_attempts(sluice, origin, client):
    peers = [origin(silent) for _ in range(2)]
    p = sluice(*peers, upstream=hedged())
    c = client(p)
    c.send(request())
    eventually(lambda: targets(*peers) == [1, 1], "both are asked")
    c.reset()
    for peer in peers:
        peer.wait_closed(1)
