"""HTTP/2 to clients and HTTP/1.1 to origins: whole exchanges, with our client and with others'."""
import re
import signal
import subprocess
import threading

import pytest

import h2server
import wire
from h2wire import (
    CANCEL, H2, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, NO_ERROR, REFUSED_STREAM, WINDOW_MAX,
    get, post)
from harness import serve
from wire import DEADLINE, Truncated, chunk, reply

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module", autouse=True)
def spoken(tmp_path_factory):
    h2server.need(tmp_path_factory.mktemp("need"))


@pytest.fixture
def h2(sluice):
    """A proxy with an h2c listener in front of an origin, and a client of it."""
    made = []

    def make(*peers, settings=(), **options):
        listener = {**h2server.H2C, **options.pop("listener", {})}
        proxy = sluice(*peers, listener=listener, **options)
        made.append(H2(proxy.address).open(*settings))
        return proxy, made[-1]

    yield make
    for c in made:
        c.close()


def url(proxy, path="/"):
    return "http://%s:%d%s" % (*proxy.address, path)


def tool(*argv, **options):
    return subprocess.run(argv, capture_output=True, timeout=DEADLINE * 3, **options)


# ------------------------------------------------------------------ others' clients
def test_curl(h2, origin):
    proxy, _ = h2(origin(serve(lambda r: reply(r.method.encode() + r.body))))
    got = tool("curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}",
               "-d", "body", url(proxy))
    assert (got.stdout, got.stderr) == (b"POSTbody 2 200", b"")


def test_curl_with_a_large_upload(h2, origin, tmp_path):
    body = wire.pattern(15_000_000)
    (tmp_path / "body").write_bytes(body)
    proxy, _ = h2(origin(serve(lambda r: reply(r.body))))
    got = tool("curl", "-sS", "--http2-prior-knowledge", "-H", "Expect:", "--data-binary",
               "@%s" % (tmp_path / "body"), url(proxy))
    assert got.stdout == body and got.stderr == b""


