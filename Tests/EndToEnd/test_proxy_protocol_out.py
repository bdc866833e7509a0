"""The PROXY protocol to peers: what they are told, and whose connections are whose.

What a listener reads is in test_proxy_protocol.py.
"""
import socket
import struct
import subprocess

import pytest

from harness import Origin, eventually
from test_callouts import library  # noqa: F401  a fixture
from test_proxy_protocol import LINE, SIGNATURE, binary, block
from wire import reply


def read_header(connection):
    """The header that a connection begins with: (version, command, source, destination)."""
    if connection.read(1) == b"P":
        words = (b"P" + connection.until(b"\r\n")).decode().split()
        assert words[0] == "PROXY"
        if words[1] == "UNKNOWN":
            assert len(words) == 2
            return ("v1", "UNKNOWN", None, None)
        return ("v1", words[1], (words[2], int(words[4])), (words[3], int(words[5])))
    assert connection.read(11) == SIGNATURE[1:]
    command, family, length = struct.unpack(">BBH", connection.read(4))
    rest = connection.read(length)
    if family == 0:
        assert length == 0
        return ("v2", {0x20: "LOCAL", 0x21: "UNSPEC"}[command], None, None)
    assert command == 0x21
    kind, size, name = {0x11: (socket.AF_INET, 4, "TCP4"), 0x21: (socket.AF_INET6, 16, "TCP6")}[
        family]
    ports = struct.unpack(">HH", rest[2 * size:])
    return ("v2", name, (socket.inet_ntop(kind, rest[:size]), ports[0]),
            (socket.inet_ntop(kind, rest[size:2 * size]), ports[1]))


@pytest.fixture
def told():
    """Makes origins that want a header: `headers` has one for each connection."""
    made = []

    def make(requests=None, **options):
        headers = []

        def script(connection):
            headers.append(read_header(connection))
            served = 0
            while served != requests:
                head = connection.read_request()
                if head is None:
                    return
                connection.send(reply(b"%d" % connection.number))
                served += 1

        made.append(Origin(script, **options))
        made[-1].headers = headers
        return made[-1]

    yield make
    for one in made:
        one.close()


