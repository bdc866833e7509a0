"""RFC 9113, frame by frame: every MUST that a client can see of a server, in the order of the RFC.

Most cases are rows: a state of stream 1, octets that a client sends in it, and what must come of
it.
Settings, PING and GOAWAY are in test_h2_settings.py, flow control in test_h2_flow.py, fields and
HPACK in test_h2_fields.py and test_h2_hpack.py, floods and other abuse in test_h2_abuse.py.
"""
import pytest

import h2server
from h2cases import (
    FINE, PRIORITIES, REQUEST, TOLERATED, TRAILERS, connection, cut, either, headers, play,
    stream, table, u32)
from h2hpack import block, literal
from h2wire import (
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME, FRAME_SIZE_ERROR, GOAWAY,
    HAS_PRIORITY, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PADDED,
    PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED,
    WINDOW_MAX, WINDOW_UPDATE, frame, get, padded, post)

server, bench = h2server.fixture()


# ------------------------------------------------------------------ 3.4 preface
@pytest.mark.parametrize("octets", [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"pri * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n"])
def test_3_4_a_wrong_preface_is_refused(bench, octets):
    """Also not taken for HTTP/1 and passed on."""
    c = bench.raw()
    c.send(octets + frame(SETTINGS) + headers(1))
    seen = len(bench.targets())
    try:
        data = c.rest()
    except ConnectionError:
        data = c.buffer
    assert b" 200" not in data and len(bench.targets()) == seen


@pytest.mark.parametrize("octets", [
    frame(PING, 0, 0, b"12345678"), headers(1), frame(WINDOW_UPDATE, 0, 0, u32(1)),
    frame(SETTINGS, ACK), frame(GOAWAY, 0, 0, u32(0) + u32(0)), frame(0xEE, 0, 0, b"")],
    ids=["PING", "HEADERS", "WINDOW_UPDATE", "SETTINGS ACK", "GOAWAY", "unknown"])
def test_3_4_the_preface_ends_with_settings(bench, octets):
    c = bench.raw()
    c.send(PREFACE + octets)
    bench.connection_error(c, PROTOCOL_ERROR)


def test_3_4_the_first_frame_of_a_server_is_settings(bench):
    """`H2` refuses any other; it comes without waiting for a request."""
    c = bench.connect()
    assert c.peer_ready and c.acks == 1


def test_3_4_the_preface_in_single_octets(bench):
    c = bench.raw()
    for octet in PREFACE + frame(SETTINGS):
        c.send(bytes([octet]))
    c.unacknowledged.append(())
    bench.serves(c)


def test_3_4_a_request_in_the_segment_of_the_preface(bench):
    c = bench.raw()
    c.unacknowledged.append(())
    c.opened(1)
    c.send(PREFACE + frame(SETTINGS) + headers(1))
    assert c.response(1).status == 200


# ------------------------------------------------------------------ 4.1, 4.2, 5.5 frames
@table(
    ("4.1", "an unknown type", "idle", frame(0xEE, 0xFF, 0, b"what?"), FINE),
    ("4.1", "an unknown type", "idle", frame(0xEE, 0xFF, 1, b"what?"), FINE),
    ("4.1", "an unknown type", "open", frame(0xEE, 0xFF, 1, b"what?"), FINE),
    ("4.1", "an unknown type", "half-closed", frame(0xEE, 0, 1), FINE),
    ("4.1", "an unknown type", "ended", frame(0xEE, 0, 1), FINE),
    ("4.1", "an unknown type of the largest size", "idle", frame(0xEE, 0, 0, b"x" * FRAME), FINE),
    ("4.1", "unknown flags of PING", "idle", frame(PING, 0xFE, 0, b"flagged?"), FINE),
    ("4.1", "unknown flags of SETTINGS", "idle", frame(SETTINGS, 0xFE, 0), FINE),
    ("4.1", "unknown flags of DATA", "open", frame(DATA, 0xF6, 1, b"x"), FINE),
    ("4.1", "unknown flags of HEADERS", "idle", headers(1, END_HEADERS | END_STREAM | 0xD2), FINE),
    ("4.1", "unknown flags of WINDOW_UPDATE", "open",
     frame(WINDOW_UPDATE, 0xFF, 1, u32(1)), FINE),
    ("4.1", "unknown flags of RST_STREAM", "open", frame(RST_STREAM, 0xFF, 1, u32(8)), FINE),
    ("4.1", "unknown flags of PRIORITY", "idle", frame(PRIORITY, 0xFF, 1, PRIORITIES), FINE),
    ("4.1", "the reserved bit", "idle", frame(PING, 0, 1 << 31, b"reserved"), FINE),
    ("4.1", "the reserved bit", "idle", headers(1 | 1 << 31), FINE),
    ("4.2", "DATA of the largest size", "open", frame(DATA, 0, 1, b"x" * FRAME), FINE),
    ("5.5", "an unknown type inside a header block", "idle",
     headers(1, END_STREAM) + frame(0xEE, 0, 0) + frame(CONTINUATION, END_HEADERS, 1),
     connection(PROTOCOL_ERROR)),
    ("5.5", "an unknown type of the stream inside a header block", "idle",
     headers(1, END_STREAM) + frame(0xEE, 0, 1), connection(PROTOCOL_ERROR)),
)
def test_4_frames(bench, state, octets, outcome):
    play(bench, state, octets, outcome)


