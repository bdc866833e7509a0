"""A client of its own that asks all the time, and how long it waited at most.

It is a process: as a thread it would wait for the interpreter that the tests, their origins and
the attack share, and measure that.
"""
import json
import os
import select
import ssl
import subprocess
import sys
import time

from h2wire import H2, NO_ERROR, get
from wire import DEADLINE

# Seconds between an answer and the next question.
PAUSE = 0.01


class Probe:
    """`with Probe(address) as p:` asks until the end of the block; then `worst` (seconds) and
    `count` are about the block alone."""

    def __init__(self, address, path="/", ca=None):
        """`ca`: the file of the authority, where the server speaks TLS."""
        self.worst, self.count = 0.0, 0
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), json.dumps([address, path, ca])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        first = self.process.stdout.readline()
        if first != "ready\n":
            self.process.kill()
            raise AssertionError("the probe: " + (first or "no answer"))
        self.process.stdin.write("begin\n")
        self.process.stdin.flush()
        return self

    def __exit__(self, *_):
        try:
            text, _ = self.process.communicate(timeout=2 * DEADLINE)
        finally:
            self.process.kill()
        said = json.loads(text.splitlines()[-1])
        assert not said["error"], "the probe: " + said["error"]
        assert said["count"], "the probe got no answer at all"
        self.worst, self.count = said["worst"], said["count"]


def connect(address, ca):
    tls = None
    if ca:
        tls = ssl.create_default_context(cafile=ca)
        tls.set_alpn_protocols(["h2"])
    return H2(tuple(address), tls=tls).open()


def ask(address, path, ca, said):
    c = connect(address, ca)
    while True:
        begin = time.monotonic()
        answer = c.fetch(get(path))
        assert answer.status == 200, "status %s" % answer.status
        said["worst"] = max(said["worst"], time.monotonic() - begin)
        said["count"] += 1
        assert not c.goaway or c.goaway[-1][1] == NO_ERROR, "GOAWAY %r" % c.goaway
        if c.goaway:
            c.close()
            c = connect(address, ca)
        if said["first"]:
            said["first"] = False
            print("ready", flush=True)
        if select.select([sys.stdin], [], [], PAUSE)[0]:
            if not sys.stdin.readline():
                return
            said.update(worst=0.0, count=0)


def main():
    said = {"worst": 0.0, "count": 0, "error": None, "first": True}
    try:
        ask(*json.loads(sys.argv[1]), said)
    except Exception as error:  # noqa: B902  told to the test
        said["error"] = "%s: %s" % (type(error).__name__, error)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
