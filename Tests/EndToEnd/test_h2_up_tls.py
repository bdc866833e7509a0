"""What peers choose in the TLS handshake (ALPN), and what becomes of upgrades."""
import base64
import hashlib
import threading

import pytest

import certificates
import h2origin as h2
from h2frames import HTTP_1_1_REQUIRED
from h2server import H2C
from h2wire import H2
from harness import OriginConnection, serve
from test_h2_websocket import ask
from wire import Truncated, reply, request

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def leaf(ca):
    return ca.issue("localhost")


class Chooser(h2.H2Origin):
    """Speaks what ALPN chose: HTTP/2 by `script`, else HTTP/1.1 by `script1`."""

    class connection(h2.H2Peer):
        def open(self, *pairs, wait=True):
            chosen = self.sock.selected_alpn_protocol()
            with self.origin.changed:
                self.origin.chosen.append(chosen)
            if self.origin.gate:
                assert self.origin.gate.wait(10)
            if chosen == "h2":
                return super().open(*pairs, wait=wait)
            # A connection of HTTP/1.1 on the same socket; the script of HTTP/2 does not run.
            self.origin.script1(OriginConnection(self.sock, self.origin, self.number))
            raise Truncated("served")

    def __init__(self, script, script1, **options):
        self.chosen, self.script1, self.gate = [], script1, None
        super().__init__(script, **options)

    def note(self, head):
        # Heads of HTTP/1 in the same terms.
        if not isinstance(head, h2.Request):
            head.path = head.target
        super().note(head)


@pytest.fixture
def chooser(ca, leaf):
    made = []

    def make(*protocols, script=b"two", script1=reply(b"one")):
        context = ca.server_context(leaf)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        made.append(Chooser(script if callable(script) else h2.serve(script),
                            script1 if callable(script1) else serve(script1), tls=context))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def proxy(sluice, ca):
    def make(server, protocol, listener=None, **over):
        return sluice(server, listener=listener, upstream={
            "protocol": protocol, "tls": {"ca": ca.path, "server_name": "localhost"}, **over})

    return make


@pytest.mark.parametrize("protocol", ["h2", "auto"])
@pytest.mark.parametrize("offers", [["h2", "http/1.1"], ["http/1.1", "h2"], ["h2"]])
def test_a_peer_that_chooses_h2(chooser, proxy, client, protocol, offers):
    server = chooser(*offers)
    p = proxy(server, protocol)
    c = client(p)
    for _ in range(3):
        answer = c.request().body
    if protocol == "h2" or offers[0] == "h2":
        assert answer == b"two"
        assert server.chosen == ["h2"]


@pytest.mark.parametrize("offers", [["http/1.1"], []], ids=["http/1.1", "no ALPN"])
def test_a_peer_that_does_not_choose_h2(chooser, proxy, client, offers):
    server = chooser(*offers)
    p = proxy(server, "h2")
    assert client(p).request().status == 502
    p.wait_log("peer %s did not choose HTTP/2 in the TLS handshake" % server.address)
    p.wait_log("502: ")
    assert not server.requests


@pytest.mark.parametrize("offers", [["http/1.1"], []], ids=["http/1.1", "no ALPN"])
def test_auto_falls_back_and_remembers(chooser, proxy, client, offers):
    """The connection that was made for HTTP/2 serves the request, and the next ones do not ask."""
    server = chooser(*offers)
    p = proxy(server, "auto", pool={"idle_per_peer": 0})
    for _ in range(3):
        assert client(p).request("POST", body=b"x").body == b"one"
    assert len(server.chosen) == 3
    # Only the first handshake offered h2: a server that takes it after all is not asked again.
    server.tls.set_alpn_protocols(["h2", "http/1.1"])
    assert client(p).request().body == b"one"
    assert server.chosen[-1] in ("http/1.1", None)


def test_those_who_waited_fall_back_too(chooser, proxy, client):
    server = chooser("http/1.1")
    server.gate = threading.Event()
    p = proxy(server, "auto")
    many = [client(p) for _ in range(5)]
    for c in many:
        c.send(request("POST", "/", body=b"x"))
    server.gate.set()
    for c in many:
        assert c.response().body == b"one"
    assert len(server.requests) == 5


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_http_1_1_required(chooser, proxy, client, method):
    """RFC 9113 section 9.2.2 and 7: the same request on HTTP/1.1, and the next ones."""
    def answer(c, r):
        if r.path == "/old":
            c.rst(r.id, HTTP_1_1_REQUIRED)
        else:
            c.answer(r.id, b"two")

    server = chooser("h2", "http/1.1", script=h2.serve(answer),
                     script1=serve(lambda r: reply(b"one " + r.body)))
    p = proxy(server, "auto")
    c = client(p)
    assert c.request().body == b"two"
    body = b"x" if method == "POST" else b""
    assert c.request(method, "/old", body=body).body == b"one " + body
    assert c.request().body == b"one "
    assert server.chosen == ["h2", "http/1.1"]


def test_200_streams_wait_for_one_handshake(chooser, proxy):
    server = chooser("h2")
    p = proxy(server, "h2", listener=H2C, http2={"max_concurrent_streams": 200})
    c = H2(p.address).open()
    streams = [c.request() for _ in range(100)]
    for stream in streams:
        assert bytes(c.response(stream).body) == b"two"
    assert server.connections == 1


def test_large_bodies(chooser, proxy, client):
    server = chooser("h2", script=h2.serve(lambda c, r: c.answer(r.id, bytes(r.body))))
    p = proxy(server, "h2")
    body = bytes(range(256)) * 8192
    assert client(p).request("POST", body=body).body == body


# ------------------------------------------------------------------ upgrades
def websocket(c):
    """As a server of WebSocket: switches and sends back what comes."""
    head = c.read_head()
    if not head.get("upgrade"):
        c.send(reply(b"one"))
        return
    accept = base64.b64encode(hashlib.sha1(head.get("sec-websocket-key").encode() + GUID).digest())
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while c.buffer or c.fill():
        data, c.buffer = c.buffer, b""
        c.send(data)


UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


def test_upgrades_with_auto_go_over_http1(chooser, proxy, client):
    server = chooser("h2", "http/1.1", script1=websocket)
    p = proxy(server, "auto", listener=H2C)
    assert client(p).request().body == b"two"
    c = client(p)
    c.send(request(fields=UPGRADE))
    assert c.head().status == 101
    c.send(b"ping")
    assert c.read(4) == b"ping"
    # So do those of HTTP/2's clients; and what is no upgrade still goes over HTTP/2.
    h = H2(p.address).open()
    stream = h.request(ask(), end=False)
    h.until(lambda: h.streams[stream].fields, "the answer")
    assert h.streams[stream].status == 200
    h.data(stream, b"pong")
    h.until(lambda: h.streams[stream].body == b"pong", "the echo")
    assert client(p).request().body == b"two"
    assert server.chosen == ["h2", "http/1.1", "http/1.1"]


@pytest.mark.parametrize("protocol", ["h2", "h2c"])
def test_upgrades_to_h2_are_answered_501(chooser, h2origin, sluice, proxy, client, protocol):
    if protocol == "h2":
        p = proxy(chooser("h2"), "h2", listener=H2C)
    else:
        p = sluice(h2origin(), upstream={"protocol": "h2c"}, listener=H2C)
    assert client(p).request(fields=UPGRADE).status == 501
    assert H2(p.address).open().fetch(ask()).status == 501
    assert client(p).request().status == 200
    p.wait_log("501: no upgrade goes to a peer that speaks HTTP/2")
