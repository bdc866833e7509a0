"""The keys of `http2`, each at its edge: what is allowed passes, one more does not, and the log
names the key."""
import contextlib
import socket
import struct

import pytest

import h2server
from h2hpack import ADDED, block, indexed, literal, size_update
from h2wire import (
    CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, H2, HEADERS, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PING, PREFACE, PRIORITY, REFUSED_STREAM, RST_STREAM,
    SETTINGS, SETTINGS_TIMEOUT, WINDOW, WINDOW_UPDATE, frame, get, post, settings)
from harness import Origin

HOUR = "1h"


@pytest.fixture(scope="module")
def app():
    made = Origin(h2server.script)
    yield made
    made.close()


@pytest.fixture
def proxy(sluice, app, tmp_path):
    """A proxy whose listener has these keys of `http2`, and of `timeouts`."""
    h2server.need(tmp_path)

    def make(timeouts=None, **keys):
        return sluice(app, listener={**h2server.H2C, "http2": keys,
                                     "timeouts": {"head": HOUR, **(timeouts or {})}})

    return make


@pytest.fixture
def stuck(sluice, tmp_path):
    """As `proxy`, with an origin whose connections never stand: what is sent to it has to wait."""
    h2server.need(tmp_path)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # What takes its only place; the kernel answers nobody behind it.
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())

        def make(**keys):
            return sluice("127.0.0.1:%d" % listener.getsockname()[1],
                          upstream={"timeouts": {"connect": HOUR}},
                          listener={**h2server.H2C, "http2": keys})

        yield make


def ended(c, code):
    """GOAWAY with this code, then the end."""
    c.drained()
    assert c.goaway and c.goaway[-1][1] == code, c.goaway


def serves(c):
    c.ping()
    assert c.fetch().status == 200
    assert not c.goaway


# ------------------------------------------------------------------ settings
def test_defaults(proxy):
    c = H2(proxy().address).open()
    assert (c.peer[MAX_CONCURRENT_STREAMS], c.peer[INITIAL_WINDOW_SIZE]) == (128, 65_536)
    assert MAX_FRAME_SIZE not in c.peer and HEADER_TABLE_SIZE not in c.peer
    assert c.granted[0] == (1 << 20) - WINDOW


def test_max_concurrent_streams(proxy):
    p = proxy(max_concurrent_streams=2)
    c = H2(p.address).open()
    assert c.peer[MAX_CONCURRENT_STREAMS] == 2
    one, two, three = [c.request(get("/hold")) for _ in range(3)]
    assert c.response(three).reset == REFUSED_STREAM
    assert not c.streams[one].done and not c.streams[two].done
    c.rst(one)
    c.ping()
    c.close()
    p.stop()
    p.wait_log(r"HTTP/2: connections=1 streams=2 streams_refused=1 resets_received=1 failures=0\n")


def content(stream, count):
    """DATA with so many octets, in frames that every server takes."""
    return b"".join(frame(DATA, 0, stream, bytes(min(16_384, count - at)))
                    for at in range(0, count, 16_384))


@pytest.mark.parametrize("window", [1, 1_000, 262_144])
def test_initial_stream_window(stuck, window):
    c = H2(stuck(initial_stream_window=window).address).open()
    assert c.peer[INITIAL_WINDOW_SIZE] == window
    stream = c.request(post(), end=False)
    c.send(content(stream, window))
    c.ping()
    assert not c.streams[stream].done and not c.granted.get(stream)
    c.data(stream, b"x")
    c.until(lambda: c.streams[stream].reset is not None, "RST_STREAM")
    assert c.streams[stream].reset == FLOW_CONTROL_ERROR
    c.ping()
    assert not c.goaway


@pytest.mark.parametrize("window", [1, 1_000, 262_144])
def test_an_upload_passes_windows_of_any_size(proxy, window):
    c = H2(proxy(initial_stream_window=window, initial_connection_window=65_535).address).open()
    count = min(window * 200, 2_000_000)
    stream = c.request(post(), end=False)
    c.upload(stream, bytes(count))
    assert c.window == WINDOW
    c.credits = True
    assert bytes(c.response(stream).body) == bytes(count)


