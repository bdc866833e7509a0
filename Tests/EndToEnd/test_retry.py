"""Which requests are tried again, and where."""
import socket

import pytest

from harness import eventually, serve
from wire import chunk, pattern, reply, request

REPLAY = 64 * 1024


def dies_when_reused(c):
    """Answers one request a connection; closes at the next one without a byte of response."""
    head = c.read_request()
    if head:
        c.send(reply(head.target.encode() + b" " + head.body[:4]))
        c.read_request()


@pytest.fixture
def refusing():
    """An address that refuses connections: bound, never listening."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % s.getsockname()[1]


@pytest.fixture
def silent():
    """An address whose connects are never answered: the queue of its listener is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
        fillers.append(s)
    yield "127.0.0.1:%d" % listener.getsockname()[1]
    for s in fillers + [listener]:
        s.close()


# ------------------------------------------------- a stale pooled connection
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_an_idempotent_request_is_sent_again(sluice, origin, client, method):
    app = origin(dies_when_reused)
    c = client(sluice(app))
    assert c.request(target="/1").body == b"/1 "
    assert c.request(method, target="/2").status == 200
    assert [r.target for r in app.requests] == ["/1", "/2", "/2"]


@pytest.mark.parametrize("size", [1, 4096, REPLAY - 1, REPLAY])
def test_a_put_within_the_replay_buffer_is_sent_again(sluice, origin, client, size):
    app = origin(dies_when_reused)
    c = client(sluice(app))
    c.request(target="/1")
    body = pattern(size)
    assert c.request("PUT", "/2", body=body).body == b"/2 " + body[:4]
    assert [len(r.body) for r in app.requests] == [0, size, size]
    assert app.requests[2].body == body


def test_a_chunked_put_within_the_replay_buffer_is_sent_again(sluice, origin, client):
    app = origin(dies_when_reused)
    c = client(sluice(app))
    c.request(target="/1")
    c.send(b"PUT /2 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
           + chunk(b"abcdef") * 100 + b"0\r\nX-T: y\r\n\r\n")
    assert c.response().body == b"/2 abcd"
    assert app.requests[2].body == b"abcdef" * 100
    assert app.requests[2].trailers == [("X-T", "y")]


def test_a_put_over_the_replay_buffer_is_not(sluice, origin, client):
    app = origin(dies_when_reused)
    c = client(sluice(app))
    c.request(target="/1")
    answer = c.request("PUT", "/2", body=pattern(REPLAY + 1))
    assert answer.status == 502
    assert [r.target for r in app.requests] == ["/1", "/2"]


def test_the_replay_buffer_has_a_size(sluice, origin, client):
    app = origin(dies_when_reused)
    c = client(sluice(app, upstream={"retries": {"replay": "1KiB"}}))
    c.request(target="/1")
    assert c.request("PUT", "/2", body=b"x" * 1024).status == 200
    assert c.request("PUT", "/3", body=b"x" * 1025).status == 502


@pytest.mark.parametrize("body", [b"", b"small"])
def test_a_post_that_was_sent_whole_is_not_sent_again(sluice, origin, client, body):
    """It may have been acted upon: RFC 9110 section 9.2.2."""
    app = origin(dies_when_reused)
    c = client(sluice(app))
    c.request(target="/1")
    fields = [] if body else [("Content-Length", "0")]
    assert c.request("POST", "/2", fields, body).status == 502
    assert [r.target for r in app.requests] == ["/1", "/2"]


def test_a_connection_that_the_origin_closed_while_idle_is_not_used(sluice, origin, client):
    """Also for POST: the end was there to be seen before anything was sent."""
    def script(c):
        c.read_request()
        c.send(reply())

    app = origin(script)
    c = client(sluice(app))
    for number in range(1, 6):
        assert c.request("POST", body=b"x").status == 200
        app.wait_closed(number)
    assert len(app.requests) == app.connections == 5


def test_nothing_is_sent_again_once_a_response_byte_came(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(reply())
        c.read_request()
        c.send(b"HTTP/1.1 2")

    app = origin(script)
    c = client(sluice(app))
    c.request(target="/1")
    assert c.request(target="/2").status == 502
    assert [r.target for r in app.requests] == ["/1", "/2"]


def test_attempts_are_bounded(sluice, origin, client):
    """Every fresh connection dies too."""
    app = origin(lambda c: c.read_request())
    c = client(sluice(app, upstream={"retries": {"attempts": 3}}))
    assert c.request().status == 502
    assert 1 <= len(app.requests) <= 3


# ------------------------------------------------------------ failed connects
def test_a_refused_connect_goes_to_the_next_peer(sluice, origin, client, refusing):
    app = origin(serve(reply()))
    c = client(sluice(refusing, app))
    assert [c.request().status for _ in range(6)] == [200] * 6
    assert len(app.requests) == 6


@pytest.mark.parametrize("body", [b"x", pattern(REPLAY), pattern(1_000_000)],
                         ids=["small", "replay", "large"])
def test_a_post_goes_to_the_next_peer_when_nothing_was_sent(sluice, origin, client, refusing, body):
    app = origin(serve(lambda r: reply(b"%d" % len(r.body))))
    c = client(sluice(refusing, app))
    for _ in range(4):
        assert c.request("POST", body=body).body == b"%d" % len(body)


def test_all_peers_refuse(sluice, client, refusing):
    proxy = sluice(refusing)
    c = client(proxy)
    for _ in range(3):
        assert c.request().status == 502
    proxy.wait_log("(?i)refused")
    assert refusing in proxy.log


def test_one_attempt_means_no_other_peer(sluice, origin, client, refusing):
    app = origin(serve(reply()))
    c = client(sluice(refusing, app, upstream={"retries": {"attempts": 1}}))
    statuses = [c.request().status for _ in range(6)]
    assert set(statuses) == {200, 502}
    assert len(app.requests) == statuses.count(200)


def test_a_missing_unix_socket_is_502(sluice, client, tmp_path):
    assert client(sluice("unix:%s/none" % tmp_path)).request().status == 502


def test_a_connect_that_takes_too_long_is_504(sluice, client, silent):
    proxy = sluice(silent, upstream={"timeouts": {"connect": "200ms"}, "retries": {"attempts": 1}})
    assert client(proxy).request().status == 504
    proxy.wait_log("(?i)connect")


def test_a_connect_that_takes_too_long_goes_to_the_next_peer(sluice, origin, client, silent):
    app = origin(serve(reply()))
    c = client(sluice(silent, app, upstream={"timeouts": {"connect": "200ms"}}))
    assert [c.request().status for _ in range(4)] == [200] * 4


def test_a_client_that_leaves_during_connect_is_forgotten(sluice, origin, client, silent):
    proxy = sluice(silent, upstream={"timeouts": {"connect": "500ms"}})
    before = proxy.descriptors()
    c = client(proxy)
    c.send(request())
    c.reset()
    eventually(lambda: proxy.descriptors() <= before, "its descriptors are closed")
