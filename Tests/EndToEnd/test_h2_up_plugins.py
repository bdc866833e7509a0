"""Plugins before peers of HTTP/2: hooks that wait, and requests of their own."""
import pytest

import h2origin as h2
from h2frames import INTERNAL_ERROR, REFUSED_STREAM
from harness import eventually, serve
from test_callouts import library as ask_library  # noqa: F401  a fixture
from test_phases import library, proxy  # noqa: F401  fixtures
from wire import Truncated, pattern, reply, request

OK = [(":status", "200")]
H2C_UP = {"protocol": "h2c"}


# ------------------------------------------------------------------ hooks
@pytest.mark.parametrize("how", ["now", "thread"])
@pytest.mark.parametrize("phase", ["request_headers", "upstream_request", "upstream_response",
                                   "response_headers"])
def test_hooks_that_wait(proxy, h2origin, client, phase, how):  # noqa: F811
    body = pattern(100_000)
    server = h2origin(h2.serve(lambda c, r: c.answer(
        r.id, bytes(r.body), length=False, trailers=[("x-sum", "1")])))
    p = proxy(server, plugins=[{phase: "suspend:" + how}], upstream=H2C_UP)
    c = client(p)
    for _ in range(3):
        answer = c.request("POST", body=body)
        assert (answer.body, answer.trailers) == (body, [("x-sum", "1")])
    assert server.connections == 1


def test_a_refused_stream_with_hooks_that_wait(proxy, h2origin, client):  # noqa: F811
    """Each attempt has its hooks."""
    server = h2origin(h2.serve(lambda c, r: (
        c.rst(r.id, REFUSED_STREAM) if len(server.requests) < 3 else c.answer(r.id, b"fine"))))
    p = proxy(server, plugins=[{"upstream_request": "suspend:thread"}], upstream=H2C_UP)
    assert client(p).request("POST", body=b"x").body == b"fine"
    assert len(server.requests) == 3


@pytest.mark.parametrize("how", ["goaway", "lost"])
def test_a_connection_that_ends_while_a_hook_waits(proxy, h2origin, client, how):  # noqa: F811
    """Nothing was sent yet, so the request goes over the next connection, whatever its method."""
    def script(c):
        if c.number:
            c.serve(b"fine")
            return
        # The stream waits for the hook by now, or will find the connection gone.
        c.ping()
        if how == "goaway":
            c.goaway_out(0)
            c.drained()

    server = h2origin(script)
    p = proxy(server, plugins=[{"upstream_request": "suspend:deadline"}], upstream=H2C_UP)
    for _ in range(3):
        assert client(p).request("POST", body=b"x").body == b"fine"


def test_a_peer_that_is_cut_while_a_response_waits(proxy, h2origin, client):  # noqa: F811
    def answer(c, r):
        c.headers(r.id, OK)
        c.data(r.id, b"some")
        c.rst(r.id, INTERNAL_ERROR)

    server = h2origin(h2.serve(answer))
    p = proxy(server, plugins=[{"response_headers": "suspend:thread"}], upstream=H2C_UP)
    for _ in range(5):
        try:
            assert client(p).request().status == 502
        except (Truncated, ConnectionError):
            pass


def test_bodies_through_plugins(proxy, h2origin, client):  # noqa: F811
    server = h2origin(h2.serve(lambda c, r: c.answer(r.id, bytes(r.body), length=False)))
    p = proxy(server, plugins=[{"request_body": "halves", "response_body": "halves"}],
              upstream=H2C_UP)
    body = pattern(300_000)
    c = client(p)
    for _ in range(2):
        assert len(c.request("POST", body=body).body) == len(body)


# ------------------------------------------------------------------ requests of plugins
@pytest.fixture
def asking(sluice, origin, ask_library):  # noqa: F811
    """A proxy whose plugin asks `auth` before each request to a page of HTTP/1."""

    def make(auth, http2=None, **config):
        app = origin(serve(reply(b"page")))
        p = sluice(app, plugins={"ask": {"library": ask_library, "config": config}},
                   chain=["ask"], upstreams={"auth": {
                       "peers": [auth.address], "protocol": "h2c", **(http2 or {})}})
        p.app = app
        return p

    return make


def allow(c, r):
    c.answer(r.id, b"fine", "200" if r.get("x-original") != "/bad" else "401",
             fields=[("x-user", "ann")])


