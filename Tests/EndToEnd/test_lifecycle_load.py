"""Changes under load, in short: Tests/Bench/lifecycle has the scripts, and tells what the client
checks. The first tests hold the client itself to that, with a relay that does wrong now and then.
"""
import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

import harness

FOLDER = os.path.join(harness.ROOT, "Tests/Bench/lifecycle")
sys.path.insert(0, FOLDER)

import bodies  # noqa: E402
import checked_origin  # noqa: E402
import load as load_process  # noqa: E402

pytestmark = pytest.mark.long
SHORT = ["--warm", "0.5", "--quiet", "1", "--settle", "1"]
# Which requests of a faulty relay go wrong.
NTH = 20


class Relay:
    """Between the client and the origin: it takes whole messages of HTTP/1.1, and does `fault` to
    every twentieth."""

    def __init__(self, origin, fault):
        self.origin, self.fault, self.count = origin, fault, 0
        self.started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True).start()
        assert self.started.wait(5)

    async def run(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        await server.serve_forever()

    async def serve(self, reader, writer):
        peer, to_peer = await asyncio.open_connection("127.0.0.1", self.origin)
        last = b""
        try:
            while True:
                request = await self.message(reader)
                self.count += 1
                fault = self.fault if self.count % NTH == 0 else None
                if fault == "damages the request" and request[-1:] != b"\n":
                    request = request[:-1] + bytes([request[-1] ^ 1])
                answer = b""
                for _ in range(2 if fault == "asks twice" else 1):
                    to_peer.write(request)
                    answer = await self.message(peer)
                if fault == "damages the answer" and answer[-1:] != b"\n":
                    answer = answer[:-1] + bytes([answer[-1] ^ 1])
                elif fault == "cuts the answer":
                    writer.write(answer[:40])
                    return
                elif fault == "closes under the request":
                    return
                elif fault == "answers with 503":
                    answer = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
                elif fault == "answers with the last answer" and last:
                    answer = last
                last = answer
                writer.write(answer)
                if fault == "closes behind the answer":
                    return
        except (EOFError, OSError):
            pass
        finally:
            to_peer.close()
            await writer.drain()
            writer.close()

    async def message(self, reader):
        """One message, with its length said before it."""
        head = await reader.readuntil(b"\r\n\r\n")
        _, fields = checked_origin.parse(head)
        body = await checked_origin.read_body(reader, fields)
        if b"transfer-encoding" in fields:
            head = head.lower().replace(
                b"transfer-encoding: chunked", b"content-length: %d" % len(body))
        return head + body


@pytest.fixture
def load(tmp_path, ca):
    """Runs the client's lanes of HTTP/1.1 through a relay: its ledger, and the origin's counts."""
    processes = []

    def start(*argv):
        process = subprocess.Popen(
            ["/usr/bin/python3", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    def run(fault):
        ports = json.loads(start(FOLDER + "/checked_origin.py").stdout.readline())
        relay = Relay(ports["h1"][0], fault)
        settings = {"h1": relay.port, "tls": 1, "h2c": 1, "ca": ca.path, "lanes": {
            kind: 4 if kind == "h1" else 0 for kind in load_process.LANES}}
        client = start(FOLDER + "/load.py", json.dumps(settings), str(tmp_path))
        assert client.stdout.readline() == "running\n"
        # What is waited for is the load itself: enough requests that each fault has occurred.
        harness.eventually(lambda: relay.count > 5 * NTH, "requests")
        out = json.loads(client.communicate(timeout=30)[0])
        totals = subprocess.run(
            ["curl", "-s", "http://127.0.0.1:%d/-/totals" % ports["h1"][0]], capture_output=True)
        return out["ledgers"][0], json.loads(totals.stdout)

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_the_client_finds_nothing_wrong_where_nothing_is(load):
    ledger, origin = load(None)
    assert ledger["sent"] == ledger["good"] == origin["exchanges"] > 5 * NTH
    assert not ledger["failed"] and not origin["duplicates"] and not origin["broken"]


@pytest.mark.parametrize("fault, reason", [
    ("damages the request", "request damaged"),
    ("damages the answer", "answer damaged"),
    ("answers with the last answer", "misordered"),
    ("cuts the answer", "answer cut in its head"),
    ("closes under the request", "closed without an answer on a kept connection"),
    ("answers with 503", "status 503"),
])
def test_the_client_finds(load, fault, reason):
    ledger, _ = load(fault)
    assert list(ledger["failed"]) == [reason]
    assert ledger["sent"] == ledger["good"] + ledger["failed"][reason]


def test_the_origin_finds_a_request_that_comes_twice(load):
    ledger, origin = load("asks twice")
    assert origin["duplicates"] >= 5
    assert not ledger["failed"]


def test_the_end_of_an_idle_connection_is_no_failure(load):
    ledger, _ = load("closes behind the answer")
    assert not ledger["failed"]
    assert ledger["allowed"]["closed idle"] >= 5


def test_bodies_differ():
    import random
    rng = random.Random(1)
    assert len({bodies.digest(bodies.pick(rng, 20)) for _ in range(100)}) > 50


# -------------------------------------------------------------------- the scripts
def script(name, *options):
    """Runs a script; its report when it fails is the test's."""
    done = subprocess.run(
        ["/usr/bin/python3", os.path.join(FOLDER, name), *SHORT, *options], capture_output=True,
        text=True, timeout=110, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("haproxy"), reason="no haproxy")
def test_haproxy_reloads():
    """Another proxy through the same script: what the client calls a failure can be avoided."""
    assert ", failed 0 " in script("reloads.py", "--proxy", "haproxy", "--count", "14")


@pytest.mark.parametrize("how", [[], ["--by-signal"]], ids=["command", "signal"])
def test_reloads(how):
    script("reloads.py", "--count", "20", "--every", "0.1", *how)


def test_upgrades():
    script("upgrades.py", "--count", "3", "--every", "0.3")


def test_swaps():
    report = script("swaps.py", "--count", "20", "--every", "0.05", "--no-swift")
    assert "counter after an upgrade" in report


def test_swaps_to_new_files():
    script("swaps.py", "--count", "20", "--every", "0.05", "--no-swift", "--distinct")
