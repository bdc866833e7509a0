"""Connections to peers of HTTP/2: how streams share them, windows, and times."""
import hashlib
import time

import pytest

import h2origin as h2
from h2frames import CANCEL, FRAME, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, REFUSED_STREAM
from h2server import H2C
from h2wire import H2, get, post
from wire import pattern, request

OK = [(":status", "200")]
LARGE = pattern(8 << 20)


@pytest.fixture
def start(sluice, h2origin):
    def run(answer=b"fine", settings=(), listener=None, timeouts=None, **over):
        server = h2origin(h2.serve(answer), settings=settings)
        extra = {"timeouts": timeouts} if timeouts else {}
        return sluice(server, upstream={"protocol": "h2c", **over, **extra},
                      listener=listener), server

    return run


def hold(c, r):
    """Answers "/release" and with it all that it was asked before."""
    c.__dict__.setdefault("held", []).append(r.id)
    if r.path == "/release":
        for stream in c.held:
            if c.streams[stream].reset is None:
                c.answer(stream, b"released")
        c.held = []


# ------------------------------------------------------------------ sharing
def test_200_streams_on_2_connections(start, client):
    p, server = start(hold, http2={"max_concurrent_streams": 100})
    clients = [client(p) for _ in range(200)]
    for number, c in enumerate(clients):
        c.send(request(target="/%d" % number))
        # One by one, so that none of them finds a connection that is still being made.
        server.wait_requests(number + 1)
    assert server.connections == 2
    # Both are full: this one opens a third.
    extra = client(p)
    extra.send(request(target="/201"))
    server.wait_requests(201)
    assert server.connections == 3
    with server.changed:
        live = sorted(server.live, key=lambda c: c.number)
    assert [c.most_streams for c in live] == [100, 100, 1]


def test_200_streams_at_once(start, client):
    """Requests that come together share the connections that they make."""
    p, server = start(http2={"max_concurrent_streams": 100}, listener=H2C)
    c = H2(p.address).open()
    other = H2(p.address).open()
    streams = [(x, x.request(get("/%d" % i))) for i in range(100) for x in (c, other)]
    for x, stream in streams:
        assert bytes(x.response(stream).body) == b"fine"
    assert server.connections <= 3


def test_uploads_at_once_share_connections(start):
    """What fills the output within a turn of the loop is no reason for another connection."""
    p, server = start(lambda c, r: c.answer(r.id, b"%d" % len(r.body)), listener=H2C,
                      http2={"max_concurrent_streams": 100})
    c = H2(p.address).open()
    body = pattern(30_000)
    streams = [c.request(post("/x"), end=False) for _ in range(30)]
    for stream in streams:
        c.upload(stream, body)
    for stream in streams:
        assert bytes(c.response(stream).body) == b"30000"
    assert server.connections == 1


