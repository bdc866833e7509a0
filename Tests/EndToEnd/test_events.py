"""Server-sent events: each reaches the client before the origin makes the next.

Nothing is a guess about time: the origin goes on only when the client says, beside the proxy, that
it has the event.
"""
import queue

import pytest

import cplugin
import h2peer
from certificates import Authority
from h2wire import H2
from wire import DEADLINE, Client, chunk

# What the client speaks, and what the origin speaks.
WAYS = [("h1", "h1"), ("h2", "h1"), ("h1", "h2"), ("h2", "h2")]
COUNT = 30
TYPE = ("content-type", "text/event-stream")


def event(number):
    return "id: %d\ndata: event %d\n\n" % (number, number)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("events-ca"))
    made.leaf = made.issue("localhost", "IP:127.0.0.1")
    return made


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("events"), "phases")


class Source:
    """The origin's script in each version; `confirmed` has the numbers of events that arrived, and
    `seen` is what becomes of an event on its way."""

    def __init__(self, seen=str):
        self.confirmed = queue.Queue()
        self.seen = seen

    def arrives(self, number):
        return self.seen(event(number)).encode()

    def events(self):
        for i in range(COUNT):
            yield event(i).encode()
            assert self.confirmed.get(timeout=DEADLINE) == i

    def h1(self, c):
        if not c.read_request():
            return
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
        for data in self.events():
            c.send(chunk(data))
        c.send(b"0\r\n\r\n")

    def until_close(self, c):
        c.read_request()
        c.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for data in self.events():
            c.send(data)

    def h2(self, exchange):
        exchange.head(200, [TYPE])
        for data in self.events():
            exchange.data(data)
        exchange.data(b"", end=True)


def follow_h1(address, source, tls=None):
    c = Client(address, tls=tls, server_name="localhost" if tls else None)
    try:
        c.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        head = c.head()
        assert (head.status, head.get("content-type"), head.chunked) == (200, TYPE[1], True)
        for i in range(COUNT):
            got = b""
            while len(got) < len(source.arrives(i)):
                # A plugin may have cut it in pieces.
                size = int(c.until(b"\r\n"), 16)
                got += c.read(size + 2)[:-2]
            assert got == source.arrives(i)
            source.confirmed.put(i)
        assert c.until(b"\r\n\r\n") == b"0\r\n\r\n"
    finally:
        c.close()


def follow_h2(address, source, tls=None):
    c = H2(address, tls=tls, server_name="localhost").open()
    try:
        c.request([(":method", "GET"), (":scheme", "https" if tls else "http"),
                   (":authority", "localhost"), (":path", "/events")])
        stream, have = c.streams[1], b""
        for i in range(COUNT):
            have += source.arrives(i)
            c.until(lambda: len(stream.body) >= len(have), "event %d" % i)
            assert bytes(stream.body) == have
            source.confirmed.put(i)
        c.until(lambda: stream.ended, "the end")
        assert bytes(stream.body) == have and stream.get(TYPE[0]) == TYPE[1]
    finally:
        c.close()


def follow(front, *arguments):
    (follow_h1 if front == "h1" else follow_h2)(*arguments)


@pytest.mark.parametrize("front,back", WAYS)
def test_in_the_clear(sluice, origin, front, back):
    source = Source()
    app = origin(source.h1 if back == "h1" else h2peer.script(source.h2))
    p = sluice(app, listener={"protocols": ["h1", "h2c"]},
               upstream={"protocol": "h1" if back == "h1" else "h2c"})
    follow(front, p.address, source)


@pytest.mark.parametrize("front", ["h1", "h2"])
def test_until_the_connection_ends(sluice, origin, front):
    source = Source()
    p = sluice(origin(source.until_close), listener={"protocols": ["h1", "h2c"]})
    follow(front, p.address, source)


@pytest.mark.parametrize("front,back", WAYS)
def test_over_tls(sluice, origin, authority, front, back):
    source = Source()
    context = authority.server_context(authority.leaf)
    context.set_alpn_protocols(["h2"] if back == "h2" else ["http/1.1"])
    app = origin(source.h1 if back == "h1" else h2peer.script(source.h2), tls=context)
    p = sluice(app, listener={"protocols": ["h1", "h2"],
                              "tls": {"certificates": [authority.leaf.entry]}},
               upstream={"protocol": "auto", "tls": {"ca": authority.path}})
    tls = authority.client_context(alpn=["http/1.1" if front == "h1" else "h2"])
    follow(front, p.address, source, tls)


@pytest.mark.parametrize("front,back", WAYS)
@pytest.mark.parametrize("action", ["continue", "pass", "halves"])
def test_through_plugins(sluice, origin, library, front, back, action):
    """That watch, pass pieces on, and write them anew."""
    source = Source(str.upper if action == "halves" else str)
    app = origin(source.h1 if back == "h1" else h2peer.script(source.h2))
    config = {"response_headers": "continue", "response_body": action,
              "upstream_body": "continue", "policy": "unknown"}
    p = sluice(app, listener={"protocols": ["h1", "h2c"]},
               upstream={"protocol": "h1" if back == "h1" else "h2c"},
               plugins={"p": {"library": library, "config": config},
                        "headers": {"library": "libHeaders.so"}},
               chain=["headers", "p"])
    follow(front, p.address, source)
