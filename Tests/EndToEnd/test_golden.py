"""Plugins that were compiled when a version of the ABI was released still work, as binaries."""
import glob
import hashlib
import json
import os

import pytest

import harness
from harness import ROOT, manifest, serve
from wire import Client, reply

GOLDEN = os.path.join(ROOT, "Tests/ABI/golden")
LIBRARIES = sorted(glob.glob(os.path.join(GOLDEN, "v*", os.uname().machine, "*.so")))
NAMES = [os.path.relpath(path, GOLDEN) for path in LIBRARIES]
every_library = pytest.mark.parametrize("library", LIBRARIES, ids=NAMES)


def test_there_are_some():
    if os.uname().machine == "x86_64":
        assert {"v0-minor-2/x86_64/libfilter-c.so", "v0-minor-2/x86_64/libfilter-rust.so"} <= set(
            NAMES)


@every_library
def test_it_is_the_file_that_was_kept(library):
    with open(os.path.join(os.path.dirname(library), "SHA256SUMS")) as file:
        sums = dict(reversed(line.split()) for line in file)
    with open(library, "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == sums[os.path.basename(library)]


def plugin(library, greeting=None):
    return {"library": library, "config": {"greeting": greeting} if greeting else {}}


@every_library
def test_a_request_passes_through(sluice, origin, library):
    app = origin(serve(reply(b"a banana\n")))
    proxy = sluice(app, plugins={"old": plugin(library, "good day")}, chain=["old"])
    proxy.wait_log("a golden plugin is made")
    client = Client(proxy.address)
    for target in ("/", "/path", "/" + "x" * 2000):
        answer = client.request(target=target)
        assert answer.status == 200
        assert answer.get("x-golden") == "good day"
        assert answer.get("x-path-length") == str(len(target))
        assert answer.body == (b"A bAnAnA\n" if "-c.so" in library else b"a banana\n")
    assert [request.get("x-attempt") for request in app.requests] == ["1"] * 3


@every_library
def test_it_answers_itself(sluice, origin, library):
    app = origin(serve(reply(b"app")))
    proxy = sluice(app, plugins={"old": plugin(library)}, chain=["old"])
    answer = Client(proxy.address).request(target="/answer")
    assert (answer.status, answer.body.lower()) == (203, b"answered\n")
    assert app.requests == []


@pytest.mark.parametrize("library", [path for path in LIBRARIES if "-c.so" in path])
def test_a_large_body_goes_through_its_hook(sluice, origin, library):
    body = b"banana split " * 100_000
    app = origin(serve(reply(body)))
    proxy = sluice(app, plugins={"old": plugin(library)}, chain=["old"])
    assert Client(proxy.address).request().body == body.replace(b"a", b"A")


@pytest.mark.parametrize("library", [path for path in LIBRARIES if "-c.so" in path])
def test_it_balances(sluice, origin, library):
    apps = [origin(serve(reply(name))) for name in (b"one", b"two", b"three")]
    proxy = sluice(*apps, plugins={"old": plugin(library)}, upstream={"balancer": "old"})
    client = Client(proxy.address)
    assert [client.request().body for _ in range(6)] == [b"one", b"two", b"three"] * 2


@every_library
def test_its_configuration_is_checked(tmp_path, library):
    path = tmp_path / "sluice.json"
    path.write_text(json.dumps(manifest("127.0.0.1:9", plugins={
        "old": {"library": library, "config": {"greeting": 7}}})))
    checked = harness.run("check", "--no-bind", "--manifest", str(path))
    assert checked.returncode == 78
    assert "plugins.old.config.greeting: expected a string" in checked.stderr


# Plugins in Embedded Swift: RoundRobin and Headers as they were then.
EMBEDDED = sorted(glob.glob(os.path.join(GOLDEN, "v*", os.uname().machine, "embedded")))


@pytest.mark.parametrize("folder", EMBEDDED, ids=lambda path: os.path.relpath(path, GOLDEN))
def test_swift_without_a_runtime(sluice, origin, folder):
    with open(os.path.join(folder, "SHA256SUMS")) as file:
        for line in file:
            digest, name = line.split()
            with open(os.path.join(folder, name), "rb") as library:
                assert hashlib.sha256(library.read()).hexdigest() == digest
    apps = [origin(serve(reply(b"%d" % n))) for n in range(2)]
    proxy = sluice(*apps, plugins={
        "rr": {"library": os.path.join(folder, "libRoundRobin.so")},
        "fields": {"library": os.path.join(folder, "libHeaders.so"),
                   "config": {"response": {"set": [{"name": "X-Golden", "value": "yes"}]}}}},
        chain=["fields"])
    client = Client(proxy.address)
    answers = [client.request() for _ in range(6)]
    assert sorted(answer.body for answer in answers) == [b"0"] * 3 + [b"1"] * 3
    assert all(answer.get("x-golden") == "yes" for answer in answers)
    assert apps[0].requests[0].get("x-forwarded-for") == "127.0.0.1"
