"""How streams and connections to peers of HTTP/2 end before their time, and what is sent again."""
import signal

import pytest

import h2origin as h2
from h2frames import (
    CANCEL, ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR,
    REFUSED_STREAM, WINDOW_MAX)
from h2server import H2C
from h2wire import H2, get
from harness import eventually
from wire import Truncated, pattern, request

OK = [(":status", "200")]
H2C_UP = {"protocol": "h2c"}


def upstream(**over):
    return {**H2C_UP, **over}


@pytest.fixture
def start(sluice, h2origin):
    """A proxy before an origin whose connections do what a function of the connection and the
    request says; `first`: that of the first connection, if it differs."""

    def run(answer=None, first=None, listener=None, settings=(), **over):
        def script(c):
            use = first if first and c.number == 0 else answer
            c.serve(use or (lambda c, r: c.answer(r.id, b"fine")))

        server = h2origin(script, settings=settings)
        return sluice(server, upstream=upstream(**over), listener=listener), server

    return run


# ------------------------------------------------------------------ GOAWAY
@pytest.mark.parametrize("code", [NO_ERROR, ENHANCE_YOUR_CALM])
def test_goaway_leaves_some_out(start, client, code):
    """Streams above the last one are sent again, whatever the method; those below finish."""
    def first(c, r):
        if r.path == "/below":
            c.below = r.id
        elif r.path == "/above":
            c.goaway_out(c.below, code)
            c.answer(c.below, b"below")
        else:
            c.answer(r.id, b"warm")

    p, server = start(first=first)
    assert client(p).request().body == b"warm"
    below, above = client(p), client(p)
    below.send(request("POST", "/below", body=b"1"))
    server.wait_requests(2)
    above.send(request("POST", "/above", body=b"2"))
    assert below.response().body == b"below"
    assert above.response().body == b"fine"
    assert [r.path for r in server.requests] == ["/", "/below", "/above", "/above"]
    assert bytes(server.requests[-1].body) == b"2"
    # The connection is closed by the proxy once its last stream is over.
    server.wait_closed(1)
    server.wait_goaway()
    assert server.connections == 2
    if code:
        p.wait_log("HTTP/2 GOAWAY: .*; peer " + server.address)


def test_goaway_in_two_steps(start, client):
    def first(c, r):
        if r.path == "/last":
            c.goaway_out(WINDOW_MAX)
            c.ping()
            c.goaway_out(r.id)
            c.answer(r.id, b"last")
        else:
            c.answer(r.id, b"warm")

    p, server = start(first=first)
    assert client(p).request(target="/last").body == b"last"
    assert client(p).request().body == b"fine"
    server.wait_closed(1)


def test_goaway_when_idle(start, client):
    def first(c, r):
        c.answer(r.id, b"warm")
        c.goaway_out(r.id)

    p, server = start(first=first)
    c = client(p)
    assert c.request().body == b"warm"
    server.wait_closed(1)
    assert c.request().body == b"fine"
    assert server.connections == 2


def test_goaway_again_and_again(start, client):
    """Each attempt is left out: an end comes all the same."""
    p, server = start(lambda c, r: c.goaway_out(0))
    response = client(p).request("POST", "/", body=b"x")
    assert response.status == 502
    assert len(server.requests) == 3
    p.wait_log("502: the peer refused the stream")


# ------------------------------------------------------------------ a lost connection
def lose(c, r):
    c.sock.close()


def test_a_reused_connection_that_is_lost(start, client):
    def first(c, r):
        c.answer(r.id, b"warm") if r.path == "/" else lose(c, r)

    p, server = start(first=first)
    c = client(p)
    assert c.request().body == b"warm"
    assert c.request(target="/x").body == b"fine"
    assert server.connections == 2


def test_a_post_on_a_connection_that_is_lost(start, client):
    def first(c, r):
        c.answer(r.id, b"warm") if r.path == "/" else lose(c, r)

    p, server = start(first=first)
    c = client(p)
    assert c.request().body == b"warm"
    assert c.request("POST", "/x", body=b"1").status == 502
    assert server.connections == 1
    assert c.request().body == b"fine"


def test_a_fresh_connection_that_is_lost(start, client):
    p, server = start(first=lose)
    assert client(p).request().status == 502
    assert client(p).request().body == b"fine"
    assert server.connections == 2


@pytest.mark.parametrize("down", ["h1", "h2"])
def test_a_response_that_is_cut(start, client, down):
    def first(c, r):
        c.headers(r.id, OK)
        c.data(r.id, b"some")
        c.ping()
        lose(c, r)

    p, server = start(first=first, listener=H2C)
    if down == "h1":
        with pytest.raises((Truncated, ConnectionError)):
            client(p).request()
    else:
        c = H2(p.address).open()
        answer = c.fetch()
        assert (bytes(answer.body), answer.ended, answer.reset) == (b"some", False, INTERNAL_ERROR)
        assert c.fetch().status == 200
    p.wait_log("ended in the middle of its response")


