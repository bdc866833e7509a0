"""What peers of HTTP/2 do wrong: clients get 502 or a cut, the peer is told the right error, and
what is not concerned goes on."""
import struct

import pytest

from h2frames import (
    ACK, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM,
    ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME, FRAME_SIZE_ERROR, GOAWAY, HEADERS,
    INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PADDED, PING, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM,
    SETTINGS, STREAM_CLOSED, WINDOW_MAX, WINDOW_UPDATE, frame, settings)
from h2hpack import block, indexed, literal
from wire import Truncated, pattern, request

OK = [(":status", "200")]
LENGTH_3 = OK + [("content-length", "3")]


FULL = pattern(FRAME)


def u32(*values):
    return struct.pack(">%dI" % len(values), *values)


def heads(fields, end=True):
    return lambda c, i: c.fields_out(i, fields, end)


def content(fields, *pieces, end=True, trailers=None, trailers_end=True):
    def send(c, i):
        c.fields_out(i, fields, False)
        for at, piece in enumerate(pieces):
            c.data(i, piece, end and at + 1 == len(pieces) and trailers is None)
        if trailers is not None:
            c.fields_out(i, trailers, trailers_end)
    return send


def frames(*parts):
    """Frames whose stream is None are on the request's."""
    def send(c, i):
        for type_, flags, stream, payload in parts:
            c.frame_out(type_, flags, i if stream is None else stream, payload)
    return send


# What only the stream pays for.
STREAM_ERRORS = {
    "more than Content-Length": content(LENGTH_3, b"12345"),
    "more than Content-Length, in two": content(LENGTH_3, b"12", b"345"),
    "less than Content-Length": content(LENGTH_3, b"12"),
    "less, then trailers": content(LENGTH_3, b"12", trailers=[("x", "1")]),
    "Content-Length without content": heads(LENGTH_3),
    "two Content-Lengths": content(LENGTH_3 + LENGTH_3[1:], b"123"),
    "Content-Length in words": content(OK + [("content-length", "three")], b"123"),
    "Content-Length with a sign": content(OK + [("content-length", "+3")], b"123"),
    "a list of Content-Lengths": content(OK + [("content-length", "3, 3")], b"123"),
    "no status": heads([("x", "1")]),
    "no field at all": heads([]),
    "two statuses": heads(OK + OK),
    "a status behind a field": heads([("x", "1")] + OK),
    "an unknown pseudo-field": heads(OK + [(":reason", "fine")]),
    "a pseudo-field of requests": heads(OK + [(":path", "/")]),
    "a status of two digits": heads([(":status", "20")]),
    "a status of four digits": heads([(":status", "2000")]),
    "a status below 100": heads([(":status", "099")]),
    "a status in words": heads([(":status", "abc")]),
    "101": heads([(":status", "101")], False),
    "an interim response that ends": heads([(":status", "103")]),
    "a name in upper case": heads(OK + [("X-Upper", "1")]),
    "a name with a space": heads(OK + [("x y", "1")]),
    "an empty name": heads(OK + [("", "1")]),
    "a value with LF": heads(OK + [("x", "a\nb")]),
    "a value with CR": heads(OK + [("x", "a\rb")]),
    "a value with NUL": heads(OK + [("x", "a\0b")]),
    "a value behind a space": heads(OK + [("x", " a")]),
    "a value before a tab": heads(OK + [("x", "a\t")]),
    "connection": heads(OK + [("connection", "close")]),
    "keep-alive": heads(OK + [("keep-alive", "timeout=5")]),
    "transfer-encoding": content(OK + [("transfer-encoding", "chunked")], b"0\r\n\r\n"),
    "upgrade": heads(OK + [("upgrade", "h2c")]),
    "te": heads(OK + [("te", "trailers")]),
    "DATA before HEADERS": lambda c, i: c.data(i, b"12", True),
    "DATA behind an interim response": content([(":status", "103")], b"12"),
    "trailers that do not end": content(OK, b"12", trailers=[("x", "1")], trailers_end=False),
    "a pseudo-field in trailers": content(OK, b"12", trailers=OK),
    "connection in trailers": content(OK, b"12", trailers=[("connection", "close")]),
    "a bad value in trailers": content(OK, b"12", trailers=[("x", "a\nb")]),
    "a head over the bound": heads(OK + [("x-%d" % i, "v") for i in range(101)]),
    "WINDOW_UPDATE by 0": frames((WINDOW_UPDATE, 0, None, u32(0))),
}

OTHER_CODES = {
    "a window over its bound": (frames((WINDOW_UPDATE, 0, None, u32(WINDOW_MAX))),
                                FLOW_CONTROL_ERROR),
}


