"""The plugins as Embedded Swift, without a runtime of their own, in the release binary."""
import json
import os
import shutil
import subprocess

import pytest

import harness
from harness import serve
from wire import Client, reply

pytestmark = pytest.mark.compiles
FOLDER = os.path.join(harness.ROOT, ".build-embedded")
# Discovery brings a DNS client and a reader of JSON, RateLimit speaks with a store, AccessLog has a
# table of variables, Tracing writes two encodings.
KIBIBYTES_MAX = {"Discovery": 280, "RateLimit": 200, "AccessLog": 200, "Tracing": 200,
                 "Cache": 320}


@pytest.fixture(scope="module")
def built():
    """Builds them; what was built before is not built again."""
    if not shutil.which("swift"):
        pytest.skip("no Swift compiler")
    made = subprocess.run([os.path.join(harness.ROOT, "scripts/embedded")], capture_output=True,
                          text=True, timeout=600, stdin=subprocess.DEVNULL)
    assert made.returncode == 0, made.stdout + made.stderr
    return {name: os.path.join(FOLDER, "release", "lib%s.so" % name) for name in harness.SHIPPED}


@pytest.mark.seconds(300)
def test_they_are_small_and_need_no_runtime(built):
    for name, library in built.items():
        needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True)
        assert "NEEDED" in needed.stdout and "libswift" not in needed.stdout
        assert os.path.getsize(library) < KIBIBYTES_MAX.get(name, 160) * 1024


def test_they_say_what_the_others_say(built):
    for name, library in built.items():
        usual = harness.run("plugin", "inspect", os.path.join(harness.PLUGINS, "lib%s.so" % name))
        small = harness.run("plugin", "inspect", library)
        assert small.returncode == usual.returncode == 0
        # File and checksum differ, and nothing else.
        lines = [line for line in usual.stdout.splitlines() if line.startswith(("id:", "hooks:"))]
        assert len(lines) == 2 and all(line in small.stdout.splitlines() for line in lines)


def test_they_proxy(built, sluice, origin):
    first, second = origin(serve(reply(body=b"first"))), origin(serve(reply(body=b"second")))
    proxy = sluice(
        first, second,
        plugins={
            "rr": {"library": built["RoundRobin"]},
            "hdr": {"library": built["Headers"],
                    "config": {"response": {"set": [{"name": "x-small", "value": "{route}!"}]}}},
            "say": {"library": built["Respond"], "config": {"body": "hello {client_ip}\n"}},
        },
        chain=["hdr"],
        routes=[{"name": "said", "match": {"path": "/said"}, "chain": ["say"]},
                {"name": "rest", "match": {}, "upstream": "app"}])
    client = Client(proxy.address)
    said = client.request(target="/said")
    assert (said.body, said.get("x-small")) == (b"hello 127.0.0.1\n", "said!")
    bodies = {client.request().body for _ in range(4)}
    assert bodies == {b"first", b"second"}
    seen = first.requests[0]
    assert seen.all("x-forwarded-for") == ["127.0.0.1"] and len(seen.get("x-request-id")) == 32


def test_they_refuse_what_the_others_refuse(built, tmp_path):
    path = tmp_path / "refused.json"
    for name, config, message in [
        ("Headers", {"request": {"remove": ["host"]}}, "Host can be set, but not removed"),
        ("Respond", {"stats": 200}, 'did you mean "status"?'),
        ("Respond", {"body_file": "/nowhere"}, "/nowhere: No such file or directory"),
    ]:
        path.write_text(json.dumps(harness.manifest("127.0.0.1:9", plugins={
            "x": {"library": built[name], "config": config}})))
        checked = harness.run("check", "--manifest", str(path))
        assert checked.returncode == 78 and message in checked.stderr