# ------------------------------------------------------------------ RST_STREAM
@pytest.mark.parametrize("size,retried", [(0, True), (100, True), (65_536, True), (65_537, False)])
def test_a_refused_stream(start, client, size, retried):
    """Nothing was done with it: also a POST is sent again, with the body that was kept."""
    p, server = start(first=lambda c, r: (
        c.rst(r.id, REFUSED_STREAM) if len(server.requests) == 1 else c.answer(r.id, b"fine")))
    body = pattern(size)
    response = client(p).request("POST", "/x", body=body)
    if retried:
        assert response.body == b"fine"
        assert bytes(server.requests[1].body) == body
    else:
        assert response.status == 502
        assert len(server.requests) == 1
    assert server.connections == 1


def test_a_refused_stream_in_the_middle_of_its_body(sluice, h2origin, client):
    def script(c):
        r = c.next_head()
        if r.path == "/x" and len(c.origin.requests) == 1:
            c.until(lambda: len(r.body) >= 10, "ten octets")
            c.rst(r.id, REFUSED_STREAM)
        c.serve(b"fine")

    server = h2origin(script)
    p = sluice(server, upstream=H2C_UP)
    c = client(p)
    c.send(request("POST", "/x", [("Content-Length", "20")]) + b"0123456789")
    server.wait_requests(2)
    c.send(b"abcdefghij")
    assert c.response().body == b"fine"
    assert bytes(server.requests[1].body) == b"0123456789abcdefghij"


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_streams_that_are_always_refused(start, client, attempts):
    p, server = start(lambda c, r: c.rst(r.id, REFUSED_STREAM), retries={"attempts": attempts})
    assert client(p).request().status == 502
    assert len(server.requests) == attempts
    assert server.connections == 1


def test_replay_of_nothing(start, client):
    p, server = start(lambda c, r: c.rst(r.id, REFUSED_STREAM), retries={"replay": 0})
    assert client(p).request("POST", "/", body=b"x").status == 502
    assert len(server.requests) == 1
    assert client(p).request().status == 502
    assert len(server.requests) == 4


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("code", [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL,
                                  ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED, 0xdead])
def test_a_reset_before_the_response(start, client, method, code):
    """The peer may have done it, so it is not done again."""
    p, server = start(lambda c, r: c.answer(r.id) if r.path == "/" else c.rst(r.id, code))
    assert client(p).request().status == 200
    assert client(p).request(method, "/x").status == 502
    assert len(server.requests) == 2
    assert client(p).request().status == 200
    assert server.connections == 1


@pytest.mark.parametrize("down", ["h1", "h2"])
@pytest.mark.parametrize("code", [NO_ERROR, REFUSED_STREAM, INTERNAL_ERROR, CANCEL])
def test_a_reset_within_the_response(start, client, code, down):
    def answer(c, r):
        if r.path == "/":
            c.answer(r.id)
            return
        c.headers(r.id, OK)
        c.data(r.id, b"some")
        c.rst(r.id, code)

    p, server = start(answer, listener=H2C)
    if down == "h1":
        with pytest.raises((Truncated, ConnectionError)):
            client(p).request(target="/x")
    else:
        c = H2(p.address).open()
        answer = c.fetch(get("/x"))
        assert (answer.ended, answer.reset) == (False, INTERNAL_ERROR)
    assert client(p).request().status == 200
    assert server.connections == 1 and len(server.requests) == 2


def test_an_early_response_and_no_error(sluice, h2origin, client):
    """RFC 9113 section 8.1: the whole response, then a reset that only declines the rest."""
    def script(c):
        r = c.next_head()
        c.answer(r.id, b"early")
        c.rst(r.id, NO_ERROR)
        c.serve(b"fine")

    server = h2origin(script)
    p = sluice(server, upstream=H2C_UP)
    c = client(p)
    c.send(request("POST", "/x", [("Content-Length", "100000")]) + b"begin")
    response = c.response()
    assert (response.status, response.body) == (200, b"early")
    assert client(p).request().body == b"fine"
    assert server.connections == 1


def test_an_early_response_without_a_reset(sluice, h2origin, client):
    """The stream is ended here, and the connection goes on."""
    def script(c):
        r = c.next_head()
        c.answer(r.id, b"early")
        c.serve(b"fine")

    server = h2origin(script)
    p = sluice(server, upstream=H2C_UP)
    c = client(p)
    c.send(request("POST", "/x", [("Content-Length", "100000")]) + b"begin")
    response = c.response()
    assert (response.status, response.body) == (200, b"early")
    server.wait_reset(CANCEL)
    assert client(p).request().body == b"fine"
    assert server.connections == 1


