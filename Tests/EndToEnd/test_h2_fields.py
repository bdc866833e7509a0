"""Fields of HTTP/2: RFC 9113 section 8, and RFC 8441.

A malformed request is refused with 400 or by a reset, disturbs nobody else, and never reaches the
origin. The path of each says which case it was.
"""
import zlib

import pytest

import h2server
from h2wire import ENABLE_CONNECT_PROTOCOL, END_STREAM, HEADERS, get, post

server, bench = h2server.fixture()

M, S, A, P = (":method", "GET"), (":scheme", "http"), (":authority", "test"), None


@pytest.fixture
def path(request):
    """A path of this case alone."""
    return "/case/%08x" % zlib.crc32(request.node.nodeid.encode())


def with_path(fields, path):
    return [(":path", path) if f is P else f for f in fields]


def refuse(b, fields, path):
    c = b.connect()
    c.headers(1, with_path(fields, path))
    b.malformed(c, 1, path)


def accept(b, fields, path, status=200):
    """The request as the origin got it."""
    c = b.connect()
    c.headers(1, with_path(fields, path))
    answer = c.response(1)
    assert answer.status == status, vars(answer)
    with b.origin.changed:
        found = [r for r in b.origin.requests if r.target == path]
    assert len(found) == 1
    return found[0]


# ------------------------------------------------------------------ 8.2.1 names and values
BAD_NAMES = [bytes([octet]) for octet in [*range(0x21), *range(0x7F, 0x100, 9), 0x7F, 0xFF]]


@pytest.mark.parametrize("name", [b"x" + octet + b"y" for octet in BAD_NAMES]
                         + [b"X-Upper", b"x-uppeR", b"x:y", b"x-colon:", b"", b" lead", b"trail "],
                         ids=repr)
def test_8_2_1_names(bench, path, name):
    refuse(bench, [M, S, A, P, (name, "v")], path)


@pytest.mark.parametrize("octet", list("\"(),/;<=>?@[\\]{}"))
def test_8_2_1_names_that_are_no_tokens(bench, path, octet):
    """A SHOULD of HTTP/2, and the syntax of HTTP/1.1 that the request is passed on by."""
    if not bench.strict:
        pytest.skip("a SHOULD")
    refuse(bench, [M, S, A, P, ("x%sy" % octet, "v")], path)


@pytest.mark.parametrize("value", [
    b"a\0b", b"\0", b"a\rb", b"a\nb", b"a\r\nx-smuggled: 1", b"a\n", b"\ra", b" lead", b"\tlead",
    b"trail ", b"trail\t", b" "], ids=repr)
def test_8_2_1_values(bench, path, value):
    refuse(bench, [M, S, A, P, ("x-value", value)], path)


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"\x80\xff", b"!~", b"v" * 1_000],
                         ids=lambda v: repr(v[:10]))
def test_8_2_1_values_that_are_allowed(bench, path, value):
    got = accept(bench, [M, S, A, P, ("x-value", value)], path)
    assert (got.get("x-value") or "") == value.decode("latin-1")


@pytest.mark.parametrize("name", ["!#$%&'*+-.^_`|~09az", "x", "_"])
def test_8_2_1_names_that_are_allowed(bench, path, name):
    if not bench.strict:
        pytest.skip("some drop the less usual ones")
    assert accept(bench, [M, S, A, P, (name, "v")], path).get(name) == "v"


def test_8_2_1_the_origin_gets_every_field_as_it_came(bench, path):
    extra = [("x-one", "1"), ("accept", "a/b"), ("x-one", "2"), ("user-agent", "me")]
    got = accept(bench, [M, S, A, P, *extra], path)
    assert got.all("x-one") == ["1", "2"] or got.get("x-one") == "1, 2"
    assert (got.get("accept"), got.get("user-agent")) == ("a/b", "me")


# ------------------------------------------------------------------ 8.2.2 connection-specific
@pytest.mark.parametrize("name,value", [
    ("connection", "close"), ("connection", "keep-alive"), ("connection", "x-y"),
    ("connection", ""), ("proxy-connection", "keep-alive"), ("keep-alive", "timeout=5"),
    ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"), ("upgrade", "h2c"),
    ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, gzip"), ("te", "trailers;q=0.5"),
    ("te", "")])
