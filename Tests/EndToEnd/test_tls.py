"""TLS on both sides, with Python's ssl (OpenSSL), curl and `openssl` as the others."""
import hashlib
import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

import certificates
import harness
from harness import serve
from wire import Client, Truncated, pattern, reply, request


# ---------------------------------------------------------------- downstream
@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 3_000_000])
def test_bodies_both_ways(https, origin, connect, size):
    p = https(origin(serve(lambda r: reply(r.body))))
    c = connect(p)
    body = pattern(size)
    for _ in range(3):
        assert c.request("POST", body=body).body == body
    assert c.request().status == 200


def test_pipelined_requests(https, origin, connect):
    p = https(origin(serve(lambda r: reply(r.target.encode()))))
    c = connect(p)
    c.send(b"".join(request(target="/%d" % n) for n in range(40)))
    assert [c.response().body for _ in range(40)] == [b"/%d" % n for n in range(40)]


def test_a_slow_client_takes_a_large_response(https, origin, connect):
    data = pattern(8_000_000)
    p = https(origin(serve(lambda r: reply(data))))
    before = p.rss()
    c = connect(p, receive_buffer=4096)
    c.send(request())
    head = c.head()
    time.sleep(0.3)
    assert p.rss() - before < 8 << 20
    assert c.read(int(head.get("content-length"))) == data
    assert c.request(target="/again").status == 200


def test_a_byte_at_a_time(https, origin, connect):
    p = https(origin(serve(lambda r: reply(r.body))))
    c = connect(p)
    for byte in request("POST", body=b"hello"):
        c.send(bytes([byte]))
    assert c.response().body == b"hello"


def test_chunks_and_trailers(https, origin, connect):
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n"
    p = https(origin(serve(lambda r: text)))
    c = connect(p)
    c.send(request())
    assert c.until(b"x-t: 1\r\n\r\n").endswith(b"3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n")
    assert c.request().body == b"abc"


def test_the_end_is_announced(https, origin, connect):
    """close_notify comes before the end of the stream: without it Python raises."""
    p = https(origin(serve(lambda r: reply(b"bye"))))
    c = connect(p)
    c.send(request(fields=[("Connection", "close")]))
    assert c.response().body == b"bye"
    assert c.rest() == b""


def test_curl(https, origin, ca):
    p = https(origin(serve(lambda r: reply(pattern(200_000)))))
    out = subprocess.run(
        ["curl", "-sS", "--cacert", ca.path, "-w", "%{http_code} %{ssl_verify_result}",
         "--resolve", "example.com:%d:127.0.0.1" % p.address[1], "-o", "/dev/null",
         "https://example.com:%d/" % p.address[1]], capture_output=True, text=True, timeout=20)
    assert out.stdout == "200 0", out.stderr


@pytest.mark.parametrize("least,most,offered,works", [
    ("1.2", "1.3", "TLSv1_2", True), ("1.2", "1.3", "TLSv1_3", True),
    ("1.3", "1.3", "TLSv1_2", False), ("1.2", "1.2", "TLSv1_3", False),
])
def test_versions(https, origin, connect, ca, least, most, offered, works):
    p = https(origin(serve(lambda r: reply(b"x"))),
              tls={"min_version": least, "max_version": most})
    context = ca.client_context()
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, offered)
    if works:
        c = connect(p, context=context)
        assert c.request().body == b"x"
        assert c.sock.version() == offered.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError):
            connect(p, context=context)
        p.wait_log("handshake")


def test_a_certificate_for_each_name(https, origin, connect, ca, leaf):
    wild, other = ca.issue("*.wild.example"), ca.issue("other.example")
    p = https(origin(serve(lambda r: reply(b"x"))),
              tls={"certificates": [leaf.entry, wild.entry, other.entry]})
    loose = ca.client_context(verify=False)
    for name, wanted in [("example.com", leaf), ("a.wild.example", wild),
                         ("A.WILD.example", wild), ("a.b.wild.example", leaf),
                         ("wild.example", leaf), ("other.example", other),
                         ("unknown.example", leaf), (None, leaf)]:
        c = connect(p, name=name, context=loose)
        assert hashlib.sha256(c.sock.getpeercert(True)).hexdigest() == wanted.fingerprint, name
        assert c.request().status == 200


