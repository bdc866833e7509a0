"""The larger examples in Swift: each is built from a copy outside of the tree, its own tests are
run, and the library serves the manifest of its README."""
import json
import os
import re
import shutil
import subprocess
import threading

import pytest

import harness
from harness import ROOT, serve
from wire import Client, chunk, reply

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.seconds(600),
    pytest.mark.skipif(not shutil.which("swift"), reason="no Swift compiler"),
]
IGNORED = shutil.ignore_patterns(".build*", "Package.resolved")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Builds and tests an example once; the library."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(os.path.join(ROOT, "SDK"), folder / "SDK", ignore=IGNORED)
    libraries = {}

    def build(name):
        if name not in libraries:
            shutil.copytree(os.path.join(ROOT, "examples", name), folder / name, ignore=IGNORED)
            for command in [["build", "-c", "release"], ["test"]]:
                # One scratch folder for all, so that the SDK is compiled once.
                done = subprocess.run(
                    ["swift", *command, "--scratch-path", str(folder / "scratch")],
                    cwd=folder / name, capture_output=True, text=True, timeout=500,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "SLUICE_SDK": str(folder / "SDK")})
                assert done.returncode == 0, done.stdout + done.stderr
            module = "".join(word.capitalize() for word in name.split("-"))
            libraries[name] = str(folder / "scratch/release" / ("lib%s.so" % module))
        return libraries[name]

    return build


class FromReadme(harness.Sluice):
    """Serves the manifest that stands in an example's README, with other addresses."""

    def __init__(self, folder, name, library, replaced):
        with open(os.path.join(ROOT, "examples", name, "README.md")) as file:
            text = re.search(r"```json5\n(\{.*?\n\})\n```", file.read(), re.S).group(1)
        replaced = {
            r'"\.build/release/lib\w+\.so"': '"%s"' % library,
            r'listen: "[^"]*"': 'listen: "127.0.0.1:0"',
            r"version: 1,": 'version: 1, workers: 1, log: { level: "debug" },',
            **{re.escape('"%s"' % old): '"%s"' % new.address for old, new in replaced.items()},
        }
        for old, new in replaced.items():
            assert re.search(old, text), "%s: no %s" % (name, old)
            text = re.sub(old, lambda _, new=new: new, text)
        path = os.path.join(str(folder), "example.json5")
        with open(path, "w") as file:
            file.write(text)
        super().__init__(folder, {}, prefix=("sh", "-c", 'exec "$0" run --manifest ' + path))


@pytest.fixture
def example(tmp_path, built):
    made = []

    def start(name, replaced):
        made.append(FromReadme(tmp_path, name, built(name), replaced))
        return made[-1]

    yield start
    for one in made:
        one.close()


# -------------------------------------------------------------- body-rewriter
INNER, OUTER = b"http://app.internal:3000", b"https://www.example.com"
PAGE = b"<a href='%s/a'>a</a> http://app.intern http://" % INNER + b"x" * 40_000 + INNER
HTML = [("Content-Type", "text/html")]


def test_the_rewriter_says_what_it_is(built):
    inspected = harness.run("plugin", "inspect", "--load", built("body-rewriter"))
    assert inspected.returncode == 0, inspected.stderr
    assert "org.example.body-rewriter" in inspected.stdout
    needed = subprocess.run(["ldd", built("body-rewriter")], capture_output=True, text=True)
    assert "libswift" not in needed.stdout


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_is_rewritten(example, origin, version):
    app = origin(serve(reply(PAGE, fields=HTML + [("ETag", '"1"'), ("Last-Modified", "x")])))
    p = example("body-rewriter", {"127.0.0.1:3000": app})
    c = Client(p.address)
    r = c.request(version=version, fields=[("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")])
    assert r.body == PAGE.replace(INNER, OUTER)
    assert r.get("content-length") is None and r.get("etag") is None
    assert r.get("last-modified") == "x" and r.get("accept-ranges") == "none"
    assert app.requests[0].get("accept-encoding") is None and app.requests[0].get("range") is None