def test_8_2_2_connection_specific_fields(bench, path, name, value):
    if not bench.strict:
        pytest.skip("others drop some of them")
    refuse(bench, [M, S, A, P, (name, value)], path)


def test_8_2_2_te_trailers(bench, path):
    accept(bench, [M, S, A, P, ("te", "trailers")], path)


# ------------------------------------------------------------------ 8.2.3 cookies
@pytest.mark.parametrize("crumbs,whole", [
    (["a=1", "b=2", "c=3"], "a=1; b=2; c=3"), (["a=1; b=2", "c=3"], "a=1; b=2; c=3"),
    (["a=1"], "a=1")])
def test_8_2_3_crumbs_become_one_cookie(bench, path, crumbs, whole):
    fields = [("x-between", "1")] + [("cookie", c) for c in crumbs[1:]]
    got = accept(bench, [M, S, A, P, ("cookie", crumbs[0]), *fields], path)
    assert got.all("cookie") == [whole]


# ------------------------------------------------------------------ 8.3 pseudo-fields
@pytest.mark.parametrize("fields", [
    [M, S, A, ("x-early", "1"), P], [("x-early", "1"), M, S, A, P],
    [M, S, ("te", "trailers"), A, P],
    [M, S, A, P, (":unknown", "1")], [M, S, A, P, (":", "1")], [M, S, A, P, (":status", "200")],
    [M, S, A, P, (":Path", "/")], [M, M, S, A, P], [M, S, S, A, P], [M, S, A, A, P],
    [M, S, A, P, (":path", "/other")], [M, (":method", "POST"), S, A, P],
    [S, A, P], [M, A, P], [M, S, A], [A], [],
    [(":method", ""), S, A, P], [M, (":scheme", ""), A, P], [M, S, A, (":path", "")],
    [(":method", "G ET"), S, A, P], [(":method", "GET /x HTTP/1.1\r\nx:"), S, A, P],
    [(":method", "G\0T"), S, A, P], [(":method", "GET "), S, A, P],
    [M, S, A, (":path", "no-slash")], [M, S, A, (":path", "*")],
    [M, S, A, (":path", "/a b")], [M, S, A, (":path", "/a HTTP/1.1\r\nx: 1")],
    [M, S, A, (":path", "/a\0")], [M, S, A, (":path", "/a\tb")], [M, S, A, (":path", " /a")],
    [M, S, (":authority", "user@test"), P], [M, S, (":authority", "user:pw@test"), P],
    [M, S, (":authority", "te st"), P], [M, S, (":authority", "test\r\nx: 1"), P],
    [M, S, (":authority", "test/"), P],
    [M, S, (":authority", "test:port"), P], [M, S, (":authority", "test?"), P],
    [M, S, A, P, ("host", "other")], [M, S, A, P, ("host", "test:81")],
    [M, S, A, P, ("host", "test"), ("host", "test")], [M, S, P, ("host", "a"), ("host", "b")],
    [M, S, P], [M, S, P, ("host", "")], [M, S, (":authority", ""), P],
], ids=lambda fields: " ".join("P" if f is P else "%s=%s" % f for f in fields).replace("\0", "NUL")
    .replace("\r\n", "CRLF").replace("\t", "TAB") or "none")
def test_8_3_pseudo_fields(bench, path, fields):
    if not bench.strict and any(f is not P and f[0] in (":authority", "host", ":method") for f in
                                fields if f not in (M, A)):
        pytest.skip("others are lenient here")
    refuse(bench, fields, path)


@pytest.mark.parametrize("fields,host", [
    ([M, S, A, P], "test"), ([P, A, S, M], "test"), ([M, S, P, ("host", "by-field")], "by-field"),
    ([M, S, A, P, ("host", "test")], "test"), ([M, S, (":authority", "test:8080"), P], "test:8080"),
    ([M, S, (":authority", "[::1]:80"), P], "[::1]:80")])
