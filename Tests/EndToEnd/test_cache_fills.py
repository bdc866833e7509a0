"""The cache's role (`sluice.cache/1`) over time: waits, requests in the background, fills whose
client has left, and what becomes of all of them when things end."""
import signal
import threading
import time

import pytest

import harness
from h2wire import H2, get
from harness import eventually, serve
from keeper import LARGE, ended, fetch_h2, keeper, library, page, stats  # noqa: F401
from reloading import manifest_of, reload, wait_gone
from wire import DEADLINE, Message, chunk, pattern, reply, request


class Gate:
    """An origin's script that answers when it is told to: the head, and then the body."""

    def __init__(self, body=b"x" * 100_000):
        self.body = body
        self.head, self.rest = threading.Event(), threading.Event()

    def __call__(self, connection):
        while connection.read_request():
            assert self.head.wait(DEADLINE)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.body)
                            + self.body[:1000])
            assert self.rest.wait(DEADLINE)
            connection.send(self.body[1000:])

    def open(self):
        self.head.set()
        self.rest.set()


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.open()


# ------------------------------------------------------------------------ waits
@pytest.mark.parametrize("workers", [1, 4])
def test_one_fill_for_many_requests(keeper, origin, client, gate, workers):
    app = origin(gate)
    p = keeper(app, workers=workers)
    clients = [client(p) for _ in range(20)]
    for c in clients:
        c.send(request(target="/k", fields=[("x-lookup", "lock")]))
    app.wait_requests(1)
    eventually(lambda: stats(p)["lookups"] >= 21, "all have asked")
    gate.open()
    for c in clients:
        assert c.response().body == gate.body
    assert len(app.requests) == 1


def test_a_wait_ends_at_its_deadline(keeper, origin, client):
    p = keeper(origin(page()))
    assert client(p).request(fields=[("x-lookup", "wait")]).get("x-again") == "2"


def test_a_client_leaves_while_it_waits(keeper, origin, client, gate):
    app = origin(gate)
    p = keeper(app)
    first, second = client(p), client(p)
    first.send(request(target="/k", fields=[("x-lookup", "lock")]))
    app.wait_requests(1)
    second.send(request(target="/k", fields=[("x-lookup", "lock")]))
    eventually(lambda: stats(p)["lookups"] >= 3, "both have asked")
    second.reset()
    ended(p, "/k", outcome=1)
    gate.open()
    assert first.response().body == gate.body


# ------------------------------------------------------------------------ readers of a fill
@pytest.mark.parametrize("speaks", ["h1", "h2"])
def test_a_body_is_read_while_it_comes(keeper, origin, client, gate, speaks):
    app = origin(gate)
    p = keeper(app)
    first, second = client(p), client(p)
    first.send(request(target="/k"))
    app.wait_requests(1)
    gate.head.set()
    first.until(b"\r\n\r\n")
    if speaks == "h1":
        second.send(request(target="/k", fields=[("x-lookup", "join")]))
        assert b"chunked" in second.until(b"\r\n\r\n")
        # Some of it has come, and the origin has not sent the rest.
        early = second.until(b"x" * 900)
        second.buffer = early + second.buffer
        gate.rest.set()
        whole = Message(b"HTTP/1.1 200 OK\r\n\r\n")
        second.chunked_body(whole)
        assert whole.body == gate.body
    else:
        threading.Timer(0.3, gate.rest.set).start()
        assert fetch_h2(p.address, "/k", [("x-lookup", "join")])[2] == gate.body
    assert first.read(len(gate.body)) == gate.body
    assert len(app.requests) == 1


def test_a_fill_that_breaks_breaks_its_readers(keeper, origin, client):
    release = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 1000)
        assert release.wait(DEADLINE)

    app = origin(script)
    p = keeper(app)
    first, second = client(p), client(p)
    first.send(request(target="/k"))
    first.until(b"\r\n\r\n")
    second.send(request(target="/k", fields=[("x-lookup", "join")]))
    second.until(b"\r\n\r\n")
    release.set()
    got = second.rest()
    assert got.count(b"x") == 1000 and not got.endswith(b"0\r\n\r\n")
    eventually(lambda: stats(p)["aborts"] == 1, "the writer is ended")


