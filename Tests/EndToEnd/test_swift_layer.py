"""The Swift layer of the SDK against the real host: a plugin that uses every service."""
import os
import shutil
import subprocess

import pytest

import harness
from harness import serve
from reloading import manifest_of, reload, wait_gone
from wire import Client, reply

pytestmark = pytest.mark.compiles
FOLDER = os.path.join(harness.ROOT, "Tests/EndToEnd/plugins/swift-layer")
BIG = b"<" * 300000 + b"x" * 300000


@pytest.fixture(scope="module")
def library():
    if not shutil.which("swift"):
        pytest.skip("no Swift compiler")
    made = subprocess.run(
        ["swift", "build", "-c", "release", "--disable-build-manifest-caching"], cwd=FOLDER,
        capture_output=True, text=True, timeout=280, stdin=subprocess.DEVNULL,
        env={**os.environ, "SLUICE_EMBEDDED": "1"})
    assert made.returncode == 0, made.stdout + made.stderr
    return os.path.join(FOLDER, ".build/release/libSwiftLayer.so")


@pytest.fixture
def proxy(library, sluice, origin):
    def answer(head):
        if head.target == "/held":
            return reply(status="203 Fine", body=b"a<b")
        return reply(body=BIG if head.target == "/big" else b"ok")

    app = origin(serve(answer))
    proxy = sluice(app, plugins={"all": {"library": library}}, chain=["all"])
    return proxy, app


@pytest.mark.seconds(300)
@pytest.mark.parametrize("target, body", [
    ("/job", b"1:103:7"), ("/deadline", b"2:0:7"), ("/call", b"1:202:7"), ("/wait", b"3:9:7")])
def test_a_wait_ends(proxy, target, body):
    assert Client(proxy[0].address).request(target=target).body == body


def test_a_callout_has_its_fields(proxy):
    Client(proxy[0].address).request(target="/call")
    called = proxy[1].requests[0]
    assert (called.target, called.get("x-number")) == ("/called", "-12")


def test_a_bucket_is_shared(proxy):
    client = Client(proxy[0].address)
    assert [client.request(target="/bucket").status for _ in range(2)] == [200, 429]


def test_a_body_expands(proxy):
    answer = Client(proxy[0].address).request(target="/big")
    assert answer.body == BIG.replace(b"<", b"&lt;")


def test_a_held_head_is_let_go(proxy):
    answer = Client(proxy[0].address).request(target="/held")
    assert (answer.status, answer.body, answer.get("etag")) == (203, b"a&lt;b", "held")


def test_timers_and_pairs_of_the_log(proxy):
    proxy[0].wait_log(r"timer ticks=3")


def test_a_count_moves_over(library, sluice):
    proxy = sluice(supervised=False, plugins={"all": {"library": library}},
                   routes=[{"match": {}, "chain": ["all"]}])
    client = Client(proxy.address)
    assert [client.request(target="/count").body for _ in range(3)] == [b"1", b"2", b"3"]
    manifest = manifest_of(proxy)
    manifest["plugins"]["all"]["config"] = {"round": 2}
    wait_gone(proxy, reload(proxy, manifest) - 1)
    assert proxy.log.count("warm") == 2
    assert client.request(target="/count").body == b"4"
