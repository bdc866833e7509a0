"""What `examples` holds does what it says: the manifests are served with only their addresses
changed, and the plugins are built from a copy outside of the tree."""
import json
import os
import shlex
import shutil
import stat
import subprocess

import pytest

import harness
from harness import ROOT, manifest, serve
from wire import Client, reply

CONFIGS = os.path.join(ROOT, "examples/configs")
MANIFESTS = ["minimal", "load-balanced", "ketama", "maglev", "random", "least-connections",
             "headers", "limits", "static-answers"]


class Example(harness.Sluice):
    """Serves one of the manifests of `examples/configs`."""

    def __init__(self, folder, name, replaced):
        with open(os.path.join(CONFIGS, name + ".json5")) as file:
            text = file.read()
        replaced = {
            "version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
            'listen: ":8080"': 'listen: "127.0.0.1:0"',
            **replaced,
        }
        for old, new in replaced.items():
            assert old in text, "%s.json5 has no %s" % (name, old)
            text = text.replace(old, new)
        path = os.path.join(str(folder), name + ".json5")
        with open(path, "w") as file:
            file.write(text)
        # The harness writes its manifests as JSON; this one is served as it stands in the example.
        serving = 'exec "$0" run --manifest ' + shlex.quote(path)
        super().__init__(folder, {}, prefix=("sh", "-c", serving))


@pytest.fixture
def example(tmp_path):
    made = []

    def start(name, replaced):
        made.append(Example(tmp_path, name, replaced))
        return made[-1]

    yield start
    for one in made:
        one.close()


def app(origin, name="app"):
    return origin(serve(reply(name.encode(), fields=[("Server", "origin"), ("X-Powered-By", "x")])))


def at(old, new):
    """Puts an origin of the test in the place of an address of the example."""
    return {'"%s"' % old: '"%s"' % new.address}


def each(form, origins):
    """As `at`, for 10.0.0.1, 10.0.0.2 and so on."""
    return {old: new for number, origin in enumerate(origins)
            for old, new in at(form % (number + 1), origin).items()}


# ------------------------------------------------------------------ manifests
def test_every_manifest_has_a_test():
    names = {name[:-len(".json5")] for name in os.listdir(CONFIGS)}
    assert names == set(MANIFESTS)


@pytest.mark.parametrize("name", MANIFESTS)
def test_check_finds_nothing_wrong(tmp_path, name):
    with open(os.path.join(CONFIGS, name + ".json5")) as file:
        text = file.read()
    path = tmp_path / (name + ".json5")
    path.write_text(text.replace("version: 1,", "version: 1, plugin_dir: %r," % harness.PLUGINS))
    checked = harness.run("check", "--no-bind", "--manifest", str(path))
    assert checked.returncode == 0, checked.stderr
    assert "good" in checked.stdout


def test_minimal(example, origin):
    proxy = example("minimal", at("127.0.0.1:3000", app(origin)))
    assert Client(proxy.address).request().body == b"app"


def test_load_balanced(example, origin):
    heavy, light, spare = app(origin, "heavy"), app(origin, "light"), app(origin, "spare")
    api = [app(origin, "api-1"), app(origin, "api-2")]
    proxy = example("load-balanced", {
        **at("10.0.0.1:3000", heavy), **at("10.0.0.2:3000", light), **at("10.0.0.9:3000", spare),
        **at("10.0.1.1:8000", api[0]), **at("10.0.1.2:8000", api[1])})
    # One connection, so one worker: each takes turns by itself.
    client = Client(proxy.address)
    for _ in range(6):
        assert client.request().status == 200
    assert (len(heavy.requests), len(light.requests), len(spare.requests)) == (4, 2, 0)

    answers = {client.request(host="api.example.com").body for _ in range(2)}
    assert answers == {b"api-1", b"api-2"}
    assert client.request(target="/api/x").body in answers
    assert api[0].requests[0].get("host") == "api.internal"


def test_load_balanced_uses_the_spare_when_the_others_cannot_be_reached(example, origin):
    dead = [app(origin), app(origin)]
    spare = app(origin, "spare")
    for one in dead:
        one.stop_listening()
    proxy = example("load-balanced", {
        **at("10.0.0.1:3000", dead[0]), **at("10.0.0.2:3000", dead[1]),
        **at("10.0.0.9:3000", spare)})
    assert Client(proxy.address).request().body == b"spare"


