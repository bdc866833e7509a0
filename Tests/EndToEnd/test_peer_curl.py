"""curl in all its versions of HTTP, to a proxy over TLS and in the clear."""
import os
import subprocess

import pytest

from harness import serve
from wire import DEADLINE, chunk, pattern, reply

BOTH = {"protocols": ["h1", "h2"]}
CLEAR = {"protocols": ["h1", "h2c"]}

# How curl is asked for a version, over what, and which one it then speaks.
WAYS = [("--http2", "https", "2"), ("--http1.1", "https", "1.1"), ("--http1.0", "https", "1.1"),
        ("--http2-prior-knowledge", "https", "2"), ("--http2-prior-knowledge", "http", "2"),
        ("--http2", "http", "1.1"), ("--http1.1", "http", "1.1")]


class Curl:
    """curl as it speaks with one proxy, in one way."""

    def __init__(self, proxy, ca, way):
        self.flag, scheme, self.version = way
        self.base = "%s://localhost:%d" % (scheme, proxy.address[1])
        self.argv = ["curl", "-sS", self.flag, "--cacert", ca.path, "--noproxy", "*",
                     "--resolve", "localhost:%d:127.0.0.1" % proxy.address[1]]

    @property
    def keeps(self):
        """Whether this curl uses a connection again: not in HTTP/1.0, and curl 7.88 fails with
        its own "framing layer" at the second request by prior knowledge in the clear, whichever
        server it speaks to."""
        return self.flag != "--http1.0" and not (
            self.base.startswith("http:") and self.flag == "--http2-prior-knowledge")

    def run(self, *arguments, **options):
        done = subprocess.run(self.argv + list(arguments), capture_output=True,
                              timeout=DEADLINE * 2, **options)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(params=WAYS, ids=["%s %s" % way[:2] for way in WAYS])
def curl(request, https, sluice, ca):
    def make(*peers, **options):
        if request.param[1] == "https":
            proxy = https(*peers, listener=BOTH, **options)
        else:
            proxy = sluice(*peers, listener=CLEAR, **options)
        return Curl(proxy, ca, request.param)

    return make


def test_versions(curl, origin):
    c = curl(origin(serve(reply(b"body"))))
    assert c.run("-w", " %{http_version} %{http_code}", c.base) == (
        b"body " + c.version.encode() + b" 200")


def test_uploads(curl, origin, tmp_path):
    """With a length, without one, and none at all."""
    c = curl(origin(serve(lambda r: reply(r.method.encode() + b" " + r.body))))
    data = pattern(2_000_000)
    (tmp_path / "data").write_bytes(data)
    plain = "-H", "Expect:"
    assert c.run(*plain, "-T", str(tmp_path / "data"), c.base + "/f") == b"PUT " + data
    assert c.run(
        *plain, "--data-binary", "@%s" % (tmp_path / "data"), c.base) == b"POST " + data
    if c.flag != "--http1.0":
        assert c.run(*plain, "-T", "-", c.base + "/f", input=data) == b"PUT " + data
    assert c.run("-X", "POST", "-d", "", c.base) == b"POST "


def test_heads_and_codes(curl, origin):
    def answer(r):
        status = {"/204": "204 No Content", "/404": "404 Not Found"}.get(r.target)
        if r.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX-Case: Kept\r\n\r\n"
        if status == "204 No Content":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        return reply(b"x", status or "200 OK", [("X-Sent", r.get("x-sent") or "nothing")])

    c = curl(origin(serve(answer)))
    head = c.run("-I", c.base).decode().lower()
    assert "content-length: 1000" in head and "x-case: kept" in head
    assert c.run("-w", "%{http_code}", c.base + "/204") == b"204"
    assert c.run("-w", "%{http_code}", "-o", os.devnull, c.base + "/404") == b"404"
    fields = c.run("-D", "-", "-H", "X-Sent: " + "v" * 4_000, c.base).decode().lower()
    assert "x-sent: " + "v" * 4_000 in fields


def test_one_connection_for_many(curl, origin):
    c = curl(origin(serve(lambda r: reply(r.target.encode()))))
    if not c.keeps:
        pytest.skip("this curl does not")
    urls = [c.base + "/%d" % i for i in range(20)]
    out = c.run("-w", " %{num_connects}\n", *urls).decode().splitlines()
    assert out == ["/%d %d" % (i, i == 0) for i in range(20)]


def test_many_at_a_time(curl, origin, tmp_path):
    """Over HTTP/2 all of them on one connection, multiplexed."""
    c = curl(origin(serve(lambda r: reply(r.target.encode() * 5_000))))
    if not c.keeps:
        pytest.skip("this curl does not")
    arguments = []
    for i in range(40):
        arguments += ["-o", str(tmp_path / ("out%d" % i)), c.base + "/%d" % i]
    c.run("-Z", "--parallel-max", "40", *arguments)
    for i in range(40):
        assert (tmp_path / ("out%d" % i)).read_bytes() == b"/%d" % i * 5_000


def test_trailers_and_chunks(curl, origin):
    text = (b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(b"one") + chunk(b"two") + b"0\r\nx-sum: 42\r\n\r\n")
    c = curl(origin(serve(text)))
    out = c.run("-D", "-", c.base)
    assert out.endswith(b"onetwo") or b"onetwo" in out
    if c.flag != "--http1.0":
        assert b"x-sum: 42" in out


def test_100_continue(curl, origin):
    """curl waits for it in HTTP/1.1 when it is told to."""
    def script(connection):
        while head := connection.read_head():
            if head.get("expect"):
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_body(head)
            connection.send(reply(head.body))

    c = curl(origin(script))
    if c.flag == "--http1.0":
        pytest.skip("HTTP/1.0 has no 100")
    data = pattern(100_000)
    assert c.run("-H", "Expect: 100-continue", "--expect100-timeout", "30", "--data-binary", "@-",
                 c.base, input=data) == data
