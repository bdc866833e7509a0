"""Request forms and the lengths of messages: RFC 9112 sections 3 and 6, as seen from outside."""
import pytest

from harness import serve
from wire import Truncated, chunk, pattern, reply, request

CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def test_absolute_form_becomes_origin_form(sluice, origin, client):
    app = origin(serve(reply()))
    answer = client(sluice(app)).request(target="http://example.com:82/x?y", host="example.com:82")
    assert answer.status == 200
    assert (app.requests[0].target, app.requests[0].all("host")) == ("/x?y", ["example.com:82"])


def test_absolute_form_without_path_is_the_root(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app))
    assert c.request(target="http://example.com", host="example.com").status == 200
    assert app.requests[0].target == "/"


def test_an_authority_that_is_not_host_never_splits_the_two_sides(sluice, origin, client):
    """RFC 9112 section 3.2.2: the authority of the target counts. Refusing is as safe."""
    app = origin(serve(reply()))
    answer = client(sluice(app)).request(target="http://one.example/", host="two.example")
    if answer.status == 200:
        assert app.requests[0].all("host") == ["one.example"]
    else:
        assert answer.status == 400
        assert app.requests == []


def test_options_asterisk_is_answered_here(sluice, origin, client):
    """It asks about the server as a whole, which has no one origin: RFC 9110 section 9.3.7."""
    app = origin(serve(reply()))
    c = client(sluice(app))
    answer = c.request("OPTIONS", "*")
    assert answer.status in (200, 204)
    assert "GET" in answer.get("allow")
    assert c.request("OPTIONS", "/").status == 200
    assert [r.target for r in app.requests] == ["/"]


def test_asterisk_is_for_options_only(sluice, origin, client):
    app = origin(serve(reply()))
    assert client(sluice(app)).request("GET", "*").status == 400
    assert app.requests == []


@pytest.mark.parametrize("line", ["TRACE / HTTP/1.1", "CONNECT example.com:443 HTTP/1.1"])
def test_trace_and_connect_are_refused(sluice, origin, client, line):
    app = origin(serve(reply()))
    c = client(sluice(app))
    c.send(("%s\r\nHost: example.com:443\r\n\r\n" % line).encode())
    assert c.response().status == 405
    assert app.requests == []