def test_sessions_are_resumed_by_any_worker(https, origin, ca):
    p = https(origin(serve(lambda r: reply(b"x"))), workers=2)
    context = ca.client_context()
    session, resumed = None, 0
    for number in range(12):
        sock = socket.create_connection(p.address)
        tls = context.wrap_socket(sock, server_hostname="localhost", session=session)
        tls.sendall(request())
        assert b"200 OK" in tls.recv(65536)
        resumed += tls.session_reused
        session = tls.session
        tls.close()
    assert resumed == 11


def test_client_certificates(https, origin, connect, ca, leaf, tmp_path):
    other = certificates.Authority(tmp_path, "Other CA")
    own, foreign = ca.issue("client"), other.issue("client")
    for mode in ("required", "optional"):
        p = https(origin(serve(lambda r: reply(b"x"))),
                  tls={"client_auth": {"mode": mode, "ca": ca.path}})
        assert connect(p, context=ca.client_context(own)).request().status == 200
        if mode == "optional":
            assert connect(p).request().status == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, Truncated)):
                connect(p).request()
        with pytest.raises((ssl.SSLError, ConnectionError, Truncated)):
            connect(p, context=ca.client_context(foreign)).request()
        p.wait_log("handshake")


def test_a_handshake_takes_its_time_only(https, origin, client):
    p = https(origin(serve(lambda r: reply(b"x"))),
              listener={"timeouts": {"handshake": "200ms"}})
    c = client(p)
    start = time.monotonic()
    assert c.rest() == b""
    assert 0.15 < time.monotonic() - start < 3
    p.wait_log("timeouts.handshake")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 600,
                                  b"\x16\x03\x01\xff\xff" + b"x" * 1000])
def test_what_is_not_tls_is_closed(https, origin, client, data):
    p = https(origin(serve(lambda r: reply(b"x"))))
    c = client(p)
    c.send(data)
    try:
        c.rest()
    except ConnectionError:
        pass
    p.wait_log("handshake")


def test_a_cut_in_the_handshake(https, origin, connect, leaf):
    p = https(origin(serve(lambda r: reply(b"x"))))
    for count in (1, 5, 100):
        sock = socket.create_connection(p.address)
        sock.sendall((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))[:count])
        sock.close()
    assert connect(p).request().status == 200


def test_a_tunnels_bytes_pass(https, origin, ca):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                        b"Upgrade: echo\r\n\r\n")
        while True:
            data = connection.sock.recv(65536)
            if not data:
                return
            connection.send(data)

    p = https(origin(script))
    # A client that reads and writes at once, which Python's ssl can't.
    c = subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-connect", "%s:%d" % p.address, "-CAfile", ca.path,
         "-verify_return_error", "-servername", "localhost"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    c.stdin.write(request(fields=[("Connection", "Upgrade"), ("Upgrade", "echo")]))
    c.stdin.flush()
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += c.stdout.read(1)
    assert head.startswith(b"HTTP/1.1 101")
    for size in (1, 1000, 3_000_000):
        data = pattern(size)
        writer = threading.Thread(target=lambda: (c.stdin.write(data), c.stdin.flush()))
        writer.start()
        assert c.stdout.read(size) == data
        writer.join()
    c.kill()
    c.wait()


def test_a_client_that_leaves_is_noticed(https, origin, connect):
    app = origin(serve(lambda r: reply(pattern(50_000_000))))
    p = https(app)
    c = connect(p)
    c.send(request())
    c.read(100_000)
    c.sock.close()
    app.wait_closed(1)


# ------------------------------------------------------------------ upstream
@pytest.fixture
def secure(origin, ca, leaf):
    def make(script, certificate=None, clients=None):
        return origin(script, tls=ca.server_context(certificate or leaf, clients))

    return make


@pytest.mark.parametrize("size", [0, 100_000, 3_000_000])
def test_a_peer_with_tls(sluice, secure, client, ca, size):
    app = secure(serve(lambda r: reply(r.body)))
    p = sluice(app, upstream={"tls": {"ca": ca.path, "server_name": "localhost"}})
    c = client(p)
    body = pattern(size)
    for _ in range(3):
        assert c.request("POST", body=body).body == body
    assert app.connections == 1


def test_tls_on_both_sides(https, secure, connect, ca):
    p = https(secure(serve(lambda r: reply(r.body))),
              upstream={"tls": {"ca": ca.path, "server_name": "localhost"}})
    body = pattern(500_000)
    assert connect(p).request("POST", body=body).body == body


