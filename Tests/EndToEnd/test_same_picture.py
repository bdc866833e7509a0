"""A plugin sees the same of an exchange, whichever versions of HTTP the two sides speak.

The same exchanges run in HTTP/1.1 and HTTP/2 on each side, with a plugin in the chain that writes
down all that it is shown. What may differ is said by `neutral`, and by docs/phases.md.
"""
import re

import pytest

import cplugin
import h2peer
from h2wire import CANCEL, H2, INTERNAL_ERROR
from harness import Origin, Sluice, manifest
from wire import Client, Truncated, chunk

# What the client speaks, and what the peers speak.
WAYS = [("h1", "h1"), ("h2", "h1"), ("h1", "h2"), ("h2", "h2")]
VERSIONS = {"h1": "11", "h2": "20"}


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("picture"), "picture")


class Case:
    """An exchange: what the client sends, and what the origin answers."""

    def __init__(self, name, method="GET", path="/a?b=c", fields=(), body=None, trailers=(),
                 length=True, status=200, answer_fields=(), answer=b"", answer_length=True,
                 answer_trailers=(), interim=None, ends=True, gives_up=False, phases=()):
        self.name, self.method, self.path, self.fields = name, method, path, list(fields)
        self.body, self.trailers, self.length = body, list(trailers), length
        self.status, self.answer_fields, self.answer = status, list(answer_fields), answer
        self.answer_length, self.answer_trailers = answer_length, list(answer_trailers)
        self.interim, self.ends, self.gives_up = interim, ends, gives_up
        # Phases that must be in the picture.
        self.phases = phases

    @property
    def bodiless(self):
        return self.method == "HEAD" or self.status in (204, 304)

    def sent_fields(self):
        out = list(self.fields)
        if self.body is not None and self.length:
            out.append(("content-length", str(len(self.body))))
        return out

    def answered_fields(self):
        out = list(self.answer_fields)
        if self.answer_length and self.status not in (204, 304):
            out.append(("content-length", str(len(self.answer))))
        return out


CASES = [
    Case("get", answer=b"hello", phases=["response_body", "request_end"],
         fields=[("accept", "*/*"), ("x-twice", "1"), ("x-twice", "2"), ("x-empty", ""),
                 ("authorization", "secret"), ("cookie", "a=1; b=2")],
         answer_fields=[("content-type", "text/plain"), ("set-cookie", "a=1"),
                        ("set-cookie", "b=2"), ("date", "Thu, 01 Jan 1970 00:00:00 GMT")]),
    Case("post", "POST", body=b"x" * 30_000, answer=b"y" * 100_000, phases=["request_body"]),
    Case("post without lengths", "POST", body=b"x" * 300, length=False, answer=b"y" * 300,
         answer_length=False),
    Case("empty bodies", "POST", body=b"", answer=b""),
    Case("trailers", "POST", body=b"body", length=False, trailers=[("x-sum", "1"), ("x-two", "2")],
         answer=b"answer", answer_length=False,
         answer_trailers=[("x-sum", "3"), ("grpc-status", "0")], fields=[("te", "trailers")]),
    Case("head", "HEAD", answer=b"12345"),
    Case("no content", "DELETE", status=204),
    Case("not modified", status=304, answer_fields=[("etag", '"x"')]),
    Case("an interim response", answer=b"hello", interim=103),
    Case("an error of the origin", status=503, answer=b"later"),
    Case("no route", path="/none", phases=["local_reply"]),
    Case("an origin that breaks off", answer=b"some", answer_length=False, ends=False),
    Case("an origin that gives up", status=0, ends=False, phases=["local_reply"]),
    Case("a client that gives up", "POST", body=b"some", length=False, gives_up=True),
]


# ----------------------------------------------------------------- both sides in both versions
def lines(fields):
    return b"".join(b"%s: %s\r\n" % (n.title().encode(), v.encode()) for n, v in fields)


