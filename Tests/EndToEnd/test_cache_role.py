"""The cache's role (`sluice.cache/1`): every verdict, what follows it, and every failure."""
import gzip
import hashlib
import json
import re

import pytest

import harness
from h2wire import H2, get
from harness import serve
from keeper import (LARGE, ended, fetch_h2, keeper, library, page, stats)  # noqa: F401
from wire import chunk, pattern, reply, request


def test_a_miss_is_stored_and_then_hit(keeper, origin, client):
    app = origin(page(b"the page"))
    p = keeper(app)
    c = client(p)
    first, second = c.request(target="/a"), c.request(target="/a")
    assert (first.body, second.body) == (b"the page", b"the page")
    assert first.get("x-kept") is None and second.get("x-kept") == "yes"
    assert (second.get("age"), second.get("etag")) == ("7", '"1"')
    assert second.get("content-length") == "8" and second.get("date")
    assert len(app.requests) == 1
    ended(p, "/a", cache=2, status=200)
    ended(p, "/a", cache=3, status=200)


def test_the_origin_is_asked_for_the_whole(keeper, origin, client):
    app = origin(page())
    c = client(keeper(app))
    fields = [("Range", "bytes=0-1"), ("If-Range", '"1"'), ("If-None-Match", '"2"'),
              ("If-Match", '"3"'), ("If-Modified-Since", "x"), ("If-Unmodified-Since", "y")]
    assert c.request(fields=fields).status == 200
    asked = app.requests[0]
    assert asked.get("if-none-match") == '"kept"'  # the plugin's own, and no other
    for name in ("range", "if-range", "if-match", "if-modified-since", "if-unmodified-since"):
        assert asked.get(name) is None, name
    # With BYPASS the request is left as it is.
    assert c.request(target="/b", fields=fields + [("x-lookup", "bypass")]).status == 200
    assert app.requests[1].get("range") == "bytes=0-1"
    assert app.requests[1].get("if-none-match") == '"2"'


def test_bypass_and_respond(keeper, origin, client):
    app = origin(page())
    p = keeper(app)
    c = client(p)
    assert c.request(target="/b", fields=[("x-lookup", "bypass")]).body == b"page"
    ended(p, "/b", cache=1)
    got = c.request(target="/r", fields=[("x-lookup", "respond")])
    assert (got.status, got.body, got.get("x-made")) == (299, b"made here", "here")
    assert len(app.requests) == 1
    assert stats(p)["stores"] == 0


def test_head_and_an_empty_body(keeper, origin, client):
    app = origin(serve(lambda r: reply(b"" if r.target == "/empty" else b"page")))
    c = client(keeper(app))
    for target, length in (("/page", "4"), ("/empty", "0")):
        c.request(target=target)
        head = c.request("HEAD", target)
        assert (head.status, head.get("content-length"), head.get("x-kept")) == (200, length, "yes")
        assert c.request(target=target).get("content-length") == length
    assert len(app.requests) == 2


@pytest.mark.parametrize("how", ["", "unknown", "file", "short", "again:0", "again:500000"])
@pytest.mark.parametrize("speaks", ["h1", "h1.0", "h2"])
def test_a_large_hit_byte_for_byte(keeper, origin, client, how, speaks):
    body = pattern(LARGE)
    app = origin(page(body))
    p = keeper(app)
    c = client(p)
    assert c.request(target="/x").body == body
    fields = [("x-read", how)] if how else []
    if speaks == "h2":
        status, got, received = fetch_h2(p.address, "/x", fields)
        assert (status, got["x-kept"], received) == (200, "yes", body)
        return
    version = "1.0" if speaks == "h1.0" else "1.1"
    got = c.request(target="/x", fields=fields, version=version)
    assert (got.status, got.get("x-kept")) == (200, "yes")
    assert got.body == body
    if how == "unknown":
        assert got.get("content-length") is None
        assert got.chunked == (version == "1.1")
    else:
        assert got.get("content-length") == str(len(body))
    if version == "1.1":
        assert c.request(target="/x").body == body
    assert len(app.requests) == 1