@pytest.mark.parametrize("fields", ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n"])
def test_there_is_one_valid_host(sluice, origin, client, fields):
    app = origin(serve(reply()))
    c = client(sluice(app))
    c.send(("GET / HTTP/1.1\r\n%s\r\n" % fields).encode())
    answer = c.response()
    assert answer.status == 400 and answer.closes and c.ended()
    assert app.requests == []


def test_an_empty_line_before_a_request_is_skipped(sluice, origin, client):
    """RFC 9112 section 2.2: at least one. Old clients send it behind a body."""
    c = client(sluice(origin(serve(reply()))))
    for _ in range(2):
        c.send(request("POST", body=b"x") + b"\r\n")
        assert c.response().status == 200


def test_a_head_in_single_bytes(sluice, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    c = client(sluice(app))
    for byte in request("POST", "/slow", [("X-A", "b")], b"body"):
        c.send(bytes([byte]))
    assert c.response().body == b"body"
    assert app.requests[0].fields == [("Host", "test"), ("X-A", "b"), ("Content-Length", "4")]


def test_head_has_the_fields_of_get_and_no_body(sluice, origin, client):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-A: b\r\nDate: x\r\n\r\n"
    app = origin(serve(lambda r: head if r.method == "HEAD" else reply(b"next")))
    c = client(sluice(app))
    answer = c.request("HEAD")
    assert answer.fields == [("Content-Length", "1234"), ("X-A", "b"), ("Date", "x")]
    assert c.request().body == b"next"
    assert app.connections == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_bodiless_statuses_end_with_their_head(sluice, origin, client, status):
    app = origin(serve(lambda r: reply(b"next") if r.target == "/2"
                       else ("HTTP/1.1 %s\r\nETag: \"a\"\r\n\r\n" % status).encode()))
    c = client(sluice(app))
    answer = c.request()
    assert (answer.status, answer.get("etag")) == (int(status[:3]), '"a"')
    assert c.request(target="/2").body == b"next"
    assert app.connections == 1


def test_a_304_keeps_its_content_length(sluice, origin, client):
    app = origin(serve(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"))
    c = client(sluice(app))
    assert c.request().get("content-length") == "99"
    assert c.request().status == 304


def test_chunked_responses_arrive_whole_with_trailers(sluice, origin, client):
    data = pattern(100_000)
    parts = [data[:1], data[1:4096], data[4096:70_000], data[70_000:]]
    head = (b"HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Two\r\nTransfer-Encoding: chunked\r\n\r\n")
    app = origin(serve(head + b"".join(map(chunk, parts)) + b"0\r\nX-Sum: abc\r\nX-Two: d\r\n\r\n"))
    c = client(sluice(app))
    for _ in range(2):
        answer = c.request(fields=[("TE", "trailers"), ("Connection", "te")])
        assert answer.body == data
        assert answer.trailers == [("X-Sum", "abc"), ("X-Two", "d")]
    assert app.connections == 1


def test_chunked_requests_arrive_whole_with_trailers(sluice, origin, client):
    data = pattern(100_000)
    app = origin(serve(lambda r: reply(r.body[:5])))
    c = client(sluice(app))
    for _ in range(2):
        c.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.send(chunk(data[:70_000]) + chunk(data[70_000:]) + b"0\r\nX-Sum: abc\r\n\r\n")
        assert c.response().body == data[:5]
    for seen in app.requests:
        assert seen.body == data
        assert seen.get("content-length") is None
        assert seen.trailers == [("X-Sum", "abc")]


def test_chunk_extensions_are_ignored(sluice, origin, client):
    app = origin(serve(lambda r: CHUNKED + b"2;a=b;c\r\nhi\r\n0;last\r\n\r\n"))
    c = client(sluice(app))
    c.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"3 ; x=\"y\\\"z\"\r\nabc\r\n0\r\n\r\n")
    assert c.response().body == b"hi"
    assert app.requests[0].body == b"abc"


def test_a_chunked_body_in_single_bytes(sluice, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    c = client(sluice(app))
    c.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
    for byte in chunk(b"hello") + chunk(b"there") + b"0\r\nA: b\r\n\r\n":
        c.send(bytes([byte]))
    assert c.response().body == b"hellothere"


def test_a_bad_chunk_size_in_a_request_is_never_passed_on_as_an_end(sluice, origin, client):
    complete = []
    app = origin(lambda c: complete.append(c.read_request()))
    c = client(sluice(app))
    c.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"3\r\nabc\r\nxyz\r\n")
    try:
        assert c.response().status == 400
    except Truncated:
        pass
    assert c.ended()
    if app.connections:
        app.wait_closed(1)
    assert complete in ([], [None])


def test_a_bad_chunk_size_in_a_response_cuts_the_client(sluice, origin, client):
    app = origin(serve(CHUNKED + b"3\r\nabc\r\nxyz\r\n"))
    c = client(sluice(app))
    c.send(request())
    with pytest.raises(Truncated):
        c.response()


def test_a_close_delimited_response_is_chunked_for_a_1_1_client(sluice, origin, client):
    def script(c):
        while c.read_request():
            c.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            c.close()

    app = origin(script)
    c = client(sluice(app))
    for count in (1, 2):
        answer = c.request()
        assert answer.body == b"until the end"
        assert answer.chunked
        assert app.connections == count


def test_a_close_delimited_response_closes_a_1_0_client(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")

    c = client(sluice(origin(script)))
    c.send(request(version="1.0", fields=[("Connection", "keep-alive")]))
    answer = c.response()
    assert answer.get("transfer-encoding") is None
    assert answer.body == b"until the end"


def test_a_chunked_response_is_plain_for_a_1_0_client(sluice, origin, client):
    app = origin(serve(CHUNKED + chunk(b"plain") + b"0\r\n\r\n"))
    c = client(sluice(app))
    c.send(request(version="1.0"))
    answer = c.response()
    assert answer.get("transfer-encoding") is None
    assert answer.body == b"plain"


def test_small_pieces_are_passed_on_at_once(sluice, origin, client):
    """Server-sent events: neither a head nor a small chunk waits for more."""
    def script(c):
        c.read_head()
        c.send(CHUNKED)
        for number in range(5):
            c.until(b"go")  # each piece only after the client has seen the one before
            c.send(chunk(b"event %d\n\n" % number))
        c.until(b"go")
        c.send(b"0\r\n\r\n")

    app = origin(script)
    c = client(sluice(app))
    c.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\n")
    assert c.head().status == 200
    for number in range(5):
        c.send(b"go")
        assert c.until(b"\n\n\r\n").endswith(b"event %d\n\n\r\n" % number)
    c.send(b"go")
    assert c.until(b"\r\n\r\n") == b"0\r\n\r\n"


def test_full_duplex(sluice, origin, client):
    """The response begins while the request is still being sent; both finish."""
    def script(c):
        c.read_head()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
        for _ in range(30):
            c.send(c.read(10_000))

    data = pattern(300_000)
    c = client(sluice(origin(script)))
    c.send(request("POST", body=data)[:-300_000])
    got = b""
    for start in range(0, 300_000, 10_000):
        c.send(data[start:start + 10_000])
        if not start:
            assert c.head().status == 200
        got += c.read(10_000)
    assert got == data
