"""The PROXY protocol in front: who a listener believes, what it reads, what it refuses.

What is sent to peers is in test_proxy_protocol_out.py.
"""
import socket
import struct
import subprocess

import pytest

from wire import Client, pattern, request

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 203.0.113.7 198.51.100.9 4711 443\r\n"


def binary(rest=b"", command=0x21, family=0x11):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


def block(source="203.0.113.7", destination="198.51.100.9", ports=(4711, 443)):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return (socket.inet_pton(family, source) + socket.inet_pton(family, destination)
            + struct.pack(">HH", *ports))


def crc32c(data):
    """Bit by bit, from the polynomial alone."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def summed(rest):
    """A header whose last entry is its checksum."""
    start = binary(rest + b"\x03\0\x04" + bytes(4))
    return start[:-4] + struct.pack(">I", crc32c(start))


# Header, and the client that it names.
GOOD = {
    "v1 tcp4": (LINE, b"203.0.113.7"),
    "v1 tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", b"2001:db8::7"),
    "v1 tcp6 of an IPv4 client": (
        b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:198.51.100.9 4711 443\r\n", b"203.0.113.7"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
    "v1 unknown and more": (b"PROXY UNKNOWN ::1 x\r\n", b"127.0.0.1"),
    "v2 ipv4": (binary(block()), b"203.0.113.7"),
    "v2 ipv6": (binary(block("2001:db8::7", "2001:db8::1"), family=0x21), b"2001:db8::7"),
    "v2 datagram": (binary(block(), family=0x12), b"203.0.113.7"),
    "v2 unix": (binary(bytes(216), family=0x31), b"unix:"),
    "v2 local": (binary(command=0x20, family=0), b"127.0.0.1"),
    "v2 local with a block": (binary(block(), command=0x20), b"127.0.0.1"),
    "v2 unspec": (binary(family=0), b"127.0.0.1"),
    "v2 entries": (binary(block() + b"\x02\0\x05hello\x04\0\0"), b"203.0.113.7"),
    "v2 checksum": (summed(block() + b"\x05\0\x02id"), b"203.0.113.7"),
    "v2 of 4096 bytes": (
        binary(block() + b"\x04" + struct.pack(">H", 4065) + bytes(4065)), b"203.0.113.7"),
}

# Bytes, and what the log says of them.
BAD = {
    "a request": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "does not begin with one"),
    "TLS": (b"\x16\x03\x01\x02\0\x01", "does not begin with one"),
    "v1 lower case": (b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "does not begin with one"),
    "v1 protocol": (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "the protocol is not"),
    "v1 address": (b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", "an address"),
    "v1 two spaces": (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "an address"),
    "v1 family": (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "an address"),
    "v1 port": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "a port"),
    "v1 zero": (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "a port"),
    "v1 line feed": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "a CR or LF"),
    "v1 return": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rG", "a CR or LF"),
    "v1 long": (b"PROXY UNKNOWN " + b"x" * 93, "no CRLF in the first 107 bytes"),
    "v2 signature": (SIGNATURE[:-1] + b"\r", "does not begin with one"),
    "v2 version": (SIGNATURE + b"\x31", "not of version 2"),
    "v2 command": (SIGNATURE + b"\x22", "the command"),
    "v2 family": (SIGNATURE + b"\x21\x41", "the family"),
    "v2 transport": (SIGNATURE + b"\x21\x13", "the family"),
    "v2 length": (SIGNATURE + b"\x21\x11\0\x0b", "less than the family's"),
    "v2 long": (SIGNATURE + b"\x21\x11\x0f\xf1", "longer than 4096"),
    "v2 entry": (binary(block() + b"\x04\0\x02x"), "a TLV"),
    "v2 checksum": (binary(block() + b"\x03\0\x04abcd"), "the CRC32C"),
}

WHO = {"who": {"library": "libRespond.so", "config": {"body": "{client_ip}"}}}


@pytest.fixture
def proxy(sluice):
    """A proxy that answers with the client's address."""

    def make(trusted=("127.0.0.1",), versions=None, listen="127.0.0.1:0", **listener):
        rules = {"trusted": list(trusted)}
        if versions:
            rules["versions"] = versions
        return sluice(
            plugins=WHO, routes=[{"match": {}, "chain": ["who"]}],
            listener={"listen": listen, "proxy_protocol": rules, **listener})

    return make


def gone(client):
    """Whether the other side closed or reset, without a byte."""
    try:
        return client.ended()
    except OSError:
        return True


# ---------------------------------------------------------------- what is read
@pytest.mark.parametrize("name", GOOD)
def test_the_header_says_who_the_client_is(proxy, client, name):
    header, expected = GOOD[name]
    p = proxy()
    c = client(p)
    c.send(header + request())
    assert c.response().body == expected
    # It holds for the connection, not for a request.
    assert c.request().body == expected


