"""Messages between clients and origins of HTTP/1.1 and HTTP/2: one table, run in all directions."""
import pytest

import h2origin as h2
import wire
from h2frames import HEADER_TABLE_SIZE
from h2hpack import NEVER, block, literal
from h2server import H2C
from h2wire import H2, get
from wire import chunk

DIRECTIONS = ["h1-h1", "h1-h2", "h2-h1", "h2-h2"]


class Exchange:
    """What a client sends, in the terms of both versions."""

    def __init__(self, method="GET", path="/", fields=(), body=None, length=False, trailers=None):
        self.method, self.path, self.fields = method, path, list(fields)
        self.body, self.length, self.trailers = body, length, trailers

    def send1(self, c):
        lines = ["%s %s HTTP/1.1" % (self.method, self.path), "Host: test"]
        lines += ["%s: %s" % f for f in self.fields]
        body = b""
        if self.body is not None and self.length:
            lines.append("Content-Length: %d" % len(self.body))
            body = self.body
        elif self.body is not None:
            lines.append("Transfer-Encoding: chunked")
            body = b"".join(chunk(self.body[i:i + 10000]) for i in range(0, len(self.body), 10000))
            body += b"0\r\n" + b"".join(("%s: %s\r\n" % t).encode() for t in self.trailers or ())
            body += b"\r\n"
        c.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return c.response(self.method)

    def send2(self, c):
        fields = get(self.path, self.method, extra=[
            (n.lower(), v) for n, v in self.fields if n.lower() != "connection"])
        if self.body is not None and self.length:
            fields.append(("content-length", str(len(self.body))))
        stream = c.request(fields, end=self.body is None)
        if self.body is not None:
            if self.body:
                c.upload(stream, self.body, end=self.trailers is None)
            elif self.trailers is None:
                c.data(stream, end=True)
            if self.trailers is not None:
                c.headers(stream, self.trailers, end=True)
        return c.response(stream)


class Answer:
    """What an origin answers, in the terms of both versions."""

    def __init__(self, status="200", fields=(), body=b"", length=True, trailers=None, interim=()):
        self.status, self.fields, self.body = status, list(fields), body
        self.length, self.trailers, self.interim = length, trailers, interim

    def send1(self, c, head):
        for status, fields in self.interim:
            c.send(("HTTP/1.1 %s x\r\n" % status + "".join("%s: %s\r\n" % f for f in fields)
                    + "\r\n").encode())
        lines = ["HTTP/1.1 %s x" % self.status] + ["%s: %s" % f for f in self.fields]
        body = self.body
        if self.status in ("204", "304"):
            body = b""
        elif self.length:
            lines.append("Content-Length: %d" % len(self.body))
        else:
            lines.append("Transfer-Encoding: chunked")
            body = (chunk(self.body) if self.body else b"") + b"0\r\n"
            body += b"".join(("%s: %s\r\n" % t).encode() for t in self.trailers or ()) + b"\r\n"
        if head.method == "HEAD":
            body = b""
        c.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def send2(self, c, request):
        for status, fields in self.interim:
            c.headers(request.id, [(":status", status), *fields])
        fields = [(":status", self.status), *self.fields]
        if self.length and self.status not in ("204", "304"):
            fields.append(("content-length", str(len(self.body))))
        body = b"" if request.method == "HEAD" or self.status in ("204", "304") else self.body
        c.headers(request.id, fields, end=not body and self.trailers is None)
        if body:
            c.upload(request.id, body, end=self.trailers is None)
        if self.trailers is not None:
            c.headers(request.id, self.trailers, end=True)


class Got:
    """What one side has got, in the same terms whatever it speaks."""

    def __init__(self, message):
        self.fields = [(n.lower(), v) for n, v in message.fields if n[0] != ":"]
        self.body = bytes(message.body)
        self.trailers = sorted(message.trailers or [])
        self.interim = []

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def get(self, name):
        return ", ".join(self.all(name)) or None


class GotRequest(Got):
    def __init__(self, message):
        super().__init__(message)
        if isinstance(message, h2.Request):
            self.method, self.path = message.method, message.path
            self.authority = message.authority
        else:
            self.method, self.path = message.method, message.target
            self.authority = message.get("host")


