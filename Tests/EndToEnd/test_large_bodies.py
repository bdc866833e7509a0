"""Large bodies in both directions, receivers that do not keep up, and the memory they cost."""
import hashlib
import threading

import pytest

from harness import serve
from wire import DEADLINE, chunk, pattern, reply, request

MIB = 1 << 20
# Around the sizes at which the way of a body through the proxy changes: the scratch buffer, the
# least length that is spliced, a pipe's capacity, and one more than each.
SIZES = sorted({base + off for base in (4096, 16384, 65536, 131072, 262144, MIB)
                for off in (-1, 0, 1)} | {1, 3 * MIB + 7})


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_response_sizes(sluice, origin, client):
    data = pattern(max(SIZES))
    app = origin(serve(lambda r: reply(data[:int(r.target[1:])])))
    c = client(sluice(app))
    for size in SIZES:
        assert c.request(target="/%d" % size).body == data[:size], size
    assert app.connections == 1


def test_response_sizes_in_chunks(sluice, origin, client):
    data = pattern(max(SIZES))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    app = origin(serve(lambda r: head + chunk(data[:int(r.target[1:])]) + b"0\r\n\r\n"))
    c = client(sluice(app))
    for size in SIZES:
        assert c.request(target="/%d" % size).body == data[:size], size
    assert app.connections == 1


def test_request_sizes(sluice, origin, client):
    data = pattern(max(SIZES))
    app = origin(serve(lambda r: reply(digest(r.body).encode())))
    c = client(sluice(app))
    for size in SIZES:
        body = data[:size]
        assert c.request("POST", body=body).body.decode() == digest(body), size
        c.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body)
               + b"0\r\n\r\n")
        assert c.response().body.decode() == digest(body), size
    assert app.connections == 1


@pytest.mark.seconds(120)
def test_100_mb_down(sluice, origin, client):
    data = pattern(100_000_000)
    c = client(sluice(origin(serve(reply(data)))))
    for _ in range(2):
        assert digest(c.request().body) == digest(data)


@pytest.mark.seconds(120)
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_100_mb_up(sluice, origin, client, framing):
    data = pattern(100_000_000)
    app = origin(serve(lambda r: reply(digest(r.body).encode())))
    c = client(sluice(app))
    if framing == "sized":
        c.send(request("POST", body=data))
    else:
        c.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(data), 1_000_000):
            c.send(chunk(data[start:start + 1_000_000]))
        c.send(b"0\r\n\r\n")
    assert c.response().body.decode() == digest(data)
    assert c.request().status == 200


def test_a_pipelined_request_behind_a_large_body(sluice, origin, client):
    """What follows the body must not be spliced along with it."""
    data = pattern(2 * MIB + 1)
    app = origin(serve(lambda r: reply(r.target.encode() + digest(r.body).encode())))
    c = client(sluice(app))
    sender = threading.Thread(
        target=c.send, daemon=True,
        args=((request("POST", "/1", body=data) + request(target="/2")) * 3,))
    sender.start()
    for _ in range(3):
        assert c.response().body.decode() == "/1" + digest(data)
        assert c.response().body.decode() == "/2" + digest(b"")
    sender.join(DEADLINE)


def test_many_large_bodies_at_once(sluice, origin, client):
    """Pipes and scratch buffers are shared by connections; their bytes must not mix."""
    bodies = {"/%d" % i: pattern(1_500_000 + i, seed=i) for i in range(12)}
    app = origin(serve(lambda r: reply(bodies[r.target])))
    proxy = sluice(app)
    results = {}

    def fetch(target):
        c = client(proxy)
        results[target] = [c.request(target=target).body for _ in range(3)]

    threads = [threading.Thread(target=fetch, args=(t,), daemon=True) for t in bodies]
    for t in threads:
        t.start()
    for t in threads:
        t.join(DEADLINE * 2)
    for target, body in bodies.items():
        assert [digest(b) for b in results[target]] == [digest(body)] * 3


