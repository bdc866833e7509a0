"""A trial: an origin, a proxy, the checking client, and pressure beside it."""
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../EndToEnd"))

import certificates  # noqa: E402
import subjects  # noqa: E402
from outcome import Outcome  # noqa: E402

# Debian's interpreter has the packages.
PYTHON = "/usr/bin/python3"


class Trial:
    """Everything of a trial under a folder of its own, which is removed when all went well."""

    def __init__(self, proxy, lanes=None, think=1.0, pressure=0):
        self.folder = tempfile.mkdtemp(prefix="lifecycle-")
        self.keep = False
        self.windows = []
        self.lanes, self.think, self.pressure = lanes or {}, think, pressure
        self.client = self.wrk = None
        subjects.adopt_orphans()
        self.authority = certificates.Authority(self.folder)
        self.leaves = [self.authority.issue("localhost", "IP:127.0.0.1") for _ in range(2)]
        self.origin_process = subprocess.Popen(
            [PYTHON, HERE + "/checked_origin.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.origin = json.loads(self.origin_process.stdout.readline())
        make = subjects.SUBJECTS[proxy] if isinstance(proxy, str) else proxy
        self.subject = make(self.folder + "/proxy", self.origin, self.leaves)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for process in (self.client, self.wrk, self.origin_process):
            if process:
                process.kill()
                process.wait()
        self.subject.kill()
        if kind or self.keep:
            print("the folder of the trial is kept: %s" % self.folder, file=sys.stderr)
        else:
            shutil.rmtree(self.folder)

    # -------------------------------------------------------------------- load
    def begin_load(self):
        settings = {"h1": self.subject.h1, "tls": self.subject.tls, "h2c": self.subject.h2c,
                    "ca": self.authority.path, "lanes": self.lanes, "think": self.think}
        self.client = subprocess.Popen(
            [PYTHON, HERE + "/load.py", json.dumps(settings), self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.client.stdout.readline() == "running\n", "the client did not start"
        if self.pressure:
            self.wrk = subprocess.Popen(
                ["wrk", "-t1", "-c%d" % self.pressure, "-d24h", "--timeout", "15s",
                 "http://127.0.0.1:%d/pressure" % self.subject.h1],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True)

    def end_load(self):
        """Lets what is under way end; the client's counts, and the origin's."""
        text = ""
        if self.wrk:
            self.wrk.send_signal(signal.SIGINT)
            text = self.wrk.communicate(timeout=30)[0]
            self.wrk = None
        out, _ = self.client.communicate(timeout=60)
        self.client = None
        return Outcome(json.loads(out), self.totals(), self.windows, self.folder, text)

    def window(self, name, seconds=None):
        """Times until the next window, or for `seconds`, are of this one."""
        self.windows.append((time.monotonic(), name))
        if seconds:
            time.sleep(seconds)

    # ------------------------------------------------------------------ asking
    def ask(self, path="/probe", port=None):
        """(status, fields) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.subject.h1, timeout=15)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def version(self):
        return int(self.ask().getheader("x-version"))

    def certificate(self):
        """Of the TLS listener, as PEM."""
        return ssl.get_server_certificate(("127.0.0.1", self.subject.tls), timeout=15)

    def totals(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.origin["h1"][0], timeout=15)
        connection.request("GET", "/-/totals")
        return json.loads(connection.getresponse().read())
