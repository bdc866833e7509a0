"""What passes through: methods, targets, fields, statuses and bodies, byte for byte."""
import hashlib
import subprocess
import time
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from harness import serve
from wire import pattern, reply, request


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_methods_and_bodies_arrive_unchanged(sluice, origin, client, method):
    body = b"" if method in ("GET", "OPTIONS") else b"some \x00\xff bytes\r\n\r\n"
    app = origin(serve(lambda r: reply(b"<" + r.body + b">")))
    answer = client(sluice(app)).request(method, "/a/b?c=d&e", body=body)
    seen = app.requests[0]
    assert (seen.method, seen.target, seen.version) == (method, "/a/b?c=d&e", "HTTP/1.1")
    assert seen.body == body
    assert (answer.status, answer.body) == (200, b"<" + body + b">")


def test_a_get_without_body_is_sent_without_framing(sluice, origin, client):
    app = origin(serve(reply()))
    client(sluice(app)).request()
    assert app.requests[0].get("content-length") is None
    assert app.requests[0].get("transfer-encoding") is None


def test_a_post_with_empty_body_keeps_its_content_length(sluice, origin, client):
    app = origin(serve(reply()))
    client(sluice(app)).request("POST", fields=[("Content-Length", "0")])
    assert app.requests[0].all("content-length") == ["0"]


def test_request_fields_keep_case_order_and_repetition(sluice, origin, client):
    sent = [
        ("X-ZeBRA", "1"), ("accept", "text/html"), ("x-a", ""), ("X-ZeBRA", "2"),
        ("Cookie", "a=b; c=d"), ("cookie", "e=f"), ("X-Raw", "caf\xe9 \x80\xff"),
    ]
    app = origin(serve(reply()))
    client(sluice(app)).request(fields=sent, host="Example.COM:81")
    assert app.requests[0].fields == [("Host", "Example.COM:81")] + sent


def test_response_fields_keep_case_order_and_repetition(sluice, origin, client):
    sent = [
        ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("sErVer", "x"), ("Set-Cookie", "a=1"),
        ("X-Empty", ""), ("Set-Cookie", "b=2; Path=/"), ("x-raw", "\xfc\x80"),
    ]
    app = origin(serve(reply(b"ok", fields=sent)))
    answer = client(sluice(app)).request()
    assert answer.fields == sent + [("Content-Length", "2")]


@pytest.mark.parametrize("target", [
    "/", "/?", "/%2e%2E/%00?q=%zz", "//double//slashes/", "/a;b=c/../d", "/?a=b?c=d", "/*",
])
def test_targets_are_not_rewritten(sluice, origin, client, target):
    app = origin(serve(reply()))
    assert client(sluice(app)).request(target=target).status == 200
    assert app.requests[0].target == target


def test_bytes_over_127_in_a_target_reach_the_origin(sluice, origin, client):
    app = origin(serve(reply()))
    assert client(sluice(app)).request(target="/caf\xc3\xa9/\xff").status == 200
    assert app.requests[0].target == "/caf\xc3\xa9/\xff"


@pytest.mark.parametrize("status", [
    "200 OK", "201 Created", "206 Partial Content", "301 Moved Permanently", "404 Not Found",
    "418 I'm a teapot", "299 Of Our Own Making", "429 ", "500 Internal Server Error", "599 x",
])
def test_statuses_and_reasons_pass(sluice, origin, client, status):
    app = origin(serve(reply(b"body", status)))
    answer = client(sluice(app)).request()
    assert answer.start.decode() == "HTTP/1.1 " + status
    assert answer.body == b"body"


