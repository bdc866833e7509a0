"""The PROXY protocol with TLS behind it: the header comes first, in the clear, on both sides."""
import pytest

from harness import serve
from test_proxy_protocol import LINE, WHO, binary, block
from wire import Client, reply, request


@pytest.fixture
def proxy(sluice, leaf):
    def make(**listener):
        return sluice(
            plugins=WHO, routes=[{"match": {}, "chain": ["who"]}],
            listener={"proxy_protocol": {"trusted": ["127.0.0.1"]},
                      "tls": {"certificates": [leaf.entry]}, **listener})

    return make


def secured(client, ca, header, at=0):
    """Begins TLS behind a header, which is split at a byte."""
    client.send(header[:at])
    client.send(header[at:])
    client.sock = ca.client_context().wrap_socket(
        client.sock, server_hostname="localhost", suppress_ragged_eofs=False)
    return client


@pytest.mark.parametrize("header", [LINE, binary(block()), binary(block() + b"\x04\0\x01x")])
def test_tls_begins_behind_the_header(proxy, client, ca, header):
    p = proxy()
    for at in (0, 1, 15, len(header) - 1):
        c = secured(client(p), ca, header, at)
        for _ in range(2):
            assert c.request().body == b"203.0.113.7"


def test_tls_without_a_header_is_refused(proxy, client, ca):
    p = proxy()
    with pytest.raises(OSError):
        Client(p.address, tls=ca.client_context(), server_name="localhost")
    p.wait_log("PROXY header: the connection does not begin with one; client 127")


def test_a_request_behind_the_header_is_no_handshake(proxy, client):
    p = proxy()
    c = client(p)
    c.send(LINE + request())
    try:
        # OpenSSL may say why, in an alert or in clear; it is no answer of HTTP with a page.
        assert b"200" not in c.rest()
    except OSError:
        pass
    p.wait_log(r"TLS handshake failed: .*; client 203\.0\.113\.7:4711\n")


def test_a_client_that_fails_in_its_handshake_is_not_counted_any_more(
        proxy, client, ca):
    p = proxy(limits={"connections_per_address": 1})
    for _ in range(3):
        c = client(p)
        c.send(LINE + b"this is no handshake")
        try:
            c.rest()
        except OSError:
            pass
    assert secured(client(p), ca, LINE).request().body == b"203.0.113.7"
    late = client(p)
    late.send(LINE)
    late.finish()
    try:
        late.rest()
    except OSError:
        pass
    p.wait_log("limit connections_per_address reached; client 203")


def test_the_header_to_a_peer_comes_before_tls(sluice, origin, client, ca, leaf):
    lines = []

    def script(connection):
        line = b""
        while not line.endswith(b"\r\n"):
            line += connection.sock.recv(1)
        lines.append(line)
        connection.sock = ca.server_context(leaf).wrap_socket(connection.sock, server_side=True)
        serve(reply(b"secure"))(connection)

    app = origin(script)
    p = sluice(app, upstream={"proxy_protocol": "v1",
                              "tls": {"ca": ca.path, "server_name": "localhost"}})
    for source in ("127.0.0.1", "127.0.0.2"):
        c = client(p, source=source)
        for _ in range(3):
            assert c.request().body == b"secure"
        assert lines[-1] == b"PROXY TCP4 %s 127.0.0.1 %d %d\r\n" % (
            source.encode(), c.sock.getsockname()[1], p.address[1])
    assert app.connections == 2