@pytest.mark.parametrize("window", [65_535, 65_536, 1 << 22])
def test_initial_connection_window(stuck, window):
    p = stuck(initial_connection_window=window, initial_stream_window="256KiB")
    c = H2(p.address).open()
    assert c.granted[0] == window - WINDOW
    left = window
    while left:
        part = min(left, 262_144)
        stream = c.request(post(), end=False)
        c.send(content(stream, part))
        left -= part
    c.ping()
    assert c.granted[0] == window - WINDOW and not c.goaway
    c.data(c.request(post(), end=False), b"x")
    ended(c, FLOW_CONTROL_ERROR)


@pytest.mark.parametrize("size", [16_384, 16_385, 65_536])
def test_max_frame_size(proxy, size):
    c = H2(proxy(max_frame_size=size, initial_stream_window="256KiB").address).open()
    assert c.peer.get(MAX_FRAME_SIZE, 16_384) == size
    stream = c.request(post("/echo"), end=False)
    c.data(stream, bytes(size), end=True)
    c.until(lambda: c.streams[stream].status, "the response")
    c.send(frame(0xbb, 0, 0, bytes(size)))
    c.ping()
    c.send(frame(0xbb, 0, 0, b"", length=size + 1))
    ended(c, FRAME_SIZE_ERROR)


