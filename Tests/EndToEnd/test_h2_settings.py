"""SETTINGS, PUSH_PROMISE, PING and GOAWAY: RFC 9113 sections 6.5 to 6.8."""
import pytest

import h2server
from h2cases import FINE, REQUEST, connection, play, stream, table, u32
from h2wire import (
    ACK, CONTINUATION, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, FLOW_CONTROL_ERROR,
    FRAME, FRAME_SIZE_ERROR, GOAWAY, HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, NO_RFC7540_PRIORITIES, PING,
    PROTOCOL_ERROR, PUSH_PROMISE, SETTINGS, WINDOW_MAX, frame, get, post, settings)

# Room for the head of /fields.
server, bench = h2server.fixture(listener={"limits": {"head": "60KiB", "fields": 1_000}})


# ------------------------------------------------------------------ 6.5 SETTINGS
def setting(name, value):
    return frame(SETTINGS, 0, 0, settings((name, value)))


@table(
    ("6.5", "a stream", "open", frame(SETTINGS, 0, 1), connection(PROTOCOL_ERROR)),
    ("6.5", "5 octets", "idle", frame(SETTINGS, 0, 0, b"\0" * 5), connection(FRAME_SIZE_ERROR)),
    ("6.5", "7 octets", "idle", frame(SETTINGS, 0, 0, b"\0" * 7), connection(FRAME_SIZE_ERROR)),
    ("6.5", "ACK with a payload", "idle", frame(SETTINGS, ACK, 0, settings((3, 1))),
     connection(FRAME_SIZE_ERROR)),
    ("6.5", "ACK on a stream", "open", frame(SETTINGS, ACK, 1), connection(PROTOCOL_ERROR)),
    ("6.5.2", "ENABLE_PUSH 2", "idle", setting(ENABLE_PUSH, 2), connection(PROTOCOL_ERROR)),
    ("6.5.2", "ENABLE_PUSH 2^32-1", "idle", setting(ENABLE_PUSH, 2**32 - 1),
     connection(PROTOCOL_ERROR)),
    ("6.5.2", "INITIAL_WINDOW_SIZE 2^31", "idle", setting(INITIAL_WINDOW_SIZE, 2**31),
     connection(FLOW_CONTROL_ERROR)),
    ("6.5.2", "INITIAL_WINDOW_SIZE 2^32-1", "idle", setting(INITIAL_WINDOW_SIZE, 2**32 - 1),
     connection(FLOW_CONTROL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE 0", "idle", setting(MAX_FRAME_SIZE, 0), connection(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE 2^14-1", "idle", setting(MAX_FRAME_SIZE, FRAME - 1),
     connection(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE 2^24", "idle", setting(MAX_FRAME_SIZE, 1 << 24),
     connection(PROTOCOL_ERROR)),
)
def test_6_5_settings(bench, state, octets, outcome):
    play(bench, state, octets, outcome)


@table(
    # Only servers that know these settings have an opinion.
    ("RFC 8441 3", "ENABLE_CONNECT_PROTOCOL 2", "idle", setting(ENABLE_CONNECT_PROTOCOL, 2),
     connection(PROTOCOL_ERROR)),
    ("RFC 9218 2.1", "NO_RFC7540_PRIORITIES 2", "idle", setting(NO_RFC7540_PRIORITIES, 2),
     connection(PROTOCOL_ERROR)),
)
def test_6_5_settings_of_extensions(bench, state, octets, outcome):
    if not bench.strict:
        pytest.skip("others ignore them")
    play(bench, state, octets, outcome)


@pytest.mark.parametrize("pairs", [
    [], [(ENABLE_PUSH, 0)], [(ENABLE_PUSH, 1)], [(HEADER_TABLE_SIZE, 0)],
    [(HEADER_TABLE_SIZE, 4_097)], [(HEADER_TABLE_SIZE, 2**32 - 1)], [(MAX_CONCURRENT_STREAMS, 0)],
    [(MAX_CONCURRENT_STREAMS, 2**32 - 1)], [(INITIAL_WINDOW_SIZE, WINDOW_MAX)],
    [(MAX_FRAME_SIZE, FRAME)], [(MAX_FRAME_SIZE, (1 << 24) - 1)],
    [(MAX_HEADER_LIST_SIZE, 2**32 - 1)],
    [(0, 1)], [(0xFFFF, 2**32 - 1)], [(0x1A1A, 7)] * 20, [(ENABLE_CONNECT_PROTOCOL, 0)]],
    ids=lambda pairs: " ".join("%x=%d" % p for p in pairs[:2]) or "none")
def test_6_5_2_values_that_are_allowed(bench, pairs):
    """In the preface and later, with a response after each."""
    c = bench.connect(*pairs)
    bench.serves(c)
    c.settings(*pairs)
    c.until(lambda: c.acks == 2, "the second ACK")
    bench.serves(c)


def test_6_5_3_each_settings_is_acknowledged_in_order(bench):
    """`H2` applies each at its ACK, and holds the server to it."""
    c = bench.connect()
    for size in (1, 100_000, 0, 65_535):
        c.settings((INITIAL_WINDOW_SIZE, size))
    c.until(lambda: c.acks == 5, "five ACKs")
    bench.serves(c)


def test_6_5_3_the_last_of_equal_settings_counts(bench):
    c = bench.connect((INITIAL_WINDOW_SIZE, 50), (INITIAL_WINDOW_SIZE, 0),
                      (INITIAL_WINDOW_SIZE, 7))
    c.headers(1, get("/bytes/100"))
    c.until(lambda: len(c.streams[1].body) == 7, "7 octets")
    c.ping()
    assert len(c.streams[1].body) == 7


def test_6_5_2_our_largest_frame_is_kept(bench):
    """`H2` refuses a frame above it; with a large one, larger frames may come, and need not."""
    c = bench.connect((INITIAL_WINDOW_SIZE, 1 << 20), (MAX_FRAME_SIZE, FRAME))
    c.credit(0, 1 << 20)
    assert len(c.fetch(get("/bytes/300000")).body) == 300_000


def test_6_10_a_large_head_is_split(bench):
    """Into HEADERS and CONTINUATION of at most 16,384 octets, with nothing between."""
    c = bench.connect()
    answer = c.fetch(get("/fields"))
    assert answer.status == 200
    assert sum(n.startswith("x-") for n, _ in answer.fields) == h2server.FIELD_OCTETS // 800


# ------------------------------------------------------------------ 6.6, 6.7, 6.8
@table(
    ("6.6", "PUSH_PROMISE", "open", frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + REQUEST),
     connection(PROTOCOL_ERROR)),
    ("6.6", "PUSH_PROMISE", "idle", frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + REQUEST),
     connection(PROTOCOL_ERROR)),
    ("6.6", "PUSH_PROMISE on stream 0", "idle", frame(PUSH_PROMISE, END_HEADERS, 0, u32(2)),
     connection(PROTOCOL_ERROR)),
    ("6.7", "a stream", "open", frame(PING, 0, 1, b"12345678"), connection(PROTOCOL_ERROR)),
    ("6.7", "7 octets", "idle", frame(PING, 0, 0, b"1234567"), connection(FRAME_SIZE_ERROR)),
    ("6.7", "9 octets", "idle", frame(PING, 0, 0, b"123456789"), connection(FRAME_SIZE_ERROR)),
    ("6.7", "no octets", "idle", frame(PING), connection(FRAME_SIZE_ERROR)),
    ("6.7", "ACK of 6 octets", "idle", frame(PING, ACK, 0, b"123456"),
     connection(FRAME_SIZE_ERROR)),
    ("6.7", "ACK on a stream", "open", frame(PING, ACK, 1, b"12345678"),
     connection(PROTOCOL_ERROR)),
    ("6.7", "ACK that nobody waits for", "idle", frame(PING, ACK, 0, b"12345678"), FINE),
    ("6.8", "a stream", "open", frame(GOAWAY, 0, 1, u32(0) + u32(0)),
     connection(PROTOCOL_ERROR)),
    ("6.8", "7 octets", "idle", frame(GOAWAY, 0, 0, b"\0" * 7), connection(FRAME_SIZE_ERROR)),
)
def test_6_6_to_6_8(bench, state, octets, outcome):
    play(bench, state, octets, outcome)