def h1_origin(case):
    def script(c):
        head = c.read_head()
        if head is None:
            return
        if case.gives_up:
            c.rest()
            return
        c.read_body(head)
        if not case.status:
            return
        if case.interim:
            c.send(b"HTTP/1.1 %d x\r\nlink: </a>\r\n\r\n" % case.interim)
        chunked = not case.answer_length
        c.send(b"HTTP/1.1 %d x\r\n%s%s\r\n" % (
            case.status, lines(case.answered_fields()),
            b"Transfer-Encoding: chunked\r\n" if chunked else b""))
        if case.bodiless:
            c.rest()
            return
        c.send(chunk(case.answer) if chunked else case.answer)
        if chunked and case.ends:
            c.send(b"0\r\n%s\r\n" % lines(case.answer_trailers))
        if case.ends:
            c.rest()

    return script


def h2_origin(case):
    def answer(x):
        if not case.status:
            x.reset(INTERNAL_ERROR)
            return
        if case.interim:
            x.head(case.interim, [("link", "</a>")])
        bare = case.bodiless or case.answer_length and not case.answer
        x.head(case.status, case.answered_fields(), end=bare)
        if bare:
            return
        at = 0
        while at < len(case.answer):
            piece = case.answer[at:at + 16_000]
            at += len(piece)
            last = at == len(case.answer) and not case.answer_trailers and case.ends
            x.data(piece, end=last)
        if case.answer_trailers:
            x.end(case.answer_trailers)
        elif not case.ends:
            x.reset(INTERNAL_ERROR)

    return h2peer.script(answer)


def ask_h1(address, case):
    c = Client(address)
    try:
        head = b"%s %s HTTP/1.1\r\nHost: test:81\r\n%s" % (
            case.method.encode(), case.path.encode(), lines(case.sent_fields()))
        chunked = case.body is not None and not case.length
        if case.fields and ("te", "trailers") in case.fields:
            head += b"Connection: te\r\n"
        c.send(head + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        if case.body:
            c.send(chunk(case.body) if chunked else case.body)
        if case.gives_up:
            return
        if chunked:
            c.send(b"0\r\n%s\r\n" % lines(case.trailers))
        try:
            c.response(case.method)
        except (Truncated, ConnectionError):
            assert not case.ends
    finally:
        c.close()


def ask_h2(address, case):
    c = H2(address).open()
    c.credits = True
    try:
        fields = [(":method", case.method), (":scheme", "http"), (":authority", "test:81"),
                  (":path", case.path), *case.sent_fields()]
        bare = case.body is None or case.body == b"" and case.length
        c.headers(1, fields, end=bare)
        if case.gives_up:
            c.data(1, case.body)
            c.ping()
            c.rst(1, CANCEL)
            c.ping()
            return
        if not bare:
            c.upload(1, case.body, end=not case.trailers)
        if case.trailers:
            c.headers(1, case.trailers)
        c.response(1)
    finally:
        c.close()


# ------------------------------------------------------------------ pictures
def neutral(line, front):
    """A line of the picture without what must differ."""
    # The version is that of the client's side, and it is the only fact that names one.
    assert "http_version" not in line or line.endswith("=" + VERSIONS[front]), line
    return re.sub(r"http_version=\d+", "http_version=", line)


def picture(folder, library, case, front, back, respond=None):
    """The lines of each phase, in the order of the phases."""
    folder.mkdir()
    app = Origin(h1_origin(case) if back == "h1" else h2_origin(case))
    p = Sluice(folder, manifest(
        app, listener={"protocols": ["h1", "h2c"]},
        upstream={"protocol": "h1" if back == "h1" else "h2c", "retries": {"attempts": 1}},
        plugins={"eye": {"library": library, "config": {"file": str(folder / "picture")}},
                 "no": {"library": library, "config": {"respond": respond or 0}}},
        chain=["eye", "no"] if respond else ["eye"],
        routes=[{"name": "r", "match": {"path": "/a"}, "upstream": "app"}]))
    try:
        (ask_h1 if front == "h1" else ask_h2)(p.address, case)
        p.wait_log("the picture is whole")
        seen = re.findall(r"(?m)^(\w+) (.*)$", (folder / "picture").read_text())
    finally:
        try:
            p.close()
        finally:
            app.close()
    phases, out = [], {}
    for phase, line in seen:
        if phase not in phases:
            phases.append(phase)
        out.setdefault(phase, []).append(neutral(line, front))
    return phases, out


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_picture(tmp_path, library, case):
    expected = None
    for front, back in WAYS:
        phases, seen = picture(tmp_path / (front + back), library, case, front, back)
        assert phases[0] == "request_headers" and phases[-1] == "request_end"
        assert set(case.phases) <= set(phases)
        if expected is None:
            expected = phases, seen
            continue
        for phase in [*expected[1], *seen]:
            assert seen.get(phase) == expected[1].get(phase), (front, back, phase)
        assert phases == expected[0], (front, back)


def test_the_picture_of_a_plugins_own_answer(tmp_path, library):
    case = Case("get", status=403)
    first, second = [picture(tmp_path / front, library, case, front, "h1", respond=403)
                     for front in ("h1", "h2")]
    assert "local_reply" in first[0] and first == second


SOCKET = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]