def test_an_upload_whose_end_waits_for_the_origin(sluice, origin, client):
    """The client has sent all of it, and the last of it is still on its way when the origin begins
    to read: nothing more comes from the client that could push it on."""
    def script(c):
        while True:
            head = c.read_head()
            if head is None:
                return
            sent.wait(0.3)  # it may be too large to be sent before the origin reads
            c.read_body(head)
            c.send(reply(digest(head.body).encode()))

    sent = threading.Event()
    proxy = sluice(origin(script))
    for half_megabytes in range(1, 30):
        data = pattern(half_megabytes * MIB // 2)
        c = client(proxy)
        sent.clear()

        def upload(c=c, data=data):
            c.send(request("POST", body=data))
            sent.set()

        threading.Thread(target=upload, daemon=True).start()
        assert c.response().body.decode() == digest(data), half_megabytes
        c.close()


def test_a_download_whose_end_waits_for_the_client(sluice, origin, client):
    """The same the other way."""
    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            c.send(reply(data[:int(head.target[1:])]))
            sent.set()

    data = pattern(15 * MIB)
    sent = threading.Event()
    proxy = sluice(origin(script))
    for size in range(MIB // 2, 15 * MIB, MIB // 2):
        c = client(proxy)
        sent.clear()
        c.send(request(target="/%d" % size))
        sent.wait(0.3)
        assert digest(c.response().body) == digest(data[:size]), size
        c.close()


SLOW = 200_000_000
# What the proxy may hold for one receiver that does not keep up: its buffer, a pipe's worth and
# room for the allocator.
GROWTH = 8 * MIB


class Source:
    """A stream of SLOW bytes that knows how much of it was taken, and when it last moved."""

    def __init__(self):
        self.taken = 0
        self.block = pattern(100_000)
        self.moved = threading.Event()

    def pump(self, send):
        while self.taken < SLOW:
            send(self.block)
            self.taken += len(self.block)
            self.moved.set()

    def wait_stuck(self):
        """Until nothing was taken for half a second."""
        while True:
            self.moved.clear()
            if not self.moved.wait(0.5):
                return


def check_rest(read):
    whole, left = hashlib.sha256(), SLOW
    while left:
        data = read(min(left, MIB))
        whole.update(data)
        left -= len(data)
    block, expected = pattern(100_000), hashlib.sha256()
    for _ in range(SLOW // len(block)):
        expected.update(block)
    assert whole.hexdigest() == expected.hexdigest()


@pytest.mark.seconds(120)
@pytest.mark.parametrize("framing", ["sized", "close"])
def test_a_slow_reader_costs_bounded_memory(sluice, origin, client, framing):
    """The client reads nothing until the origin is stuck, then everything."""
    source = Source()

    def script(c):
        c.read_request()
        length = b"Content-Length: %d\r\n" % SLOW if framing == "sized" else b""
        c.send(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        source.pump(c.send)

    proxy = sluice(origin(script))
    before = proxy.rss()
    c = client(proxy, receive_buffer=65536)
    version = "1.1" if framing == "sized" else "1.0"
    c.send(request(version=version))
    c.head()
    assert source.moved.wait(DEADLINE)
    source.wait_stuck()
    assert source.taken < SLOW // 2
    assert proxy.rss() - before < GROWTH
    check_rest(c.read)


@pytest.mark.seconds(120)
def test_a_slow_origin_costs_bounded_memory(sluice, origin, client):
    """The same the other way: an upload that the origin does not read."""
    source, go, done = Source(), threading.Event(), []

    def script(c):
        c.read_head()
        assert go.wait(DEADLINE * 2)
        check_rest(c.read)
        done.append(True)
        c.send(reply())

    proxy = sluice(origin(script))
    before = proxy.rss()
    c = client(proxy)
    c.send(request("POST", fields=[("Content-Length", str(SLOW))]))
    sender = threading.Thread(target=source.pump, args=(c.send,), daemon=True)
    sender.start()
    assert source.moved.wait(DEADLINE)
    source.wait_stuck()
    assert source.taken < SLOW // 2
    assert proxy.rss() - before < GROWTH
    go.set()
    assert c.response().status == 200
    assert done == [True]


@pytest.mark.seconds(120)
def test_a_hundred_slow_readers_cost_bounded_memory(sluice, origin, client):
    """The bound is per client: its `buffer`, here 64 KiB, and not what the origin has to offer."""
    stuck = threading.Semaphore(0)

    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SLOW)
        c.sock.settimeout(1)
        try:
            while True:
                c.send(b"x" * 65536)
        finally:
            stuck.release()

    proxy = sluice(origin(script), listener={"limits": {"buffer": "64KiB"}})
    before = proxy.rss()
    clients = [client(proxy, receive_buffer=65536) for _ in range(100)]
    for c in clients:
        c.send(request())
        c.head()
    for _ in clients:
        assert stuck.acquire(timeout=DEADLINE * 2)
    assert proxy.rss() - before < 100 * 2 * 65536 + GROWTH


def test_a_slow_writer_is_served(sluice, origin, client):
    """A body in many small pieces, each in a segment of its own."""
    data = pattern(20_000)
    app = origin(serve(lambda r: reply(r.body)))
    c = client(sluice(app))
    c.send(request("POST", fields=[("Content-Length", str(len(data)))]))
    for start in range(0, len(data), 7):
        c.send(data[start:start + 7])
    assert c.response().body == data