class Peer:
    """An origin whose first connection does one thing to "/bad". What it held before is answered
    when the stream was reset."""

    def __init__(self, action):
        self.action, self.ends = action, False

    def __call__(self, c):
        held = []
        c.credits = True
        while True:
            request = c.next_head()
            if request is None:
                return
            if request.path == "/held" and c.number == 0:
                held.append(request.id)
            elif request.path == "/bad" and c.number == 0:
                self.action(c, request.id)
                c.until(lambda: request.reset is not None, "the reset of the stream")
                for stream in held:
                    c.answer(stream, b"held")
                held.clear()
            else:
                c.answer(request.id, b"fine")


def cut_or_502(c, proxy, rest=b"stion", path="/bad"):
    """The answer to a request that failed: it must not look whole. Without `rest` the request is
    not whole either, so that its stream is open on both sides."""
    c.send(request("POST", path, fields=[("Content-Length", "8")]) + b"que" + rest)
    try:
        response = c.response("POST")
    except (Truncated, ConnectionError):
        return None
    assert response.status == 502, (response.status, response.fields, proxy.log)
    return 502


@pytest.fixture
def failing(sluice, h2origin, client):
    def run(action, upstream=None):
        server = h2origin(Peer(action))
        p = sluice(server, upstream={"protocol": "h2c", **(upstream or {})})
        assert client(p).request().body == b"fine"
        other = client(p)
        other.send(request(target="/held"))
        server.wait_requests(2)
        status = cut_or_502(client(p), p, b"")
        return p, server, other, status

    return run


@pytest.mark.parametrize("what", list(STREAM_ERRORS) + list(OTHER_CODES))
def test_a_fault_of_a_stream(failing, client, what):
    action, code = OTHER_CODES.get(what) or (STREAM_ERRORS[what], PROTOCOL_ERROR)
    p, server, other, _ = failing(action)
    server.wait_reset(code)
    assert other.response().body == b"held"
    assert client(p).request().body == b"fine"
    assert server.connections == 1 and not server.goaways
    assert [r for r in server.resets if r[2] == code] and len(server.resets) == 1


@pytest.mark.parametrize("what", [
    "Content-Length without content", "no status", "two statuses", "101", "a name in upper case",
    "a value with LF", "transfer-encoding", "DATA before HEADERS", "a head over the bound"])
def test_a_head_that_is_none_is_502(failing, what):
    p, _, _, status = failing(STREAM_ERRORS[what])
    assert status == 502
    p.wait_log("response refused: .*; peer ")


def twice_ended(c, i):
    c.answer(i, b"whole")
    c.data(i, b"more", True)


def heads_twice(c, i):
    c.answer(i, b"whole")
    c.fields_out(i, OK)


def flood(count, *part):
    def send(c, i):
        try:
            for _ in range(count):
                c.frame_out(part[0], part[1], i if part[2] is None else part[2], part[3])
        except OSError:
            # The proxy has had enough.
            pass
    return send


def settings_flood(c, i):
    try:
        for _ in range(1000):
            c.settings()
    except OSError:
        pass


def empty_data(c, i):
    c.fields_out(i, OK, False)
    flood(1000, DATA, 0, None, b"")(c, i)


def continuations(c, i):
    c.frame_out(HEADERS, 0, i, block(OK))
    flood(1000, CONTINUATION, 0, None, block([("x", "y")]))(c, i)


def other_inside(c, i):
    c.frame_out(HEADERS, 0, i, block(OK))
    c.frame_out(PING, 0, 0, b"12345678")


