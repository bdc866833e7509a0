"""Clients of HTTP/2 that cost more than they pay (RFC 9113 section 10.5, and the CVEs by name).

Each is cut within a bound of frames or of time: by GOAWAY with ENHANCE_YOUR_CALM, or by the end of
the connection where it does not read. Meanwhile a client on another connection of the same worker
is served as fast as ever, and the proxy's memory stays as it was.
"""
import contextlib
import struct
import time

import pytest

import h2server
from h2hpack import ADDED, block, indexed, literal
from h2probe import Probe
from h2wire import (
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS,
    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, NO_ERROR, PADDED, PING, PREFACE, PRIORITY,
    PRIORITY_UPDATE, PROTOCOL_ERROR, RST_STREAM, SETTINGS, Stream, WINDOW_MAX, WINDOW_UPDATE, frame,
    get, padded, post, settings)
from wire import DEADLINE, Truncated

# What an attack may send before it must have been cut; a client in good faith sends less in a day.
FRAMES_MAX = 100_000
CHUNK = 100

# The longest that another client may wait for an answer meanwhile, in seconds. On an idle machine
# it is a few milliseconds.
PATIENCE = 1.0

# By how much the proxy may grow under any of it.
GROWTH_MAX = 48 << 20

# Seconds that a client may let the server wait in the cases about time.
TIMEOUT = 1

server, bench = h2server.fixture(listener={
    "limits": {"requests": 1_000_000},
    "timeouts": {name: "%ds" % TIMEOUT for name in ("head", "body", "write")}})


def u32(value):
    return struct.pack(">I", value)


@contextlib.contextmanager
def watched(b):
    """A probe during the attack, and a look at the memory after it."""
    before = b.server.proxy.rss() if b.strict else 0
    with Probe(b.address, b.server.probed, b.server.ca) as probe:
        yield
    if b.strict:
        assert probe.worst < PATIENCE, "another client waited for %.3f s" % probe.worst
        growth = b.server.proxy.rss() - before
        assert growth < GROWTH_MAX, "the proxy grew by %d octets" % growth


def attack(c, make, reads):
    """Sends `make(i)` for all frames, in chunks; whether the server ended the connection."""
    try:
        for i in range(0, FRAMES_MAX, CHUNK):
            c.send(b"".join(make(n) for n in range(i, i + CHUNK)))
            while reads and not c.quiet(0):
                c.next_frame()
    except Truncated:
        return True
    except TimeoutError:
        # The server reads no more, which is no answer to an attack: it has to end it.
        pass
    except OSError:
        pass
    try:
        c.sock.settimeout(5)
        c.drained()
        return True
    except TimeoutError:
        return False


def cut(b, make, reads=True, begin=lambda c: None):
    """Plays an attack, and holds the server to ending it in time."""
    c = b.connect()
    c.streams = Streams()
    begin(c)
    with watched(b):
        ended = attack(c, make, reads)
    if not b.strict:
        pytest.skip("others: ended %s, GOAWAY %r" % (ended, [g[1] for g in c.goaway]))
    assert ended, "not cut after %d frames" % FRAMES_MAX
    if c.goaway:
        # Without: it was lost in the reset of a connection that was still being written to.
        assert c.goaway[-1][1] == ENHANCE_YOUR_CALM, c.goaway[-1]
    after = b.connect()
    b.serves(after)
    return c


class Streams(dict):
    """Streams that exist as soon as the server speaks of them: an attack opens many."""

    def get(self, number, default=None):
        if number not in self:
            self[number] = Stream(WINDOW_MAX)
        return self[number]


def odd(i):
    return 2 * i + 1


def opening(i, fields, end=True):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), odd(i), fields)


GET, HOLD, POST = block(get()), block(get("/hold")), block(post("/hold"))


# ------------------------------------------------------------------ streams
@pytest.mark.parametrize("fields", [GET, HOLD], ids=["answered", "not answered"])
def test_rapid_reset(bench, fields):
    """CVE-2023-44487: streams that are reset at once cost work and never count as open."""
    cut(bench, lambda i: opening(i, fields) + frame(RST_STREAM, 0, odd(i), u32(CANCEL)))


def test_rapid_reset_without_reading(bench):
    cut(bench, lambda i: opening(i, GET) + frame(RST_STREAM, 0, odd(i), u32(CANCEL)), reads=False)


def malformed(extra):
    return block(get(extra=extra))


@pytest.mark.parametrize("make", [
    lambda i: opening(i, HOLD) + frame(WINDOW_UPDATE, 0, odd(i), u32(0)),
    lambda i: opening(i, HOLD) + frame(WINDOW_UPDATE, 0, odd(i), u32(WINDOW_MAX)),
    lambda i: opening(i, HOLD) + frame(DATA, 0, odd(i), b"x"),
    lambda i: opening(i, HOLD) + opening(i, HOLD),
    lambda i: opening(i, POST, end=False) + frame(PRIORITY, 0, odd(i), b"\0" * 4),
    lambda i: opening(i, block(post("/hold", [("content-length", "1")])), end=False)
    + frame(DATA, END_STREAM, odd(i), b"xx"),
    lambda i: opening(i, POST, end=False) + frame(HEADERS, END_HEADERS, odd(i), GET),
    lambda i: opening(i, malformed([("upgrade", "h2c")])),
], ids=["a window of 0", "a window too large", "DATA behind the end", "HEADERS behind the end",
        "a short PRIORITY", "a wrong content-length", "trailers without the end", "malformed"])