@pytest.mark.parametrize("type_,number", [
    (DATA, 1), (HEADERS, 3), (CONTINUATION, 3), (SETTINGS, 0), (PING, 0), (GOAWAY, 0), (0xEE, 0),
    (PUSH_PROMISE, 1)], ids=["DATA", "HEADERS", "CONTINUATION", "SETTINGS", "PING", "GOAWAY",
                             "unknown", "PUSH_PROMISE"])
def test_4_2_a_frame_above_the_limit(bench, type_, number):
    """One octet more than SETTINGS_MAX_FRAME_SIZE says. The payload need not come."""
    c = bench.connect()
    c.headers(1, post("/hold"), end=False)
    if type_ == CONTINUATION:
        c.send(headers(3, END_STREAM))
    c.opened(3)
    most = c.peer.get(MAX_FRAME_SIZE, FRAME)
    try:
        c.send(frame(type_, 0, number, b"\0" * (most + 1)))
    except ConnectionError:
        pass
    # For DATA the RFC leaves a stream error open. PUSH_PROMISE is wrong anyhow.
    codes = [FRAME_SIZE_ERROR] + [PROTOCOL_ERROR] * (type_ == PUSH_PROMISE)
    if type_ == DATA:
        bench.either_error(c, 1, *codes)
    else:
        bench.connection_error(c, *codes)


def test_4_2_headers_of_the_largest_size(bench):
    """The block is full of a field that may be too much for a list, never for a frame."""
    c = bench.connect()
    rest = FRAME - len(REQUEST) - len(literal("x-fill", ""))
    data = REQUEST + literal("x-fill", "v" * (rest - 2))
    c.headers(1, data[:FRAME])
    assert c.response(1).status in (200, 400, 431)
    bench.serves(c)