@pytest.mark.parametrize("how", ["", "file"])
@pytest.mark.parametrize("alpn", [None, "h2"])
def test_a_large_hit_over_tls(keeper, origin, leaf, ca, connect, how, alpn):
    body = pattern(LARGE)
    app = origin(page(body))
    p = keeper(app, listener={"tls": {"certificates": [leaf.entry]}, "protocols": ["h1", "h2"]})
    c = connect(p)
    assert c.request(target="/x").body == body
    fields = [("x-read", how)] if how else []
    if alpn:
        context = ca.client_context()
        context.set_alpn_protocols(["h2"])
        assert fetch_h2(p.address, "/x", fields, tls=context)[2] == body
    else:
        assert c.request(target="/x", fields=fields).body == body
    counts = [c.request(target="/stats").body for _ in range(1)][0]
    assert b'"readers":1' in counts and b'"closes":1' in counts
    p.stop()


@pytest.mark.parametrize("speaks", ["h1", "h2"])
@pytest.mark.parametrize("how", ["", "file"])
def test_parts(keeper, origin, client, speaks, how):
    body = pattern(300_000)
    p = keeper(origin(page(body)))
    c = client(p)
    c.request(target="/p")
    fields = [("x-parts", "0-9,100-100,1000-250999"), ("x-read", how)]
    want = (b"[0-9]" + body[:10] + b"[100-100]" + body[100:101]
            + b"[1000-250999]" + body[1000:251_000])
    if speaks == "h2":
        status, got, received = fetch_h2(p.address, "/p", fields)
        assert (status, received) == (206, want)
        assert got["content-length"] == str(len(want))
    else:
        got = c.request(target="/p", fields=fields)
        assert (got.status, got.body) == (206, want)


def test_a_part_behind_the_end_is_cut(keeper, origin, client):
    p = keeper(origin(page(b"0123456789")))
    c = client(p)
    c.request(target="/p")
    c.send(request(target="/p", fields=[("x-parts", "5-20")]))
    assert c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 206")
    assert c.rest() == b"[5-20]56789"
    p.wait_log("has not the whole")


def test_texts_without_a_reader(keeper, origin, client):
    p = keeper(origin(page()))
    c = client(p)
    for _ in range(2):
        got = c.request(fields=[("x-lookup", "text")])
        assert (got.status, got.body, got.get("x-made")) == (416, b"one two", "text")
    assert stats(p)["readers"] == 0


@pytest.mark.parametrize("how", [
    "bad-status", "bad-field", "framing", "fail", "bare-wait", "method"])
@pytest.mark.parametrize("on_error", ["open", "closed:503"])
def test_a_lookup_that_fails(keeper, origin, client, how, on_error):
    app = origin(page())
    p = keeper(app, on_error=on_error)
    c = client(p)
    got = c.request(fields=[("x-lookup", how)])
    if on_error == "open":
        assert (got.status, got.body) == (200, b"page")
    else:
        assert (got.status, app.requests) == (503, [])
    ended(p, "/", cache=1)
    p.wait_log("plugin keeper failed in phase 1")
    assert stats(p)["stores"] == 0


@pytest.mark.parametrize("how", ["fail", "bad-edit"])
@pytest.mark.parametrize("on_error", ["open", "closed:500"])
def test_an_admission_that_fails(keeper, origin, client, how, on_error):
    p = keeper(origin(page()), on_error=on_error)
    c = client(p)
    got = c.request(fields=[("x-admit", how)])
    assert got.status == (200 if on_error == "open" else 500)
    assert c.request(target="/other").status == 200


@pytest.mark.parametrize("how", ["fail", "broken:0"])
def test_a_first_read_that_fails(keeper, origin, client, how):
    """Nothing of the answer has gone out yet."""
    body = pattern(100_000)
    p = keeper(origin(page(body)))
    c = client(p)
    c.request(target="/x")
    assert c.request(target="/x", fields=[("x-read", how)]).status == 500
    assert c.request(target="/x").body == body
    status, _, _ = fetch_h2(p.address, "/x", [("x-read", how)])
    assert status == 500


def test_a_break_in_the_middle_shows(keeper, origin, client):
    body = pattern(100_000)
    p = keeper(origin(page(body)))
    c = client(p)
    c.request(target="/x")
    c.send(request(target="/x", fields=[("x-parts", "0-99999,0-200000")]))
    c.until(b"\r\n\r\n")
    got = c.rest()
    assert got.startswith(b"[0-99999]" + body) and len(got) < 300_000
    assert fetch_h2_resets(p, "/x", [("x-parts", "0-99999,0-200000")])


def fetch_h2_resets(p, path, fields):
    c = H2(p.address)
    c.credits = True
    stream = c.open().fetch(get(path, extra=fields))
    c.close()
    return stream.reset is not None