CONNECTION_ERRORS = {
    "PUSH_PROMISE": (frames((PUSH_PROMISE, END_HEADERS, None, u32(2) + block(OK))),
                     PROTOCOL_ERROR),
    "HEADERS on an idle stream": (lambda c, i: c.fields_out(9999, OK), PROTOCOL_ERROR),
    "HEADERS on an even stream": (lambda c, i: c.fields_out(2, OK), PROTOCOL_ERROR),
    "HEADERS on stream 0": (lambda c, i: c.fields_out(0, OK), PROTOCOL_ERROR),
    "DATA on an idle stream": (lambda c, i: c.frame_out(DATA, 0, 9999, b"x"), PROTOCOL_ERROR),
    "DATA on stream 0": (lambda c, i: c.frame_out(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (frames((RST_STREAM, 0, 9999, u32(8))), PROTOCOL_ERROR),
    "RST_STREAM on stream 0": (frames((RST_STREAM, 0, 0, u32(8))), PROTOCOL_ERROR),
    "RST_STREAM of 3 octets": (frames((RST_STREAM, 0, None, b"123")), FRAME_SIZE_ERROR),
    "WINDOW_UPDATE on an idle stream": (frames((WINDOW_UPDATE, 0, 9999, u32(1))), PROTOCOL_ERROR),
    "WINDOW_UPDATE by 0": (frames((WINDOW_UPDATE, 0, 0, u32(0))), PROTOCOL_ERROR),
    "the window over its bound": (frames((WINDOW_UPDATE, 0, 0, u32(WINDOW_MAX))),
                                  FLOW_CONTROL_ERROR),
    "index 0": (lambda c, i: c.fields_out(i, indexed(0)), COMPRESSION_ERROR),
    "an index that is not there": (lambda c, i: c.fields_out(i, indexed(99)), COMPRESSION_ERROR),
    "a block that is cut short": (lambda c, i: c.fields_out(i, literal("x", "yyy")[:-1]),
                                  COMPRESSION_ERROR),
    "ENABLE_PUSH": (frames((SETTINGS, 0, 0, settings((ENABLE_PUSH, 1)))), PROTOCOL_ERROR),
    "a window over the bound in SETTINGS": (
        frames((SETTINGS, 0, 0, settings((INITIAL_WINDOW_SIZE, 2**31)))), FLOW_CONTROL_ERROR),
    "a frame size below the least": (
        frames((SETTINGS, 0, 0, settings((MAX_FRAME_SIZE, 16383)))), PROTOCOL_ERROR),
    "SETTINGS of 5 octets": (frames((SETTINGS, 0, 0, b"12345")), FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (frames((SETTINGS, 0, None, b"")), PROTOCOL_ERROR),
    "an ACK with a payload": (frames((SETTINGS, ACK, 0, b"123456")), FRAME_SIZE_ERROR),
    "an ACK too many": (frames((SETTINGS, ACK, 0, b"")), PROTOCOL_ERROR),
    "PING of 7 octets": (frames((PING, 0, 0, b"1234567")), FRAME_SIZE_ERROR),
    "PING on a stream": (frames((PING, 0, None, b"12345678")), PROTOCOL_ERROR),
    "GOAWAY of 7 octets": (frames((GOAWAY, 0, 0, b"1234567")), FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (frames((GOAWAY, 0, None, u32(0, 0))), PROTOCOL_ERROR),
    "a frame that is too long": (frames((DATA, 0, None, b"x" * (FRAME + 1))), FRAME_SIZE_ERROR),
    "padding over the frame": (lambda c, i: (c.fields_out(i, OK, False), c.frame_out(
        DATA, PADDED, i, b"\x05abc")), PROTOCOL_ERROR),
    "CONTINUATION alone": (frames((CONTINUATION, END_HEADERS, None, block(OK))), PROTOCOL_ERROR),
    "PING inside a block": (other_inside, PROTOCOL_ERROR),
    "DATA behind the end": (twice_ended, STREAM_CLOSED),
    "HEADERS behind the end": (heads_twice, STREAM_CLOSED),
    "PRIORITY_UPDATE": (frames((0x10, 0, 0, u32(1) + b"u=1")), PROTOCOL_ERROR),
    "a flood of SETTINGS": (settings_flood, ENHANCE_YOUR_CALM),
    "a flood of PING": (flood(2000, PING, 0, 0, b"12345678"), ENHANCE_YOUR_CALM),
    "a flood of empty DATA": (empty_data, ENHANCE_YOUR_CALM),
    "a flood of CONTINUATION": (continuations, ENHANCE_YOUR_CALM),
    "a flood of unknown frames": (flood(1000, 0x42, 0, 0, b""), ENHANCE_YOUR_CALM),
    "HTTP/1.1": (lambda c, i: c.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
                 FRAME_SIZE_ERROR),
}


class Breaker:
    """An origin whose first connection does one thing to "/bad" and then only reads."""

    def __init__(self, action):
        self.action = action

    def __call__(self, c):
        c.credits = True
        while True:
            request = c.next_request()
            if request is None:
                return
            request.taken = True
            if request.path == "/held" and c.number == 0:
                continue
            if request.path == "/bad" and c.number == 0:
                try:
                    self.action(c, request.id)
                finally:
                    c.drained()
                return
            c.answer(request.id, b"fine")


@pytest.mark.parametrize("what", list(CONNECTION_ERRORS))
def test_a_fault_of_a_connection(sluice, h2origin, client, what):
    action, code = CONNECTION_ERRORS[what]
    server = h2origin(Breaker(action))
    p = sluice(server, upstream={"protocol": "h2c"})
    assert client(p).request().body == b"fine"
    other = client(p)
    other.send(request(target="/held"))
    server.wait_requests(2)
    c = client(p)
    if what.endswith("behind the end"):
        assert c.request("POST", "/bad", body=b"x").body == b"whole"
    else:
        cut_or_502(c, p)
    # A GET on a connection that was used before is safe to send again.
    answer = other.response()
    assert (answer.status, answer.body) == (200, b"fine")
    p.wait_log("HTTP/2 connection error: .*peer %s" % server.address)
    if "flood" not in what:
        # What is sent into a flood may be lost with the connection.
        server.wait_goaway(code)
    assert server.connections == 2
    assert client(p).request().body == b"fine"
    assert server.connections == 2


@pytest.mark.parametrize("first", [
    frame(PING, 0, 0, b"12345678"), frame(SETTINGS, ACK), frame(GOAWAY, 0, 0, u32(0, 0)),
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2p1\r\n"])
def test_a_peer_that_begins_wrong(sluice, h2origin, client, first):
    def script(c):
        c.preface()
        c.send(first)
        c.rest()

    server = h2origin(script, settings=None)
    p = sluice(server, upstream={"protocol": "h2c"})
    response = client(p).request()
    assert response.status == 502
    p.wait_log("HTTP/2 connection error: .*peer")


def test_data_beyond_the_window_of_a_stream(sluice, h2origin, client):
    def script(c):
        c.serve(lambda c, r: beyond(c, r) if r.path == "/slow" else c.answer(r.id))

    def beyond(c, r):
        c.fields_out(r.id, OK, False)
        for _ in range(1000):
            # `Endpoint.data` has no regard for windows.
            c.data(r.id, FULL)
        c.until(lambda: r.reset is not None, "the reset of the stream")

    server = h2origin(script)
    p = sluice(server, upstream={"protocol": "h2c"})
    slow = client(p, receive_buffer=4096)
    slow.send(request(target="/slow"))
    server.wait_reset(FLOW_CONTROL_ERROR)
    with pytest.raises((Truncated, ConnectionError)):
        slow.response()
    assert client(p).request().body == b"ok"
    assert server.connections == 1


def test_data_beyond_the_window_of_the_connection(sluice, h2origin, client):
    def script(c):
        c.next_request()
        c.next_request()
        for i in (1, 3):
            c.fields_out(i, OK, False)
        for _ in range(500):
            c.data(1, FULL)
            c.data(3, FULL)
        c.drained()

    server = h2origin(script)
    p = sluice(server, upstream={"protocol": "h2c", "http2": {
        "initial_stream_window": 196608, "initial_connection_window": 65535}})
    slow = [client(p, receive_buffer=4096) for _ in range(2)]
    for c in slow:
        c.send(request(target="/x"))
    p.wait_log("HTTP/2 connection error: DATA beyond the connection's window; peer")
    for c in slow:
        with pytest.raises((Truncated, ConnectionError)):
            c.response()


def test_many_interim_responses(failing):
    def action(c, i):
        for _ in range(200):
            c.fields_out(i, [(":status", "103")], False)

    p, server, other, status = failing(action)
    assert status == 502
    assert other.response().body == b"held"
    p.wait_log("interim responses")


def test_nothing_leaks(sluice, h2origin, client):
    """The same faults many times: no descriptor and little memory stays."""
    def script(c):
        c.credits = True
        faults = list(STREAM_ERRORS.values())
        while True:
            request = c.next_head()
            if request is None:
                return
            number = int(request.path[1:])
            if number % 50 == 49:
                CONNECTION_ERRORS["PUSH_PROMISE"][0](c, request.id)
                c.drained()
                return
            faults[number % len(faults)](c, request.id)
            c.until(lambda: request.reset is not None, "the reset")

    server = h2origin(script)
    p = sluice(server, upstream={"protocol": "h2c"})

    def round_(count):
        for number in range(count):
            c = client(p)
            cut_or_502(c, p, b"", "/%d" % number)
            c.close()

    round_(150)
    descriptors, rss = p.descriptors(), p.rss()
    round_(600)
    assert p.descriptors() <= descriptors + 2
    assert p.rss() <= rss + (1 << 20)


def test_interim_responses_that_a_client_does_not_take(sluice, h2origin, client):
    """They wait while its socket is full; more than one large head of them is too much."""
    hints = [(":status", "103")] + [("x-%02d" % i, "v" * 700) for i in range(80)]

    def answer(c, r):
        if r.path == "/many":
            for _ in range(15):
                c.fields_out(r.id, hints, False)
            c.ping()
        if r.reset is None:
            c.answer(r.id, b"fine")

    server = h2origin(lambda c: c.serve(answer))
    p = sluice(server, upstream={"protocol": "h2c"})
    c = client(p, receive_buffer=4096)
    # One behind the other, until the socket is full.
    c.send(request(target="/many") * 20)
    server.wait_reset(PROTOCOL_ERROR)
    p.wait_log("response refused: its heads that wait are over the bound of one")
    # Those before it are whole; of the one that failed no more than interim responses came.
    try:
        while c.response().status == 200:
            pass
    except (Truncated, ConnectionError):
        pass
    assert client(p).request().body == b"fine"
    assert server.connections == 1
