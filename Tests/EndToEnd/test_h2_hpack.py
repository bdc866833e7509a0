"""HPACK (RFC 7541) as a server reads and writes it, and priorities (RFC 9218)."""
import zlib

import pytest

import h2server
from h2cases import u32
from h2hpack import (
    ADDED, EOS, NEVER, PLAIN, block, huffman, indexed, integer, literal, size_update, string)
from h2wire import (
    COMPRESSION_ERROR, END_HEADERS, END_STREAM, FRAME_SIZE_ERROR, HEADER_TABLE_SIZE, HEADERS,
    PRIORITY_UPDATE, PROTOCOL_ERROR, frame, get)

server, bench = h2server.fixture()


@pytest.fixture
def path(request):
    """A path of this case alone."""
    return "/case/%08x" % zlib.crc32(request.node.nodeid.encode())


# ------------------------------------------------------------------ HPACK
TABLE = 4_096
BASE = block(get())


@pytest.mark.parametrize("octets", [
    indexed(0), indexed(62), indexed(63), indexed(1_000), integer(2**31, 7, 0x80),
    literal(62, "v"), literal(62, "v", ADDED), literal(1_000, "v", NEVER),
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff" + b"\x80" * 20 + b"\x01",
    b"\x40\x01x\xff" + b"\xff" * 9 + b"\x01",
    b"\xff", b"\xff\x80", b"\x40", b"\x00\x05abc", b"\x00\x01x", b"\x00\x01x\x05ab", b"\x0f",
    b"\x40\x81", b"\x00\x01x\x7f\x80",
    b"\x00" + string("x") + integer(4, 7, 0x80) + huffman([EOS], "11"),
    b"\x00" + string("x") + integer(5, 7, 0x80) + huffman([97, EOS], "11111"),
    b"\x00" + string("x") + integer(2, 7, 0x80) + huffman([97], "11111111111"),
    b"\x00" + string("x") + integer(1, 7, 0x80) + huffman([97], "000"),
    b"\x00" + string("x") + integer(1, 7, 0x80) + huffman([97], "110"),
    b"\x00" + string("x") + integer(1, 7, 0x80) + b"\xff",
    b"\x00" + string("x") + integer(3, 7, 0x80) + b"\xff\xff\xff",
    size_update(0), size_update(TABLE),
], ids=["index 0", "index 62 of an empty table", "index 63", "index 1000", "index 2^31",
        "a name of index 62", "a name of index 62, added", "a name of index 1000",
        "an index above 64 bits", "an index of 21 octets", "a length above 64 bits", "no integer",
        "an integer cut short", "no name", "a name cut short", "no value", "a value cut short",
        "a name's index cut short", "a Huffman name cut short", "a length cut short", "EOS",
        "EOS behind a symbol", "padding of 11 bits", "padding of zeros", "padding with a zero",
        "padding alone", "24 ones", "a size update at the end of a block",
        "a size update at the end, of the full size"])
def test_hpack_errors(bench, octets):
    """RFC 9113 section 4.3: whatever is wrong with a block ends the connection."""
    c = bench.connect()
    c.headers(1, BASE + octets)
    bench.connection_error(c, COMPRESSION_ERROR)


def test_hpack_a_size_update_between_fields(bench):
    """RFC 7541 section 4.2: at the beginning of a block only."""
    c = bench.connect()
    c.headers(1, block(get()[:2]) + size_update(100) + block(get()[2:]))
    bench.connection_error(c, COMPRESSION_ERROR)


@pytest.mark.parametrize("more", [1, 1_000_000, 2**31])
def test_hpack_a_size_update_above_the_limit(bench, more):
    """RFC 7541 section 6.3; the limit is SETTINGS_HEADER_TABLE_SIZE."""
    c = bench.connect()
    c.headers(1, size_update(c.peer.get(HEADER_TABLE_SIZE, TABLE) + more) + BASE)
    bench.connection_error(c, COMPRESSION_ERROR)


@pytest.mark.parametrize("before", [
    size_update(0), size_update(1), size_update(TABLE), size_update(0) + size_update(TABLE),
    size_update(TABLE) + size_update(0)], ids=["0", "1", "4096", "0 and 4096", "4096 and 0"])
def test_hpack_size_updates_that_are_allowed(bench, before):
    c = bench.connect()
    c.headers(1, before + BASE)
    assert c.response(1).status == 200
    bench.serves(c)


@pytest.mark.parametrize("fill", [size_update(0), size_update(0) + size_update(TABLE),
                                  literal("x-big", "v" * TABLE, ADDED),
                                  literal("x", "v" * (TABLE - 33), ADDED)],
                         ids=["size 0", "size 0 and back", "an entry above the table",
                              "an entry as large as the table"])
def test_hpack_eviction(bench, fill):
    """RFC 7541 section 4.3 and 4.4: the entry is gone, and its index with it."""
    c = bench.connect()
    if c.peer.get(HEADER_TABLE_SIZE, TABLE) != TABLE:
        pytest.skip("the server's table has %d octets" % c.peer[HEADER_TABLE_SIZE])
    c.headers(1, BASE + literal("x-first", "1", ADDED))
    assert c.response(1).status == 200
    at_begin = fill[0] & 0xE0 == 0x20
    c.headers(3, fill + BASE if at_begin else BASE + fill)
    assert c.response(3).status == 200
    exact = b"v" * (TABLE - 33) in fill and len(fill) < TABLE
    c.headers(5, BASE + indexed(63 if exact else 62))
    bench.connection_error(c, COMPRESSION_ERROR)