# ------------------------------------------------------------------ 5.1 states
@table(
    ("5.1", "DATA", "idle", frame(DATA, 0, 1, b"x"), connection(PROTOCOL_ERROR)),
    ("5.1", "empty DATA", "idle", frame(DATA, END_STREAM, 1), connection(PROTOCOL_ERROR)),
    ("5.1", "RST_STREAM", "idle", frame(RST_STREAM, 0, 1, u32(8)), connection(PROTOCOL_ERROR)),
    ("5.1", "WINDOW_UPDATE", "idle", frame(WINDOW_UPDATE, 0, 1, u32(1)),
     connection(PROTOCOL_ERROR)),
    ("5.1", "CONTINUATION", "idle", frame(CONTINUATION, END_HEADERS, 1, REQUEST),
     connection(PROTOCOL_ERROR)),
    ("5.1", "PRIORITY", "idle", frame(PRIORITY, 0, 1, PRIORITIES), FINE),
    ("5.1", "HEADERS on a server's stream", "idle", headers(2), connection(PROTOCOL_ERROR)),
    ("5.1", "DATA on a server's stream", "idle", frame(DATA, 0, 2, b"x"),
     connection(PROTOCOL_ERROR)),
    ("5.1", "RST_STREAM on a server's stream", "idle", frame(RST_STREAM, 0, 2, u32(8)),
     connection(PROTOCOL_ERROR)),
    ("5.1", "WINDOW_UPDATE on a server's stream", "idle", frame(WINDOW_UPDATE, 0, 2, u32(1)),
     connection(PROTOCOL_ERROR)),
    ("5.1", "PRIORITY on a server's stream", "idle", frame(PRIORITY, 0, 2, PRIORITIES), FINE),
    ("5.1", "DATA", "open", frame(DATA, 0, 1, b"x"), FINE),
    ("5.1", "trailers", "open", headers(1, data=TRAILERS), FINE),
    ("5.1", "WINDOW_UPDATE", "open", frame(WINDOW_UPDATE, 0, 1, u32(1)), FINE),
    ("5.1", "RST_STREAM", "open", frame(RST_STREAM, 0, 1, u32(CANCEL)), FINE),
    ("5.1", "PRIORITY", "open", frame(PRIORITY, 0, 1, PRIORITIES), FINE),
    ("5.1", "CONTINUATION", "open", frame(CONTINUATION, END_HEADERS, 1, TRAILERS),
     connection(PROTOCOL_ERROR)),
    ("5.1", "DATA", "half-closed", frame(DATA, 0, 1, b"x"), either(STREAM_CLOSED)),
    ("5.1", "empty DATA", "half-closed", frame(DATA, END_STREAM, 1), either(STREAM_CLOSED)),
    ("5.1", "HEADERS", "half-closed", headers(1, data=TRAILERS), either(STREAM_CLOSED)),
    ("5.1", "a request's HEADERS", "half-closed", headers(1), either(STREAM_CLOSED)),
    ("5.1", "WINDOW_UPDATE", "half-closed", frame(WINDOW_UPDATE, 0, 1, u32(1)), FINE),
    ("5.1", "RST_STREAM", "half-closed", frame(RST_STREAM, 0, 1, u32(CANCEL)), FINE),
    ("5.1", "PRIORITY", "half-closed", frame(PRIORITY, 0, 1, PRIORITIES), FINE),
    ("5.1", "CONTINUATION", "half-closed", frame(CONTINUATION, END_HEADERS, 1, TRAILERS),
     connection(PROTOCOL_ERROR)),
    ("5.1", "DATA", "ended", frame(DATA, 0, 1, b"x"), TOLERATED),
    ("5.1", "HEADERS", "ended", headers(1, data=TRAILERS), TOLERATED),
    ("5.1.1", "a request's HEADERS", "ended", headers(1), TOLERATED),
    ("5.1", "WINDOW_UPDATE", "ended", frame(WINDOW_UPDATE, 0, 1, u32(1)), FINE),
    ("5.1", "RST_STREAM", "ended", frame(RST_STREAM, 0, 1, u32(CANCEL)), FINE),
    ("5.1", "PRIORITY", "ended", frame(PRIORITY, 0, 1, PRIORITIES), FINE),
    ("5.1", "CONTINUATION", "ended", frame(CONTINUATION, END_HEADERS, 1, TRAILERS),
     connection(PROTOCOL_ERROR)),
    ("5.1", "DATA", "reset", frame(DATA, 0, 1, b"x"), TOLERATED),
    ("5.1", "HEADERS", "reset", headers(1, data=TRAILERS), TOLERATED),
    ("5.1", "WINDOW_UPDATE", "reset", frame(WINDOW_UPDATE, 0, 1, u32(1)), TOLERATED),
    ("5.1", "RST_STREAM", "reset", frame(RST_STREAM, 0, 1, u32(CANCEL)), TOLERATED),
    ("5.1", "PRIORITY", "reset", frame(PRIORITY, 0, 1, PRIORITIES), FINE),
    ("5.1", "CONTINUATION", "reset", frame(CONTINUATION, END_HEADERS, 1, TRAILERS),
     connection(PROTOCOL_ERROR)),
    ("5.1", "DATA", "cut", frame(DATA, END_STREAM, 1, b"x"), FINE),
    ("5.1", "trailers", "cut", headers(1, data=TRAILERS), FINE),
    ("5.1", "trailers in two frames", "cut", headers(1, END_STREAM, TRAILERS[:3])
     + frame(CONTINUATION, END_HEADERS, 1, TRAILERS[3:]), FINE),
    ("5.1", "WINDOW_UPDATE", "cut", frame(WINDOW_UPDATE, 0, 1, u32(1)), FINE),
    ("5.1", "RST_STREAM", "cut", frame(RST_STREAM, 0, 1, u32(CANCEL)), FINE),
    ("5.1", "PRIORITY", "cut", frame(PRIORITY, 0, 1, PRIORITIES), FINE),
    ("5.1", "CONTINUATION", "cut", frame(CONTINUATION, END_HEADERS, 1, TRAILERS),
     connection(PROTOCOL_ERROR)),
)
def test_5_1_states(bench, state, octets, outcome):
    play(bench, state, octets, outcome)