def test_http1_on_the_same_port(h2, origin, client):
    """Also for a client that offers to upgrade: RFC 9113 section 3.1 retired that."""
    proxy, _ = h2(origin(serve(reply(b"one"))))
    c = client(proxy)
    assert c.request().body == b"one"
    answer = c.request(fields=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
                               ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    assert (answer.status, answer.body) == (200, b"one")
    got = tool("curl", "-sS", "--http2", "-w", " %{http_version}", url(proxy))
    assert got.stdout == b"one 1.1"


def test_nghttp(h2, origin):
    proxy, _ = h2(origin(serve(lambda r: reply(wire.pattern(1_000_000)))))
    got = tool("nghttp", "-ns", "-m", "20", url(proxy))
    assert got.returncode == 0, got.stderr
    assert len(re.findall(rb" 200 +976K", got.stdout)) == 20, got.stdout


def test_h2load_with_1000_streams_at_a_time(h2, origin):
    proxy, _ = h2(origin(serve(reply(b"x" * 1_000))), listener={"limits": {"requests": 100_000}})
    got = tool("h2load", "-n", "20000", "-c", "10", "-m", "100", url(proxy))
    assert b"20000 succeeded, 0 failed, 0 errored" in got.stdout, got.stdout


# ------------------------------------------------------------------ translation to HTTP/1.1
def test_a_request_becomes_http1(h2, origin):
    app = origin(serve(reply()))
    _, c = h2(app)
    assert c.fetch(get("/p?q", extra=[("x-a", "1"), ("te", "trailers")])).status == 200
    seen = app.requests[0]
    assert (seen.start, seen.get("host"), seen.get("x-a")) == (b"GET /p?q HTTP/1.1", "test", "1")
    assert not [n for n, _ in seen.fields if n.startswith(":")]
    assert seen.get("content-length") is None and seen.get("transfer-encoding") is None


@pytest.mark.parametrize("fields,data,framings", [
    (post(), None, ["0"]), (post(), b"", ["0", "chunked"]), (get(), None, [None]),
    (get(), b"", [None, "chunked"]), (post(), b"four", ["chunked"]),
    (post(extra=[("content-length", "4")]), b"four", ["4"])],
    ids=["POST, at once", "POST, empty DATA", "GET", "GET, empty DATA", "POST", "POST of a length"])
def test_the_framing_of_a_request(h2, origin, fields, data, framings):
    """A POST says that it has no content; a GET has none to speak of. What is not known when the
    head is written may be chunked."""
    app = origin(serve(lambda r: reply(r.body)))
    _, c = h2(app)
    assert bytes(c.fetch(fields, data).body) == (data or b"")
    seen = app.requests[0]
    assert ("chunked" if seen.chunked else seen.get("content-length")) in framings
    assert not (seen.chunked and seen.get("content-length"))


def test_fields_of_the_hop_stay_there(h2, origin):
    """`H2` refuses them in every response."""
    fields = [("Connection", "x-hop, keep-alive"), ("Keep-Alive", "timeout=5"), ("X-Hop", "1"),
              ("X-End", "2"), ("Proxy-Connection", "keep-alive")]
    _, c = h2(origin(serve(reply(fields=fields))))
    answer = c.fetch()
    assert (answer.get("x-end"), answer.get("x-hop"), answer.get("content-length")) == (
        "2", None, "2")


def test_a_chunked_response(h2, origin):
    _, c = h2(origin(serve(CHUNKED + chunk(b"one") + chunk(b"two") + b"0\r\n\r\n")))
    assert bytes(c.fetch().body) == b"onetwo"


def test_a_response_that_ends_with_its_connection(h2, origin):
    app = origin(lambda c: (c.read_request(), c.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")))
    _, c = h2(app)
    for _ in range(2):
        assert bytes(c.fetch().body) == b"until the end"


@pytest.mark.parametrize("raw,method,status", [
    (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", 204),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", "GET", 304),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "HEAD", 200),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", 200)])
def test_responses_without_content(h2, origin, raw, method, status):
    _, c = h2(origin(serve(raw)))
    for _ in range(3):
        answer = c.fetch(get(method=method))
        assert (answer.status, answer.ended, bytes(answer.body)) == (status, True, b"")
    assert method != "HEAD" or answer.get("content-length") == "100"


def test_trailers_of_a_request(h2, origin):
    """To an origin that takes chunks."""
    app = origin(serve(lambda r: reply(r.body)))
    _, c = h2(app)
    stream = c.request(post(), end=False)
    c.data(stream, b"body")
    c.headers(stream, [("x-sum", "42")])
    assert bytes(c.response(stream).body) == b"body"
    assert ("x-sum", "42") in [(n.lower(), v) for n, v in app.requests[0].trailers]


def test_trailers_of_a_response(h2, origin):
    _, c = h2(origin(serve(CHUNKED + chunk(b"body") + b"0\r\nX-Sum: 42\r\n\r\n")))
    answer = c.fetch(get(extra=[("te", "trailers")]))
    assert (bytes(answer.body), answer.trailers) == (b"body", [("x-sum", "42")])


def test_interim_responses(h2, origin):
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preconnect\r\n\r\n"
    _, c = h2(origin(serve(hint + hint + reply(b"done"))))
    answer = c.fetch()
    assert [dict(i)[":status"] for i in answer.interim] == ["103", "103"]
    assert dict(answer.interim[0])["link"] == "</a.css>; rel=preconnect"
    assert (answer.status, bytes(answer.body)) == (200, b"done")


def test_expect_100_continue(h2, origin):
    """The client waits for 100 before it sends its body."""
    def script(c):
        head = c.read_head()
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        c.send(reply(c.read_body(head).body))

    _, c = h2(origin(script))
    stream = c.request(post(extra=[("expect", "100-continue"), ("content-length", "4")]), end=False)
    c.until(lambda: c.streams[stream].interim, "100")
    assert dict(c.streams[stream].interim[0])[":status"] == "100"
    c.data(stream, b"four", end=True)
    assert bytes(c.response(stream).body) == b"four"


# ------------------------------------------------------------------ streams side by side
def test_uploads_and_downloads_at_once(h2, origin):
    body = wire.pattern(5_000_000)
    app = origin(serve(lambda r: reply(r.body or body)))
    _, c = h2(app, settings=[(INITIAL_WINDOW_SIZE, 1 << 20)])
    c.credits = True
    down = [c.request(get()) for _ in range(4)]
    up = [c.request(post(), end=False) for _ in range(2)]
    for stream in up:
        c.upload(stream, body)
    for stream in down + up:
        assert bytes(c.response(stream).body) == body


def test_both_directions_of_one_stream(h2, origin):
    """As gRPC does: each message is answered before the next is sent. Nothing is held back."""
    def script(c):
        c.read_head()
        c.send(CHUNKED)
        while True:
            size = int(c.until(b"\r\n"), 16)
            data = c.read(size + 2)[:size]
            c.send(chunk(b"<" + data + b">") if size else b"0\r\n\r\n")
            if not size:
                return

    _, c = h2(origin(script))
    stream = c.request(post(), end=False)
    expected = b""
    for i in range(100):
        c.data(stream, b"%d" % i)
        expected += b"<%d>" % i
        c.until(lambda: len(c.streams[stream].body) >= len(expected), "the echo")
        assert bytes(c.streams[stream].body) == expected
    c.data(stream, b"", end=True)
    assert c.response(stream).ended


def test_a_slow_reader_slows_nobody_else(h2, origin):
    """Neither in its connection nor in others; and its origin is held up, not buffered."""
    body = wire.pattern(8_000_000)
    app = origin(serve(lambda r: reply(body if r.target == "/large" else b"ok")))
    proxy, c = h2(app, settings=[(INITIAL_WINDOW_SIZE, 1_000)])
    before = proxy.rss()
    slow = [c.request(get("/large")) for _ in range(20)]
    for _ in range(200):
        assert bytes(c.fetch().body) == b"ok"
    assert proxy.rss() - before < 32 << 20
    c.credit(0, 1 << 30)
    c.credit(slow[0], len(body))
    assert bytes(c.response(slow[0]).body) == body
    assert all(len(c.streams[s].body) == 1_000 for s in slow[1:])


@pytest.mark.parametrize("said", [[("priority", "u=3, i")], []], ids=["i", "nothing"])
def test_streams_share_the_connection(h2, origin, said):
    """Fifty responses, incremental (RFC 9218 section 4.2) or of a client that knows no priorities:
    when the first is done the others have about as much."""
    body = wire.pattern(300_000)
    _, c = h2(origin(serve(reply(body))), settings=[(INITIAL_WINDOW_SIZE, 1 << 20)])
    streams = [c.request(get(extra=said)) for _ in range(50)]
    c.until(lambda: all(c.streams[s].fields for s in streams), "the heads")
    c.ping()
    c.credit(0, WINDOW_MAX // 2)
    c.until(lambda: any(c.streams[s].ended for s in streams), "the first end")
    least = min(len(c.streams[s].body) for s in streams)
    assert least > len(body) // 4, "one stream has %d octets of %d" % (least, len(body))
    for stream in streams:
        assert bytes(c.response(stream).body) == body


def test_urgent_responses_go_first(h2, origin):
    """RFC 9218 section 4.1: a waiting one of a higher urgency takes the window that comes."""
    body = wire.pattern(200_000)
    _, c = h2(origin(serve(reply(body))), settings=[(INITIAL_WINDOW_SIZE, 1 << 20)])
    late = [c.request(get(extra=[("priority", "u=7")])) for _ in range(5)]
    total = lambda: sum(len(s.body) for s in c.streams.values())
    c.until(lambda: total() == 65_535, "the connection's window")
    urgent = c.request(get(extra=[("priority", "u=0")]))
    c.until(lambda: c.streams[urgent].fields, "the head")
    # In steps: the window is never larger than what has come of the urgent one.
    while not c.streams[urgent].ended:
        have = total()
        c.ping()
        c.credit(0, 10_000)
        c.until(lambda: total() == have + 10_000 or c.streams[urgent].ended, "10,000 octets")
    assert sum(len(c.streams[s].body) for s in late) < 65_535 + 30_000
    c.credit(0, 1 << 30)
    for stream in late + [urgent]:
        assert bytes(c.response(stream).body) == body


def test_1000_streams_of_one_connection(h2, origin):
    """In flights of as many as the server takes."""
    _, c = h2(origin(serve(lambda r: reply(r.target.encode()))))
    most = c.peer[MAX_CONCURRENT_STREAMS]
    paths = ["/%d" % i for i in range(1_000)]
    while paths:
        flight = [(c.request(get(p)), p) for p in paths[:most]]
        paths = paths[most:]
        for stream, path in flight:
            assert bytes(c.response(stream).body) == path.encode()


# ------------------------------------------------------------------ what goes wrong
def test_an_origin_that_is_not_there(h2):
    _, c = h2("127.0.0.1:9")
    answer = c.fetch()
    assert (answer.status, answer.ended) == (502, True)
    assert c.fetch().status == 502


def test_an_origin_that_dies_before_its_head(h2, origin):
    _, c = h2(origin(lambda c: c.read_request()))
    assert c.fetch(post(), b"body").status == 502


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
                                  CHUNKED + chunk(b"part")], ids=["sized", "chunked"])
def test_an_origin_that_dies_in_its_body(h2, origin, head):
    """What came is passed on, the stream is reset, and others go on."""
    release, seen = threading.Event(), threading.Event()

    def script(c):
        if c.read_request().target == "/other":
            assert release.wait(DEADLINE)
            c.send(reply(b"fine"))
        else:
            c.send(head)
            assert seen.wait(DEADLINE)

    _, c = h2(origin(script))
    other = c.request(get("/other"))
    dying = c.request(get("/dies"))
    c.until(lambda: c.streams[dying].body, "a part")
    seen.set()
    answer = c.response(dying)
    assert (answer.status, bytes(answer.body), answer.ended) == (200, b"part", False)
    assert answer.reset not in (None, NO_ERROR)
    release.set()
    assert bytes(c.response(other).body) == b"fine"


@pytest.mark.parametrize("when", ["waiting", "sending", "receiving"])
def test_a_reset_reaches_the_origin(h2, origin, when):
    """Its connection is closed; the client's others go on."""
    def script(c):
        head = c.read_head()
        if head.target != "/":
            if when == "receiving":
                c.send(CHUNKED + chunk(b"first"))
            h2server.hold(c)
        else:
            c.send(reply())

    app = origin(script)
    _, c = h2(app)
    stream = c.request(post("/hold") if when == "sending" else get("/hold"), end=when != "sending")
    if when == "receiving":
        c.until(lambda: c.streams[stream].body, "a part")
    app.wait_requests(1)
    c.rst(stream, CANCEL)
    app.wait_closed(1)
    assert c.fetch().status == 200


def test_a_client_that_goes_reaches_all_origins(h2, origin):
    app = origin(lambda c: (c.read_head(), h2server.hold(c)))
    _, c = h2(app)
    for _ in range(20):
        c.request(get("/hold"))
    app.wait_requests(20)
    c.reset()
    app.wait_closed(20)


def test_an_early_response(h2, origin):
    """Complete before the request is: it arrives, then the client is told to stop."""
    _, c = h2(origin(lambda c: (c.read_head(), c.send(reply(b"early")), c.rest())))
    stream = c.request(post(), end=False)
    c.until(lambda: c.streams[stream].ended, "the response")
    assert bytes(c.streams[stream].body) == b"early"
    try:
        c.upload(stream, b"x" * 2_000_000)
    except AssertionError:
        pass  # the stream ended, as it should
    c.ping()
    assert c.streams[stream].reset in (None, NO_ERROR)
    assert c.fetch(post(), b"x").status == 200


def test_a_request_that_is_too_large(h2, origin):
    """413 as in HTTP/1, by length and by what comes; the connection goes on."""
    app = origin(serve(reply()))
    _, c = h2(app, listener={"limits": {"body": "1KiB"}})
    stream = c.request(post(extra=[("content-length", "1025")]), end=False)
    assert c.response(stream).status == 413
    stream = c.request(post(), end=False)
    c.data(stream, b"x" * 1_025)
    answer = c.response(stream)
    assert answer.status == 413 or answer.reset is not None
    assert c.fetch(post(), b"x" * 1_024).status == 200


def test_a_head_that_is_too_large(h2, origin):
    app = origin(serve(reply()))
    _, c = h2(app, listener={"limits": {"head": "2KiB"}})
    assert c.fetch(get(extra=[("x", "v" * 4_096)])).status == 431
    assert c.fetch().status == 200
    assert len(app.requests) == 1


def test_the_limit_of_requests_of_a_connection(h2, origin):
    """At it the client is told by GOAWAY, everything up to its last stream is answered, and nothing
    else reaches the origin."""
    app = origin(serve(reply()))
    _, c = h2(app, listener={"limits": {"requests": 10}})
    for _ in range(15):
        c.request()
    c.drained()
    last, code, _ = c.goaway[-1]
    assert code == NO_ERROR
    answered = [n for n, s in c.streams.items() if s.ended and s.status == 200]
    assert answered == list(range(1, last + 1, 2))
    assert len(app.requests) == len(answered) >= 10


# ------------------------------------------------------------------ the end of the process
def test_term_lets_streams_finish(h2, origin):
    """RFC 9113 section 6.8: a GOAWAY with 2^31-1 says that the end is near; a second one names the
    last stream. What was begun is served, also what was on its way; then the connection ends."""
    release = threading.Event()

    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            if head.target == "/slow":
                assert release.wait(DEADLINE)
            c.send(reply(head.target.encode()))

    app = origin(script)
    proxy, c = h2(app)
    slow = c.request(get("/slow"))
    app.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    c.until(lambda: c.goaway, "GOAWAY")
    assert c.goaway[0][:2] == (WINDOW_MAX, NO_ERROR)
    late = c.request(get("/late"))
    assert bytes(c.response(late).body) == b"/late"
    c.until(lambda: len(c.goaway) > 1, "the second GOAWAY")
    assert c.goaway[1][:2] == (late, NO_ERROR)
    release.set()
    assert bytes(c.response(slow).body) == b"/slow"
    c.drained()
    assert proxy.wait_end() == 0


def test_streams_behind_the_last_goaway_are_not_served(h2, origin):
    """The client may try them elsewhere: none of them reached the origin."""
    app = origin(lambda c: (c.read_head(), h2server.hold(c)))
    proxy, c = h2(app)
    c.request(get("/hold"))
    app.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    c.until(lambda: c.goaway and c.goaway[-1][0] < WINDOW_MAX, "the second GOAWAY")
    late = c.request(get("/late"))
    try:
        c.ping()
        assert c.streams[late].status is None
        assert c.streams[late].reset in (None, REFUSED_STREAM)
    except Truncated:
        pass
    assert [r.target for r in app.requests] == ["/hold"]
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_end() == 0


def test_term_ends_an_idle_connection(h2, origin):
    proxy, c = h2(origin(serve(reply())))
    assert c.fetch().status == 200
    proxy.signal(signal.SIGTERM)
    c.drained()
    assert c.goaway and c.goaway[-1][1] == NO_ERROR
    assert proxy.wait_end() == 0


def test_no_request_is_lost_by_term(h2, origin):
    """Every stream up to the one that the last GOAWAY names is answered whole."""
    app = origin(serve(reply(b"x" * 10_000)))
    proxy, c = h2(app)
    c.credits = True
    for _ in range(50):
        c.request()
    proxy.signal(signal.SIGTERM)
    c.drained()
    last = c.goaway[-1][0]
    for number, stream in c.streams.items():
        if number <= last:
            assert (stream.status, len(stream.body), stream.ended) == (200, 10_000, True)
        else:
            assert stream.status is None
    assert proxy.wait_end() == 0