def test_the_picture_of_a_websocket(sluice, origin, library, tmp_path):
    """Over HTTP/2 it is the upgrade that HTTP/1.1 has; the key is then the proxy's, and new."""
    def script(c):
        if c.read_head():
            c.send(b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            c.send(c.read(3))
            c.rest()

    seen = []
    for front in ("h1", "h2"):
        file = tmp_path / front
        plugins = {"eye": {"library": library, "config": {"file": str(file)}}}
        p = sluice(origin(script), listener={"protocols": ["h1", "h2c"]}, plugins=plugins,
                   chain=["eye"])
        if front == "h1":
            c = Client(p.address)
            c.send(b"GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\n" + lines(SOCKET)
                   + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nbye")
            assert c.head().status == 101 and c.read(3) == b"bye"
            c.finish()
            assert c.rest() == b""
        else:
            c = H2(p.address).open()
            c.headers(1, [(":method", "CONNECT"), (":protocol", "websocket"),
                          (":scheme", "http"), (":authority", "test"), (":path", "/chat"),
                          *SOCKET], end=False)
            c.data(1, b"bye", end=True)
            c.until(lambda: c.streams[1].done, "the end")
            assert c.streams[1].status == 200 and bytes(c.streams[1].body) == b"bye"
        c.close()
        p.wait_log("the picture is whole")
        text = re.sub(r"sec-websocket-key=\S+", "sec-websocket-key=", file.read_text())
        seen.append([neutral(line, front) for line in text.splitlines()])
    assert any(":method=GET" in line for line in seen[0])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("watched", [False, True])
def test_trailers_behind_a_length(sluice, origin, library, tmp_path, watched):
    """HTTP/2 alone has them: they reach a client that has HTTP/2 too, and hooks do not see them."""
    def answer(x):
        x.head(200, [("content-length", "2")])
        x.data(b"ok")
        x.end([("x-sum", "1")])

    plugins = {"eye": {"library": library, "config": {"file": str(tmp_path / "picture")}}}
    p = sluice(origin(h2peer.script(answer)), listener={"protocols": ["h1", "h2c"]},
               upstream={"protocol": "h2c"}, plugins=plugins, chain=["eye"] if watched else [])
    c = H2(p.address).open()
    got = c.fetch()
    assert (got.status, bytes(got.body), got.trailers) == (200, b"ok", [("x-sum", "1")])
    c.close()
    plain = Client(p.address)
    answer = plain.request()
    assert (answer.status, answer.body, answer.trailers) == (200, b"ok", [])
    assert plain.request().body == b"ok"
    plain.close()
    if watched:
        p.wait_log("the picture is whole")
        seen = (tmp_path / "picture").read_text()
        assert "upstream_body body count=2" in seen and "trailer" not in seen
