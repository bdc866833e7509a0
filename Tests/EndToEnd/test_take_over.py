"""A process takes over the sockets of an unrelated one, under load; and every way in which it fails
leaves the old one serving."""
import array
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

from harness import eventually
from service import NotifySocket, Place, ask, children, free_port, manifest, wait_gone
from wire import DEADLINE, Client


@pytest.fixture
def place():
    made = Place()
    yield made
    made.close()


class KeptConnection(threading.local):
    """A connection of each thread, which is used until an answer says `Connection: close`."""

    client = None

    def ask(self, address):
        self.client = self.client or Client(address)
        answer = self.client.request()
        if answer.closes:
            self.client.close()
            self.client = None
        return answer.body.decode()


class Load:
    """Clients that ask again and again, until told to stop: on a new connection each time, or on
    one as long as the proxy keeps it."""

    def __init__(self, *addresses, clients=4, keeps=False):
        self.ask = KeptConnection().ask if keeps else ask
        self.answers, self.failures = {}, []
        self.lock = threading.Lock()
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(addresses[n % len(addresses)],))
                        for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, address):
        while not self.ends.is_set():
            try:
                body = self.ask(address)
                with self.lock:
                    self.answers[body] = self.answers.get(body, 0) + 1
            except Exception as error:  # noqa: B902  counted
                with self.lock:
                    self.failures.append(repr(error))

    def wait(self, body, count):
        """Until this many more answers have come from there."""
        goal = self.answers.get(body, 0) + count
        eventually(lambda: self.answers.get(body, 0) >= goal, "%d answers of %s" % (count, body))

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()


def described(place, body, port, **over):
    return place.write(manifest(
        body, take_over={"listen": "unix:" + place.file("take.sock")},
        listeners=[{"listen": "127.0.0.1:%d" % port},
                   {"listen": "unix:" + place.file("web.sock")}], **over), body + ".json")


def test_process_after_process_under_load(place):
    port = free_port()
    sock = place.file("take.sock")
    old = place.start("run", "-m", described(place, "p0", port))
    load = Load(("127.0.0.1", port), place.file("web.sock"))
    load.wait("p0", 50)
    for turn in range(1, 6):
        body = "p%d" % turn
        # Fewer and more workers than there are sockets.
        path = described(place, body, port, workers=1 + turn % 3)
        new = place.start("run", "-m", path, "--take-over", sock)
        assert old.wait(DEADLINE) == 0, old.log()
        assert "process %d has taken over" % new.pid in old.log()
        load.wait(body, 50)
        old = new
    load.stop()
    print("answers by process: %r, failures: %d" % (load.answers, len(load.failures)))
    assert load.failures == []
    assert oct(os.stat(sock).st_mode & 0o7777) == "0o600"
    old.send_signal(signal.SIGTERM)
    assert old.wait(DEADLINE) == 0
    # The last one cleans up after all of them.
    assert not os.path.exists(sock) and not os.path.exists(place.file("web.sock"))


def test_kept_connections_are_told_to_go(place):
    port = free_port()
    old = place.start("run", "-m", described(place, "old", port))
    load = Load(("127.0.0.1", port), keeps=True)
    load.wait("old", 200)
    new = place.start("run", "-m", described(place, "new", port), "--take-over",
                      place.file("take.sock"))
    load.wait("new", 200)
    load.stop()
    assert load.failures == []
    assert old.wait(DEADLINE) == 0
    assert new.poll() is None


def test_more_sockets_than_one_message_carries(place):
    ports = [free_port() for _ in range(3)]
    listeners = [{"listen": "127.0.0.1:%d" % port} for port in ports]

    def path(body, **over):
        return place.write(manifest(
            body, listeners=listeners, workers=40,
            take_over={"listen": "unix:" + place.file("take.sock")}), body + ".json")

    old = place.start("run", "-m", path("old"))
    load = Load(*[("127.0.0.1", port) for port in ports], clients=3)
    new = place.start("run", "-m", path("new"), "--take-over", place.file("take.sock"))
    assert old.wait(DEADLINE) == 0
    load.wait("new", 200)
    load.stop()
    assert load.failures == []
    assert "warn" not in new.log()


def test_a_new_process_that_cannot_serve_changes_nothing(place):
    port = free_port()
    old = place.start("run", "-m", described(place, "old", port))
    load = Load(("127.0.0.1", port), clients=2)
    wrong = described(place, "wrong", port, plugins={"answer": {"config": {"status": 7}}})
    ended = place.run("run", "-m", wrong, "--take-over", place.file("take.sock"))
    assert ended.returncode == 78
    assert "status" in ended.stderr
    eventually(lambda: "does not take over: it closed the connection" in old.log(), "it is said")
    load.wait("old", 50)
    load.stop()
    assert load.failures == []
    # The sockets' files are the old one's still.
    assert ask(place.file("web.sock")) == "old"
    new = place.start("run", "-m", described(place, "new", port), "--take-over",
                      place.file("take.sock"))
    assert old.wait(DEADLINE) == 0
    assert ask(place.file("web.sock")) == "new"
    assert ask(("127.0.0.1", port)) == "new"
    assert new.poll() is None