@pytest.mark.parametrize("kind", [PLAIN, NEVER, ADDED], ids=["plain", "never indexed", "added"])
@pytest.mark.parametrize("coded", [False, True], ids=["raw", "Huffman"])
def test_hpack_literals(bench, path, kind, coded):
    fields = b"".join(literal(n, v, kind, coded) for n, v in
                      [*get(path), ("x-text", "".join(map(chr, range(33, 127)))), ("x-empty", "")])
    c = bench.connect()
    c.headers(1, fields)
    assert c.response(1).status == 200
    got = [r for r in bench.origin.requests if r.target == path]
    assert got[0].get("x-text") == "".join(map(chr, range(33, 127)))


def test_hpack_every_octet_in_huffman(bench, path):
    """All that a value may hold."""
    text = bytes([9, *range(32, 127), *range(128, 256)]).decode("latin-1")
    c = bench.connect()
    c.headers(1, block(get(path)) + literal("x-all", "<" + text + ">", PLAIN, True))
    assert c.response(1).status == 200
    got = [r for r in bench.origin.requests if r.target == path]
    assert got[0].get("x-all") == "<" + text + ">"


def test_hpack_indexed_fields(bench, path):
    """Static ones, and dynamic ones of this block and of the last."""
    c = bench.connect()
    first = indexed(2) + indexed(6) + literal(1, "test", ADDED) + literal(4, path, PLAIN)
    c.headers(1, first + literal("x-a", "1", ADDED) + indexed(62))
    assert c.response(1).status == 200
    c.headers(3, indexed(2) + indexed(6) + indexed(63) + literal(4, path) + indexed(62)
              + literal(62, "2"))
    assert c.response(3).status == 200
    got = [r for r in bench.origin.requests if r.target == path]
    assert [(r.get("host") if bench.strict else "test", r.get("x-a")) for r in got] == [
        ("test", "1, 1"), ("test", "1, 2")]


def test_hpack_a_smaller_table_of_ours(bench):
    """RFC 7541 section 4.2: the server says so before its next block; `H2` checks that, and that
    nothing above the limit is used."""
    c = bench.connect()
    for _ in range(3):
        c.fetch(get("/fields"))
    for size in (100, 0, 4_096):
        c.settings((HEADER_TABLE_SIZE, size))
        c.until(lambda: not c.unacknowledged, "the ACK")
        for _ in range(3):
            assert c.fetch(get("/")).status == 200


def test_hpack_a_list_that_is_too_long(bench):
    """RFC 9113 section 10.5.1: 431 or a reset, and the connection goes on with its tables right."""
    c = bench.connect()
    c.headers(1, BASE + literal("x-a", "1", ADDED)
              + b"".join(literal("x-%03d" % i, "v" * 100) for i in range(130)))
    assert c.response(1).done
    big = b"".join(literal("x-%04d" % i, "v" * 50) for i in range(500))
    data = BASE + literal("x-b", "2", ADDED) + big
    c.opened(3)
    c.send(frame(HEADERS, END_STREAM, 3, data[:16_384]))
    rest = data[16_384:]
    while len(rest) > 16_384:
        c.send(frame(9, 0, 3, rest[:16_384]))
        rest = rest[16_384:]
    c.send(frame(9, END_HEADERS, 3, rest))
    answer = c.response(3)
    assert answer.reset is not None or answer.status in (200, 400, 431)
    c.headers(5, BASE + indexed(62) + indexed(63))
    assert c.response(5).status == 200


# ------------------------------------------------------------------ RFC 9218
def update(number, value, stream=0):
    return frame(PRIORITY_UPDATE, 0, stream, u32(number) + value)


@pytest.mark.parametrize("octets", [
    update(1, b"u=0"), update(1, b"u=7, i"), update(1, b""), update(1, b"u=99"), update(1, b"i=?0"),
    update(1, b"\xff\0 garbage (("), update(3, b"u=1"), update(99, b"u=1"),
    update(1, b"x" * 1_000)],
    ids=["urgency", "urgency, incremental", "empty", "out of range", "not incremental", "garbage",
         "an idle stream", "a distant stream", "long"])
def test_rfc9218_priority_update(bench, octets):
    """Section 7.1; a value that cannot be parsed is as good as none (section 4)."""
    c = bench.connect()
    c.headers(1, get("/hold"))
    c.send(octets)
    c.rst(1)
    bench.serves(c)


@pytest.mark.parametrize("octets,codes", [
    (update(1, b"u=1", stream=1), [PROTOCOL_ERROR]), (update(0, b"u=1"), [PROTOCOL_ERROR]),
    (frame(PRIORITY_UPDATE, 0, 0, b"\0\0\1"), [FRAME_SIZE_ERROR]),
    (frame(PRIORITY_UPDATE, 0, 0), [FRAME_SIZE_ERROR]), (update(2, b"u=1"), [PROTOCOL_ERROR])],
    ids=["on a stream", "of stream 0", "3 octets", "no octets", "of an idle pushed stream"])
def test_rfc9218_priority_update_errors(bench, octets, codes):
    if not bench.strict:
        pytest.skip("others ignore the frame")
    c = bench.connect()
    c.headers(1, get("/hold"))
    c.send(octets)
    bench.connection_error(c, *codes)


@pytest.mark.parametrize("value", ["u=0", "u=7, i", "i", "", "u=8", "u=-1", "u", "((", "u=1;x=2"])
def test_rfc9218_priority_field(bench, path, value):
    c = bench.connect()
    assert c.fetch(get(path, extra=[("priority", value)])).status == 200
    got = [r for r in bench.origin.requests if r.target == path]
    assert (got[0].get("priority") or "") == value