def test_made_you_reset(bench, make):
    """CVE-2025-8671: the client makes the server reset streams, which must count as well."""
    cut(bench, make)


def test_streams_beyond_the_limit(bench):
    """Refused one by one, and in the end altogether."""
    cut(bench, lambda i: opening(i, HOLD))


# ------------------------------------------------------------------ header blocks
@pytest.mark.parametrize("part", [b"", b"\x20", literal("x-y", "z"),
                                  b"\x00\x04long\x7f\xff\xff\x7f"],
                         ids=["empty", "one octet", "fields", "one endless field"])
def test_continuation_flood(bench, part):
    """CVE-2024-27316 and its kin: a header block that never ends."""
    cut(bench, lambda i: frame(CONTINUATION, 0, 1, part),
        begin=lambda c: c.headers(1, block(get()), flags=0))


def test_continuation_flood_of_large_frames(bench):
    part = literal("x-fill", "v" * 16_000)
    cut(bench, lambda i: frame(CONTINUATION, 0, 1, part),
        begin=lambda c: c.headers(1, block(get()), flags=0))


def test_hpack_bomb(bench):
    """One octet a field, 4,000 octets in the table: 60 MB in every frame. What counts is the list
    (section 10.5.1), so it is refused, and costs no memory."""
    c = bench.connect()
    with watched(bench):
        try:
            c.headers(1, block(get()) + literal("x-bomb", "v" * 4_000, ADDED))
            c.response(1)
            for number in range(3, 103, 2):
                c.headers(number, block(get()) + indexed(62) * 15_000)
                answer = c.response(number)
                assert answer.reset is not None or answer.status in (400, 431), answer.status
        except (Truncated, ConnectionError):
            assert not bench.strict or not c.goaway \
                or c.goaway[-1][1] == ENHANCE_YOUR_CALM
    bench.serves(bench.connect())


# ------------------------------------------------------------------ frames of no use
@pytest.mark.parametrize("make", [
    lambda i: frame(DATA, 0, 1), lambda i: frame(DATA, PADDED, 1, padded(b"", 0)),
    lambda i: frame(DATA, PADDED, 1, padded(b"", 1))], ids=["empty", "padded by 0", "padding"])
def test_empty_data_flood(bench, make):
    """CVE-2019-9518."""
    cut(bench, make, begin=lambda c: c.headers(1, post("/hold"), end=False))


@pytest.mark.parametrize("make", [
    lambda i: frame(PING, 0, 0, b"12345678"), lambda i: frame(PING, 1, 0, b"12345678"),
    lambda i: frame(SETTINGS), lambda i: frame(SETTINGS, 0, 0, settings((0x1A1A, i))),
    lambda i: frame(SETTINGS, 0, 0, settings((INITIAL_WINDOW_SIZE, i))),
    lambda i: frame(SETTINGS, 0, 0, settings(*[(1, 0), (1, 4_096)] * 50)),
    lambda i: frame(PRIORITY, 0, odd(i), b"\0\0\0\0\x0f"),
    lambda i: frame(PRIORITY_UPDATE, 0, 0, u32(odd(i)) + b"u=1"),
    lambda i: frame(WINDOW_UPDATE, 0, 0, u32(1)), lambda i: frame(0xEE, 0, 0, b"what?"),
    lambda i: frame(0xEE, 0, 1)],
    ids=["PING", "PING ACK", "SETTINGS", "SETTINGS, unknown", "SETTINGS, windows",
         "SETTINGS, table sizes", "PRIORITY", "PRIORITY_UPDATE", "WINDOW_UPDATE", "unknown",
         "unknown on a stream"])
@pytest.mark.parametrize("reads", [True, False], ids=["read", "not read"])
def test_floods(bench, make, reads):
    """CVE-2019-9512, 9513, 9515: frames that ask for an answer or for work, and bring nothing. A
    client that does not read what they make us write must not make us keep it either."""
    cut(bench, make, reads, begin=lambda c: setattr(c, "unacknowledged", [()] * 2 * FRAMES_MAX))


@pytest.mark.parametrize("make", [
    lambda i: frame(WINDOW_UPDATE, 0, 1, u32(1)), lambda i: frame(PRIORITY, 0, 1, b"\0\0\0\0\x0f")],
    ids=["WINDOW_UPDATE", "PRIORITY"])
def test_floods_of_a_stream(bench, make):
    cut(bench, make, begin=lambda c: c.headers(1, get("/hold")))