@pytest.mark.parametrize("fields", [
    [("Content-Type", "image/png")], HTML + [("Content-Encoding", "gzip")],
    HTML + [("Cache-Control", "no-transform")]])
def test_other_bodies_are_left_alone(example, origin, fields):
    app = origin(serve(reply(PAGE, fields=fields + [("ETag", '"1"')])))
    p = example("body-rewriter", {"127.0.0.1:3000": app})
    r = Client(p.address).request()
    assert r.body == PAGE and r.get("etag") == '"1"'
    assert r.get("content-length") == str(len(PAGE))


def test_the_answer_to_head_is_that_to_get_without_a_body(example, origin):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: x\r\nContent-Length: 5\r\n\r\n"
    app = origin(serve(head))
    p = example("body-rewriter", {"127.0.0.1:3000": app})
    r = Client(p.address).request("HEAD")
    assert r.status == 200 and r.get("etag") is None and r.get("content-length") is None


def test_a_match_across_packets_is_found_and_nothing_else_is_delayed(example, origin):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in [b"first http://app.int", b"ernal:3000/ second", b" http:"]:
            connection.send(chunk(piece))
            assert app.seen.acquire(timeout=harness.DEADLINE)
        connection.send(b"0\r\n\r\n")

    app = origin(script)
    app.seen = threading.Semaphore(0)
    p = example("body-rewriter", {"127.0.0.1:3000": app})
    c = Client(p.address)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    c.head()
    assert c.until(b"first ").endswith(b"first ")
    app.seen.release()
    assert c.until(b" second").endswith(OUTER + b"/ second")
    app.seen.release()
    app.seen.release()
    assert b"http:" in c.until(b"0\r\n\r\n")


@pytest.mark.parametrize("size", [4095, 4096, 4097])
def test_a_flush_lets_all_go_where_it_is_told_to(sluice, origin, built, size):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                        b"Content-Length: 9000\r\n\r\n")
        app.head.wait(harness.DEADLINE)
        connection.send(b"q" * (size - 3) + b"<bo")
        app.go.wait(harness.DEADLINE)
        connection.send(b"q" * (9000 - size))

    app = origin(script)
    app.head, app.go = threading.Event(), threading.Event()
    p = sluice(app, chain=["rewrite"], listener={"limits": {"buffer": "4KiB"}}, plugins={
        "rewrite": {"library": built("body-rewriter"), "config": {
            "find": "<body>", "replace": "x", "at_flush": "release"}}})
    c = Client(p.address)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    c.head()
    app.head.set()
    c.sock.settimeout(1)
    try:
        c.until(b"<bo")
    finally:
        app.go.set()


# --------------------------------------------------------------- auth-callout
PASSWORD = ("Authorization", "Basic YW5uOnNlY3JldA==")


def judge(request):
    if request.get("authorization") != PASSWORD[1]:
        return reply(status="401 Unauthorized", fields=[("WWW-Authenticate", 'Basic realm="a"')])
    if request.get("x-original-uri").startswith("/admin"):
        return reply(status="403 Forbidden")
    return reply(fields=[("X-User", "ann"), ("X-Secret", "x")])


@pytest.fixture
def guarded(example, origin):
    app, auth = origin(serve(reply(b"page"))), origin(serve(judge))
    return example("auth-callout", {"127.0.0.1:3000": app, "127.0.0.1:4000": auth}), app, auth


def test_the_service_decides(guarded):
    p, app, auth = guarded
    c = Client(p.address)
    for _ in range(2):
        r = c.request("POST", "/a?b=c", body=b"x" * 70_000, fields=[PASSWORD, ("X-User", "root")])
        assert r.body == b"page"
    assert app.requests[0].all("x-user") == ["ann"] and app.requests[1].all("x-user") == ["ann"]
    assert app.requests[0].get("x-secret") is None
    assert len(app.requests[1].body) == 70_000
    assert len(auth.requests) == 1, "the second is remembered"
    asked = auth.requests[0]
    assert (asked.method, asked.target) == ("GET", "/check")
    assert asked.get("x-original-uri") == "/a?b=c" and asked.get("x-original-method") == "POST"
    assert c.request(target="/admin", fields=[PASSWORD]).status == 403
    refused = c.request(fields=[("X-User", "root")])
    assert (refused.status, refused.get("www-authenticate")) == (401, 'Basic realm="a"')
    assert len(app.requests) == 2
    assert "YW5u" not in p.log and "secret" not in p.log