def test_6_7_a_ping_is_answered_with_its_payload(bench):
    c = bench.connect()
    for payload in (b"\0" * 8, b"\xff" * 8, b"in order"):
        c.frame_out(PING, 0, 0, payload)
    c.until(lambda: len(c.pings) == 3, "three ACKs")
    assert c.pings == [b"\0" * 8, b"\xff" * 8, b"in order"]


def test_6_7_an_ack_is_not_answered(bench):
    c = bench.connect()
    c.frame_out(PING, ACK, 0, b"nobody's")
    c.ping(b"my own.."[:8])
    assert c.pings == [b"my own.."]


@pytest.mark.parametrize("code", [0, 1, 0xDEAD], ids=["NO_ERROR", "PROTOCOL_ERROR", "unknown"])
@pytest.mark.parametrize("debug", [b"", b"bye" * 100], ids=["plain", "debug data"])
def test_6_8_streams_go_on_after_the_clients_goaway(bench, code, debug):
    """And the connection ends when they are done."""
    c = bench.connect()
    c.headers(1, post("/echo"), end=False)
    c.frame_out(GOAWAY, 0, 0, u32(0) + u32(code) + debug)
    c.data(1, b"still here", end=True)
    assert bytes(c.response(1).body) == b"still here"
    if bench.strict:
        c.drained()