# ------------------------------------------------------------------ clients that leave
@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize("down", ["h1", "h2", "h2 reset"])
def test_a_client_that_leaves(start, client, down, when):
    def answer(c, r):
        if r.path == "/":
            c.answer(r.id)
        elif when == "within":
            c.headers(r.id, OK)
            c.data(r.id, b"some")

    p, server = start(answer, listener=H2C)
    assert client(p).request().status == 200
    if down == "h1":
        c = client(p)
        c.send(request(target="/x"))
    else:
        c = H2(p.address).open()
        stream = c.request(get("/x"))
    server.wait_requests(2)
    if when == "within":
        c.head() if down == "h1" else c.until(lambda: c.streams[stream].body, "the body")
    c.rst(stream) if down == "h2 reset" else c.reset()
    server.wait_reset(CANCEL)
    assert client(p).request().status == 200
    assert server.connections == 1


def test_a_client_that_leaves_while_uploading(sluice, h2origin, client):
    def script(c):
        c.next_head()
        c.serve(b"fine")

    server = h2origin(script)
    p = sluice(server, upstream=H2C_UP)
    c = client(p)
    c.send(request("POST", "/x", [("Content-Length", "100000")]) + b"begin")
    server.wait_requests(1)
    c.close()
    server.wait_reset(CANCEL)
    assert client(p).request().body == b"fine"
    assert server.connections == 1


# ------------------------------------------------------------------ the end of the proxy
def test_drain_lets_streams_finish(start, client):
    def answer(c, r):
        if r.path == "/x":
            c.origin.held, c.held = c, r.id
            c.headers(r.id, OK)
            c.data(r.id, b"begin ")
        else:
            c.answer(r.id)

    p, server = start(answer)
    assert client(p).request().status == 200
    c = client(p)
    c.send(request(target="/x"))
    c.head()
    p.signal(signal.SIGTERM)
    p.wait_log("drain")
    server.held.data(server.held.held, b"and end", True)
    # The head is read already: the rest is chunks.
    assert b"and end" in c.rest()
    assert p.wait_end() == 0
    server.wait_closed(1)
    server.wait_goaway()


def test_drain_with_an_upload_between_both(sluice, h2origin):
    """From HTTP/2 to HTTP/2: the body goes on in both directions while the proxy drains."""
    server = h2origin(h2.serve(lambda c, r: c.answer(r.id, bytes(r.body))))
    p = sluice(server, upstream=H2C_UP, listener=H2C)
    c = H2(p.address).open()
    c.credits = True
    body = pattern(500_000)
    stream = c.request(get("/x", "POST"), end=False)
    c.upload(stream, body[:100_000], end=False)
    p.signal(signal.SIGTERM)
    c.until(lambda: c.goaway, "GOAWAY")
    sent = 100_000
    while sent < len(body):
        room = min(65_536 + c.granted.get(stream, 0) - sent, 65_535 + c.granted[0] - sent, 16_384,
                   len(body) - sent)
        if room <= 0:
            c.next_frame()
            continue
        c.data(stream, body[sent:sent + room], sent + room == len(body))
        sent += room
    assert bytes(c.response(stream).body) == body
    assert p.wait_end() == 0
    server.wait_goaway()


def test_drain_of_idle_connections(start, client):
    p, server = start()
    assert client(p).request().status == 200
    assert p.stop() == 0
    server.wait_closed(1)
    server.wait_goaway()


def test_nothing_stays_of_streams_that_end_badly(start, client):
    def answer(c, r):
        kind = int(r.path[1:]) % 6
        if kind == 0:
            c.rst(r.id, REFUSED_STREAM)
        elif kind == 1:
            c.rst(r.id, INTERNAL_ERROR)
        elif kind == 2:
            c.headers(r.id, OK)
            c.data(r.id, b"x" * 100)
            c.rst(r.id, CANCEL)
        elif kind == 3:
            c.goaway_out(max(r.id - 2, 0))
        elif kind == 4:
            lose(c, r)
        else:
            c.answer(r.id)

    p, server = start(answer)

    def rounds(count):
        for number in range(count):
            c = client(p)
            try:
                c.request("POST", "/%d" % number, body=b"x" * 1000)
            except (Truncated, ConnectionError):
                pass
            c.close()

    rounds(200)
    descriptors, rss = p.descriptors(), p.rss()
    rounds(600)
    eventually(lambda: p.descriptors() <= descriptors + 2, "descriptors go back")
    assert p.rss() <= rss + (1 << 20)
