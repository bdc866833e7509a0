"""Clients that read along with a fetch of the Cache plugin whose body turns out too large to be
stored: each gets the whole, at its own speed, and nothing is kept that all of them have."""
import re
import threading
import time

import pytest

from h2wire import H2, get
from harness import eventually
from keeper import fetch_h2
from wire import DEADLINE, Client, Message, Truncated, chunk, pattern, request

PIECE = 20_011
# Far over `max_object`, and what sockets hold.
LARGE = pattern(32 << 20)
BOUND = 262_144
# `Spill.windowBytes`, two buffers of sockets each for an origin and a client, and to spare.
AHEAD = 16 << 20


class Body:
    """An origin's script: a chunked body, of which `sent` bytes are out."""

    def __init__(self, body=LARGE, pause=0, breaks_at=None):
        self.body, self.pause, self.breaks_at = body, pause, breaks_at
        self.sent = 0
        self.begin = threading.Event()
        self.begin.set()

    def __call__(self, connection):
        while connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n" + chunk(self.body[:PIECE]))
            assert self.begin.wait(DEADLINE)
            for at in range(PIECE, len(self.body), PIECE):
                if self.breaks_at and at > self.breaks_at:
                    return
                connection.send(chunk(self.body[at:at + PIECE]))
                if connection.number == 0:
                    self.sent = at + PIECE
                time.sleep(self.pause)
            connection.send(b"0\r\n\r\n")