def test_8_3_1_the_authority_becomes_the_host(bench, path, fields, host):
    got = accept(bench, fields, path)
    if bench.strict:
        assert got.all("host") == [host]


def test_8_3_1_the_target_arrives_as_it_is(bench):
    c = bench.connect()
    target = "/p/%2e%2E/a;b=c/~x?q=1&r=%20?/"
    assert c.fetch(get(target)).status == 200
    assert target in bench.targets() or not bench.strict


def test_8_3_1_options_of_the_whole_server(bench):
    """The one method that takes "*" for a path."""
    c = bench.connect()
    answer = c.fetch(get("*", "OPTIONS"))
    assert answer.status is not None
    bench.serves(c)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "PROPFIND", "X-OWN"])
def test_8_3_1_methods(bench, path, method):
    if not bench.strict:
        pytest.skip("others know fewer")
    assert accept(bench, [(":method", method), S, A, P], path).method == method


# ------------------------------------------------------------------ 8.1 messages, trailers
def test_8_1_trailers_end_the_request(bench):
    """HEADERS without END_STREAM behind the first HEADERS are malformed."""
    c = bench.connect()
    c.headers(1, post("/hold"), end=False)
    c.headers(1, [("x-sum", "1")], end=False)
    bench.malformed(c, 1)


@pytest.mark.parametrize("fields", [
    [(":path", "/")], [(":status", "200")], [("x-sum", "1"), (":method", "GET")],
    [("X-Sum", "1")], [("x-sum", "a\nb")], [("connection", "close")],
    [("transfer-encoding", "chunked")]], ids=str)
def test_8_1_trailers_that_are_malformed(bench, fields):
    c = bench.connect()
    c.headers(1, post("/hold"), end=False)
    c.data(1, b"body")
    c.headers(1, fields)
    bench.malformed(c, 1)


@pytest.mark.parametrize("fields", [[("x-sum", "1")], []], ids=["a field", "no field"])
def test_8_1_trailers_that_are_allowed(bench, fields):
    c = bench.connect()
    c.headers(1, post("/echo"), end=False)
    c.data(1, b"body")
    c.headers(1, fields)
    assert bytes(c.response(1).body) == b"body"
    bench.serves(c)


@pytest.mark.parametrize("method,path,status", [
    ("HEAD", "/", 200), ("GET", "/status/204", 204), ("GET", "/status/304", 304),
    ("GET", "/status/404", 404), ("GET", "/status/500", 500)])
def test_8_1_responses_without_content(bench, method, path, status):
    c = bench.connect()
    answer = c.fetch(get(path, method))
    assert (answer.status, answer.ended, bytes(answer.body)) == (status, True, b"")
    if method == "HEAD":
        assert answer.get("content-length") == "1000"
    bench.serves(c)


def test_8_1_trailers_of_the_response(bench):
    c = bench.connect()
    answer = c.fetch(get("/trailers", extra=[("te", "trailers")]))
    assert (answer.status, bytes(answer.body)) == (200, b"body")
    assert not bench.strict or answer.trailers == [("x-sum", "42")]


def test_8_1_an_early_response_ends_the_stream(bench):
    """Complete, then RST_STREAM with NO_ERROR, or the rest of the request is taken."""
    c = bench.connect()
    c.headers(1, post("/early"), end=False)
    c.until(lambda: c.streams[1].ended, "the response")
    assert bytes(c.streams[1].body) == b"early"
    c.data(1, b"late", end=True)
    bench.serves(c)
    assert c.streams[1].reset in (None, 0)


# ------------------------------------------------------------------ 8.1.1 content-length
@pytest.mark.parametrize("length,frames", [
    ("5", [b"1234"]), ("5", [b"123456"]), ("5", [b"123", b"456"]), ("5", [b""]), ("0", [b"1"]),
    ("10", [b"12345", b""])])
def test_8_1_1_content_length_and_data(bench, length, frames):
    c = bench.connect()
    c.headers(1, post("/hold", [("content-length", length)]), end=False)
    for data in frames[:-1]:
        c.data(1, data)
    c.data(1, frames[-1], end=True)
    bench.malformed(c, 1)