def test_an_http_1_0_origin_is_answered_as_1_1(sluice, origin, client):
    app = origin(serve(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    answer = client(sluice(app)).request()
    assert (answer.version, answer.status, answer.body) == ("HTTP/1.1", 200, b"hi")


def test_hop_by_hop_fields_of_a_request_stay_here(sluice, origin, client):
    app = origin(serve(reply()))
    answer = client(sluice(app)).request(fields=[
        ("Connection", "keep-alive, X-Private , x-OTHER"), ("Keep-Alive", "timeout=5"),
        ("X-Private", "1"), ("X-Other", "2"), ("Proxy-Connection", "keep-alive"), ("TE", "gzip"),
        ("X-Kept", "3"),
    ])
    assert answer.status == 200
    assert app.requests[0].fields == [("Host", "test"), ("X-Kept", "3")]


def test_hop_by_hop_fields_of_a_response_stay_here(sluice, origin, client):
    app = origin(serve(reply(b"ok", fields=[
        ("Connection", "keep-alive, X-Private"), ("Keep-Alive", "timeout=5"), ("X-Private", "1"),
        ("Proxy-Connection", "keep-alive"), ("X-Kept", "2"), ("Date", "x"),
    ])))
    answer = client(sluice(app)).request()
    assert answer.fields == [("X-Kept", "2"), ("Date", "x"), ("Content-Length", "2")]


def test_a_response_without_date_gets_one(sluice, origin, client):
    """RFC 9110 section 6.6.1. The time is the present, in the form that HTTP has for it."""
    before = int(time.time())
    answer = client(sluice(origin(serve(reply())))).request()
    date = answer.get("date")
    sent = parsedate_to_datetime(date)
    assert format_datetime(sent, usegmt=True) == date
    assert before - 1 <= sent.timestamp() <= time.time() + 1


def test_connection_cannot_name_framing_away(sluice, origin, client):
    """A client that lists Content-Length or Host in Connection must not make the two sides
    disagree about where the request ends."""
    app = origin(serve(lambda r: reply(r.body)))
    c = client(sluice(app))
    c.send(request("POST", fields=[("Connection", "content-length, host")], body=b"12345"))
    answer = c.response()
    if answer.status == 400:
        assert app.requests == []
    else:
        assert answer.body == b"12345"
        assert app.requests[0].all("content-length") == ["5"]
        assert app.requests[0].all("host") == ["test"]


def test_host_can_be_overridden_for_an_upstream(sluice, origin, client):
    app = origin(serve(reply()))
    client(sluice(app, upstream={"host": "inner.example"})).request(host="outer.example")
    assert app.requests[0].all("host") == ["inner.example"]


def test_unix_sockets_on_both_sides(sluice, origin, client, tmp_path):
    listen = str(tmp_path / "front.sock")
    app = origin(serve(reply(b"over unix")), path=str(tmp_path / "app.sock"))
    proxy = sluice(app, listener={"listen": "unix:" + listen, "mode": "0600"})
    assert proxy.address == listen
    assert client(proxy).request().body == b"over unix"
    assert (tmp_path / "front.sock").stat().st_mode & 0o777 == 0o600
    assert proxy.stop() == 0


def test_ipv6_on_both_sides(sluice, origin, client):
    app = origin(serve(reply(b"over six")), host="::1")
    assert client(sluice(app, listener={"listen": "[::1]:0"})).request().body == b"over six"


def test_several_listeners(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app, listeners=[{"listen": "127.0.0.1:0"}, {"listen": "127.0.0.1:0"}])
    assert len(set(proxy.addresses)) == 2
    assert [client(a).request().status for a in proxy.addresses] == [200, 200]


def test_several_workers_serve(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app, workers=3)
    clients = [client(proxy) for _ in range(24)]
    assert [c.request().status for c in clients] == [200] * 24
    assert [c.request().status for c in clients] == [200] * 24


def test_curl_and_nginx(sluice, nginx):
    """Two programs that are not ours at either end."""
    data = pattern(3_000_000)
    (nginx.root / "file").write_bytes(data)
    host, port = sluice(nginx.address).address
    url = "http://%s:%d" % (host, port)

    def curl(*arguments):
        done = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments],
                              capture_output=True, check=True)
        return done.stdout

    assert curl(url + "/hello") == b"hello from nginx\n"
    assert curl("-o", "/dev/null", "-w", "%{http_code}", url + "/missing") == b"404"
    assert curl("-L", "-w", "%{num_redirects}", url + "/moved").startswith(b"hello from nginx")
    fetched = curl(url + "/file")
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(data).digest()
    assert curl("-r", "10-19", url + "/file") == data[10:20]
    head = curl("-I", url + "/file")
    assert b"Content-Length: 3000000" in head
    twice = curl("-w", "%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null",
                 url + "/file", url + "/hello")
    assert twice == b"1 0 "