class GotResponse(Got):
    def __init__(self, message):
        super().__init__(message)
        self.status = message.status
        if isinstance(message, wire.Response):
            self.interim = [(r.status, [(n.lower(), v) for n, v in r.fields])
                            for r in message.interim]
        else:
            self.interim = [(int(f[0][1]), f[1:]) for f in message.interim]


@pytest.fixture(params=DIRECTIONS)
def exchange(request, sluice, origin, h2origin, client):
    """Runs one exchange in one direction: what the origin got, and what the client got."""
    down, up = request.param.split("-")

    def run(sent, answer=None, listener=None, upstream=None):
        answer = answer or Answer(body=b"ok")
        seen = []
        if up == "h1":
            def script(c):
                while True:
                    head = c.read_head()
                    if head is None:
                        return
                    if head.get("expect"):
                        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                    c.read_body(head)
                    seen.append(head)
                    answer.send1(c, head)
            server = origin(script)
        else:
            def serve2(c, got):
                seen.append(got)
                answer.send2(c, got)
            server = h2origin(h2.serve(serve2))
        p = sluice(server, listener={**H2C, **(listener or {})},
                   upstream={**({"protocol": "h2c"} if up == "h2" else {}), **(upstream or {})})
        if down == "h1":
            c = client(p)
            message = sent.send1(c)
        else:
            c = H2(p.address).open()
            c.credits = True
            message = sent.send2(c)
            assert message.reset is None, message.reset
        got = GotResponse(message)
        # The connection of the client, and the way to the origin, take another request.
        seen.append(None)
        again = Exchange("GET", "/again")
        assert (again.send1(c) if down == "h1" else again.send2(c)).status == int(answer.status)
        server.down, server.up, server.proxy = down, up, p
        run.origin = server
        return GotRequest(seen[0]), got

    run.down, run.up = down, up
    return run


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH", "PURGE", "M-SEARCH"])
def test_methods(exchange, method):
    request, response = exchange(Exchange(method, "/a/b?c=d%20e&&;"))
    assert (request.method, request.path, request.authority) == (method, "/a/b?c=d%20e&&;", "test")
    assert (response.status, response.body) == (200, b"ok")
    assert not request.body


def test_head(exchange):
    request, response = exchange(Exchange("HEAD"), Answer(body=b"x" * 1000))
    assert (response.status, response.body) == (200, b"")
    assert response.get("content-length") == "1000"


@pytest.mark.parametrize("status", ["204", "304"])
def test_bodiless_statuses(exchange, status):
    _, response = exchange(Exchange(), Answer(status, fields=[("etag", '"x"')]))
    assert (response.status, response.body) == (int(status), b"")
    assert response.get("etag") == '"x"' and response.get("transfer-encoding") is None


@pytest.mark.parametrize("size", [0, 1, 100, 16384, 16385, 200_000])
@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_bodies_both_ways(exchange, size, length):
    body = wire.pattern(size)
    request, response = exchange(Exchange("POST", body=body, length=length),
                                 Answer(body=body, length=length))
    assert request.body == body and response.body == body
    if length:
        assert request.get("content-length") == str(size)
        assert response.get("content-length") == str(size)
    else:
        assert request.get("content-length") is None
        assert response.get("content-length") is None


@pytest.mark.parametrize("size", [0, 5, 50_000])
def test_trailers_both_ways(exchange, size):
    body = wire.pattern(size)
    trailers = [("x-one", "1"), ("x-two", "2")]
    request, response = exchange(
        Exchange("POST", body=body, trailers=trailers),
        Answer(body=body, length=False, trailers=trailers))
    assert (request.body, request.trailers) == (body, trailers)
    assert (response.body, response.trailers) == (body, trailers)


def test_interim_responses(exchange):
    hints = [("link", "</a.css>; rel=preload")]
    _, response = exchange(Exchange(), Answer(interim=[("103", hints), ("103", hints)], body=b"x"))
    assert response.interim == [(103, hints)] * 2
    assert (response.status, response.body) == (200, b"x")


def test_100_that_nobody_asked_for_stays_here(exchange):
    _, response = exchange(Exchange(), Answer(interim=[("100", [])], body=b"x"))
    assert (response.interim, response.body) == ([], b"x")


