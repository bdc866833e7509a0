"""What the tests of a service of the machine share: a proxy that answers by itself, started as
others start it (a service manager, a shell that does not wait), and the service manager's
socket."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness
from wire import DEADLINE, Client

LIBRARY = os.path.join(harness.PLUGINS, "libRespond.so")


def manifest(body="ok", **over):
    """A manifest whose one plugin answers everything; `over` may replace the listeners."""
    base = {
        "version": 1, "workers": 2, "log": {"level": "debug"},
        "listeners": [{"listen": "127.0.0.1:0"}],
        "plugins": {"answer": {"library": LIBRARY, "config": {"status": 200, "body": body}}},
        "upstreams": {}, "chain": ["answer"],
        "routes": [{"match": {}}],
    }
    return harness.merge(base, over)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(address, target="/"):
    """The body of the answer on a new connection."""
    client = Client(address)
    try:
        return client.request(target=target).body.decode()
    finally:
        client.close()


def status(pid, key):
    """A line of /proc/PID/status."""
    with open("/proc/%d/status" % pid) as file:
        return re.search(r"^%s:\s*(.*)$" % key, file.read(), re.M).group(1)


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def is_running(pid):
    try:
        return status(pid, "State")[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(pid):
    harness.eventually(lambda: not is_running(pid), "process %d ends" % pid)


class NotifySocket:
    """The socket of a service manager."""

    def __init__(self, folder, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)
        name = "sluice-test-%d-%d" % (os.getpid(), time.monotonic_ns())
        path = "\0" + name if abstract else os.path.join(str(folder), "notify")
        self.socket.bind(path)
        if not abstract:
            os.chmod(path, 0o666)
        self.address = "@" + name if abstract else path
        self.seen = []

    def next(self, wanted):
        """The next message that has this line; all before it are left out."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            lines = self.socket.recv(4096).decode().split("\n")
            self.seen.append(lines)
            if wanted in lines:
                return lines
        raise AssertionError("no %s among %r" % (wanted, self.seen))

    def quiet(self, line, seconds):
        """No message has this line for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                if line in self.socket.recv(4096).decode().split("\n"):
                    return False
            except (socket.timeout, BlockingIOError):
                break
        self.socket.settimeout(DEADLINE)
        return True

    def close(self):
        self.socket.close()


class Place:
    """A folder that every user can read, with copies of the program and a plugin."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="sluice-service-")
        os.chmod(self.path, 0o755)
        self.binary = self.copy(harness.BINARY)
        self.library = self.copy(LIBRARY)
        self.pids = []

    def copy(self, file):
        to = os.path.join(self.path, os.path.basename(file))
        shutil.copy(file, to)
        os.chmod(to, 0o755)
        return to

    def file(self, name):
        return os.path.join(self.path, name)

    def folder(self, name, user="nobody"):
        os.mkdir(self.file(name))
        shutil.chown(self.file(name), user)
        return self.file(name)

    def write(self, content, name="sluice.json"):
        content["plugins"]["answer"]["library"] = self.library
        with open(self.file(name), "w") as file:
            json.dump(content, file)
        os.chmod(self.file(name), 0o644)
        return self.file(name)

    def text(self, name):
        with open(self.file(name)) as file:
            return file.read()

    def run(self, *arguments, **options):
        """Runs the program to its end; a daemon is ended with the test."""
        ended = subprocess.run([self.binary, *arguments], capture_output=True, text=True,
                               timeout=DEADLINE, stdin=subprocess.DEVNULL, **options)
        pid_file = self.file("sluice.pid")
        if os.path.exists(pid_file) and os.path.getsize(pid_file):
            self.pids.append(int(self.text("sluice.pid")))
        return ended

    def start(self, *arguments, prefix=(), **options):
        """Starts the program and comes back when it says that it is ready."""
        log = open(self.file("log-%d" % time.monotonic_ns()), "w+")
        process = subprocess.Popen([*prefix, self.binary, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=log, **options)
        process.log = lambda: open(log.name).read()
        self.pids.append(process.pid)
        harness.eventually(
            lambda: re.search(r"\bready\b", process.log()) or process.poll() is not None,
            "the proxy is ready")
        assert process.poll() is None, process.log()
        return process

    def close(self):
        for pid in self.pids:
            try:
                # A starter, as of a name space, ends with what it has started.
                for process in [pid, *children(pid)]:
                    os.kill(process, signal.SIGINT)
            except (ProcessLookupError, FileNotFoundError):
                continue
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                wait_gone(pid)
        shutil.rmtree(self.path)