class Reader(threading.Thread):
    """Reads a chunked body on a thread of its own."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.body, self.error = client, None, None
        self.start()

    def run(self):
        whole = Message(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            self.client.chunked_body(whole)
            self.body = whole.body
        except (OSError, Truncated) as error:
            self.error = error

    def whole(self):
        self.join(4 * DEADLINE)
        assert not self.is_alive() and self.error is None, self.error
        return self.body


@pytest.fixture
def along(sluice, origin, client, tmp_path):
    """A proxy, an origin that waits in its body, and clients that have its head."""
    def make(body, count, receive_buffers=(), **config):
        script = body
        script.begin.clear()
        app = origin(script)
        p = sluice(app, workers=2, chain=["cache"], listener={"protocols": ["h1", "h2c"]},
                   admin={"listen": "unix:%s/admin" % tmp_path},
                   plugins={"cache": {"library": "libCache.so", "config": {
                       "memory": "8MiB", "max_object": "%dKiB" % (BOUND >> 10), **config}}})
        clients = []
        for index in range(count):
            buffer = receive_buffers[index] if index < len(receive_buffers) else None
            clients.append(client(p, receive_buffer=buffer))
            clients[-1].send(request())
            clients[-1].until(b"\r\n\r\n")
        assert len(app.requests) == 1
        return p, app, clients

    return make


def gauge(tmp_path, name):
    text = Client("%s/admin" % tmp_path).request(target="/v1/metrics").body.decode()
    return float(re.search(r"^sluice_plugin_cache_%s{[^}]*} (\S+)$" % name, text, re.M).group(1))


def test_all_who_read_along_get_the_whole(along, client, tmp_path):
    origin = Body()
    p, app, clients = along(origin, 4)
    origin.begin.set()
    readers = [Reader(c) for c in clients]
    assert all(r.whole() == LARGE for r in readers)
    assert len(app.requests) == 1
    # Nothing of it is stored.
    assert client(p).request().body == LARGE
    assert len(app.requests) == 2
    eventually(lambda: gauge(tmp_path, "fill_bytes") == 0, "nothing is kept")


def test_the_origin_waits_for_the_slowest(along, tmp_path):
    origin = Body()
    p, app, (first, slow) = along(origin, 2, [None, 4096])
    before = p.rss()
    origin.begin.set()
    reader = Reader(first)

    def stands():
        sent = origin.sent
        time.sleep(0.5)
        return sent > 2 * BOUND and origin.sent == sent

    eventually(stands, "the origin waits")
    assert origin.sent < AHEAD
    assert p.rss() - before < AHEAD
    assert gauge(tmp_path, "fill_bytes") < 1 << 20
    rest = Reader(slow)
    assert reader.whole() == LARGE and rest.whole() == LARGE
    assert len(app.requests) == 1


def test_who_stands_still_is_cut_and_the_others_go_on(along):
    origin = Body()
    p, app, clients = along(origin, 3, [None, None, 4096], lock={"age": "500ms"})
    origin.begin.set()
    readers = [Reader(c) for c in clients[:2]]
    assert all(r.whole() == LARGE for r in readers)
    still = Reader(clients[2])
    still.join(DEADLINE)
    assert still.error is not None and still.body is None
    p.wait_log("has not the whole of what it answers with")
    assert len(app.requests) == 1


def test_a_slow_one_that_reads_is_not_cut(along):
    """Far longer than `lock.age`, though never that long without a read."""
    origin = Body(pattern(3 << 20))
    p, app, (first, slow) = along(origin, 2, [None, 4096], lock={"age": "1s"})
    origin.begin.set()
    reader = Reader(first)
    got, begin = slow.buffer, time.monotonic()
    slow.buffer = b""
    while time.monotonic() - begin < 3:
        got += slow.sock.recv(40_000)
        time.sleep(0.02)
    slow.buffer = got
    assert Reader(slow).whole() == origin.body
    assert reader.whole() == origin.body
    assert len(app.requests) == 1


def test_the_one_who_fetches_leaves(along):
    origin = Body(pause=0.0005)
    p, app, clients = along(origin, 3)
    origin.begin.set()
    eventually(lambda: origin.sent > 4 * BOUND, "it can't be stored")
    clients[0].reset()
    readers = [Reader(c) for c in clients[1:]]
    assert all(r.whole() == LARGE for r in readers)
    assert len(app.requests) == 1


def test_all_others_leave(along):
    origin = Body(pause=0.0005)
    p, app, clients = along(origin, 3, [None, 4096, 4096])
    origin.begin.set()
    reader = Reader(clients[0])
    eventually(lambda: origin.sent > 2 * BOUND, "it can't be stored")
    clients[1].reset()
    clients[2].close()
    assert reader.whole() == LARGE
    assert len(app.requests) == 1


def test_a_new_client_goes_by_itself(along, client):
    origin = Body(pause=0.0005)
    p, app, (first, second) = along(origin, 2)
    origin.begin.set()
    readers = [Reader(first), Reader(second)]
    eventually(lambda: origin.sent > 2 * BOUND, "it can't be stored")
    third = client(p)
    third.send(request())
    assert "collapsed" not in third.until(b"\r\n\r\n").decode()
    readers.append(Reader(third))
    assert all(r.whole() == LARGE for r in readers)
    assert len(app.requests) == 2


def test_who_waits_for_a_range_goes_by_itself(along, client):
    origin = Body(pattern(1 << 20))
    p, app, (first, second) = along(origin, 2)
    part = client(p)
    part.send(request(fields=[("Range", "bytes=10-19")]))
    assert part.quiet()
    origin.begin.set()
    readers = [Reader(first), Reader(second)]
    assert all(r.whole() == origin.body for r in readers)
    # This origin knows no ranges.
    assert part.response().body == origin.body
    assert len(app.requests) == 2 and app.requests[1].get("range") == "bytes=10-19"


def test_an_origin_that_breaks_off_breaks_all(along):
    origin = Body(breaks_at=8 * BOUND)
    p, app, clients = along(origin, 3)
    origin.begin.set()
    for reader in [Reader(c) for c in clients]:
        reader.join(DEADLINE)
        assert reader.error is not None and reader.body is None


def test_over_http2(along):
    """Streams of one connection that also has the one who fetches, and of others."""
    origin = Body()
    p, app, (first,) = along(origin, 1)
    h2 = H2(p.address)
    h2.credits = True
    h2.open()
    streams = [h2.request(get()) for _ in range(3)]
    h2.until(lambda: all(h2.streams[s].fields for s in streams), "the heads")
    bodies = []
    other = threading.Thread(target=lambda: bodies.append(fetch_h2(p.address, "/")[2]))
    other.start()
    time.sleep(0.2)
    origin.begin.set()
    reader = Reader(first)
    for stream in streams:
        assert bytes(h2.response(stream).body) == LARGE
    other.join(4 * DEADLINE)
    assert bodies == [LARGE] and reader.whole() == LARGE
    assert len(app.requests) == 1
    h2.close()


@pytest.mark.parametrize("count", [1, 3])
def test_fetches_that_have_no_room_are_whole(along, sluice, client, count):
    """Bodies that are small enough, but for which fetches under way leave no room."""
    origin = Body(pattern(3 << 20))
    p, app, clients = along(origin, count, memory="4MiB", max_object="2MiB")
    others = []
    for path in ("/a", "/b"):
        c = client(p)
        c.send(request(target=path))
        c.until(b"\r\n\r\n")
        others.append(c)
    origin.begin.set()
    readers = [Reader(c) for c in clients + others]
    assert all(r.whole() == origin.body for r in readers)
    assert len(app.requests) == 3