def test_8_1_1_data_beyond_content_length_before_the_end(bench):
    """Not only once END_STREAM comes: the origin would take the rest for a request."""
    c = bench.connect()
    c.headers(1, post("/hold", [("content-length", "5")]), end=False)
    c.data(1, b"123456")
    bench.malformed(c, 1)


@pytest.mark.parametrize("fields", [
    [("content-length", "5")], [("content-length", "")], [("content-length", "-1")],
    [("content-length", "+5")], [("content-length", "5x")], [("content-length", "0x5")],
    [("content-length", "5, 6")], [("content-length", "5"), ("content-length", "6")],
    [("content-length", "99999999999999999999")], [("content-length", "5 5")]], ids=str)
def test_8_1_1_content_length_of_a_request_that_ends_at_once(bench, path, fields):
    refuse(bench, [(":method", "POST"), S, A, P, *fields], path)


def test_8_1_1_content_length_and_trailers(bench):
    c = bench.connect()
    c.headers(1, post("/hold", [("content-length", "5")]), end=False)
    c.data(1, b"1234")
    c.headers(1, [("x-sum", "1")])
    bench.malformed(c, 1)


@pytest.mark.parametrize("length,frames", [
    ("5", [b"12345"]), ("5", [b"1", b"", b"2345", b""]), ("0", [b""]), (None, [b"12345"])])
def test_8_1_1_content_length_that_holds(bench, length, frames):
    c = bench.connect()
    c.headers(1, post("/echo", [("content-length", length)] if length else []), end=False)
    for data in frames[:-1]:
        c.data(1, data)
    c.data(1, frames[-1], end=True)
    answer = c.response(1)
    assert (answer.status, bytes(answer.body)) == (200, b"".join(frames))


# ------------------------------------------------------------------ 8.5 CONNECT, RFC 8441
CONNECT = (":method", "CONNECT")


@pytest.mark.parametrize("fields", [
    [CONNECT, S, A], [CONNECT, A, (":path", "/")], [CONNECT, S, A, (":path", "/")], [CONNECT],
    [CONNECT, S, A, P, (":protocol", "")], [CONNECT, A, (":protocol", "websocket")],
    [CONNECT, A, P, (":protocol", "websocket")], [CONNECT, S, A, (":protocol", "websocket")],
    [CONNECT, S, P, (":protocol", "websocket")],
    [M, S, A, P, (":protocol", "websocket")],
    [CONNECT, S, A, P, (":protocol", "websocket"), (":protocol", "websocket")],
    [CONNECT, S, A, P, ("x", "1"), (":protocol", "websocket")],
], ids=lambda fields: " ".join("P" if f is P else "%s=%s" % f for f in fields))
def test_8_5_connect_that_is_malformed(bench, path, fields):
    refuse(bench, fields, path)


@pytest.mark.parametrize("fields", [
    [CONNECT, (":authority", "test:443")], [CONNECT, (":authority", "test:443"), ("x", "1")]],
    ids=["bare", "with a field"])
def test_8_5_connect_is_not_served(bench, fields):
    """Nobody asked for a forward proxy: refused, the origin sees nothing, others go on."""
    c = bench.connect()
    c.headers(1, fields, end=False)
    if bench.strict:
        answer = c.response(1)
        assert answer.status in (405, 501)
        bench.serves(c)
        assert not any(r.method == "CONNECT" for r in bench.origin.requests)
    else:
        bench.refused(c, 1)


def test_rfc8441_an_unknown_protocol(bench, path):
    """Section 5 leaves the refusal to the server; 501 says what it is."""
    c = bench.connect()
    c.headers(1, [CONNECT, S, A, (":path", path), (":protocol", "telepathy")], end=False)
    if not bench.strict:
        pytest.skip("others know no extended CONNECT")
    answer = c.response(1)
    announced = c.peer.get(ENABLE_CONNECT_PROTOCOL)
    assert answer.status in ((400, 501) if announced else (400, None))
    assert path not in bench.targets()
    bench.serves(c)
