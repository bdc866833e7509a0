"""Compression through the binary: what curl and Python's zlib make of it, events without delay,
bombs, clients that leave."""
import gzip
import json
import os
import random
import re
import socket
import subprocess
import zlib

import pytest

import harness
from harness import ROOT, eventually, manifest, serve
from wire import DEADLINE, Client, Truncated, chunk, reply, request

HTML = ("Content-Type", "text/html")
TAKES_GZIP = [("Accept-Encoding", "gzip")]
CLEAR = {"protocols": ["h1", "h2c"]}
TEXT = ("".join("<p>line %d of a page</p>\n" % n for n in range(4000))).encode()

curl_version = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout
CURL_TAKES = ["gzip", "deflate"] + [name for name, mark in [("br", "brotli/"), ("zstd", "zstd/")]
                                    if mark in curl_version]


def compression(**config):
    return {"plugins": {"pack": {"library": "libCompression.so", "config": config}},
            "chain": ["pack"]}


def gunzip(body):
    """Exactly one gzip member, whole, and nothing behind it."""
    decoder = zlib.decompressobj(31)
    plain = decoder.decompress(body)
    assert decoder.eof and not decoder.unused_data
    return plain


# ---------------------------------------------------------------- Responses
@pytest.mark.parametrize("coding", CURL_TAKES)
@pytest.mark.parametrize("flag", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_reads_every_coding(sluice, origin, coding, flag):
    app = origin(serve(reply(TEXT, fields=[HTML, ("ETag", '"1"')])))
    proxy = sluice(app, listener=CLEAR, **compression(encodings=[coding]))
    url = "http://127.0.0.1:%d/" % proxy.address[1]
    for arguments, body in [(["--compressed"], TEXT), ([], TEXT)]:
        done = subprocess.run(["curl", "-sS", "-i", flag, "--noproxy", "*", *arguments, url],
                              capture_output=True, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
        head, _, got = done.stdout.partition(b"\r\n\r\n")
        assert got == body
        encoded = re.search(rb"(?i)content-encoding: (\w+)", head)
        assert (encoded and encoded.group(1).decode()) == (coding if arguments else None)
        assert b"accept-encoding" in head.lower()


def test_zlib_reads_gzip_and_deflate(sluice, origin, client):
    app = origin(serve(reply(TEXT, fields=[HTML])))
    wire = client(sluice(app, **compression(encodings=["gzip", "deflate"])))
    got = wire.request(fields=TAKES_GZIP)
    assert got.get("content-encoding") == "gzip" and got.get("content-length") is None
    assert got.chunked and len(got.body) < len(TEXT) / 4
    assert gunzip(got.body) == TEXT
    got = wire.request(fields=[("Accept-Encoding", "deflate")])
    assert zlib.decompress(got.body) == TEXT
    # The same connection, without the field: as it is, with its length.
    got = wire.request()
    assert got.body == TEXT and got.get("content-length") == str(len(TEXT))
    assert got.get("vary") == "Accept-Encoding"


def test_bodies_of_any_shape(sluice, origin, client):
    rng = random.Random(4)
    shapes = []

    def answer(head):
        body = bytes(rng.choices(b"abcdefgh {}\n", k=rng.choice([1, 700, 20_000, 300_000])))
        shapes.append(body)
        if rng.random() < 0.5:
            return reply(body, fields=[HTML])
        pieces, rest = [], body
        while rest:
            size = rng.randint(1, 50_000)
            pieces.append(chunk(rest[:size]))
            rest = rest[size:]
        return (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"".join(pieces) + b"0\r\n\r\n")

    wire = client(sluice(origin(serve(answer)), **compression(min_length="0B", encodings=["gzip"])))
    for _ in range(60):
        assert gunzip(wire.request(fields=TAKES_GZIP).body) == shapes[-1]


def test_head_has_the_head_of_get(sluice, origin, client):
    app = origin(serve(lambda head: reply(TEXT, fields=[HTML, ("ETag", '"1"')])
                       if head.method == "GET" else
                       b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"1\"\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(TEXT)))
    wire = client(sluice(app, **compression(encodings=["gzip"])))
    heads = [wire.request(method, fields=TAKES_GZIP) for method in ("GET", "HEAD", "GET")]
    for head in heads:
        assert head.get("content-encoding") == "gzip"
        assert head.get("etag") == 'W/"1"'
        assert head.get("vary") == "Accept-Encoding"
        assert head.get("content-length") is None


def test_a_range_is_not_touched(sluice, origin, client):
    part = reply(b"x" * 1000, status="206 Partial Content",
                 fields=[HTML, ("ETag", '"1"'), ("Content-Range", "bytes 0-999/5000")])
    app = origin(serve(part))
    wire = client(sluice(app, **compression(encodings=["gzip"])))
    got = wire.request(fields=[*TAKES_GZIP, ("Range", "bytes=0-999")])
    assert got.status == 206 and got.body == b"x" * 1000
    assert got.get("etag") == '"1"' and got.get("content-encoding") is None
    assert app.requests[0].get("range") == "bytes=0-999"


def test_304_by_a_weak_tag(sluice, origin, client):
    app = origin(serve(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'))
    wire = client(sluice(app, **compression(encodings=["gzip"])))
    got = wire.request(fields=[*TAKES_GZIP, ("If-None-Match", 'W/"1"')])
    assert got.status == 304
    assert got.get("etag") == 'W/"1"' and got.get("vary") == "Accept-Encoding"


def test_http_1_0_keeps_its_connection(sluice, origin, client):
    app = origin(serve(reply(TEXT, fields=[HTML])))
    wire = client(sluice(app, **compression(encodings=["gzip"])))
    for _ in range(2):
        got = wire.request(fields=[*TAKES_GZIP, ("Connection", "keep-alive")], version="1.0")
        assert got.body == TEXT and got.get("content-encoding") is None


@pytest.mark.parametrize("coding", CURL_TAKES)
def test_what_the_client_cannot_take_is_decoded(sluice, origin, client, coding):
    # The origin's bytes are made by a proxy of its own.
    plain = origin(serve(reply(TEXT, fields=[HTML])))
    packed = sluice(plain, **compression(encodings=[coding]))
    asked = Client(packed.address).request(fields=[("Accept-Encoding", coding)])
    assert asked.get("content-encoding") == coding
    app = origin(serve(reply(asked.body, fields=[HTML, ("Content-Encoding", coding)])))
    wire = client(sluice(app, **compression(encodings=["gzip"])))
    got = wire.request()
    assert got.body == TEXT
    assert got.get("content-encoding") is None and got.get("vary") == "Accept-Encoding"
    got = wire.request(fields=[("Accept-Encoding", coding)])
    assert got.body == asked.body and got.get("content-encoding") == coding


def test_a_broken_response_is_cut_not_ended(sluice, origin, client):
    broken = gzip.compress(TEXT)[:-9]
    app = origin(serve(reply(broken, fields=[HTML, ("Content-Encoding", "gzip")])))
    proxy = sluice(app, **compression(encodings=["gzip"]))
    with pytest.raises((Truncated, ConnectionError)):
        got = client(proxy).request()
        assert got.status == 500
        raise Truncated()


# ---------------------------------------------------------------- Streams
@pytest.mark.parametrize("coding", ["gzip"] + [c for c in CURL_TAKES if c in ("br", "zstd")])
def test_an_event_is_not_kept_back(sluice, origin, client, coding):
    """The origin sends the next event only when the last one has come out as it went in."""
    events = [b"data: event %d\n\n" % n for n in range(20)]
    here, there = socket.socketpair()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for event in events:
            connection.send(chunk(event))
            assert there.recv(1) == b"x"
        connection.send(b"0\r\n\r\n")

    proxy = sluice(origin(script), **compression(encodings=[coding]))
    with Decoder(coding) as decoder:
        wire = client(proxy)
        wire.send(request(fields=[("Accept-Encoding", coding)]))
        assert wire.head().get("content-encoding") == coding
        for event in events:
            got = b""
            while got != event:
                got += decoder.feed(one_chunk(wire))
            here.send(b"x")
        while data := one_chunk(wire):
            assert decoder.feed(data) == b""


class Decoder:
    """gzip by zlib; of the others, whose bytes can't be read here, only that they come: each event
    makes a chunk of its own."""

    def __init__(self, coding):
        self.zlib = zlib.decompressobj(31) if coding == "gzip" else None
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def feed(self, data):
        if self.zlib:
            return self.zlib.decompress(data)
        self.count += 1
        return b"data: event %d\n\n" % (self.count - 1) if self.count <= 20 else b""


def one_chunk(wire):
    size = int(wire.until(b"\r\n"), 16)
    return wire.read(size + 2)[:-2]


def test_clients_that_leave_give_their_streams_back(sluice, origin):
    big = os.urandom(1 << 20)
    app = origin(serve(reply(big, fields=[HTML])))
    proxy = sluice(app, **compression(encodings=["gzip"], max_streams=2))
    for _ in range(20):
        wire = Client(proxy.address, receive_buffer=4096)
        wire.send(request(fields=TAKES_GZIP))
        wire.until(b"\r\n\r\n")
        wire.reset()

    def encodes():
        got = Client(proxy.address).request(fields=TAKES_GZIP)
        return got.get("content-encoding") == "gzip" and gunzip(got.body) == big

    # The last one's end may not have been seen yet.
    eventually(encodes, "streams to be free again")


# ---------------------------------------------------------------- Requests
def echo(head):
    return reply(head.body, fields=[("Content-Type", "application/octet-stream")])


def test_an_origin_gets_plain_requests(sluice, origin, client):
    app = origin(serve(echo))
    wire = client(sluice(app, **compression(decode_requests=True)))
    for codings, body in [("gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT)),
                          ("gzip, deflate", zlib.compress(gzip.compress(TEXT))),
                          ("x-gzip", gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]))]:
        got = wire.request("POST", fields=[("Content-Encoding", codings)], body=body)
        assert got.status == 200 and got.body == TEXT
        assert app.requests[-1].get("content-encoding") is None


def post(proxy, body, coding="gzip"):
    return Client(proxy.address).request(
        "POST", fields=[("Content-Encoding", coding), ("Connection", "close")], body=body)


def test_uploads_that_end_early_give_their_streams_back(sluice, origin):
    proxy = sluice(origin(serve(echo)), **compression(decode_requests=True, max_streams=1))
    body = gzip.compress(os.urandom(50_000))
    for _ in range(10):
        wire = Client(proxy.address)
        wire.send(request("POST", fields=[("Content-Encoding", "gzip")], body=body)[:-20_000])
        wire.reset()
    eventually(lambda: post(proxy, gzip.compress(b"x")).status == 200, "the decoder to be free")


def test_a_bomb_is_refused(sluice, origin):
    app = origin(serve(echo))
    proxy = sluice(app, **compression(decode_requests={"max_size": "1MiB", "max_ratio": 100000}))
    assert post(proxy, gzip.compress(bytes(1 << 20))).status == 200
    assert post(proxy, gzip.compress(bytes((1 << 20) + 1))).status == 413
    before = proxy.rss("VmHWM")
    bomb = gzip.compress(bytes(200 << 20))
    for _ in range(5):
        assert post(proxy, bomb).status == 413
    assert proxy.rss("VmHWM") - before < 16 << 20
    assert Client(proxy.address).request("POST", body=b"x").body == b"x"


def test_what_is_no_gzip_is_refused(sluice, origin):
    proxy = sluice(origin(serve(echo)), **compression(decode_requests=True))
    good = gzip.compress(b"hello")
    for body in [good[:-1], good + b"x", b"hello", good[:5]]:
        assert post(proxy, body).status == 400
    refused = post(proxy, good, coding="compress")
    assert refused.status == 415 and refused.get("accept-encoding").startswith("gzip, deflate")
    assert post(proxy, good, coding="gzip, gzip, gzip").status == 415
    assert post(proxy, good).body == b"hello"


def test_random_bodies_do_no_harm(sluice, origin):
    proxy = sluice(origin(serve(echo)), **compression(decode_requests=True))
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    good = gzip.compress(TEXT[:3000])
    for _ in range(150):
        body = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        assert post(proxy, bytes(body)).status in (200, 400, 413), "seed %d" % seed
    assert post(proxy, good).body == TEXT[:3000]


# ---------------------------------------------------------------- The file, and the example
def test_validate():
    done = harness.run("plugin", "validate", os.path.join(harness.PLUGINS, "libCompression.so"),
                       "--iterations", "50", timeout=50)
    assert done.returncode == 0, done.stdout


def test_inspect_says_what_was_found():
    path = os.path.join(harness.PLUGINS, "libCompression.so")
    done = harness.run("plugin", "inspect", "--load", path)
    assert re.search(r"^says: +Compresses and decodes by what is here: zlib 1\.", done.stdout, re.M)
    # Without running the library nobody can know.
    assert "says:" not in harness.run("plugin", "inspect", path).stdout


def test_the_log_says_what_was_found(sluice, origin):
    proxy = sluice(origin(serve(reply())), **compression())
    assert re.search(r"found zlib 1\.\d", proxy.log)


def test_check_names_the_key(tmp_path):
    path = tmp_path / "sluice.json"
    path.write_text(json.dumps(manifest("127.0.0.1:9", **compression(levels={"gzip": 12}))))
    done = harness.run("check", "--no-bind", "--manifest", str(path))
    assert done.returncode == 78
    assert "plugins.pack.config.levels.gzip" in done.stderr


EXAMPLE = os.path.join(ROOT, "examples/compression/sluice.json5")


def test_the_example(tmp_path, origin, client):
    app = origin(serve(lambda head: echo(head) if head.method == "POST"
                       else reply(TEXT, fields=[HTML])))
    with open(EXAMPLE) as file:
        text = file.read()
    for old, new in [("version: 1,", "version: 1, plugin_dir: %r," % harness.PLUGINS),
                     ('listen: ":8080"', 'listen: "127.0.0.1:0"'),
                     ('"127.0.0.1:3000"', '"%s"' % app.address)]:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "example.json5"
    path.write_text(text)
    proxy = harness.Sluice(tmp_path, {}, prefix=("sh", "-c", 'exec "$0" run --manifest %s' % path))
    try:
        wire = client(proxy)
        assert gunzip(wire.request(fields=TAKES_GZIP).body) == TEXT
        got = wire.request("POST", target="/upload", body=gzip.compress(TEXT),
                           fields=[("Content-Encoding", "gzip")])
        assert got.body == TEXT
    finally:
        proxy.close()