def test_a_peer_is_verified(sluice, secure, client, ca, tmp_path):
    other = certificates.Authority(tmp_path, "Other CA")
    app = secure(serve(lambda r: reply(b"secret")))
    for tls in ({"ca": other.path, "server_name": "localhost"},
                {"ca": ca.path, "server_name": "wrong.example"},
                {"ca": ca.path, "server_name": "localhost", "verify_name": "wrong.example"},
                {"server_name": "localhost"}):
        p = sluice(app, upstream={"tls": tls})
        assert client(p).request().status == 502
        p.wait_log("TLS handshake: .*(certificate|hostname)")
    assert not app.requests
    for tls in ({"verify": "none", "server_name": "wrong.example"},
                {"ca": ca.path, "server_name": "wrong.example", "verify_name": "localhost"}):
        p = sluice(app, upstream={"tls": tls})
        assert client(p).request().body == b"secret"


def test_a_peer_by_its_address(sluice, secure, client, ca):
    p = sluice(secure(serve(lambda r: reply(b"x"))),
               upstream={"tls": {"ca": ca.path, "verify_name": "127.0.0.1"}})
    assert client(p).request().body == b"x"


def test_we_show_a_certificate(sluice, secure, client, ca):
    app = secure(serve(lambda r: reply(b"x")), clients=ca.path)
    own = ca.issue("proxy")
    tls = {"ca": ca.path, "server_name": "localhost"}
    p = sluice(app, upstream={"tls": {**tls, **own.entry}})
    assert client(p).request().body == b"x"
    p = sluice(app, upstream={"tls": tls})
    assert client(p).request().status == 502


def test_sessions_with_a_peer_are_resumed(sluice, secure, client, ca):
    reused = []

    def script(connection):
        reused.append(connection.sock.session_reused)
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
        connection.sock.unwrap()

    p = sluice(secure(script), upstream={"tls": {"ca": ca.path, "server_name": "localhost"}})
    c = client(p)
    for _ in range(4):
        assert c.request().body == b"x"
    assert reused[0] is False and reused[1:] == [True] * 3


def test_a_body_that_ends_without_close_notify_is_cut(sluice, secure, client, ca):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\npart of it")
        os.close(connection.sock.detach())

    p = sluice(secure(script), upstream={"tls": {"ca": ca.path, "server_name": "localhost"}})
    c = client(p)
    c.send(request())
    with pytest.raises((Truncated, ConnectionError)):
        c.response()


def test_a_peer_that_does_not_speak_tls(sluice, origin, client, ca):
    def script(connection):
        connection.sock.recv(100)
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    p = sluice(origin(script), upstream={"tls": {"ca": ca.path, "server_name": "localhost"}})
    assert client(p).request().status == 502


def test_a_peer_that_says_nothing(sluice, origin, client, ca):
    p = sluice(origin(lambda connection: connection.sock.recv(1) and time.sleep(2)),
               upstream={"tls": {"ca": ca.path, "server_name": "localhost"},
                         "timeouts": {"connect": "200ms"}, "retries": {"attempts": 1}})
    assert client(p).request().status == 504


def test_plugins_see_facts(https, origin, connect, ca, tmp_path):
    """Of the client's connection: what `facts.tls` has."""
    source = os.path.join(os.path.dirname(__file__), "plugins/facts.c")
    library = str(tmp_path / "libfacts.so")
    headers = os.path.join(harness.ROOT, "SDK/Sources/CSluice/include")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-I", headers, "-o", library,
                    source], check=True)
    own = ca.issue("client")
    p = https(origin(serve(lambda r: reply(b"x"))),
              tls={"client_auth": {"mode": "optional", "ca": ca.path}},
              plugins={"facts": {"library": library}}, chain=["facts"])
    r = connect(p, context=ca.client_context(own)).request()
    assert r.get("x-secure") == "1" and r.get("x-version") == "772"
    assert r.get("x-server-name") == "localhost" and r.get("x-cipher").startswith("TLS_")
    assert r.get("x-fingerprint") == own.fingerprint and "client" in r.get("x-subject")
    assert r.get("x-resumed") == "0"
    r = connect(p).request()
    assert r.get("x-fingerprint") == "" and r.get("x-subject") == ""
