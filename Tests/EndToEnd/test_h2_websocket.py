"""WebSocket over HTTP/2 (RFC 8441) to origins that speak HTTP/1."""
import base64
import hashlib

import pytest

import h2server
from h2wire import CANCEL, ENABLE_CONNECT_PROTOCOL, INITIAL_WINDOW_SIZE, NO_ERROR
from harness import Sluice, manifest
from wire import pattern

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def ask(path="/chat", protocol="websocket"):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"),
            (":authority", "test"), (":path", path), ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "echo")]


def echo(connection):
    """Switches protocols and sends back what comes, until the client's end."""
    head = connection.read_head()
    key = base64.b64decode(head.get("sec-websocket-key"), validate=True)
    assert len(key) == 16 and base64.b64encode(key).decode() == head.get("sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(head.get("sec-websocket-key").encode() + GUID).digest())
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\nSec-WebSocket-Protocol: echo\r\n"
                    b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + connection.buffer)
    connection.buffer = b""
    while True:
        data = connection.sock.recv(65536)
        if not data:
            connection.send(b"bye")
            return
        connection.send(data)


@pytest.fixture
def tunnel(tmp_path, origin):
    made = []

    def make(script=echo, *settings, **listener):
        app = origin(script)
        folder = tmp_path / ("p%d" % len(made))
        folder.mkdir()
        p = Sluice(folder, manifest(app, listener={**h2server.H2C, **listener}))
        made.append(p)
        c = h2server.H2(p.address).open(*settings)
        made.append(c)
        return app, p, c

    yield make
    for thing in reversed(made):
        thing.close()


def test_it_is_announced_and_works(tunnel):
    app, _, c = tunnel()
    assert c.peer.get(ENABLE_CONNECT_PROTOCOL) == 1
    c.credits = True
    c.headers(1, ask(), end=False)
    c.until(lambda: c.streams[1].status, "the answer")
    stream = c.streams[1]
    assert stream.status == 200 and not stream.done
    names = dict(stream.fields)
    assert names["sec-websocket-protocol"] == "echo"
    assert not {"connection", "upgrade", "sec-websocket-accept", "content-length"} & set(names)
    seen = app.requests[0]
    assert (seen.method, seen.target, seen.get("host")) == ("GET", "/chat", "test")
    assert seen.get("upgrade") == "websocket" and seen.get("connection").lower() == "upgrade"
    assert seen.get("sec-websocket-version") == "13" and seen.get("content-length") is None
    have = b""
    for size in (1, 1000, 60_000, 200_000):
        data = pattern(size)
        for at in range(0, size, 10_000):
            c.data(1, data[at:at + 10_000])
            have += data[at:at + 10_000]
            c.until(lambda: len(stream.body) >= len(have), "the echo")
    assert bytes(stream.body) == have
    c.data(1, b"", end=True)
    c.until(lambda: stream.done, "the end")
    assert bytes(stream.body) == have + b"bye" and stream.reset in (None, NO_ERROR)


def test_bytes_behind_the_request_wait_for_the_101(tunnel):
    """They flow only once the tunnel stands, and other streams go on beside it."""
    _, _, c = tunnel()
    c.headers(1, ask(), end=False)
    c.data(1, b"early")
    c.until(lambda: bytes(c.streams[1].body) == b"early", "the echo")
    c.headers(3, ask(), end=False)
    c.data(3, b"other")
    c.until(lambda: bytes(c.streams[3].body) == b"other", "the other's echo")


@pytest.mark.parametrize("status,seen", [("404 Not Found", 404), ("200 OK", 502),
                                         ("302 Found", 302)])
def test_an_origin_that_does_not_switch(tunnel, status, seen):
    """A success would tell the client that the tunnel stands."""
    def refuse(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nno" % status.encode())

    _, _, c = tunnel(refuse)
    c.headers(1, ask(), end=False)
    c.until(lambda: c.streams[1].done, "the answer")
    assert c.streams[1].status == seen


def test_another_protocol_is_not_there(tunnel):
    app, _, c = tunnel()
    c.headers(1, ask(protocol="connect-udp"), end=False)
    c.until(lambda: c.streams[1].done, "the answer")
    assert c.streams[1].status == 501 and not app.requests


def test_a_client_that_resets_its_tunnel(tunnel):
    app, _, c = tunnel()
    c.headers(1, ask(), end=False)
    c.until(lambda: c.streams[1].status, "the answer")
    c.rst(1, CANCEL)
    app.wait_closed(1)
    c.ping()


def test_a_slow_reader_of_a_tunnel_holds_the_origin_back(tunnel):
    sent = []

    def flood(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.sock.settimeout(1)
        try:
            while len(sent) < 1_000:
                connection.sock.sendall(b"x" * 65_536)
                sent.append(1)
        except TimeoutError:
            pass

    app, p, c = tunnel(flood, (INITIAL_WINDOW_SIZE, 1_000))
    before = p.rss()
    c.headers(1, ask(), end=False)
    app.wait_closed(1)
    assert len(sent) < 200 and p.rss() - before < 8 << 20
    c.until(lambda: len(c.streams[1].body) == 1_000, "what the window holds")
