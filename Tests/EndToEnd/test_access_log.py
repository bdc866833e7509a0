"""The access log through the binary: what a line says of every way in which a request ends, and
which requests have one."""
import json
import re
import socket
import subprocess
import threading

import pytest

import harness
from accesslog import ask, lines_of, logging, objects, wait_lines
from h2wire import H2, get
from harness import serve
from wire import Client, reply

CLEAR = {"protocols": ["h1", "h2c"]}


# ---------------------------------------------------------------- What a line says
def test_a_line_of_json(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    app = origin(serve(reply(b"hello")))
    fields = ["time_iso8601", "remote_addr", "remote_port", "request_method", "host", "request_uri",
              "uri", "args", "server_protocol", "status", "body_bytes_sent", "bytes_sent",
              "request_length", "request_time", "http_user_agent", "http_x_none", "scheme",
              "connection", "connection_requests", "pid", "upstream", "upstream_addr",
              "upstream_status", "upstream_connect_time", "upstream_header_time",
              "upstream_response_time", "attempts", "outcome", "answered_by", "reason", "msec",
              "agent=http_user_agent", "sent_http_x_made", "ssl_protocol", "route"]
    proxy = sluice(app, **logging({"file": path}, fields=fields))
    client = Client(proxy.address)
    raw = b"GET /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nUser-Agent: curl \"8\"\r\n\r\n"
    for _ in range(2):
        client.send(raw)
        response = client.response()
    first, second = objects(path, 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", first["time_iso8601"])
    assert first["remote_addr"] == "127.0.0.1"
    assert first["remote_port"] == client.sock.getsockname()[1]
    assert first["request_method"] == "GET" and first["host"] == "example.com"
    assert (first["request_uri"], first["uri"], first["args"]) == ("/a/b?c=d", "/a/b", "c=d")
    assert first["server_protocol"] == "HTTP/1.1" and first["scheme"] == "http"
    assert (first["status"], first["body_bytes_sent"]) == (200, 5)
    assert first["bytes_sent"] == 5 + len(response.raw_head)
    assert first["request_length"] == len(raw)
    assert first["http_user_agent"] == first["agent"] == 'curl "8"'
    assert first["http_x_none"] is None and first["ssl_protocol"] is None
    assert first["connection"] == second["connection"]
    assert (first["connection_requests"], second["connection_requests"]) == (1, 2)
    assert first["pid"] == proxy.serving
    assert first["upstream"] == "app" and first["upstream_addr"] == app.address
    assert first["upstream_status"] == "200" and first["attempts"] == 1
    assert re.fullmatch(r"0\.\d{3}", first["upstream_connect_time"])
    assert second["upstream_connect_time"] == "0.000"
    assert float(first["upstream_response_time"]) >= float(first["upstream_header_time"])
    assert 0 <= first["request_time"] < 10
    assert first["outcome"] == "complete"
    assert first["answered_by"] is None and first["reason"] is None
    client.close()


def test_combined_is_what_nginx_writes(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply(b"hello"))), **logging({"file": path}, format="combined"))
    ask(proxy, target="/x?y", fields=[("Referer", "http://a/?b"), ("User-Agent", 'a"b\\c')])
    line = wait_lines(path, 1)[0].decode()
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
        r'"GET /x\?y HTTP/1\.1" 200 5 "http://a/\?b" "a\\x22b\\x5Cc"', line), line


def test_over_http2_a_line_says_the_same(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply(b"hello"))), listener=CLEAR, **logging(
        {"file": path}, format="template",
        template="$request $status $body_bytes_sent $host $connection_requests $outcome"))
    url = "http://127.0.0.1:%d/two" % proxy.address[1]
    for _ in range(2):
        subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--noproxy", "*", url],
                       check=True, capture_output=True, timeout=30)
    assert wait_lines(path, 2) == [b"GET /two HTTP/2.0 200 5 127.0.0.1 1 complete"] * 2


@pytest.mark.parametrize("raw,status,reason", [
    (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    (b"\xff\xfe\"bad\r\n\r\n", 400, None),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, None),
    (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", None, "limits"),
])
def test_a_malformed_request_has_a_line_of_its_own(sluice, origin, tmp_path, raw, status, reason):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), **logging(
        {"file": path}, format="template",
        template='$remote_addr "$request" $request_method $status $outcome [$reason]'))
    client = Client(proxy.address)
    try:
        client.send(raw)
    except OSError:
        pass
    client.response()
    line = wait_lines(path, 1)[0].decode("ascii")
    found = re.fullmatch(r'127\.0\.0\.1 "([^"]*)" - (\d+) malformed \[(.+)\]', line)
    assert found, line
    begin = raw.split(b"\r\n")[0][:128].decode("latin-1")
    said = re.sub(r"\\x(..)", lambda m: chr(int(m.group(1), 16)), found.group(1))
    assert said == begin
    assert status is None or int(found.group(2)) == status
    assert found.group(3) != "-" and (reason is None or reason in found.group(3))
    client.close()