@pytest.mark.parametrize("size", [0, 100, 65_536])
def test_header_table_size(proxy, size):
    """Towards us: the table of that size holds what it must, and no larger one may be announced."""
    c = H2(proxy(header_table_size=size).address).open()
    assert c.peer[HEADER_TABLE_SIZE] == size
    update = size_update(size)
    # Half of the table, or what a frame holds, and once more by its index.
    value = "v" * min(max(size // 2 - 32 - 5, 0), 8_000)
    fields = block(get())
    first = update + fields + (literal("x-big", value, ADDED) if value else b"")
    assert c.response(c.headers(1, first)).status == 200
    if value:
        answer = c.response(c.headers(3, fields + indexed(62)))
        assert answer.status == 200
    c.headers(5, size_update(size + 1) + fields)
    ended(c, COMPRESSION_ERROR)


def test_a_smaller_header_table_must_be_confirmed(proxy):
    """RFC 9113 section 4.3.1: the next block begins with an update of the size."""
    c = H2(proxy(header_table_size=0).address).open()
    c.headers(1, block(get()))
    ended(c, COMPRESSION_ERROR)


def test_header_table_size_bounds_our_table_too(proxy):
    """However large a table the client offers: nothing is put into one of 0 bytes."""
    c = H2(proxy(header_table_size=0).address).open((HEADER_TABLE_SIZE, 65_536))
    c.headers(1, size_update(0) + block(get("/fields")))
    assert c.response(1).status == 200
    assert c.decoder.size == 0


@pytest.mark.parametrize("size", [1_024, 10_000])
def test_max_header_block(proxy, size):
    p = proxy(max_header_block=size)
    c = H2(p.address).open()
    fields = block(get())

    def filled(octets):
        # A literal of HPACK without compression takes what is left, but for its own front.
        value = octets - len(fields) - len(literal("x", "")) + 1
        for less in range(0, 6):
            made = fields + literal("x", "v" * (value - less))
            if len(made) == octets:
                return made
        raise AssertionError(octets)

    assert c.response(c.headers(1, filled(size))).status == 200
    c.headers(3, filled(size + 1))
    ended(c, ENHANCE_YOUR_CALM)
    p.wait_log("a header block is too large; over http2.max_header_block; client")


@pytest.mark.parametrize("count", [0, 3])
def test_max_continuation_frames(proxy, count):
    p = proxy(max_continuation_frames=count)
    fields = block(get())

    def parts(number, frames):
        pieces = [fields[:len(fields) - frames]] + [
            fields[at:at + 1] for at in range(len(fields) - frames, len(fields))]
        return b"".join(
            frame(CONTINUATION if i else HEADERS,
                  (0 if i else END_STREAM) | (END_HEADERS if i == frames else 0), number, piece)
            for i, piece in enumerate(pieces))

    c = H2(p.address).open()
    c.opened(1)
    c.send(parts(1, count))
    assert c.response(1).status == 200
    c.opened(3)
    c.send(parts(3, count + 1))
    ended(c, ENHANCE_YOUR_CALM)
    p.wait_log("over http2.max_continuation_frames; client")


# ------------------------------------------------------------------ floods
def u32(value):
    return struct.pack(">I", value)


def reset(c, i):
    number = c.request(get("/hold"))
    c.send(frame(RST_STREAM, 0, number, u32(CANCEL)))


def faulty(c, i):
    number = c.request(get("/hold"))
    c.send(frame(WINDOW_UPDATE, 0, number, u32(0)))


def late(c, i):
    if i == 0:
        c.request(get("/hold"))
        c.rst(1)
    c.send(frame(RST_STREAM, 0, 1, u32(CANCEL)))


def empty(c, i):
    if i == 0:
        c.request(post("/hold"), end=False)
    c.data(1)


# What one event of each kind is, and how many have been spent by `open`.
FLOODS = {
    "client_resets": (reset, 0),
    "server_resets": (faulty, 0),
    "streams": (lambda c, i: c.request(get("/hold")), 0),
    "settings": (lambda c, i: c.send(frame(SETTINGS)), 2),
    "pings": (lambda c, i: c.send(frame(PING, 0, 0, bytes(8))), 0),
    "priorities": (lambda c, i: c.send(frame(PRIORITY, 0, 1, u32(3) + b"\0")), 0),
    "window_updates": (lambda c, i: c.send(frame(WINDOW_UPDATE, 0, 0, u32(1))), 0),
    "unknown_frames": (lambda c, i: c.send(frame(0xbb)), 0),
    "empty_data": (empty, 0),
    "late_frames": (late, 0),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(proxy, name):
    """`burst` of them at once are fine, and one more is the end."""
    burst, (event, spent) = 6, FLOODS[name]
    allowance = {"burst": burst, "per_second": 0}
    p = proxy(floods={name: allowance})
    c = H2(p.address)
    c.open()
    c.unacknowledged += [()] * (burst - spent + 1 if name == "settings" else 0)
    for i in range(burst - spent):
        event(c, i)
    if name == "pings":
        c.until(lambda: len(c.pings) == burst, "the ACKs")
    else:
        c.ping()
    assert not c.goaway
    event(c, burst)
    ended(c, ENHANCE_YOUR_CALM)
    c.close()
    p.wait_log(r"HTTP/2 connection error: .*; over http2\.floods\.%s; client 127" % name)
    p.stop()
    p.wait_log(r"HTTP/2: connections=1 .* failures=1 floods\.%s=1\n" % name)


@pytest.mark.parametrize("name", ["pings"])
def test_floods_come_back_each_second(proxy, name):
    c = H2(proxy(floods={name: {"burst": 1, "per_second": 1_000_000}}).address).open()
    for _ in range(5):
        c.quiet(0.01)
        c.ping()
    assert not c.goaway


# ------------------------------------------------------------------ times
def test_settings_that_are_not_acknowledged(proxy):
    """Section 6.5.3: SETTINGS_TIMEOUT. What the client asks meanwhile is answered."""
    p = proxy(timeouts={"settings": "400ms"})
    c = H2(p.address)
    c.frame_out = lambda *a, send=c.frame_out: None if a[:2] == (SETTINGS, 1) else send(*a)
    c.send(PREFACE + frame(SETTINGS, 0, 0, settings()))
    c.unacknowledged.append(())
    assert c.fetch().status == 200
    ended(c, SETTINGS_TIMEOUT)
    p.wait_log("HTTP/2 connection error: timeouts.settings: our SETTINGS were not acknowledged")
    # Who does acknowledge them stays.
    other = H2(p.address).open()
    other.quiet(0.8)
    serves(other)


# ------------------------------------------------------------------ the manifest
@pytest.mark.parametrize("keys,line", [
    ({"initial_stream_window": "1MiB"},
     'listeners[0].http2.initial_stream_window: 1MiB is out of range; expected 1B to 256KiB'),
    ({"max_frame_size": 16_383}, "http2.max_frame_size: 16383 is out of range"),
    ({"floods": {"pings": {"burst": 0}}},
     "listeners[0].http2.floods.pings.burst: 0 is out of range; expected 1 to"),
    ({"floods": {"ping": {}}},
     'listeners[0].http2.floods.ping: unknown key; did you mean "pings"?'),
    ({"max_streams": 1}, "listeners[0].http2.max_streams: unknown key"),
])
def test_a_wrong_key_has_one_line(tmp_path, keys, line):
    found = h2server.refusal(tmp_path, {**h2server.H2C, "http2": keys})
    assert found and line in found and len(found.splitlines()) == 1, found


def test_http1_on_a_port_of_http2_alone_is_logged(sluice, app, client):
    p = sluice(app, listener={"protocols": ["h2c"]})
    c = client(p)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert c.ended()
    p.wait_log("closed: HTTP/2 is spoken here, and the client does not begin with its preface;"
               " client 127.0.0.1:")