@pytest.mark.parametrize("config", [{}, {"method": "POST"}], ids=["no body", "a body"])
def test_the_answer_decides(asking, h2origin, client, config):
    auth = h2origin(h2.serve(allow))
    p = asking(auth, **config)
    c = client(p)
    for _ in range(3):
        assert c.request(target="/good").body == b"page"
        assert p.app.requests[-1].get("x-user") == "ann"
        assert c.request(target="/bad").status == 403
    asked = auth.requests[-1]
    assert (asked.method, asked.path) == (config.get("method", "GET"), "/check")
    assert asked.authority == auth.address
    assert bytes(asked.body) == (b"question" if config else b"")
    assert auth.connections == 1


@pytest.mark.parametrize("size,status", [(0, 200), (1000, 200), (1001, 503)])
@pytest.mark.parametrize("length", [True, False])
def test_the_bound_of_an_answer(asking, h2origin, client, size, status, length):
    auth = h2origin(h2.serve(lambda c, r: c.answer(r.id, b"x" * size, length=length)))
    p = asking(auth, body_max=1000)
    assert client(p).request().status == status
    p.wait_log("done outcome=%d" % (3 if status == 503 else 0))


def interim(c, r):
    c.headers(r.id, [(":status", "103")])
    c.answer(r.id, b"fine", trailers=[("x", "1")])


def in_pieces(c, r):
    c.headers(r.id, OK + [("x-user", "ann")])
    for _ in range(5):
        c.data(r.id, b"x" * 100)
        c.ping()
    c.data(r.id, b"", True)


@pytest.mark.parametrize("answer", [interim, in_pieces])
def test_forms_of_an_answer(asking, h2origin, client, answer):
    p = asking(h2origin(h2.serve(answer)))
    for _ in range(2):
        assert client(p).request().body == b"page"


@pytest.mark.parametrize("answer", [
    lambda c, r: c.rst(r.id, INTERNAL_ERROR),
    lambda c, r: (c.headers(r.id, OK), c.data(r.id, b"x"), c.rst(r.id, INTERNAL_ERROR)),
    lambda c, r: c.fields_out(r.id, [(":status", "200"), ("Upper", "x")]),
    lambda c, r: (c.headers(r.id, OK + [("content-length", "5")]), c.data(r.id, b"x", True)),
    lambda c, r: c.sock.close(),
    lambda c, r: c.fields_out(99, OK),
    lambda c, r: None,
], ids=["reset", "reset within", "malformed", "too short", "lost", "idle stream", "silence"])
def test_an_answer_that_is_none(asking, h2origin, client, answer):
    auth = h2origin(h2.serve(answer))
    p = asking(auth, timeout_ms=300)
    for _ in range(3):
        assert client(p).request().status == 503
    assert not p.app.requests
    descriptors = p.descriptors()
    for _ in range(5):
        c = client(p)
        assert c.request().status == 503
        c.close()
    eventually(lambda: p.descriptors() <= descriptors + 2, "descriptors go back")


def test_a_refused_callout_is_sent_again(asking, h2origin, client):
    auth = h2origin(h2.serve(lambda c, r: (
        c.rst(r.id, REFUSED_STREAM) if len(auth.requests) == 1 else allow(c, r))))
    p = asking(auth, method="POST")
    assert client(p).request().body == b"page"
    assert len(auth.requests) == 2


def test_a_callout_at_a_connection_that_was_closed(asking, h2origin, client):
    def answer(c, r):
        allow(c, r)
        c.goaway_out(r.id)
        c.drained()
        c.sock.close()

    auth = h2origin(h2.serve(answer))
    p = asking(auth)
    for _ in range(4):
        assert client(p).request().body == b"page"


def test_a_client_leaves_while_a_callout_runs(asking, h2origin, client):
    auth = h2origin(h2.serve(lambda c, r: None if r.get("x-original") == "/x" else allow(c, r)))
    p = asking(auth)
    c = client(p)
    c.send(request(target="/x"))
    auth.wait_requests(1)
    c.reset()
    auth.wait(lambda: auth.resets, "the reset of the stream")
    assert client(p).request(target="/y").body == b"page"
    assert auth.connections == 1


def test_a_callout_in_vain_puts_its_connection_in_doubt(asking, h2origin, client):
    def answer(c, r):
        if c.number == 0 and r.get("x-original") == "/dead":
            c.silent = True
        elif not getattr(c, "silent", False):
            allow(c, r)

    class Silent(h2.H2Peer):
        silent = False

        def pong(self, payload):
            if not self.silent:
                super().pong(payload)

    auth = h2origin(h2.serve(answer))
    auth.connection = Silent
    p = asking(auth, {"http2": {"ping_timeout": "500ms"}}, timeout_ms=200)
    assert client(p).request(target="/good").body == b"page"
    assert client(p).request(target="/dead").status == 503
    assert client(p).request(target="/good").body == b"page"
    auth.wait_closed(1)