def test_ketama(example, origin):
    peers = [app(origin, name) for name in "abc"]
    proxy = example("ketama", each("10.0.0.%d:3000", peers))
    found = [{Client(proxy.address).request(fields=[("Cookie", "session=%d" % sid)]).body
              for _ in range(3)} for sid in range(12)]
    assert all(len(peers) == 1 for peers in found) and len(set.union(*found)) == 3


def test_maglev(example, origin):
    peers = [app(origin, name) for name in "abc"]
    proxy = example("maglev", each("10.0.0.%d:3128", peers))
    found = [{Client(proxy.address).request(target="/?%d" % number).body for _ in range(3)}
             for number in range(12)]
    assert all(len(peers) == 1 for peers in found) and len(set.union(*found)) == 3


def test_random(example, origin):
    peers = [app(origin, name) for name in "ab"]
    proxy = example("random", each("10.0.0.%d:3000", peers))
    client = Client(proxy.address)
    for _ in range(60):
        assert client.request().status == 200
    assert all(peer.requests for peer in peers)


def test_least_connections(example, origin):
    peers = [app(origin, name) for name in "abc"]
    reports = [app(origin, name) for name in "rs"]
    proxy = example("least-connections", {
        **each("10.0.0.%d:3000", peers), **each("10.0.1.%d:3000", reports)})
    client = Client(proxy.address)
    for _ in range(60):
        assert client.request().body in (b"a", b"b", b"c")
    assert client.request(target="/reports/1").body in (b"r", b"s")
    assert all(peer.requests for peer in peers)


def test_headers(example, origin):
    site = app(origin)
    proxy = example("headers", at("127.0.0.1:3000", site))
    answer = Client(proxy.address).request(
        host="site.example", fields=[("X-Internal-User", "root"), ("X-Forwarded-For", "6.6.6.6")])
    seen = site.requests[0]
    assert seen.get("x-internal-user") is None
    assert seen.get("x-proxy") == "sluice"
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]
    assert seen.get("via") == "1.1 edge-1"
    assert answer.get("x-request-id") == seen.get("x-request-id") and answer.get("x-request-id")
    assert answer.get("server") is None and answer.get("x-powered-by") is None
    assert answer.get("x-content-type-options") == "nosniff"
    assert answer.get("referrer-policy") == "same-origin"
    assert answer.get("cache-control") is None

    asset = Client(proxy.address).request(target="/assets/logo.svg")
    assert asset.get("cache-control") == "public, max-age=31536000, immutable"


def test_limits(example, origin, tmp_path):
    site = app(origin)
    proxy = example("limits", {
        # The harness waits for a line of this level.
        'level: "warn"': 'level: "info"', **at("127.0.0.1:3000", site)})
    assert Client(proxy.address).request().body == b"app"
    assert Client(proxy.address).request("POST", "/other", body=b"x").status == 404
    assert Client(proxy.address).request("POST", "/upload/a", body=b"x").status == 200
    client = Client(proxy.address)
    client.send(b"POST /upload/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n")
    assert client.response().status == 413
    assert Client(proxy.address).request(target="/" + "x" * 4096).status == 414
    assert Client(proxy.address).request(fields=[("X", "y" * 16384)]).status == 431

    path = str(tmp_path / "sluice.sock")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert Client(path).request().body == b"app"


def test_static_answers(example, origin):
    proxy = example("static-answers", at("127.0.0.1:3000", app(origin)))
    health = Client(proxy.address).request(target="/healthz")
    assert (health.status, health.body) == (200, b"ok\n")
    assert health.get("cache-control") == "no-store"
    refused = Client(proxy.address).request("POST", "/healthz", body=b"x")
    assert refused.status == 405 and refused.get("allow") == "GET, HEAD"
    moved = Client(proxy.address).request(host="example.com", target="/a?b=c")
    assert (moved.status, moved.get("location")) == (308, "https://www.example.com/a?b=c")
    closed = Client(proxy.address).request(target="/shop/cart")
    assert (closed.status, closed.get("retry-after")) == (503, "600")
    assert closed.body == b"<h1>Back in ten minutes</h1>\n"
    assert Client(proxy.address).request(target="/rest").body == b"app"


# -------------------------------------------------------------------- plugins
def build(tmp_path, name, *command, **environment):
    """Runs a build in a copy that stands alone, as an author's own folder would."""
    copy = tmp_path / name
    shutil.copytree(os.path.join(ROOT, "examples", name), copy,
                    ignore=shutil.ignore_patterns(
                        ".build*", "Package.resolved", "target", "Cargo.lock"))
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=280,
                           env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    assert built.returncode == 0, built.stdout + built.stderr
    return copy