def test_cookies(exchange):
    crumbs = ["a=1", "b=2; c=3", "d=4"]
    request, response = exchange(
        Exchange(fields=[("Cookie", c) for c in crumbs]),
        Answer(fields=[("set-cookie", "x=1"), ("set-cookie", "y=2")], body=b"x"))
    if exchange.down == "h2" or exchange.up == "h2":
        assert "; ".join(request.all("cookie")) == "; ".join(crumbs)
    if exchange.down == "h2":
        assert request.all("cookie") == ["; ".join(crumbs)]
    assert response.all("set-cookie") == ["x=1", "y=2"]


def test_host_override(exchange):
    request, _ = exchange(Exchange(), upstream={"host": "inside.example:8080"})
    assert request.authority == "inside.example:8080"


def test_fields_of_a_connection_stay_on_it(exchange):
    fields = [] if exchange.down == "h2" else [
        ("Connection", "keep-alive, X-Mine"), ("Keep-Alive", "timeout=5"), ("X-Mine", "1"),
        ("Proxy-Connection", "keep-alive")]
    request, _ = exchange(Exchange(fields=fields + [("X-Yours", "2")]))
    assert request.get("x-yours") == "2"
    for name in ("x-mine", "keep-alive", "proxy-connection", "connection"):
        assert request.get(name) is None, name


def test_te_trailers(exchange):
    request, _ = exchange(Exchange(fields=[("TE", "trailers"), ("Connection", "TE")]))
    assert request.get("te") == ("trailers" if exchange.up == "h2" else None)


def test_many_fields_and_large_ones(exchange):
    fields = [("x-%02d" % i, "v" * 700) for i in range(40)]
    request, response = exchange(Exchange(fields=fields), Answer(fields=fields, body=b"x"))
    assert [f for f in request.fields if f[0].startswith("x-")] == fields
    assert [f for f in response.fields if f[0].startswith("x-")] == fields


def test_values_keep_their_octets(exchange):
    fields = [("x-empty", ""), ("x-high", "caf\xe9"), ("x-inner", "a  \t b"), ("x-comma", "a, b")]
    request, response = exchange(Exchange(fields=[f for f in fields if f[0] != "x-high"]),
                                 Answer(fields=fields[:1] + fields[2:], body=b"x"))
    assert [v for n, v in request.fields if n.startswith("x-")] == ["", "a  \t b", "a, b"]
    assert [v for n, v in response.fields if n.startswith("x-")] == ["", "a  \t b", "a, b"]


def test_statuses(exchange):
    for status in ("200", "201", "404", "500", "599", "777"):
        _, response = exchange(Exchange(), Answer(status, body=b"x"))
        assert (response.status, response.body) == (int(status), b"x")


# ------------------------------------------------------------------ from HTTP/2 to HTTP/2
@pytest.fixture
def both(sluice, h2origin):
    def make(answer, **upstream):
        server = h2origin(h2.serve(answer))
        p = sluice(server, listener=H2C, upstream={"protocol": "h2c", **upstream})
        return H2(p.address).open(), server

    return make


def never(name, value):
    return literal(name, value, kind=NEVER)


def test_what_is_never_indexed_stays_so(both):
    """RFC 7541 section 6.2.3, for requests: field by field."""
    c, server = both(lambda c, r: c.answer(r.id))
    for number in range(3):
        fields = get(extra=[("x-open", "1"), never("x-secret", "s%d" % number), ("x-last", "2")])
        assert c.response(c.request(fields)).status == 200
        assert server.requests[-1].get("x-secret") == "s%d" % number
        assert server.requests[-1].never == {"x-secret"}
    assert c.response(c.request(get(extra=[("x-secret", "s")]))).status == 200
    assert not server.requests[-1].never


@pytest.mark.parametrize("where", ["final", "interim"])
def test_responses_that_are_never_indexed(both, where):
    """A response with such a field is never indexed as a whole."""
    def answer(c, r):
        if r.path == "/open":
            c.answer(r.id, fields=[("x-open", "1")])
        elif where == "interim":
            c.fields_out(r.id, block([(":status", "103"), never("x-secret", "s")]), False)
            c.answer(r.id, fields=[("x-open", "1")])
        else:
            c.headers(r.id, block([(":status", "200"), ("x-open", "1"), never("x-secret", "s")]),
                      end=True)

    c, _ = both(answer)
    got = c.fetch(get("/secret"))
    assert "x-secret" in got.never
    assert not c.fetch(get("/open")).never