def test_a_service_that_is_away(guarded):
    p, app, auth = guarded
    auth.stop_listening()
    assert Client(p.address).request(fields=[PASSWORD]).status == 503
    p.wait_log("plugin=auth the service did not decide outcome=1 status=0")
    assert not app.requests and "YW5u" not in p.log


def test_an_open_door(sluice, origin, built):
    app, auth = origin(serve(reply(b"page"))), origin(serve(reply(status="500 No")))
    p = sluice(app, chain=["auth"], upstreams={"auth": {"peers": [auth.address]}}, plugins={
        "auth": {"library": built("auth-callout"), "config": {
            "upstream": "auth", "on_unavailable": "open", "copy": ["x-user"]}}})
    assert Client(p.address).request(fields=[PASSWORD, ("X-User", "root")]).body == b"page"
    assert app.requests[0].get("x-user") is None


@pytest.mark.parametrize("config,line", [
    ({"upstream": "other"}, 'upstream: the manifest has no upstream "other"'),
    ({"upstream": "app", "cache_entries": 63}, "cache_entries: must be at least 64, is 63"),
    ({"upstream": "app", "copy": ["content-length"]}, "copy[0]: content-length governs"),
])
def test_a_wrong_configuration(tmp_path, built, config, line):
    with open(tmp_path / "m.json", "w") as file:
        json.dump(harness.manifest("127.0.0.1:9", chain=["auth"], plugins={
            "auth": {"library": built("auth-callout"), "config": config}}), file)
    checked = harness.run("check", "--manifest", str(tmp_path / "m.json"))
    assert checked.returncode == 78 and line in checked.stderr, checked.stderr


# ------------------------------------------------------------ custom-balancer
def slow(name, gate):
    def script(connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            if head.target == "/slow":
                gate.wait(harness.DEADLINE)
            connection.send(reply(name))

    return script


def test_the_least_busy_peer_of_the_first_priority(example, origin):
    gate = threading.Event()
    peers = [origin(slow(name, gate)) for name in (b"one", b"two", b"spare")]
    one, two, spare = peers
    p = example("custom-balancer", {
        "10.0.0.1:3000": one, "10.0.0.2:3000": two, "10.0.0.9:3000": spare})
    waiting = []
    for count in range(1, 5):
        waiting.append(Client(p.address))
        waiting[-1].send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        harness.eventually(lambda: len(one.requests) + len(two.requests) == count, "it arrives")
    assert len(one.requests) == 2, "four slow requests are shared evenly"
    waiting.append(Client(p.address))
    waiting[-1].send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    harness.eventually(lambda: len(one.requests) + len(two.requests) == 5, "it arrives")
    idler = b"two" if len(one.requests) == 3 else b"one"
    c = Client(p.address)
    assert {c.request().body for _ in range(5)} == {idler}
    gate.set()
    for one_of_them in waiting:
        assert one_of_them.response().status == 200
    # Once all are idle they take turns; the other priority is for when both are away.
    assert {c.request().body for _ in range(40)} == {b"one", b"two"}
    assert not spare.requests


def test_another_priority_when_the_first_is_away(example, origin):
    gate = threading.Event()
    one, two, spare = [origin(slow(name, gate)) for name in (b"one", b"two", b"spare")]
    one.stop_listening()
    two.stop_listening()
    p = example("custom-balancer", {
        "10.0.0.1:3000": one, "10.0.0.2:3000": two, "10.0.0.9:3000": spare})
    assert Client(p.address).request().body == b"spare"