def test_a_malformed_request_of_http2_has_a_line_too(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), listener=CLEAR, **logging(
        {"file": path}, format="template",
        template="$remote_addr|$request|$server_protocol|$outcome|$reason"))
    client = H2(proxy.address).open()
    client.headers(1, get(extra=[(b"X-Upper", "v")]))
    line = wait_lines(path, 1)[0].decode()
    assert re.fullmatch(r"127\.0\.0\.1\|-\|HTTP/2\.0\|malformed\|[^-].*", line), line
    client.close()


def test_ends_that_are_no_answers(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    hold = threading.Event()

    def script(connection):
        head = connection.read_request()
        if head.target == "/cut":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            return
        hold.wait(20)

    app = origin(script)
    proxy = sluice(app, **logging(
        {"file": path}, fields=["uri", "status", "outcome", "reason", "body_bytes_sent"]))
    one = Client(proxy.address)
    one.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    one.rest()
    two = Client(proxy.address)
    two.send(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
    app.wait_requests(2)
    two.reset()
    cut, left = objects(path, 2)
    hold.set()
    assert (cut["uri"], cut["outcome"], cut["body_bytes_sent"]) == ("/cut", "upstream_cut", 3)
    assert cut["reason"] == "the peer ended in the middle of its response"
    assert (left["uri"], left["outcome"], left["status"]) == ("/left", "client_gone", 499)
    one.close()


def test_who_answered_and_why(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    down = socket.socket()
    down.bind(("127.0.0.1", 0))
    over = logging({"file": path}, fields=["uri", "status", "answered_by", "reason", "attempts",
                                           "upstream_addr", "upstream_status"])
    over["plugins"]["page"] = {"library": "libRespond.so", "config": {"status": 204}}
    address = "127.0.0.1:%d" % down.getsockname()[1]
    over["routes"] = [{"match": {"path": "/page"}, "chain": ["page"]},
                      {"match": {}, "upstream": "app"}]
    proxy = sluice(address, **over)
    ask(proxy, target="/page")
    ask(proxy, target="/down")
    page, failed = objects(path, 2)
    assert (page["status"], page["answered_by"], page["attempts"]) == (204, "page", 0)
    assert page["upstream_addr"] is None
    assert (failed["status"], failed["answered_by"]) == (502, None)
    assert failed["reason"] == "no peer could be reached"
    assert set(failed["upstream_addr"].split(", ")) == {address}
    assert set(failed["upstream_status"].split(", ")) == {"502"}
    down.close()


def test_what_the_host_answers_by_itself(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), listener={"limits": {"body": "1KiB"}}, **logging(
        {"file": path}, format="template", template="$request|$host|$status|$reason"))
    ask(proxy, method="TRACE", target="/t")
    ask(proxy, method="OPTIONS", target="*")
    client = Client(proxy.address)
    client.send(b"POST /p HTTP/1.1\r\nHost: h:1\r\nContent-Length: 2000\r\n\r\n")
    client.response()
    assert wait_lines(path, 3) == [
        b"TRACE /t HTTP/1.1|test|405|method not allowed", b"OPTIONS * HTTP/1.1|test|204|-",
        b"POST /p HTTP/1.1|h|413|limits.body: Content-Length is over it"]
    client.close()


def test_hostile_bytes_make_one_line_each(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), **logging(
        {"file": path}, fields=["http_user_agent", "request_uri"]))
    values = [b"\xff\xfe", "\u00fc\u20ac\U0001f600".encode(), b"a\tb", b'"}{"', b"\\u0000",
              bytes(range(0x80, 0x100)), b"\xed\xa0\x80", b"\xc0\xaf"]
    client = Client(proxy.address)
    for value in values:
        client.send(b"GET /%22 HTTP/1.1\r\nHost: a\r\nUser-Agent: " + value + b"\r\n\r\n")
        client.response()
    got = [one["http_user_agent"] for one in objects(path, len(values))]
    for value, said in zip(values, got):
        try:
            assert said == value.decode()
        except UnicodeDecodeError:
            assert said.encode("latin-1") == value
    client.close()


def test_credentials_are_not_shown(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    app = origin(serve(reply(fields=[("Set-Cookie", "sid=SECRET3")])))
    proxy = sluice(app, **logging(
        {"file": path}, redact_query=["token"],
        fields=["request", "request_uri", "args", "http_referer", "cookie_lang"],
        sensitive=["cookie_lang"]))
    ask(proxy, target="/?a=1&TOK%65N=SECRET1&b=2",
        fields=[("Authorization", "Bearer SECRET2"), ("Cookie", "sid=SECRET4; lang=de"),
                ("Referer", "http://x/?token=SECRET5#token=SECRET6")])
    text = wait_lines(path, 1)[0].decode()
    assert "SECRET" not in text
    one = json.loads(text)
    assert one["request_uri"] == "/?a=1&TOK%65N=***&b=2"
    assert one["http_referer"] == "http://x/?token=***#token=***"
    assert one["cookie_lang"] == "de"
    assert "SECRET" not in proxy.log


@pytest.mark.parametrize("config,text", [
    ({"format": "template", "template": "$remote_adr"}, "did you mean $remote_addr"),
    ({"format": "template", "template": "$http_cookie"}, "\"sensitive\""),
    ({"fields": ["status", "status"]}, "is there already"),
    ({"format": "template", "template": "a\nb"}, "divide the line"),
    ({"format": "template"}, "template"),
    ({"template": "$status"}, "is of no use"),
    ({"sensitive": ["http_cookie"]}, "no variable $http_cookie"),
    ({"line_max": "511B"}, "line_max"),
    ({"buffer": "65535B"}, "buffer"),
    ({"flush": "9ms"}, "flush"),
    ({"when": {"status": ["6xx"]}}, "when.status[0]"),
    ({"keep_errors": True}, "keep_errors"),
    ({"output": {"file": "a", "unix": "b"}}, "output"),
    ({"output": {"file": "a", "mode": "0777"}}, "output.mode"),
    ({"output": {"syslog": "udp:localhost:514"}}, "output.syslog"),
    ({"output": {"syslog": "udp:127.0.0.1:514", "facility": "loacl7"}}, "did you mean \"local7\""),
    ({"output": {"file": "/"}}, "output: /: no regular file"),
    ({"output": {"file": "/nowhere/a.log"}}, "No such file or directory"),
])
def test_bad_configuration_is_named(tmp_path, config, text):
    config = {"output": {"file": str(tmp_path / "a.log")}, **config}
    over = logging(config.pop("output"), **config)
    path = tmp_path / "sluice.json"
    path.write_text(json.dumps(harness.manifest("127.0.0.1:9", **over)))
    done = harness.run("check", "--no-bind", "--manifest", str(path))
    assert done.returncode == 78, done.stderr
    assert text in done.stderr and "plugins.log" in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_lines_are_cut_at_their_bound(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    over = logging({"file": path}, format="template", template="$http_user_agent", line_max="512B")
    over["plugins"]["json"] = {"library": "libAccessLog.so", "config": {
        "output": {"file": path + ".json"}, "fields": ["status", "http_user_agent", "pid"],
        "line_max": "512B", "flush": "20ms"}}
    over["chain"] = ["log", "json"]
    proxy = sluice(origin(serve(reply())), **over)
    # The template's line has 3 bytes for its mark.
    for count in (508, 509, 510, 4000):
        ask(proxy, fields=[("User-Agent", "a" * count)])
    lines = wait_lines(path, 4)
    assert lines[:2] == [b"a" * 508, b"a" * 509]
    assert lines[2] == lines[3] == b"a" * 509 + b"..."
    for line in wait_lines(path + ".json", 4)[2:]:
        one = json.loads(line)
        assert one["cut"] is True and one["status"] == 200 and len(line) <= 512
        assert set(one["http_user_agent"]) == {"a"}


# ---------------------------------------------------------------- Which requests
def test_conditions(sluice, origin, tmp_path):
    def path(name):
        return str(tmp_path / name)

    app = origin(serve(lambda head: reply(status="500 Bad" if head.target == "/bad" else "200 OK")))
    when = {"errors": {"status": ["5xx"]}, "slow": {"min_duration": "10s"},
            "api": {"path_prefix": ["/api/"]}, "debug": {"header": ["x-debug", "x-env=prod"]},
            "beta": {"cookie": ["beta=1"]}}
    over = {"plugins": {}, "chain": list(when)}
    for name, what in when.items():
        over["plugins"][name] = {"library": "libAccessLog.so", "config": {
            "output": {"file": path(name)}, "fields": ["uri"], "when": what, "flush": "20ms"}}
    over["plugins"]["all"] = {"library": "libAccessLog.so", "config": {
        "output": {"file": path("all")}, "fields": ["uri"], "flush": "20ms"}}
    over["chain"].append("all")
    proxy = sluice(app, **over)
    ask(proxy, target="/bad")
    ask(proxy, target="/api/x?y")
    ask(proxy, target="/d1", fields=[("X-Debug", "1"), ("X-Env", "prod")])
    ask(proxy, target="/d2", fields=[("X-Debug", "1"), ("X-Env", "test")])
    ask(proxy, target="/c1", fields=[("Cookie", "a=b; beta=1")])
    ask(proxy, target="/c2", fields=[("Cookie", "beta=10")])
    wait_lines(path("all"), 6)
    for name, wanted in [("errors", "/bad"), ("api", "/api/x"), ("debug", "/d1"), ("beta", "/c1")]:
        assert objects(path(name), 1) == [{"uri": wanted}]
    assert lines_of(path("slow")) == []


def test_a_sample_keeps_errors(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    app = origin(serve(lambda head: reply(status="500 Bad" if head.target == "/bad" else "200 OK")))
    proxy = sluice(app, **logging(
        {"file": path}, fields=["uri"], sample=10, keep_errors=True))
    client = Client(proxy.address)
    for number in range(1000):
        client.request(target="/bad" if number % 100 == 0 else "/")
    client.close()
    proxy.stop()
    uris = [json.loads(line)["uri"] for line in lines_of(path)]
    assert uris.count("/bad") == 10
    assert 60 < uris.count("/") < 140