def test_cookies_are_never_indexed(both):
    c, server = both(lambda c, r: c.answer(r.id, fields=[("set-cookie", "a=b")]))
    got = c.fetch(get(extra=[("cookie", "a=1"), ("cookie", "b=2"), ("authorization", "Basic x")]))
    assert got.never == {"set-cookie"}
    assert server.requests[-1].never == {"cookie", "authorization"}
    assert server.requests[-1].get("cookie") == "a=1; b=2"


def test_a_head_over_one_frame(both):
    """It goes out in HEADERS and CONTINUATION, in a row (section 6.10)."""
    c, server = both(lambda c, r: c.answer(r.id))
    fields = [("x-%02d" % i, chr(0x7e) * 700) for i in range(40)]
    assert c.fetch(get(extra=fields)).status == 200
    assert server.requests[-1].header_frames > 1
    assert [f for f in server.requests[-1].fields if f[0].startswith("x-")] == fields


def test_the_dynamic_table_is_kept(both):
    """The same head again costs a few octets, and a table of no size is respected."""
    c, server = both(lambda c, r: c.answer(r.id))
    fields = [("x-%d" % i, "value %d" % i) for i in range(20)]
    for _ in range(3):
        assert c.fetch(get(extra=fields)).status == 200
        assert [f for f in server.requests[-1].fields if f[0].startswith("x-")] == fields


@pytest.mark.parametrize("size", [0, 100, 4096, 65_536])
def test_the_peers_table(sluice, h2origin, client, size):
    """The decoder of `H2Peer` fails the test when the proxy uses more than it may."""
    server = h2origin(settings=[(HEADER_TABLE_SIZE, size)])
    p = sluice(server, upstream={"protocol": "h2c"})
    c = client(p)
    for number in range(10):
        fields = [("X-%d" % i, "value %d %d" % (i, number % 2)) for i in range(30)]
        assert c.request(fields=fields).status == 200
        assert len([f for f in server.requests[-1].fields if f[0].startswith("x-")]) == 30


@pytest.mark.parametrize("down", ["h1", "h2"])
def test_expect_100_continue(sluice, h2origin, client, down):
    def script(c):
        while True:
            r = c.next_head()
            if r is None:
                return
            if r.get("expect"):
                c.headers(r.id, [(":status", "100")])
            c.until(lambda: r.ended, "the body")
            c.answer(r.id, bytes(r.body))

    server = h2origin(script)
    p = sluice(server, listener=H2C, upstream={"protocol": "h2c"})
    if down == "h1":
        c = client(p)
        c.send(wire.request("POST", "/", [("Expect", "100-continue"), ("Content-Length", "5")]))
        assert c.head().status == 100
        c.send(b"hello")
        assert c.response().body == b"hello"
    else:
        c = H2(p.address).open()
        stream = c.request(get(method="POST", extra=[("expect", "100-continue")]), end=False)
        c.until(lambda: c.streams[stream].interim, "100")
        c.data(stream, b"hello", True)
        assert bytes(c.response(stream).body) == b"hello"


@pytest.mark.parametrize("version,fields", [("1.0", []), ("1.0", [("Connection", "keep-alive")])])
def test_clients_of_http_1_0(sluice, h2origin, client, version, fields):
    """No chunks and no interim responses for them."""
    server = h2origin(h2.serve(lambda c, r: (
        c.headers(r.id, [(":status", "103")]), c.answer(r.id, b"body", length=False))))
    p = sluice(server, upstream={"protocol": "h2c"})
    response = client(p).request(version=version, fields=fields, host=None)
    assert (response.status, response.body) == (200, b"body")
    assert response.get("transfer-encoding") is None
    assert server.requests[0].authority == server.address


def test_an_absolute_target(sluice, h2origin, client):
    server = h2origin()
    p = sluice(server, upstream={"protocol": "h2c"})
    c = client(p)
    c.send(b"GET http://other.example:81/a?b HTTP/1.1\r\nHost: other.example:81\r\n\r\n")
    assert c.response().body == b"ok"
    assert (server.requests[0].authority, server.requests[0].path) == ("other.example:81", "/a?b")