def test_readers_that_leave(keeper, origin, client):
    p = keeper(origin(page(pattern(8 * LARGE))))
    client(p).request(target="/x")
    for how in ("", "file", "short", "unknown", "again:1000000"):
        c = client(p, receive_buffer=4096)
        c.send(request(target="/x", fields=[("x-read", how)] if how else []))
        c.until(b"\r\n\r\n")
        c.reset()
        h = H2(p.address).open()
        stream = h.request(get("/x", extra=[("x-read", how)] if how else []))
        h.until(lambda: h.streams[stream].fields, "the head")
        h.close()
    eventually(lambda: stats(p)["closes"] == 10, "all are closed")


@pytest.mark.parametrize("speaks", ["h1", "h2"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_writer_lets_the_origin_wait(keeper, origin, client, speaks, framing):
    body = pattern(3_000_000)

    def script(connection):
        while connection.read_request():
            if framing == "length":
                connection.send(reply(body))
                continue
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 40_009):
                connection.send(chunk(body[at:at + 40_009]))
            connection.send(b"0\r\n\r\n")

    p = keeper(origin(script))
    fields = [("x-write", "wait:500000")]
    begin = time.monotonic()
    if speaks == "h1":
        got = client(p).request(target="/w", fields=fields).body
    else:
        got = fetch_h2(p.address, "/w", fields)[2]
    # A write has no more than 256 KiB.
    assert time.monotonic() - begin > 9 * 0.02
    assert got == body
    again = client(p).request(target="/w")
    assert again.body == body and again.get("x-kept") == "yes"


def test_a_client_leaves_while_the_origin_waits(keeper, origin, client):
    body = pattern(6_000_000)
    app = origin(page(body))
    p = keeper(app)
    c = client(p)
    c.send(request(target="/w", fields=[("x-write", "wait:0")]))
    c.until(b"\r\n\r\n")
    c.reset()
    eventually(lambda: stats(p)["commits"] == 1, "the fill goes on")
    assert client(p).request(target="/w").body == body


# ------------------------------------------------------------------------ in the background
def test_stale_is_served_and_fetched_anew(keeper, origin, client):
    bodies = iter([b"old", b"new", b"newer"])
    app = origin(serve(lambda r: reply(next(bodies))))
    p = keeper(app)
    c = client(p)
    assert c.request(target="/s").body == b"old"
    got = c.request(target="/s", fields=[("x-lookup", "stale"), ("Range", "bytes=0-1"),
                                         ("X-Other", "kept")])
    assert got.body == b"old"
    app.wait_requests(2)
    asked = app.requests[1]
    assert (asked.method, asked.target, asked.get("range")) == ("GET", "/s", None)
    assert (asked.get("x-other"), asked.get("host")) == ("kept", "test")
    ended(p, "/s", cache=4)
    ended(p, "/s", internal=1, outcome=0)
    assert c.request(target="/s").body == b"new"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("speaks", ["h1", "h2"])
def test_a_fetch_is_waited_for(keeper, origin, client, method, speaks):
    body = pattern(300_000)
    app = origin(page(body))
    p = keeper(app)
    fields = [("x-lookup", "fetch")]
    if speaks == "h1":
        got = client(p).request(method, "/f", fields)
        kept, length, received = got.get("x-kept"), got.get("content-length"), got.body
    else:
        _, got, received = fetch_h2(p.address, "/f", fields, method=method)
        kept, length = got["x-kept"], got["content-length"]
    assert (kept, length) == ("yes", str(len(body)))
    assert received == (body if method == "GET" else b"")
    assert [r.method for r in app.requests] == ["GET"]


def test_a_fetch_over_tls_knows_of_it(keeper, origin, connect, leaf):
    app = origin(page(b"page"))
    p = keeper(app, listener={"tls": {"certificates": [leaf.entry]}})
    c = connect(p)
    assert c.request(target="/f", fields=[("x-lookup", "fetch")]).get("x-kept") == "yes"
    assert p.stop() == 0


def test_a_fetch_that_gets_nothing(keeper, origin, client):
    """What the host's own request gets is dropped, and the one that waits goes by itself."""
    app = origin(serve(reply(b"no", status="404 Not Found")))
    p = keeper(app)
    got = client(p).request(target="/f", fields=[("x-lookup", "fetch")])
    assert (got.status, got.get("x-again")) == (404, "1")
    ended(p, "/f", internal=1, outcome=0, status=404)


def test_the_bound_of_requests_in_the_background(keeper, origin, client, gate):
    app = origin(gate)
    p = keeper(app, background_requests=2)
    clients = [client(p) for _ in range(4)]
    for index, c in enumerate(clients[:2]):
        c.send(request(target="/f%d" % index, fields=[("x-lookup", "fetch")]))
    app.wait_requests(2)
    for index, c in enumerate(clients[2:]):
        c.send(request(target="/g%d" % index, fields=[("x-lookup", "fetch")]))
    app.wait_requests(4)
    gate.open()
    assert all(c.response().get("x-again") == "3" for c in clients[2:])
    assert all(c.response().status == 200 for c in clients[:2])
    none = keeper(app, background_requests=0)
    assert client(none).request(target="/f", fields=[("x-lookup", "fetch")]).get("x-again") == "3"


def test_other_hooks_run_for_it_once(keeper, origin, client):
    """The chain sees the request as it came: what it adds is there once."""
    app = origin(page())
    p = keeper(app, chain=["h"], plugins={"h": {"library": "libHeaders.so", "config": {
        "request": {"add": [{"name": "X-Added", "value": "once"}]}}}})
    client(p).request(target="/f", fields=[("x-lookup", "fetch")])
    assert app.requests[0].all("x-added") == ["once"]


# ------------------------------------------------------------------------ fills without a client
@pytest.mark.parametrize("when", ["connect", "head", "body"])
@pytest.mark.parametrize("speaks", ["h1", "h2"])
def test_a_fill_goes_on_without_its_client(keeper, origin, client, gate, when, speaks):
    app = origin(gate)
    p = keeper(app)
    c = H2(p.address).open() if speaks == "h2" else client(p)
    c.request(get("/k")) if speaks == "h2" else c.send(request(target="/k"))
    app.wait_requests(1)
    if when == "body":
        gate.head.set()
        eventually(lambda: stats(p)["stores"] == 1, "the response is being stored")
    if when == "head" and speaks == "h1":
        c.finish()
    c.reset() if speaks == "h1" else c.close()
    gate.open()
    eventually(lambda: stats(p)["commits"] == 1, "the fill is whole")
    ended(p, "/k", cache=2, outcome=1, status=200)
    assert client(p).request(target="/k").body == gate.body
    assert len(app.requests) == 1


def test_a_fill_goes_on_without_its_client_over_tls(keeper, origin, client, connect, leaf, gate):
    app = origin(gate)
    p = keeper(app, listener={"tls": {"certificates": [leaf.entry]}})
    c = connect(p)
    c.send(request(target="/k"))
    app.wait_requests(1)
    gate.head.set()
    c.until(b"\r\n\r\n")
    c.reset()
    gate.open()
    ended(p, "/k", cache=2, outcome=1)
    assert connect(p).request(target="/k").get("x-kept") == "yes"
    assert p.stop() == 0


def test_a_client_that_takes_nothing_is_left_behind(keeper, origin, client):
    """Its time is over, and the fill goes on."""
    body = pattern(32 << 20)
    app = origin(page(body))
    p = keeper(app, listener={"protocols": ["h1", "h2c"], "timeouts": {"write": "500ms"}})
    c = client(p, receive_buffer=4096)
    c.send(request(target="/k"))
    eventually(lambda: stats(p)["commits"] == 1, "the fill is whole")
    p.wait_log("timeouts.write")
    assert client(p).request(target="/k").body == body


@pytest.mark.parametrize("admit", ["pass", "refuse"])
def test_what_is_not_stored_ends_with_its_client(keeper, origin, client, gate, admit):
    app = origin(gate)
    p = keeper(app)
    c = client(p)
    how = ("x-admit", "pass") if admit == "pass" else ("x-write", "500")
    c.send(request(target="/k", fields=[how]))
    app.wait_requests(1)
    if admit == "pass":
        c.reset()
        gate.head.set()
    else:
        gate.head.set()
        c.until(b"\r\n\r\n")
        c.reset()
    ended(p, "/k", outcome=1)
    gate.rest.set()
    app.wait_closed(1)


def test_the_bound_ends_fills_with_their_clients(keeper, origin, client, gate):
    app = origin(gate)
    p = keeper(app, background_requests=0)
    c = client(p)
    c.send(request(target="/k"))
    app.wait_requests(1)
    gate.head.set()
    c.until(b"\r\n\r\n")
    c.reset()
    ended(p, "/k", outcome=1)
    assert stats(p)["aborts"] == 1


def test_a_half_sent_request_ends_with_its_client(keeper, origin, client):
    app = origin(page())
    p = keeper(app)
    c = client(p)
    c.send(b"POST /k HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf")
    app.wait(lambda: app.connections == 1, "a connection")
    c.reset()
    ended(p, "/k", outcome=1)


# ------------------------------------------------------------------------ failures of the origin
def test_stale_if_error(keeper, origin, client):
    app = origin(page(b"kept"))
    p = keeper(app)
    c = client(p)
    c.request(target="/e")
    app.close()
    fields = [("x-lookup", "miss")]
    got = c.request(target="/e", fields=fields + [("x-failed", "answer")])
    assert (got.status, got.body, got.get("x-kept")) == (200, b"kept", "yes")
    ended(p, "/e", cache=6, status=200)
    assert c.request(target="/e", fields=fields).status == 502
    assert c.request(target="/e", fields=fields + [("x-failed", "fail")]).status == 500
    assert stats(p)["failures"] == 3 + 3 * 100  # SLUICE_ATTEMPT_CONNECT, three times


@pytest.mark.parametrize("kind,status,result", [
    ("slow", 504, 2), ("closed", 502, 3), ("nonsense", 502, 4)])
def test_how_the_last_attempt_failed(keeper, origin, client, kind, status, result):
    def script(connection):
        connection.read_request()
        if kind == "slow":
            connection.rest()
        elif kind == "nonsense":
            connection.send(b"nonsense\r\n\r\n")

    p = keeper(origin(script), upstream={"timeouts": {"first_byte": "200ms"}})
    assert client(p).request(target="/e").status == status
    assert stats(p)["failures"] == 1 + 100 * result


def test_another_attempt_comes_before_admit(keeper, origin, client):
    bad, good = origin(serve(reply(b"bad", status="503 No"))), origin(page(b"good"))
    p = keeper(bad, good, upstream={"retries": {"attempts": 2, "on": ["503"]}})
    c = client(p)
    for index in range(4):
        assert c.request(target="/%d" % index).body == b"good"
    assert stats(p)["stores"] == 4 and bad.requests


def test_an_error_is_replaced_by_what_is_kept(keeper, origin, client):
    answers = iter([reply(b"kept"), reply(b"bad" * 100_000, status="500 Bad")])
    app = origin(serve(lambda r: next(answers)))
    p = keeper(app)
    c = client(p)
    c.request(target="/e")
    got = c.request(target="/e", fields=[("x-lookup", "miss"), ("x-admit", "answer")])
    assert (got.status, got.body) == (200, b"kept")


# ------------------------------------------------------------------------ ends of generations
def test_readers_and_fills_outlive_a_reload(keeper, origin, client, gate):
    body = pattern(8 * LARGE)
    app = origin(lambda c: gate(c) if c.number == 1 else page(body)(c))
    p = keeper(app, supervised=False)
    c = client(p)
    c.request(target="/x")
    slow = client(p, receive_buffer=4096)
    slow.send(request(target="/x"))
    slow.until(b"\r\n\r\n")
    leaving = client(p)
    c.send(request(target="/other"))
    leaving.send(request(target="/k"))
    app.wait_requests(2)
    manifest = manifest_of(p)
    manifest["plugins"]["keeper"]["on_error"] = "open"
    reload(p, manifest)
    assert client(p).request(target="/x").get("x-kept") is None  # another instance
    leaving.reset()
    gate.open()
    assert slow.read(len(body)) == body
    c.response()
    wait_gone(p, 1)


def test_a_reload_cuts_what_goes_on_alone(keeper, origin, client, gate):
    app = origin(gate)
    p = keeper(app, supervised=False, reload_grace="300ms")
    c = client(p)
    c.send(request(target="/k"))
    app.wait_requests(1)
    c.reset()
    manifest = manifest_of(p)
    manifest["plugins"]["keeper"]["on_error"] = "open"
    reload(p, manifest)
    p.wait_log("reload_grace is over, requests of generation 1 cut: 1")
    wait_gone(p, 1)


def test_the_process_waits_for_fills(keeper, origin, client, gate):
    app = origin(gate)
    p = keeper(app)
    c = client(p)
    c.send(request(target="/k"))
    app.wait_requests(1)
    c.reset()
    eventually(lambda: stats(p)["lookups"] >= 1, "it answers")
    p.signal(signal.SIGTERM)
    assert not p.process.poll()
    gate.open()
    assert p.wait_end() == 0
    ended(p, "/k", outcome=1, status=200)


def test_the_process_does_not_wait_for_ever(keeper, origin, client, gate):
    app = origin(gate)
    p = keeper(app, shutdown_grace="300ms")
    c = client(p)
    c.send(request(target="/k"))
    app.wait_requests(1)
    c.reset()
    eventually(lambda: stats(p)["lookups"] >= 1, "it answers")
    assert p.stop() == 0
    ended(p, "/k", outcome=3)
    p.wait_log("requests without a client: 1")