@pytest.mark.parametrize("name", ["v1 tcp4", "v1 unknown", "v2 ipv4", "v2 local", "v2 checksum"])
def test_a_header_may_be_split_anywhere(proxy, client, name):
    header, expected = GOOD[name]
    p = proxy()
    for at in range(1, len(header) + 1):
        c = client(p)
        c.send(header[:at])
        assert c.quiet(0.002)
        c.send(header[at:] + request())
        assert c.response().body == expected
        c.close()


@pytest.mark.parametrize("name", ["v1 tcp6", "v2 ipv6", "v2 entries"])
def test_a_header_and_its_request_may_come_byte_by_byte(proxy, client, name):
    header, expected = GOOD[name]
    c = client(proxy())
    for byte in header + request():
        c.send(bytes([byte]))
    assert c.response().body == expected


def test_what_is_behind_the_header_is_the_requests(sluice, origin, client):
    body = pattern(300_000)
    app = origin(lambda c: echo(c))
    p = sluice(app, listener={"proxy_protocol": {"trusted": ["127.0.0.0/8"]}})
    for header in (LINE, binary(block())):
        c = client(p)
        c.send(header + request() + request("POST", body=body) + request())
        assert [c.response().body for _ in range(3)] == [b"", body, b""]


def echo(connection):
    while True:
        head = connection.read_request()
        if head is None:
            return
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head.body)
                        + head.body)


def test_the_log_and_the_port_are_the_clients(sluice, origin, client):
    app = origin(echo)
    p = sluice(
        app, listener={"proxy_protocol": {"trusted": ["127.0.0.1"]}}, chain=["h"],
        plugins={"h": {"library": "libHeaders.so",
                       "config": {"forwarded": {"append_port": True}}}})
    c = client(p)
    c.send(LINE + request())
    assert c.response().status == 200
    assert app.requests[0].get("x-forwarded-for") == "203.0.113.7:4711"
    c.send(b"GET / HTTP/1.1\r\n\r\n")
    assert c.response().status == 400
    p.wait_log(r"400: request refused: .*; client 203\.0\.113\.7:4711;")


def test_without_the_key_a_header_is_no_request(sluice, origin, client):
    p = sluice(origin(echo))
    for header in (LINE, binary(block())):
        c = client(p)
        c.send(header + request())
        assert c.response().status == 400
        assert c.ended()


# ------------------------------------------------------------- what is refused
@pytest.mark.parametrize("name", BAD)
def test_a_bad_header_closes_the_connection(proxy, client, name):
    raw, reason = BAD[name]
    p = proxy()
    c = client(p)
    port = c.sock.getsockname()[1]
    c.send(raw)
    assert gone(c)
    p.wait_log(r"warn worker=0 connection refused, PROXY header: .*%s.*; client 127\.0\.0\.1:%d; "
               r'begins "' % (reason, port))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_header_is_refused_at_every_split(proxy, client, name):
    raw, _ = BAD[name]
    p = proxy()
    for at in range(1, len(raw)):
        c = client(p)
        c.send(raw[:at])
        try:
            c.send(raw[at:])
        except OSError:
            pass
        assert gone(c)
        c.close()


def test_versions_that_are_not_accepted(proxy, client):
    for version, good, bad in (("v1", "v1 tcp4", "v2 ipv4"), ("v2", "v2 ipv4", "v1 tcp4")):
        p = proxy(versions=[version])
        c = client(p)
        c.send(GOOD[good][0] + request())
        assert c.response().body == GOOD[good][1]
        c = client(p)
        c.send(GOOD[bad][0] + request())
        assert gone(c)
        p.wait_log("PROXY header: its version is not among proxy_protocol.versions")


@pytest.mark.parametrize("first", [b"", LINE, request()])
def test_whoever_is_not_trusted_is_closed_at_once(proxy, client, first):
    p = proxy(trusted=["127.0.0.2", "10.0.0.0/8"])
    c = client(p, source="127.0.0.1")
    port = c.sock.getsockname()[1]
    try:
        c.send(first)
    except OSError:
        pass
    assert gone(c)
    p.wait_log(r"warn worker=0 connection refused, not in proxy_protocol\.trusted; "
               r"client 127\.0\.0\.1:%d\n" % port)
    c = client(p, source="127.0.0.2")
    c.send(LINE + request())
    assert c.response().body == b"203.0.113.7"


def test_a_trusted_ipv4_proxy_on_an_ipv6_socket(proxy):
    p = proxy(trusted=["127.0.0.0/8"], listen=":0")
    c = Client(("127.0.0.1", p.address[1]))
    c.send(LINE + request())
    assert c.response().body == b"203.0.113.7"
    c.close()
    c = Client(("::1", p.address[1]))
    assert gone(c)
    c.close()


def test_a_unix_socket(proxy, tmp_path, client):
    p = proxy(trusted=["unix:"], listen="unix:" + str(tmp_path / "in.sock"))
    for header, expected in ((LINE, b"203.0.113.7"), (binary(block()), b"203.0.113.7"),
                             (b"PROXY UNKNOWN\r\n", b"unix:")):
        for at in (0, 5, 13):
            c = client(p)
            c.send(header[:at])
            c.send(header[at:] + request())
            assert c.response().body == expected