def test_nobody_to_take_over_from(place):
    path = described(place, "new", free_port())
    ended = place.run("run", "-m", path, "--take-over", place.file("none.sock"))
    assert (ended.returncode, ended.stderr) == (
        1, "sluice: --take-over %s: nobody can be asked: No such file or directory\n"
        % place.file("none.sock"))


class Guest:
    """A process that wants the sockets, word by word."""

    def __init__(self, path):
        # It is made when the first process serves.
        eventually(lambda: os.path.exists(path), "somebody can be asked")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)

    def say(self, kind, body=b"", version=1):
        self.socket.send(b"SLTO" + struct.pack(">HHI", version, kind, len(body)) + body)

    def hear(self):
        """Kind, body and the number of descriptors."""
        data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4 * 64))
        if not data:
            return None
        fds = array.array("i")
        for _, _, content in control:
            fds.frombytes(content)
        for fd in fds:
            os.close(fd)
        assert data[:4] == b"SLTO" and data[4:6] == b"\0\1"
        kind, length = struct.unpack(">HI", data[6:12])
        assert length == len(data) - 12
        return kind, data[12:], len(fds)

    def take(self):
        self.say(1)
        kind, body, count = self.hear()
        assert (kind, struct.unpack(">I", body)[0]) == (2, count)
        self.say(3, struct.pack(">I", count))
        return count

    def close(self):
        self.socket.close()


def test_a_process_that_dies_half_way(place):
    port = free_port()
    old = place.start("run", "-m", described(place, "old", port))
    guest = Guest(place.file("take.sock"))
    # Two for TCP, as many as workers, and the Unix socket.
    assert guest.take() == 3
    second = Guest(place.file("take.sock"))
    assert second.hear() == (6, b"another process is taking over", 0)
    guest.close()
    eventually(lambda: "does not take over" in old.log(), "it is said")
    # All of its sockets are watched by the old one: new connections are answered.
    for _ in range(20):
        assert ask(("127.0.0.1", port)) == "old"


def test_a_process_that_is_too_slow(place):
    port = free_port()
    path = place.write(manifest("old", listeners=[{"listen": "127.0.0.1:%d" % port}], take_over={
        "listen": "unix:" + place.file("take.sock"), "timeout": "1s"}))
    old = place.start("run", "-m", path)
    guest = Guest(place.file("take.sock"))
    guest.take()
    assert guest.hear() is None
    eventually(lambda: "does not take over: it did not serve in time" in old.log(), "it is said")
    assert ask(("127.0.0.1", port)) == "old"


def test_another_version(place):
    old = place.start("run", "-m", described(place, "old", free_port()))
    guest = Guest(place.file("take.sock"))
    guest.say(1, version=2)
    assert guest.hear() == (6, b"it speaks version 2, this process version 1", 0)
    assert guest.hear() is None
    assert old.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_may_not(place):
    old = place.start("run", "-m", described(place, "old", free_port()))
    sock = place.file("take.sock")
    eventually(lambda: os.path.exists(sock), "somebody can be asked")
    script = ("import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
              "s.connect(%r); print(s.recv(100)[12:].decode())" % sock)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 "/usr/bin/python3", "-c"]
    ended = subprocess.run([*as_nobody, script], capture_output=True, text=True)
    assert "PermissionError" in ended.stderr
    # Even where the file would let it.
    os.chmod(sock, 0o666)
    ended = subprocess.run([*as_nobody, script], capture_output=True, text=True)
    assert ended.stdout == "this user may not take over\n", ended.stderr
    eventually(lambda: "user 65534 may not take over" in old.log(), "it is said")


def test_the_pid_file_and_the_main_process_go_along(place):
    notify = NotifySocket(place.path)
    port = free_port()
    environment = {**os.environ, "NOTIFY_SOCKET": notify.address}
    over = {"pid_file": place.file("sluice.pid")}
    old = place.start("run", "-m", described(place, "old", port, **over), env=environment)
    notify.next("MAINPID=%d" % old.pid)
    new = place.start("run", "-m", described(place, "new", port, **over), "--take-over",
                      place.file("take.sock"), env=environment)
    notify.next("MAINPID=%d" % new.pid)
    assert old.wait(DEADLINE) == 0
    assert place.text("sluice.pid") == "%d\n" % new.pid
    assert notify.quiet("STOPPING=1", 0.2)
    notify.close()


def test_a_daemon_takes_over(place):
    """What a script does that replaces one release by the next."""
    port = free_port()
    old = place.start("run", "-m", described(place, "old", port))
    ended = place.run("run", "-m", described(place, "new", port), "--daemon", "--pid-file",
                      place.file("sluice.pid"), "--take-over", place.file("take.sock"))
    assert ended.returncode == 0, ended.stderr
    # Until then both take connections.
    assert old.wait(DEADLINE) == 0
    assert ask(("127.0.0.1", port)) == "new"
    pid = int(place.text("sluice.pid"))
    assert len(children(pid)) == 1
    os.kill(pid, signal.SIGTERM)
    wait_gone(pid)