def again(copy, *command, **environment):
    """Another command in the copy; its output."""
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=280,
                          env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def says_hello(library, sluice, origin, default):
    proxy = sluice(app(origin), plugins={
        "plain": {"library": str(library)},
        "named": {"library": str(library), "config": {"greeting": "good morning"}},
    }, chain=["plain"], routes=[
        {"match": {"path": "/named"}, "chain": ["named"], "upstream": "app"},
        {"match": {}, "upstream": "app"},
    ])
    answer = Client(proxy.address).request()
    assert (answer.body, answer.all("x-hello")) == (b"app", [default])
    # Responses pass the chain in reverse, so the global instance writes last.
    assert Client(proxy.address).request(target="/named").all("x-hello") == [default]


def refuses(library, tmp_path, config, line):
    path = tmp_path / "refused.json"
    path.write_text(json.dumps(manifest("127.0.0.1:9", plugins={
        "hello": {"library": str(library), "config": config}})))
    checked = harness.run("check", "--manifest", str(path))
    assert checked.returncode == 78
    assert checked.stderr == "%s: plugins.hello.config%s\n" % (path, line)


@pytest.mark.compiles
@pytest.mark.seconds(300)
@pytest.mark.skipif(not shutil.which("swift"), reason="no Swift compiler")
def test_the_plugin_in_swift(tmp_path, sluice, origin):
    # The SDK is copied too: a build must leave nothing in the tree.
    sdk = tmp_path / "SDK"
    shutil.copytree(os.path.join(ROOT, "SDK"), sdk, ignore=shutil.ignore_patterns(".build*"))
    copy = build(tmp_path, "hello-plugin", "swift", "build", "-c", "release", SLUICE_SDK=str(sdk))
    again(copy, "swift", "test", SLUICE_SDK=str(sdk))
    library = copy / ".build/release/libHello.so"
    inspected = harness.run("plugin", "inspect", str(library))
    assert "org.example.hello" in inspected.stdout and "response_headers" in inspected.stdout
    needed = subprocess.run(["ldd", str(library)], capture_output=True, text=True)
    assert "libswift" not in needed.stdout
    says_hello(library, sluice, origin, "hello from Swift")
    refuses(library, tmp_path, {"greting": "x"},
            ".greting: unknown key; did you mean \"greeting\"?")


def test_the_plugin_in_c(tmp_path, sluice, origin):
    headers = os.path.join(ROOT, "SDK/Sources/CSluice/include")
    copy = build(tmp_path, "hello-plugin-c", "make", "INCLUDE=" + headers)
    assert "passed" in again(copy, "make", "test", "INCLUDE=" + headers)
    library = copy / ".build/libhello.so"
    inspected = harness.run("plugin", "inspect", str(library))
    assert "org.example.hello-c" in inspected.stdout and "response_headers" in inspected.stdout
    says_hello(library, sluice, origin, "hello from C")
    refuses(library, tmp_path, {"greting": "x"},
            ".greting: unknown key; did you mean \"greeting\"?")
    refuses(library, tmp_path, {"greeting": 7}, ".greeting: expected a string, found a number")
    refuses(library, tmp_path, {"greeting": "a\nb"}, ": greeting: has a control character")


@pytest.mark.seconds(120)
@pytest.mark.parametrize("toolchain", sorted(
    {os.path.dirname(path) for path in ("/usr/bin/cargo", shutil.which("cargo"))
     if path and os.access(path, os.X_OK)}))
def test_the_plugin_in_rust(tmp_path, sluice, origin, toolchain):
    shutil.copytree(os.path.join(ROOT, "SDK/Rust"), tmp_path / "SDK/Rust",
                    ignore=shutil.ignore_patterns("target", "Cargo.lock"))
    (tmp_path / "examples").mkdir()
    path = {"PATH": toolchain + ":" + os.environ["PATH"]}
    copy = build(tmp_path / "examples", "hello-plugin-rust", "cargo", "build", "--release",
                 "--offline", **path)
    assert "6 passed" in again(copy, "cargo", "test", "--offline", **path)
    library = copy / "target/release/libhello.so"
    inspected = harness.run("plugin", "inspect", "--load", str(library))
    assert "org.example.hello-rust" in inspected.stdout and "response_headers" in inspected.stdout
    says_hello(library, sluice, origin, "hello from Rust")
    refuses(library, tmp_path, {"greting": "x"},
            ".greting: unknown key; did you mean \"greeting\"?")
    refuses(library, tmp_path, {"greeting": "a\nb"}, ": greeting: has a control character")
