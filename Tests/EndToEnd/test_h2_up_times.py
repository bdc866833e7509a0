"""Times of connections and streams to peers of HTTP/2: PINGs, timeouts, and peers that are not
there."""
import socket
import threading
import time

import pytest

import h2origin as h2
from h2frames import CANCEL
from harness import eventually
from test_h2_up_flow import OK, hold, start  # noqa: F401  a fixture
from wire import Truncated, request


def test_timeouts_first_byte(start, client):  # noqa: F811
    def answer(c, r):
        if r.path != "/x":
            c.answer(r.id)

    p, server = start(answer, timeouts={"first_byte": "300ms"})
    assert client(p).request().status == 200
    assert client(p).request(target="/x").status == 504
    server.wait_reset(CANCEL)
    assert client(p).request().status == 200
    assert server.connections == 1
    p.wait_log("timeouts.first_byte")


def test_timeouts_read(start, client):  # noqa: F811
    def answer(c, r):
        if r.path != "/x":
            c.answer(r.id)
            return
        c.headers(r.id, OK)
        c.data(r.id, b"some")

    p, server = start(answer, timeouts={"read": "300ms"})
    assert client(p).request().status == 200
    with pytest.raises((Truncated, ConnectionError)):
        client(p).request(target="/x")
    server.wait_reset(CANCEL)
    assert client(p).request().status == 200
    assert server.connections == 1


class Silent(h2.H2Peer):
    """Answers no PING once it was told to be silent."""
    silent = False
    asked = 0

    def pong(self, payload):
        self.asked += 1
        self.origin.asked = self.asked
        if not self.silent:
            super().pong(payload)


def test_a_peer_that_answers_pings_is_waited_for(start, client):  # noqa: F811
    p, server = start(hold, http2={"ping_interval": "50ms", "ping_timeout": "5s"})
    server.connection = Silent
    waiting = client(p)
    waiting.send(request(target="/wait"))
    eventually(lambda: getattr(server, "asked", 0) >= 3, "three PINGs")
    assert client(p).request(target="/release").body == b"released"
    assert waiting.response().body == b"released"
    assert server.connections == 1


def test_no_pings_without_requests(start, client):  # noqa: F811
    p, server = start(http2={"ping_interval": "50ms"})
    server.connection = Silent
    assert client(p).request().body == b"fine"
    time.sleep(0.3)
    assert getattr(server, "asked", 0) == 0


def test_a_peer_that_answers_no_pings(start, client):  # noqa: F811
    def answer(c, r):
        if c.number == 0 and r.path == "/wait":
            c.silent = True
        else:
            c.answer(r.id, b"fine")

    p, server = start(answer, http2={"ping_interval": "100ms", "ping_timeout": "200ms"})
    server.connection = Silent
    c = client(p)
    assert c.request().body == b"fine"
    # On a connection that was used before: sent again.
    assert c.request(target="/wait").body == b"fine"
    assert server.connections == 2
    p.wait_log("http2.ping_timeout: an HTTP/2 peer did not go on")


def test_requests_that_go_on_do_not_hide_a_silent_peer(start, client):  # noqa: F811
    """What is sent is no sign of life."""
    def answer(c, r):
        if r.path == "/quiet":
            c.silent = True
        elif not c.silent:
            c.answer(r.id, b"fine")

    p, server = start(answer, http2={"ping_interval": "200ms", "ping_timeout": "200ms"})
    server.connection = Silent
    assert client(p).request().body == b"fine"
    many = [client(p)]
    many[0].send(request(target="/quiet"))
    server.wait_requests(2)
    begin = time.monotonic()
    while server.connections == 1:
        assert time.monotonic() < begin + 3, "the connection is kept"
        many.append(client(p))
        many[-1].send(request(target="/more"))
        time.sleep(0.05)
    p.wait_log("http2.ping_timeout")


def test_a_connection_in_doubt_gets_no_more_streams(start, client):  # noqa: F811
    """Without ping_interval: a stream whose time is up while nothing at all came puts its
    connection in doubt; new ones go elsewhere, and it is closed when a PING is not answered."""
    def answer(c, r):
        if c.number == 0 and r.path == "/dead":
            c.silent = True
        elif not c.silent:
            c.answer(r.id, b"fine")

    p, server = start(answer, timeouts={"first_byte": "300ms"}, http2={"ping_timeout": "1s"})
    server.connection = Silent
    assert client(p).request().body == b"fine"
    assert client(p).request(target="/dead").status == 504
    for _ in range(3):
        assert client(p).request().body == b"fine"
    assert server.connections == 2
    server.wait_closed(1)
    p.wait_log("http2.ping_timeout")


def test_a_peer_that_never_answers_the_preface(sluice, h2origin, client):
    def script(c):
        c.preface()
        c.rest()

    server = h2origin(script, settings=None)
    p = sluice(server, upstream={"protocol": "h2c", "timeouts": {"first_byte": "200ms"},
                                 "http2": {"ping_timeout": "200ms"}})
    assert client(p).request().status == 504
    server.wait_closed(1)


def test_a_peer_that_takes_no_connections(sluice, client):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = "127.0.0.1:%d" % full.getsockname()[1]
        others = []
        for _ in range(3):
            other = socket.socket()
            other.setblocking(False)
            other.connect_ex(full.getsockname())
            others.append(other)
        p = sluice(address, upstream={"protocol": "h2c", "timeouts": {"connect": "300ms"},
                                      "retries": {"attempts": 1}})
        many = [client(p) for _ in range(5)]
        for c in many:
            c.send(request("POST", "/", body=b"x"))
        for c in many:
            assert c.response().status == 504
        for other in others:
            other.close()
        assert client(p).request().status in (502, 504, 200)


def test_a_peer_that_is_not_there(sluice, client):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    p = sluice(address, upstream={"protocol": "h2c"})
    threads = [threading.Thread(target=lambda: results.append(client(p).request().status))
               for _ in range(10)]
    results = []
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [502] * 10
    descriptors = p.descriptors()
    assert client(p).request().status == 502
    eventually(lambda: p.descriptors() <= descriptors + 1, "descriptors go back")