def test_requests_that_wait_for_the_connection_share_it(start, client):
    """The origin's queue is full, so that its SYN is answered late."""
    p, server = start()
    server.listener.listen(0)
    many = [client(p) for _ in range(20)]
    for c in many:
        c.send(request())
    for c in many:
        assert c.response().body == b"fine"
    assert server.connections <= 2


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_peer_that_allows_few_streams(start, client, most):
    """The first requests may come before its SETTINGS are read; it is never sent too many once
    they are, nobody is failed for it."""
    p, server = start(hold, settings=[(MAX_CONCURRENT_STREAMS, most)])
    first = client(p)
    first.send(request(target="/0"))
    server.wait_requests(1)
    others = [client(p) for _ in range(9)]
    for number, c in enumerate(others):
        c.send(request(target="/%d" % number))
        server.wait_requests(number + 2)
    assert server.connections == -(-10 // most)
    with server.changed:
        assert all(c.most_streams <= most for c in server.live)


def test_a_burst_at_a_peer_that_allows_few_streams(sluice, h2origin, client):
    """Streams beyond the peer's limit that were sent before its SETTINGS came are refused by it,
    and sent again within what it allows."""
    def script(c):
        c.preface()
        # The requests are on their way.
        time.sleep(0.1)
        c.settings((MAX_CONCURRENT_STREAMS, 2))
        c.serve(b"fine")

    class Refusing(h2.H2Peer):
        def _on_headers(self, got):
            limit, self.streams_max = self.streams_max, None
            result = super()._on_headers(got)
            if limit is None and sum(s.is_open for s in self.streams.values()) > 2:
                self.rst(got.stream, REFUSED_STREAM)
                self.streams[got.stream].taken = True
            self.streams_max = limit
            return result

    server = h2origin(script, settings=None)
    server.connection = Refusing
    p = sluice(server, upstream={"protocol": "h2c"}, listener=H2C)
    c = H2(p.address).open()
    streams = [c.request() for _ in range(40)]
    for stream in streams:
        assert bytes(c.response(stream).body) == b"fine"


def test_a_peer_that_allows_no_streams(start, client):
    def refuse(c, r):
        c.rst(r.id, REFUSED_STREAM)

    p, server = start(refuse, settings=[(MAX_CONCURRENT_STREAMS, 0)])
    for _ in range(5):
        assert client(p).request().status == 502
    # Connections that are of no use are not kept.
    server.wait(lambda: server.closed == server.connections, "the end of all connections")


def test_a_limit_that_is_raised(start, client):
    def answer(c, r):
        c.answer(r.id, b"fine")
        if r.path == "/more":
            c.settings((MAX_CONCURRENT_STREAMS, 100))
            c.until(lambda: not c.unacknowledged, "the ACK")

    p, server = start(answer, settings=[(MAX_CONCURRENT_STREAMS, 1)])
    c = client(p)
    assert c.request(target="/more").body == b"fine"
    assert c.request().body == b"fine"
    assert server.connections == 1


# ------------------------------------------------------------------ the pool
def test_pool_requests(start, client):
    p, server = start(pool={"requests": 3})
    c = client(p)
    for _ in range(7):
        assert c.request().body == b"fine"
    assert server.connections == 3
    server.wait_closed(2)
    assert len(server.goaways) == 2


def test_pool_of_none(start, client):
    p, server = start(pool={"idle_per_peer": 0})
    c = client(p)
    for number in range(3):
        assert c.request().body == b"fine"
        server.wait_closed(number + 1)
    assert server.connections == 3


def test_pool_keeps_no_more_than_its_bound(start, client):
    p, server = start(hold, pool={"idle_per_peer": 2}, http2={"max_concurrent_streams": 1})
    many = [client(p) for _ in range(5)]
    for number, c in enumerate(many):
        c.send(request())
        server.wait_requests(number + 1)
    assert server.connections == 5
    for c in many:
        c.reset()
    server.wait_closed(3)
    assert server.closed == 3


def test_timeouts_idle(start, client):
    p, server = start(timeouts={"idle": "200ms"})
    assert client(p).request().body == b"fine"
    server.wait_closed(1)
    server.wait_goaway()
    assert client(p).request().body == b"fine"
    assert server.connections == 2


# ------------------------------------------------------------------ windows
def digest(body):
    return hashlib.sha256(body).hexdigest().encode()


@pytest.mark.parametrize("down", ["h1", "h2"])
@pytest.mark.parametrize("window", [1, 1000, 65_535, 1 << 20])
def test_8_mib_both_ways(start, client, down, window):
    body = LARGE if window > 1000 else LARGE[:window * 500]
    p, server = start(lambda c, r: c.answer(r.id, bytes(r.body)),
                      settings=[(INITIAL_WINDOW_SIZE, window)], listener=H2C)
    if down == "h1":
        answer = client(p).request("POST", "/", body=body)
    else:
        c = H2(p.address).open()
        c.credits = True
        stream = c.request(post(), end=False)
        # Echo begins when the request has ended.
        c.upload(stream, body)
        answer = c.response(stream)
    assert digest(bytes(answer.body)) == digest(body)


@pytest.mark.parametrize("windows", [(65_536, 65_535), (16_384, 65_535), (196_608, 8 << 20)])
def test_a_slow_client_stops_its_peer_alone(start, client, windows):
    def answer(c, r):
        if r.path == "/slow":
            # In a thread's place: what its window allows now, the rest when it opens.
            c.headers(r.id, OK)
            c.pending = (r.id, LARGE)
            pump(c)
        else:
            c.answer(r.id, b"fine")

    def pump(c):
        stream, body = c.pending
        room = min(c.room(stream), len(body))
        for at in range(0, room, FRAME):
            c.data_counted(stream, body[at:min(at + FRAME, room)], room == len(body)
                           and at + FRAME >= room)
        c.pending = (stream, body[room:])

    class Paced(h2.H2Peer):
        sent = 0
        pending = None
        out = 0

        def room(self, stream):
            return max(0, min(65_535 + self.granted[0] - self.uploaded,
                              65_535 + self.peer.get(INITIAL_WINDOW_SIZE, 65_535) - 65_535
                              + self.granted.get(stream, 0) - self.sent))

        def data_counted(self, stream, data, end):
            self.sent += len(data)
            self.uploaded += len(data)
            self.data(stream, data, end)

        def _on_window(self, got):
            super()._on_window(got)
            if self.pending and self.pending[1]:
                pump(self)

    stream_window, connection_window = windows
    p, server = start(answer, http2={"initial_stream_window": stream_window,
                                     "initial_connection_window": connection_window})
    server.connection = Paced
    slow = client(p, receive_buffer=4096)
    slow.send(request(target="/slow"))
    server.wait_requests(1)
    before = p.rss()
    # The others go on, on the same connection, as long as the connection has a window of its own.
    if connection_window > stream_window * 2:
        for _ in range(20):
            assert client(p).request().body == b"fine"
        assert server.connections == 1
    assert p.rss() < before + (2 << 20)
    assert digest(slow.response().body) == digest(LARGE)


def test_a_window_that_shrinks_and_grows(sluice, h2origin, client):
    """SETTINGS in the middle of an upload: the window may go below zero (section 6.9.2)."""
    body = pattern(200_000)

    def script(c):
        r = c.next_head()
        c.until(lambda: len(r.body) == 65_535, "the first window")
        c.settings((INITIAL_WINDOW_SIZE, 10))
        c.until(lambda: not c.unacknowledged, "the ACK")
        c.credit(0, 1 << 20)
        c.credit(r.id, 65_525)
        c.ping()
        assert len(r.body) == 65_535, len(r.body)
        c.credit(r.id, 5)
        c.until(lambda: len(r.body) == 65_540, "five octets")
        c.settings((INITIAL_WINDOW_SIZE, 1 << 20))
        c.until(lambda: r.ended, "the rest")
        c.answer(r.id, digest(bytes(r.body)))
        c.drained()

    p = sluice(h2origin(script), upstream={"protocol": "h2c"})
    assert client(p).request("POST", "/", body=body).body == digest(body)


def test_an_upload_that_the_peer_does_not_take(start, client):
    """It waits, and others on the connection go on."""
    def script_answer(c, r):
        c.answer(r.id, b"fine")

    p, server = start(script_answer, settings=[(INITIAL_WINDOW_SIZE, 0)],
                      timeouts={"write": "500ms"})
    assert client(p).request().body == b"fine"
    stuck = client(p)
    stuck.send(request("POST", "/x", body=b"hello"))
    server.wait_requests(2)
    for _ in range(5):
        assert client(p).request().body == b"fine"
    assert stuck.response().status == 504
    server.wait_reset(CANCEL)
    assert server.connections == 1
    p.wait_log("timeouts.write: the peer does not take the request")