def ends(client):
    return (client.sock.getsockname()[:2], client.sock.getpeername()[:2])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_peer_is_told_who_the_client_is(sluice, told, client, version):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": version})
    for source in ("127.0.0.1", "127.0.0.2"):
        c = client(p, source=source)
        assert c.request().status == 200
        assert app.headers[-1] == (version, "TCP4", *ends(c))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_ipv6_client(sluice, told, client, version):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": version}, listener={"listen": "[::]:0"})
    c = client(("::1", p.address[1]))
    assert c.request().status == 200
    assert app.headers == [(version, "TCP6", *ends(c))]
    # IPv4 through the same socket is IPv4.
    c = client(("127.0.0.1", p.address[1]))
    assert c.request().status == 200
    assert app.headers[1] == (version, "TCP4", *ends(c))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_client_without_an_address(sluice, told, client, tmp_path, version):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": version},
               listener={"listen": "unix:" + str(tmp_path / "in.sock")})
    assert client(p).request().status == 200
    assert app.headers == [(version, {"v1": "UNKNOWN", "v2": "UNSPEC"}[version], None, None)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_came_in_is_passed_on(sluice, told, client, version):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": version},
               listener={"proxy_protocol": {"trusted": ["127.0.0.1"]}})

    def passed_on(header):
        c = client(p)
        c.send(header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.response().status == 200
        return c, app.headers[-1]

    four = (version, "TCP4", ("203.0.113.7", 4711), ("198.51.100.9", 443))
    six = (version, "TCP6", ("2001:db8::7", 65535), ("2001:db8::1", 0))
    assert passed_on(LINE)[1] == four
    assert passed_on(binary(block()))[1] == four
    assert passed_on(binary(block("2001:db8::7", "2001:db8::1", (65535, 0)), family=0x21))[1] == six
    # LOCAL and UNKNOWN: the connection's own ends.
    for header in (b"PROXY UNKNOWN\r\n", binary(command=0x20, family=0)):
        c, found = passed_on(header)
        assert found == (version, "TCP4", *ends(c))
    unknown = passed_on(binary(bytes(216), family=0x31))[1]
    assert unknown[1] == {"v1": "UNKNOWN", "v2": "UNSPEC"}[version]


def test_a_peer_on_a_unix_socket(sluice, told, client, tmp_path):
    app = told(path=str(tmp_path / "app.sock"))
    p = sluice(app, upstream={"proxy_protocol": "v2"})
    c = client(p)
    assert c.request().status == 200
    assert app.headers == [("v2", "TCP4", *ends(c))]


def test_a_tunnel_has_it_too(sluice, origin, client):
    headers = []

    def script(connection):
        headers.append(read_header(connection))
        connection.read_head()
        connection.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        connection.send(connection.read(4)[::-1])

    c = client(sluice(origin(script), upstream={"proxy_protocol": "v1"}))
    assert c.request(fields=[("Connection", "upgrade"), ("Upgrade", "x")]).status == 101
    c.send(b"ping")
    assert c.read(4) == b"gnip"
    assert headers == [("v1", "TCP4", *ends(c))]


# ------------------------------------------------------- whose connections are whose
def test_a_connection_serves_one_client(sluice, told, client):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": "v1"})
    first, second = client(p), client(p)
    for _ in range(3):
        assert first.request().body == b"0"
        assert second.request().body == b"1"
    assert [h[2] for h in app.headers] == [ends(first)[0], ends(second)[0]]
    # It goes when its client goes, and not before.
    first.close()
    app.wait_closed(1)
    assert second.request().body == b"1"
    assert client(p).request().body == b"2"
    assert app.closed == 1


def test_one_idle_connection_is_kept_for_a_client(sluice, told, client):
    one, two = told(), told()
    p = sluice(
        upstreams={"one": {"peers": [one.address], "proxy_protocol": "v1"},
                   "two": {"peers": [two.address], "proxy_protocol": "v1"}},
        routes=[{"match": {"path": "/one"}, "upstream": "one"}, {"match": {}, "upstream": "two"}])
    c = client(p)
    for number in range(3):
        assert c.request(target="/one").body == b"%d" % number
        assert c.request(target="/two").body == b"%d" % number
        one.wait_closed(number + 1)
    assert (one.connections, two.connections) == (3, 3)


def test_upstreams_with_and_without_a_header_share_nothing(sluice, told, origin, client):
    app = told()
    plain = origin(lambda c: plain_answers(c))
    p = sluice(
        upstreams={"told": {"peers": [app.address], "proxy_protocol": "v2"},
                   "plain": {"peers": [plain.address]}},
        routes=[{"match": {"path": "/told"}, "upstream": "told"},
                {"match": {}, "upstream": "plain"}])
    first, second = client(p), client(p)
    for _ in range(3):
        for c in (first, second):
            assert c.request(target="/told").status == 200
            assert c.request().body == b"plain 0"
    assert (app.connections, plain.connections) == (2, 1)


def plain_answers(connection):
    while connection.read_request() is not None:
        connection.send(reply(b"plain %d" % connection.number))


@pytest.mark.parametrize("pool", [{"idle_per_peer": 0}, {"requests": 1}])
def test_the_pools_bounds_hold_here_too(sluice, told, client, pool):
    app = told()
    c = client(sluice(app, upstream={"proxy_protocol": "v1", "pool": pool}))
    for number in range(3):
        assert c.request().body == b"%d" % number
        app.wait_closed(number + 1)


def test_the_idle_time_of_the_pool_holds_here_too(sluice, told, client):
    app = told()
    c = client(sluice(app, upstream={"proxy_protocol": "v1", "timeouts": {"idle": "50ms"}}))
    assert c.request().body == b"0"
    app.wait_closed(1)
    assert c.request().body == b"1"


def test_a_peer_that_closes_gets_a_new_connection_with_its_own_header(sluice, told, client):
    app = told(requests=2)
    p = sluice(app, upstream={"proxy_protocol": "v1"})
    c = client(p)
    for number in range(6):
        assert c.request().body == b"%d" % (number // 2)
        if number % 2:
            app.wait_closed(number // 2 + 1)
    assert app.headers == [("v1", "TCP4", *ends(c))] * 3


def test_a_client_that_goes_while_its_request_runs(sluice, origin, client):
    held = []

    def script(connection):
        read_header(connection)
        connection.read_request()
        held.append(connection)
        connection.rest()

    app = origin(script)
    p = sluice(app, upstream={"proxy_protocol": "v1"})
    before = p.descriptors()
    c = client(p)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    app.wait_requests(1)
    c.reset()
    app.wait_closed(1)
    eventually(lambda: p.descriptors() == before, "all descriptors are closed")


def test_no_descriptor_is_left(sluice, told, client):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": "v2"})
    client(p).request()
    before = p.descriptors()
    for _ in range(20):
        c = client(p)
        assert c.request().status == 200
        c.close()
    app.wait_closed(20)
    eventually(lambda: p.descriptors() == before, "all descriptors are closed")


def test_the_next_peer_is_told_as_well(sluice, told, client):
    app = told()
    with socket.socket() as taken:
        # Bound and not listening: connects are refused.
        taken.bind(("127.0.0.1", 0))
        p = sluice("127.0.0.1:%d" % taken.getsockname()[1], app,
                   upstream={"proxy_protocol": "v1"})
        for _ in range(3):
            c = client(p)
            assert c.request().status == 200
            assert app.headers[-1] == ("v1", "TCP4", *ends(c))
            c.close()


def test_a_stream_of_http_2_tells_of_its_connection(sluice, told):
    app = told()
    p = sluice(app, upstream={"proxy_protocol": "v1"},
               listener={"protocols": ["h1", "h2c"], "proxy_protocol": {"trusted": ["127.0.0.1"]}})
    for number in range(2):
        out = subprocess.run(
            ["curl", "-sS", "--haproxy-protocol", "--http2-prior-knowledge",
             "-w", " %{http_version} %{local_port}", "http://127.0.0.1:%d/" % p.address[1]],
            capture_output=True, timeout=30, text=True)
        body, version, port = out.stdout.split()
        assert (body, version) == (str(number), "2")
        assert app.headers[-1] == (
            "v1", "TCP4", ("127.0.0.1", int(port)), ("127.0.0.1", p.address[1]))
        # It is the connection's, not the stream's: it goes with that.
        app.wait_closed(number + 1)


# ------------------------------------------------------------ requests of plugins
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_callout_names_no_client(sluice, told, origin, client, library, version):  # noqa: F811
    auth = told()
    app = origin(lambda c: plain_answers(c))
    p = sluice(
        app, plugins={"ask": {"library": library, "config": {}}}, chain=["ask"],
        upstreams={"auth": {"peers": [auth.address], "proxy_protocol": version}})
    for _ in range(2):
        assert client(p).request().status == 200
    # It belongs to nobody, so that it is pooled.
    assert auth.connections == 1
    version_told, command, source, destination = auth.headers[0]
    assert version_told == version
    if version == "v2":
        assert command == "LOCAL"
    else:
        # Version 1 has no LOCAL: the ends of the connection itself.
        assert command == "TCP4"
        assert source[0] == "127.0.0.1" and destination == ("127.0.0.1", auth.port)


def test_a_callout_and_a_client_share_nothing(sluice, told, client, library):  # noqa: F811
    app = told()
    p = sluice(
        app, plugins={"ask": {"library": library, "config": {"upstream": "app"}}}, chain=["ask"],
        upstream={"proxy_protocol": "v2"})
    c = client(p)
    for _ in range(3):
        assert c.request().body == b"1"
    assert [h[1] for h in app.headers] == ["LOCAL", "TCP4"]


# ------------------------------------------------------------------ real peers


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_behind(sluice, nginx, client, version):
    p = sluice(nginx.proxied, upstream={"proxy_protocol": version})
    for source in ("127.0.0.1", "127.0.0.2"):
        c = client(p, source=source)
        port = c.sock.getsockname()[1]
        for _ in range(2):
            assert c.request().body.decode() == "%s %d 127.0.0.1 %d" % (source, port, p.address[1])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_behind(sluice, haproxy, client, version):
    back = haproxy("""
frontend in
  bind 127.0.0.1:@PORT@ accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst]"
""")
    p = sluice("127.0.0.1:%d" % back.address[1], upstream={"proxy_protocol": version})
    c = client(p, source="127.0.0.3")
    for _ in range(2):
        assert c.request().body.decode() == "127.0.0.3 %d 127.0.0.1" % c.sock.getsockname()[1]


@pytest.mark.parametrize("first,second", [("send-proxy", "v2"), ("send-proxy-v2", "v1")])
def test_between_haproxy_and_nginx(sluice, haproxy, nginx, client, first, second):
    p = sluice(nginx.proxied, upstream={"proxy_protocol": second},
               listener={"proxy_protocol": {"trusted": ["127.0.0.1"]}})
    front = haproxy("""
frontend in
  bind 127.0.0.1:@PORT@
  default_backend out
backend out
  server sluice 127.0.0.1:%d %s
""" % (p.address[1], first))
    c = client(front, source="127.0.0.4")
    expected = "127.0.0.4 %d 127.0.0.1 %d" % (c.sock.getsockname()[1], front.address[1])
    assert c.request().body.decode() == expected


def test_a_peer_that_expects_no_header_refuses_it(sluice, nginx, client):
    p = sluice(nginx.address, upstream={"proxy_protocol": "v1"})
    assert client(p).request(target="/hello").status in (400, 502)