# --------------------------------------------------------------------- limits
@pytest.mark.parametrize("part", [b"", LINE[:20], SIGNATURE + b"\x21\x11\0\x0c"])
def test_a_header_that_does_not_come(proxy, client, part):
    p = proxy(timeouts={"head": "200ms"})
    c = client(p)
    c.send(part)
    assert gone(c)
    p.wait_log(r"PROXY header: not whole within timeouts\.head; client 127\.0\.0\.1:\d+\n")


def test_the_time_of_the_head_begins_with_the_connection(proxy, client):
    p = proxy(timeouts={"head": "400ms"})
    c = client(p)
    c.send(LINE + request()[:10])
    assert c.response().status == 408
    p.wait_log(r"408: timeouts\.head: .*; client 203\.0\.113\.7:4711\n")


@pytest.mark.parametrize("part", [LINE[:1], LINE[:-1], SIGNATURE, binary(block())[:-1]])
def test_a_connection_that_ends_within_its_header(proxy, client, part):
    p = proxy()
    c = client(p)
    c.send(part)
    c.finish()
    assert gone(c)
    p.wait_log("PROXY header: the connection ended within it; client 127")


def test_a_probe_without_a_byte_is_no_line_of_the_log(proxy, client):
    p = proxy()
    c = client(p)
    c.finish()
    assert gone(c)
    assert "refused" not in p.log


def test_connections_are_counted_by_the_clients_address(proxy, client):
    p = proxy(limits={"connections_per_address": 1})

    def named(address):
        c = client(p)
        c.send(b"PROXY TCP4 %s 1.2.3.4 1 2\r\n" % address + request())
        return c, c.response()

    first, answer = named(b"203.0.113.1")
    assert answer.status == 200
    # All of them come from one proxy.
    assert named(b"203.0.113.2")[1].status == 200
    refused, answer = named(b"203.0.113.1")
    assert answer.status == 503
    assert gone(refused)
    p.wait_log(r"limit connections_per_address reached; client 203\.0\.113\.1:1\n")
    # One that never says whose it is counts for nobody, also when it ends.
    silent = client(p)
    silent.finish()
    assert gone(silent)
    assert named(b"203.0.113.1")[1].status == 503
    first.finish()
    assert first.ended()
    assert named(b"203.0.113.1")[1].status == 200


def test_connections_that_wait_for_a_header_are_counted(proxy, client):
    p = proxy(limits={"connections": 2})
    waiting = [client(p), client(p)]
    third = client(p)
    assert third.response().status == 503
    waiting[0].send(LINE + request())
    assert waiting[0].response().status == 200


def test_a_connection_without_its_header_does_not_hold_up_the_end(proxy, client):
    p = proxy()
    waiting, late = client(p), client(p)
    waiting.send(LINE[:10])
    assert waiting.quiet(0.05)
    p.signal(15)
    p.wait_log("drain|TERM|stop")
    late.send(LINE + request())
    assert late.response().status == 200
    assert p.wait_end() == 0
    assert gone(waiting)


# ------------------------------------------------------------------ real peers
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2",
                                    "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_in_front(proxy, haproxy, client, option):
    p = proxy()
    front = haproxy("""
frontend in
  bind 127.0.0.1:@PORT@
  unique-id-format %%[uuid()]
  default_backend out
backend out
  server sluice 127.0.0.1:%d %s
""" % (p.address[1], option))
    for source in ("127.0.0.1", "127.0.0.9"):
        c = client(front, source=source)
        for _ in range(2):
            assert c.request().body == source.encode()


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_haproxys_own_checks_come_from_haproxy(sluice, origin, haproxy, option):
    app = origin(echo)
    p = sluice(app, plugins={"h": {"library": "libHeaders.so", "config": {}}}, chain=["h"],
               listener={"proxy_protocol": {"trusted": ["127.0.0.1"]}})
    haproxy("""
frontend in
  bind 127.0.0.1:@PORT@
  default_backend out
backend out
  option httpchk
  http-check send meth GET uri /check hdr Host a
  server sluice 127.0.0.1:%d %s check check-send-proxy inter 50ms
""" % (p.address[1], option))
    app.wait_requests(3)
    assert {r.target for r in app.requests} == {"/check"}
    assert {r.get("x-forwarded-for") for r in app.requests} == {"127.0.0.1"}
    assert "PROXY header" not in p.log


def test_curl_in_front(proxy):
    p = proxy()
    out = subprocess.run(
        ["curl", "-sS", "--haproxy-protocol", "http://127.0.0.1:%d/" % p.address[1]],
        capture_output=True, timeout=30)
    assert (out.returncode, out.stdout) == (0, b"127.0.0.1"), out.stderr
    out = subprocess.run(
        ["curl", "-sS", "http://127.0.0.1:%d/" % p.address[1]], capture_output=True, timeout=30)
    assert out.returncode != 0