def test_5_1_data_of_a_stream_that_was_cut_is_credited(bench):
    """It counts for the connection, and nobody else will give the window back."""
    c = bench.connect()
    cut(c)
    room = 65_535 + c.granted[0]
    for _ in range(2 * room // 10_000):
        if room < 10_000:
            before = c.granted[0]
            c.until(lambda: c.granted[0] > before, "a WINDOW_UPDATE for discarded DATA")
            room += c.granted[0] - before
        c.data(1, b"x" * 10_000)
        room -= 10_000
    bench.serves(c)


def test_5_1_the_padding_of_data_is_credited(bench):
    """Section 6.9.1: the whole payload counts, so all of it comes back."""
    c = bench.connect()
    c.headers(1, post("/echo"), end=False)
    stream = c.peer.get(INITIAL_WINDOW_SIZE, 65_535)
    used = 0
    while used < 4 * stream:
        while used + 256 > min(stream + c.granted.get(1, 0), 65_535 + c.granted[0]):
            c.next_frame()
        c.frame_out(DATA, PADDED, 1, padded(b"x" * 100, 155))
        used += 256
    c.data(1, b"", end=True)
    c.credits = True
    assert bytes(c.response(1).body) == b"x" * (used // 256 * 100)


# ------------------------------------------------------------------ 5.1.1, 5.1.2 identifiers
@table(
    ("5.1.1", "an even id", "open", headers(4), connection(PROTOCOL_ERROR)),
    ("5.1.1", "id 0", "idle", headers(0), connection(PROTOCOL_ERROR)),
    ("5.1.1", "HEADERS on a skipped id", "idle", headers(5) + headers(3),
     connection(PROTOCOL_ERROR, STREAM_CLOSED)),
    ("5.1.1", "DATA on a skipped id", "idle", headers(5) + frame(DATA, 0, 3, b"x"),
     TOLERATED),
    ("5.1.1", "PRIORITY on an id above", "half-closed", frame(PRIORITY, 0, 5, PRIORITIES), FINE),
)
def test_5_1_1_identifiers(bench, state, octets, outcome):
    play(bench, state, octets, outcome)


def test_5_1_1_ids_may_be_skipped(bench):
    c = bench.connect()
    for number in (1, 5, 101, 100_001):
        c.headers(number, get())
        assert c.response(number).status == 200


def test_5_1_1_the_last_id(bench):
    c = bench.connect()
    c.headers(WINDOW_MAX, get())
    assert c.response(WINDOW_MAX).status == 200


def test_5_1_2_the_limit_of_concurrent_streams(bench):
    """As many as SETTINGS_MAX_CONCURRENT_STREAMS says are served; one more is refused in a way that
    lets the client try again; and its end makes room for another."""
    c = bench.connect()
    most = c.peer.get(MAX_CONCURRENT_STREAMS)
    assert most and most >= 100
    if most > 1_000:
        pytest.skip("the server takes %d streams" % most)
    held = [c.request(get("/hold")) for _ in range(most)]
    extra = c.request(get())
    answer = c.response(extra)
    assert answer.reset in (7, PROTOCOL_ERROR)
    c.ping()
    assert all(not c.streams[s].done for s in held)
    c.rst(held[0])
    c.rst(held[-1])
    bench.serves(c)


# ------------------------------------------------------------------ 5.4.1 connection errors
def test_5_4_1_goaway_names_the_last_stream_that_was_served(bench):
    c = bench.connect()
    for _ in range(3):
        c.fetch()
    c.frame_out(PING, 0, 0, b"short")
    bench.connection_error(c, FRAME_SIZE_ERROR)
    if bench.strict:
        assert c.goaway[-1][0] == 5


def test_5_4_1_streams_end_with_their_connection(bench):
    """Their origins too: nobody reads what they would say."""
    c = bench.connect()
    closed = bench.origin.closed
    c.headers(1, get("/hold"))
    bench.origin.wait(lambda: any(t == "/hold" for t in bench.targets()), "the request")
    c.frame_out(SETTINGS, 0, 1)
    bench.connection_error(c, PROTOCOL_ERROR)
    if bench.strict:
        bench.origin.wait_closed(closed + 1)


# ------------------------------------------------------------------ 6.1 DATA
@table(
    ("6.1", "stream 0", "open", frame(DATA, 0, 0, b"x"), connection(PROTOCOL_ERROR)),
    ("6.1", "padding of the whole payload", "open", frame(DATA, PADDED, 1, b"\x05abcd"),
     connection(PROTOCOL_ERROR)),
    ("6.1", "padding beyond the payload", "open", frame(DATA, PADDED, 1, b"\xffabcd"),
     connection(PROTOCOL_ERROR)),
    ("6.1", "no room for the length of the padding", "open", frame(DATA, PADDED, 1),
     connection(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    ("6.1", "nothing but padding", "open", frame(DATA, PADDED, 1, b"\x04abcd"), FINE),
    ("6.1", "padding of no octets", "open", frame(DATA, PADDED, 1, b"\0abcd"), FINE),
    ("6.1", "padding of 255 octets", "open", frame(DATA, PADDED, 1, padded(b"x", 255)), FINE),
    ("6.2", "stream 0", "idle", headers(0), connection(PROTOCOL_ERROR)),
    ("6.2", "padding beyond the payload", "idle",
     headers(1, END_HEADERS | END_STREAM | PADDED, b"\xff" + REQUEST), connection(PROTOCOL_ERROR)),
    ("6.2", "padding of the whole payload", "idle",
     headers(1, END_HEADERS | END_STREAM | PADDED, bytes([len(REQUEST) + 1]) + REQUEST),
     connection(PROTOCOL_ERROR)),
    ("6.2", "no room for the length of the padding", "idle",
     headers(1, END_HEADERS | END_STREAM | PADDED, b""),
     connection(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    ("6.2", "no room for the priority", "idle",
     headers(1, END_HEADERS | END_STREAM | HAS_PRIORITY, b"\0\0\0\0"),
     connection(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    ("6.2", "padding where the priority is", "idle",
     headers(1, END_HEADERS | END_STREAM | HAS_PRIORITY | PADDED, b"\x05" + b"\0" * 9),
     connection(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    ("6.3", "stream 0", "idle", frame(PRIORITY, 0, 0, PRIORITIES), connection(PROTOCOL_ERROR)),
    ("6.3", "4 octets", "open", frame(PRIORITY, 0, 1, b"\0" * 4), either(FRAME_SIZE_ERROR)),
    ("6.3", "6 octets", "open", frame(PRIORITY, 0, 1, b"\0" * 6), either(FRAME_SIZE_ERROR)),
    ("6.3", "no octets", "half-closed", frame(PRIORITY, 0, 1), either(FRAME_SIZE_ERROR)),
    ("6.4", "stream 0", "idle", frame(RST_STREAM, 0, 0, u32(8)), connection(PROTOCOL_ERROR)),
    ("6.4", "3 octets", "open", frame(RST_STREAM, 0, 1, b"\0" * 3), connection(FRAME_SIZE_ERROR)),
    ("6.4", "5 octets", "open", frame(RST_STREAM, 0, 1, b"\0" * 5), connection(FRAME_SIZE_ERROR)),
    ("6.4", "no octets", "open", frame(RST_STREAM, 0, 1), connection(FRAME_SIZE_ERROR)),
    ("7", "RST_STREAM with an unknown code", "open", frame(RST_STREAM, 0, 1, u32(0xDEAD)), FINE),
)
def test_6_1_to_6_4_stream_frames(bench, state, octets, outcome):
    play(bench, state, octets, outcome)


@pytest.mark.parametrize("flags,data", [
    (PADDED, padded(REQUEST, 9)), (PADDED, padded(REQUEST, 0)), (PADDED, padded(REQUEST, 255)),
    (HAS_PRIORITY, PRIORITIES + REQUEST), (HAS_PRIORITY, u32(1 << 31 | 7) + b"\xff" + REQUEST),
    (PADDED | HAS_PRIORITY, padded(PRIORITIES + REQUEST, 9))],
    ids=["padded", "padded by 0", "padded by 255", "priority", "priority, exclusive", "both"])
def test_6_2_headers_with_padding_and_priority(bench, flags, data):
    c = bench.connect()
    c.headers(1, data, flags=END_HEADERS | flags)
    assert c.response(1).status == 200
    bench.serves(c)


@table(
    # RFC 7540 section 5.3.1 made it a stream error, RFC 9113 lets it be ignored.
    ("6.3", "PRIORITY that depends on itself", "open", frame(PRIORITY, 0, 1, u32(1) + b"\x0f"),
     TOLERATED),
    ("6.3", "HEADERS that depend on themselves", "idle",
     headers(1, END_HEADERS | END_STREAM | HAS_PRIORITY, u32(1) + b"\x0f" + REQUEST), TOLERATED),
)
def test_6_3_a_stream_that_depends_on_itself(bench, state, octets, outcome):
    play(bench, state, octets, outcome)
