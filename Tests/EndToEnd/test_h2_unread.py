"""What the proxy keeps for clients of HTTP/2: for those that ask and do not read it is bounded, and
once they read, nothing is missing; for those at rest it is little."""
import socket
import threading

import pytest

import h2server
import harness
from h2hpack import ADDED, block, indexed, literal
from h2wire import (
    END_HEADERS, END_STREAM, GOAWAY, H2, HEADERS, RST_STREAM, WINDOW_UPDATE, frame, get)
from wire import Truncated, reply

# Each answer has so many octets that no table of HPACK shortens.
FIELDS, VALUE = 10, 800
# More than the two sockets hold of the requests.
REQUESTS = 16_000

# By how much the proxy may grow: a small part of all answers.
GROWTH_MAX = 8 << 20

# Connections at rest, and octets that each of them may keep.
REST, REST_BYTES = 400, 4_000


@pytest.fixture(scope="module", autouse=True)
def spoken(tmp_path_factory):
    h2server.need(tmp_path_factory.mktemp("need"))


def odd(i):
    return 2 * i + 1


def path(i):
    return "/%08d" % i + "x" * (VALUE - 9)


@pytest.fixture
def proxy(sluice):
    """Answers by itself, with fields that the request chooses and no content."""
    fields = [{"name": "x-%d" % i, "value": "{path}"} for i in range(FIELDS)]
    return sluice(
        plugins={"answer": {"library": "libRespond.so", "config": {"headers": fields}}},
        routes=[{"match": {}, "chain": ["answer"]}],
        listener={**h2server.H2C, "limits": {"requests": 1_000_000}, "timeouts": {"write": "1h"}})


class Sender(threading.Thread):
    """Writes as fast as the socket takes it; `stuck` when it has taken nothing for a while."""

    def __init__(self, c, data):
        super().__init__(daemon=True)
        self.c, self.data, self.sent, self.error = c, memoryview(data), 0, None
        self.stuck = threading.Event()
        # A socket object of its own, since timeouts are the object's.
        self.sock = c.sock.dup()
        self.sock.settimeout(1)

    def run(self):
        try:
            while self.sent < len(self.data):
                try:
                    self.sent += self.sock.send(self.data[self.sent:])
                except socket.timeout:
                    self.stuck.set()
        except OSError as error:
            self.error = error
        self.stuck.set()


def test_answers_that_nobody_reads(proxy):
    c = H2(proxy.address, receive_buffer=4096).open()
    before = proxy.rss()
    sender = Sender(c, b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, odd(i), block(get(path(i))))
        for i in range(REQUESTS)))
    sender.start()
    assert sender.stuck.wait(30)
    assert sender.sent < len(sender.data), "the proxy reads on from a client that does not read"
    growth = proxy.rss() - before
    assert growth < GROWTH_MAX, "the proxy grew by %d octets" % growth
    # Another client does not notice.
    assert H2(proxy.address).open().fetch(get(path(0))).status == 200
    answered, octets = [], 0
    while len(answered) < REQUESTS:
        got = c._raw()
        if got.type == HEADERS:
            # `:status: 200` is entry 8 of the static table.
            assert got.flags & END_STREAM and got.payload[0] == 0x88
            answered.append(got.stream)
            octets += len(got.payload)
        else:
            assert got.type not in (GOAWAY, RST_STREAM), got
    assert answered == [odd(i) for i in range(REQUESTS)]
    assert octets > REQUESTS * FIELDS * VALUE // 4
    sender.join(5)
    assert sender.sent == len(sender.data) and not sender.error
    c.ping()


def test_a_client_that_reads_late_is_served_on(proxy):
    """Frames of each kind behind a full socket: they count when their turn comes."""
    c = H2(proxy.address, receive_buffer=4096).open()
    count = 2_000
    sender = Sender(c, b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, odd(i), block(get(path(i))))
        + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * (i % 3 == 0)
        for i in range(count)) + frame(0x6, 0, 0, b"the last"))
    sender.start()
    assert sender.stuck.wait(30)
    heads = 0
    while True:
        got = c._raw()
        heads += got.type == HEADERS
        if got.type == 0x6 and got.flags & 1:
            break
    assert heads == count and got.payload == b"the last"


def test_a_client_that_never_reads_ends_in_the_time_of_writing(sluice):
    fields = [{"name": "x-%d" % i, "value": "{path}"} for i in range(FIELDS)]
    proxy = sluice(
        plugins={"answer": {"library": "libRespond.so", "config": {"headers": fields}}},
        routes=[{"match": {}, "chain": ["answer"]}],
        listener={**h2server.H2C, "limits": {"requests": 1_000_000},
                  "timeouts": {"write": "1s", "head": "200ms"}})
    c = H2(proxy.address, receive_buffer=4096).open()
    sender = Sender(c, b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, odd(i), block(get(path(i))))
        for i in range(REQUESTS)))
    sender.start()
    proxy.wait_log("timeouts.write: an HTTP/2 client did not go on")
    assert "timeouts.head" not in proxy.log
    sender.join(harness.DEADLINE)
    assert sender.error
    with pytest.raises((Truncated, OSError)):
        while True:
            c._raw()


def test_a_connection_at_rest_holds_little(sluice, origin):
    """What its tables and streams took goes back, and what the tables say stays."""
    proxy = sluice(origin(harness.serve(reply(b"ok", fields=[("etag", '"0123456789"')]))),
                   listener=h2server.H2C)
    fields = block(get(extra=[("accept", "*/*")])) + literal("x-mine", "m" * 200, ADDED)

    def make(count):
        clients = [H2(proxy.address).open() for _ in range(count)]
        for c in clients:
            assert c.response(c.headers(1, fields)).status == 200
        return clients

    warm = make(50)
    before = proxy.rss()
    clients = make(REST)
    harness.eventually(lambda: (proxy.rss() - before) / REST < REST_BYTES, "it went back")
    for c in warm + clients[:50]:
        # The entry is the client's own, and the answer's is the server's.
        assert c.response(c.headers(3, block(get()) + indexed(62))).status == 200
        assert c.streams[3].get("etag") == '"0123456789"'
        assert not c.goaway