def test_hooks_of_the_response_see_a_hit(keeper, origin, client):
    """Compression works on what is stored as it came."""
    body = b"text to be pressed " * 20_000
    app = origin(page(body, [("Content-Type", "text/plain")]))
    p = keeper(app, plugins={"press": {"library": "libCompression.so"}}, chain=["press"])
    c = client(p)
    fields = [("Accept-Encoding", "gzip")]
    for index in range(3):
        got = c.request(target="/t", fields=fields)
        assert got.get("content-encoding") == "gzip"
        assert gzip.decompress(got.body) == body
        assert (got.get("x-kept") == "yes") == (index > 0)
    assert c.request(target="/t").body == body
    assert len(app.requests) == 1
    status, got, received = fetch_h2(p.address, "/t", [("accept-encoding", "gzip")])
    assert gzip.decompress(received) == body


def test_an_unread_body_is_no_request(keeper, origin, client):
    """CVE-2025-4366: what a hit leaves unread is not taken for the next request."""
    app = origin(page())
    p = keeper(app)
    c = client(p)
    c.request(target="/x")
    smuggled = request(target="/smuggled")
    got = c.request(target="/x", body=smuggled)
    assert got.get("x-kept") == "yes"
    assert c.request(target="/x").get("x-kept") == "yes"
    c.send(b"GET /x HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000\r\n\r\n" + smuggled)
    assert c.response().closes
    assert c.ended()
    assert [r.target for r in app.requests] == ["/x"]


@pytest.mark.parametrize("pressed", [False, True])
def test_an_unread_body_that_never_comes(keeper, origin, client, pressed):
    app = origin(page(b"text " * 50_000, [("Content-Type", "text/plain")]))
    listener = {"protocols": ["h1"], "timeouts": {"body": "300ms"}}
    p = keeper(app, listener=listener, plugins={"press": {"library": "libCompression.so"}},
               chain=["press"])
    c = client(p)
    c.request()
    coding = b"Accept-Encoding: gzip\r\n" if pressed else b""
    c.send(b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n" + coding + b"\r\n12345")
    got = c.response()
    assert (got.get("x-kept"), got.get("content-encoding")) == ("yes", "gzip" if pressed else None)
    assert c.ended()


@pytest.mark.parametrize("length", [0, 50_000])
def test_an_answer_in_place_of_a_stream(keeper, h2origin, client, length):
    body = b"x" * length
    app = h2origin(body)
    p = keeper(app, upstream={"protocol": "h2c"})
    c = client(p)
    for _ in range(3):
        got = c.request(fields=[("x-lookup", "miss"), ("x-admit", "answer")])
        assert got.body == body
    assert got.get("x-kept") == "yes"
    assert stats(p)["readers"] == 2


def test_pass_and_an_answer_after_all(keeper, origin, client):
    app = origin(serve(lambda r: b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"
                       if r.get("x-admit") == "answer" else reply(b"page")))
    p = keeper(app)
    c = client(p)
    assert c.request(target="/a", fields=[("x-admit", "pass")]).get("x-again") == "0"
    assert c.request(target="/a").get("x-kept") is None
    # Kept now: only a route around the lookup's HIT comes to `admit` again.
    assert c.request(target="/a").get("x-kept") == "yes"
    got = c.request(target="/a", fields=[("x-lookup", "miss"), ("x-admit", "answer")])
    assert got.body == b"page"
    assert app.connections == 1


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_large_bodies_are_stored_whole(keeper, origin, client, framing):
    body = pattern(3 * LARGE + 17)

    def script(connection):
        while connection.read_request():
            if framing == "length":
                connection.send(reply(body))
            elif framing == "chunked":
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                + b"".join(chunk(body[at:at + 70_001])
                                           for at in range(0, len(body), 70_001)) + b"0\r\n\r\n")
            else:
                connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + body)
                return

    app = origin(script)
    p = keeper(app)
    c = client(p)
    assert c.request(target="/l").body == body
    got = c.request(target="/l")
    assert (got.body, got.get("content-length")) == (body, str(len(body)))
    assert fetch_h2(p.address, "/l")[2] == body
    assert len(app.requests) == 1


