"""What the end-to-end tests are made of: the proxy as a process, and an origin that follows a
script. The client and the messages are in wire.py.

Nothing here sleeps for a fixed time. Whoever waits, waits for an event, and fails when it has not
come by DEADLINE.
"""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from wire import DEADLINE, Request, Truncated, Wire

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BINARY = os.environ.get("SLUICE_BIN") or os.path.join(ROOT, ".build/release/sluice")
PLUGINS = os.path.dirname(os.path.abspath(BINARY))
# Plugins that come with the proxy.
SHIPPED = sorted(name for name in os.listdir(os.path.join(ROOT, "Plugins"))
                 if os.path.isdir(os.path.join(ROOT, "Plugins", name, "Entry")))


class OriginConnection(Wire):
    """One connection that the proxy made; what a script gets."""

    def __init__(self, sock, origin, number):
        super().__init__(sock)
        self.origin, self.number = origin, number

    def read_head(self):
        """The next request's head, or None at the end of the stream."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                if self.buffer:
                    raise Truncated(self.buffer[:200])
                return None
        head = Request(self.until(b"\r\n\r\n"))
        self.origin.note(head)
        return head

    def read_body(self, head):
        if head.chunked:
            self.chunked_body(head)
        elif head.get("content-length"):
            head.body = self.read(int(head.get("content-length")))
        return head

    def read_request(self):
        head = self.read_head()
        return head and self.read_body(head)


class Origin:
    """An origin that runs `script(connection)` on a thread per connection, then closes it.

    Errors of the socket are part of many tests and end a script quietly; any other exception, also
    an AssertionError, fails the test at its end.
    """

    connection = OriginConnection

    def __init__(self, script, path=None, host="127.0.0.1", port=0, tls=None):
        self.script = script
        self.tls = tls
        self.requests = []
        self.connections = 0
        self.closed = 0
        self.errors = []
        self.changed = threading.Condition()
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = "unix:" + path
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.socket(family)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
            self.address = ("[%s]:%d" if ":" in host else "%s:%d") % (host, self.port)
        self.listener.listen(1024)
        self.live = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                number = self.connections
                self.connections += 1
                connection = self.connection(sock, self, number)
                self.live.add(connection)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                connection.sock = self.tls.wrap_socket(connection.sock, server_side=True,
                                                       suppress_ragged_eofs=False)
            self.script(connection)
        except (OSError, Truncated):
            pass
        except BaseException as error:  # noqa: B902  reported by `close`
            self.errors.append(error)
        finally:
            connection.close()
            with self.changed:
                self.live.discard(connection)
                self.closed += 1
                self.changed.notify_all()

    def note(self, head):
        with self.changed:
            self.requests.append(head)
            self.changed.notify_all()

    def wait(self, condition, what):
        """Waits until `condition()` holds; it is evaluated whenever something happened here."""
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), "the origin never saw: " + what

    def wait_requests(self, count):
        self.wait(lambda: len(self.requests) >= count, "%d requests" % count)

    def wait_closed(self, count):
        self.wait(lambda: self.closed >= count, "%d closed connections" % count)

    def stop_listening(self):
        # shutdown, not close alone: a thread that sits in accept() keeps the socket alive.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def close(self):
        self.stop_listening()
        with self.changed:
            live = list(self.live)
        for connection in live:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.errors:
            raise self.errors[0]


def serve(answer):
    """A script that answers every request: with these bytes, or with what a function of the request
    returns."""

    def script(connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            connection.send(answer(head) if callable(answer) else answer)

    return script


def merge(base, over):
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


def manifest(*peers, listener=None, upstream=None, **over):
    """A manifest that sends everything to `peers` (origins, addresses or entries), in turn."""
    entries = [p.address if isinstance(p, Origin) else p for p in peers]
    out = {
        "version": 1,
        "workers": 1,
        "plugin_dir": PLUGINS,
        "log": {"level": "debug"},
        "listeners": [merge({"listen": "127.0.0.1:0"}, listener or {})],
        "plugins": {},
        "upstreams": {},
        "routes": [],
    }
    if entries:
        app = {"peers": entries}
        if len(entries) > 1:
            out["plugins"]["rr"] = {"library": "libRoundRobin.so"}
            app["balancer"] = "rr"
        out["upstreams"]["app"] = merge(app, upstream or {})
        out["routes"] = [{"match": {}, "upstream": "app"}]
    return merge(out, over)


def parse_address(text):
    if text.startswith("unix:"):
        return text[5:]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Sluice:
    """A running proxy. Its log is read by a thread, so that it never blocks on a full pipe."""

    def __init__(self, folder, manifest, nofile=None, prefix=(), environment=None,
                 patience=DEADLINE, supervised=True, binary=BINARY, arguments=()):
        self.path = os.path.join(str(folder), "sluice.json")
        self.save(manifest)
        self.supervised = supervised
        # The serving process crashes, and the supervisor copes with it.
        self.expected_crash = False
        argv = [*prefix, binary, "run", "--manifest", self.path, *arguments]
        if not supervised:
            argv.append("--no-supervisor")
        if nofile:
            argv = ["prlimit", "--nofile=%d:%d" % (nofile, nofile)] + argv
        self.lines = []
        self.ended = False
        self.expected_end = False
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})})
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.wait_log(r"\bready\b", patience)
            # It opens a moment after the listeners.
            admin = manifest.get("admin", {}).get("listen", "")
            if admin.startswith("unix:"):
                eventually(lambda: os.path.exists(admin[5:]), "the admin socket is there")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.addresses = [
            parse_address(m.group(1)) for m in re.finditer(r"listening on (\S+)", self.log)]
        self.address = self.addresses[0]

    def save(self, manifest):
        with open(self.path, "w") as file:
            json.dump(manifest, file, indent=1)

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.decode("utf-8", "replace"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    @property
    def log(self):
        with self.changed:
            return "".join(self.lines)

    def wait_log(self, pattern, deadline=DEADLINE):
        with self.changed:
            found = lambda: re.search(pattern, "".join(self.lines))
            self.changed.wait_for(lambda: found() or self.ended, deadline)
            assert found(), "no %r in the log:\n%s" % (pattern, "".join(self.lines))

    def signal(self, number):
        self.expected_end = True
        self.process.send_signal(number)

    def wait_end(self):
        self.process.wait(DEADLINE)
        return self.process.returncode

    def stop(self):
        """By TERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_end()

    def close(self):
        """The end of a test: whatever happened before, the process must not have crashed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("INT did not end the proxy:\n" + self.log) from None
        elif not self.expected_end:
            raise AssertionError(
                "the proxy ended during the test, status %s:\n%s"
                % (self.process.returncode, self.log))
        assert self.process.returncode == 0, "status %s:\n%s" % (self.process.returncode, self.log)
        assert self.expected_crash or not self.crashed, "a process crashed:\n" + self.log

    @property
    def crashed(self):
        """Whether a serving process has ended by itself."""
        return re.search(r" error supervisor process \d+ ", self.log) is not None

    @property
    def serving(self):
        """The number of the process that serves; the last one started, if there are several."""
        if not self.supervised:
            return self.process.pid
        return self.processes[-1]

    @property
    def processes(self):
        """The numbers of all processes under the supervisor, oldest first."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(word) for word in file.read().split()]

    # What the kernel says of the process that serves.
    def rss(self, name="VmRSS"):
        """Resident bytes; the most so far with "VmHWM"."""
        with open("/proc/%d/status" % self.serving) as file:
            return int(re.search(name + r":\s+(\d+)", file.read()).group(1)) * 1024

    def cpu(self):
        """Seconds of CPU so far."""
        with open("/proc/%d/stat" % self.serving) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.serving))


def run(*arguments, timeout=30, cwd=None):
    """Runs the binary to its end."""
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, cwd=cwd)


def has_ended(process):
    """Whether a process has ended that is no child of ours; nobody may ever ask for it."""
    try:
        with open("/proc/%d/stat" % process) as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(condition, what):
    """For facts of another process that nothing announces (such as /proc): looks again until the
    deadline."""
    end = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "never happened: " + what
        pause.wait(0.01)