# ------------------------------------------------------------------ clients in good faith
def test_many_short_requests_are_no_attack(bench):
    """Nor are the frames that come with them."""
    c = bench.connect()
    for i in range(2_000):
        stream = c.request()
        c.credit(stream, 100)
        c.frame_out(PRIORITY_UPDATE, 0, 0, u32(stream) + b"u=1")
        assert c.response(stream).status == 200
        if i % 10 == 0:
            c.ping()
        c.credit(0, 2)
    assert not c.goaway


def test_a_few_cancelled_requests_are_no_attack(bench):
    """A browser that leaves a page."""
    c = bench.connect()
    for _ in range(10):
        streams = [c.request(get("/hold")) for _ in range(8)]
        for stream in streams:
            c.rst(stream)
        bench.serves(c)


def test_an_upload_in_small_frames_is_no_attack(bench):
    c = bench.connect()
    stream = c.request(post("/echo"), end=False)
    for i in range(5_000):
        c.data(stream, b"x" * 5)
    c.data(stream, b"", end=True)
    assert len(c.response(stream).body) == 25_000


# ------------------------------------------------------------------ time
def ends(b, c):
    """Ended by the server in time, whatever it says before."""
    if not b.strict:
        pytest.skip("others have times of their own")
    begin = time.monotonic()
    c.drained()
    assert time.monotonic() - begin < TIMEOUT + DEADLINE / 2
    assert not c.goaway or c.goaway[-1][1] in (NO_ERROR, PROTOCOL_ERROR, ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("octets", [
    PREFACE[:1], PREFACE[:14], PREFACE, PREFACE + frame(SETTINGS)[:5],
    PREFACE + frame(SETTINGS) + frame(HEADERS, 5, 1, GET)[:12],
    PREFACE + frame(SETTINGS) + frame(HEADERS, END_STREAM, 1, GET)],
    ids=["one octet", "half a preface", "no SETTINGS", "half of SETTINGS", "half of HEADERS",
         "no CONTINUATION"])
def test_a_client_that_stops_in_the_middle(bench, octets):
    c = bench.raw()
    c.opened(1)
    c.unacknowledged = [()]
    c.send(octets)
    if len(octets) < len(PREFACE):
        # Not HTTP/2 yet: an answer in HTTP/1 is as good.
        if not bench.strict:
            pytest.skip("others have times of their own")
        data = c.rest()
        assert data == b"" or data.startswith(b"HTTP/1.1 4") or data[3:4] in (b"\4", b"\7")
        return
    ends(bench, c)


def test_a_head_byte_by_byte_does_not_prolong_its_time(bench):
    """The whole block has its time, not each frame."""
    if not bench.strict:
        pytest.skip("others have times of their own")
    c = bench.connect()
    c.headers(1, b"", flags=0)
    begin = time.monotonic()
    try:
        for octet in literal("x-slow", "v" * 100):
            c.frame_out(CONTINUATION, 0, 1, bytes([octet]))
            if not c.quiet(TIMEOUT / 5):
                c.next_frame()
    except (Truncated, OSError):
        pass
    assert time.monotonic() - begin < TIMEOUT + DEADLINE / 2


def test_a_body_that_stops(bench):
    """The stream ends: 408 or a reset. The connection and its other streams do not."""
    if not bench.strict:
        pytest.skip("others have times of their own")
    c = bench.connect()
    closed = bench.origin.closed
    c.headers(1, post("/hold"), end=False)
    c.data(1, b"part")
    answer = c.response(1)
    assert answer.reset is not None or answer.status in (408, 504)
    bench.origin.wait_closed(closed + 1)
    bench.serves(c)


@pytest.mark.parametrize("initial", [0, 1, 65_535], ids=["no window", "one octet", "the default"])
def test_a_client_that_opens_no_window(bench, initial):
    """CVE-2019-9517 and 2019-9511: answers are asked for and never taken. What they hold is
    bounded, and after the time for a write they are given up, and their origins with them."""
    if not bench.strict:
        pytest.skip("others have times of their own")
    c = bench.connect((INITIAL_WINDOW_SIZE, initial))
    closed = bench.origin.closed
    count = min(100, c.peer.get(MAX_CONCURRENT_STREAMS, 100))
    with watched(bench):
        streams = [c.request(get("/bytes/5000000")) for _ in range(count)]
        try:
            c.until(lambda: all(c.streams[s].reset is not None for s in streams), "the resets")
        except Truncated:
            pass
        bench.origin.wait_closed(closed + count)


def test_a_client_that_does_not_read(bench):
    """The windows are open, the socket is full."""
    if not bench.strict:
        pytest.skip("others have times of their own")
    c = bench.raw(receive_buffer=4_096)
    c.open((INITIAL_WINDOW_SIZE, WINDOW_MAX))
    closed = bench.origin.closed
    c.credit(0, WINDOW_MAX - 65_535)
    with watched(bench):
        for _ in range(20):
            c.request(get("/bytes/20000000"))
        bench.origin.wait_closed(closed + 20)