def test_an_origin_of_http2(keeper, h2origin, client):
    body = pattern(500_000)
    app = h2origin(body)
    p = keeper(app, upstream={"protocol": "h2c"})
    c = client(p)
    assert c.request(target="/l").body == body
    got = c.request(target="/l")
    assert (got.body, got.get("x-kept")) == (body, "yes")


@pytest.mark.parametrize("sent", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 99,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 50),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 50) + b"nonsense\r\n",
])
def test_a_response_that_breaks_is_never_stored(keeper, origin, client, sent):
    def script(connection):
        connection.read_request()
        connection.send(sent)

    p = keeper(origin(script))
    c = client(p)
    c.send(request(target="/x"))
    c.rest()
    harness.eventually(lambda: stats(p)["aborts"] == 1, "the writer is ended")
    assert stats(p)["commits"] == 0


def test_a_writer_that_refuses(keeper, origin, client):
    body = pattern(LARGE)
    app = origin(page(body))
    p = keeper(app)
    c = client(p)
    assert c.request(target="/x", fields=[("x-write", "300000")]).body == body
    assert c.request(target="/x").body == body
    assert len(app.requests) == 2
    assert (stats(p)["commits"], stats(p)["aborts"]) == (1, 1)


def test_an_interim_response_comes_before(keeper, origin, client):
    app = origin(serve(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(b"page")))
    c = client(keeper(app))
    assert [r.status for r in c.request(target="/x").interim] == [103]
    assert c.request(target="/x").interim == []
    assert len(app.requests) == 1


def test_an_upgrade_passes_by(keeper, origin, client):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        connection.send(connection.read(4))

    p = keeper(origin(script))
    c = client(p)
    got = c.request(fields=[("Connection", "upgrade"), ("Upgrade", "x")])
    assert got.status == 101
    c.send(b"ping")
    assert c.read(4) == b"ping"
    c.close()
    ended(p, "/", cache=1, status=101)


def test_a_slow_reader_costs_no_memory(keeper, origin, client):
    body = pattern(64 << 20)
    p = keeper(origin(page(body)))
    c = client(p)
    assert hashlib.sha256(c.request(target="/big").body).digest() == hashlib.sha256(body).digest()
    for how in ("", "file"):
        before = p.rss()
        readers = [client(p, receive_buffer=4096) for _ in range(8)]
        for reader in readers:
            reader.send(request(target="/big", fields=[("x-read", how)] if how else []))
        for reader in readers:
            assert b"200" in reader.until(b"\r\n\r\n")
        assert p.rss() - before < 8 << 20
        assert readers[0].read(len(body)) == body
        for reader in readers:
            reader.reset()
    for index in range(2):
        assert fetch_h2(p.address, "/big")[2] == body


def test_two_caches_on_a_route_are_refused(library, tmp_path, origin):
    made = harness.manifest(
        "127.0.0.1:9", plugins={"one": {"library": library}, "two": {"library": library}},
        chain=["one"])
    made["routes"][0].update({"name": "shop", "chain": ["two"]})
    path = tmp_path / "two.json"
    path.write_text(json.dumps(made))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode != 0
    assert re.search(r"route shop: one and two are both caches", done.stderr + done.stdout), done


def test_purge_by_the_admin_interface(keeper, origin, client, tmp_path):
    socket_path = str(tmp_path / "admin.sock")
    app = origin(page())
    p = keeper(app, admin={"listen": "unix:" + socket_path})
    c = client(p)

    def purge(*words):
        return harness.run("cache", "purge", *words, "--admin", "unix:" + socket_path)

    for target in ("/a/1", "/a/2", "/b"):
        c.request(target=target)
    done = purge("keeper", "--prefix", "/a/", "--soft")
    assert (done.returncode, done.stdout.strip()) == (0, "purged: 2"), done
    assert c.request(target="/a/1").get("x-kept") == "yes"
    assert purge("keeper", "--url", "/b").stdout.strip() == "purged: 1"
    assert purge("keeper", "--url", "/b").stdout.strip() == "purged: 0"
    assert purge("keeper", "--all").stdout.strip() == "purged: 2"
    assert c.request(target="/a/1").get("x-kept") is None
    refused = purge("keeper", "--tag", "x")
    assert refused.returncode == 1 and 'knows no tag "x"' in refused.stderr, refused
    missing = purge("other", "--all")
    assert missing.returncode == 1 and "other" in missing.stderr
    assert purge("keeper").returncode == 2
    assert purge("keeper", "--all", "--url", "/b").returncode == 2
