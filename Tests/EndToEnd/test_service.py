"""The proxy as a service of its machine: told to and by a service manager, under another user, with
sockets that it was given, and with a log that is rotated."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

import harness
from harness import eventually
from service import NotifySocket, Place, ask, children, free_port, is_running, manifest, status
from wire import Client

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def place():
    made = Place()
    yield made
    made.close()


@pytest.fixture
def notify(place):
    made = NotifySocket(place.path)
    yield made
    made.close()


def environment(**variables):
    return {**os.environ, **variables}


# -- sd_notify ------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(place, abstract):
    notify = NotifySocket(place.path, abstract)
    port = free_port()
    path = place.write(manifest(listeners=[{"listen": "127.0.0.1:%d" % port}]))
    proxy = place.start("run", "-m", path, env=environment(NOTIFY_SOCKET=notify.address))
    lines = notify.next("READY=1")
    assert "MAINPID=%d" % proxy.pid in lines
    assert "STATUS=serving, 2 workers" in lines
    assert ask(("127.0.0.1", port)) == "ok"
    # It is meant for the supervisor alone.
    with open("/proc/%d/environ" % children(proxy.pid)[0], "rb") as file:
        assert b"NOTIFY_SOCKET" not in file.read()
    proxy.send_signal(signal.SIGHUP)
    lines = notify.next("RELOADING=1")
    assert re.match(r"MONOTONIC_USEC=\d+$", lines[1])
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert 0 <= now - int(lines[1].split("=")[1]) < 60_000_000
    notify.next("READY=1")
    proxy.send_signal(signal.SIGTERM)
    notify.next("STOPPING=1")
    assert proxy.wait(harness.DEADLINE) == 0
    notify.close()


def test_signs_of_life_stop_with_the_serving_process(place, notify):
    path = place.write(manifest())
    proxy = place.start("run", "-m", path, env=environment(
        NOTIFY_SOCKET=notify.address, WATCHDOG_USEC="400000"))
    notify.next("READY=1")
    begin = time.monotonic()
    for _ in range(5):
        notify.next("WATCHDOG=1")
    # Twice within the time: no less, and not much more often.
    assert 0.5 < time.monotonic() - begin < 10
    serving = children(proxy.pid)[0]
    os.kill(serving, signal.SIGSTOP)
    notify.quiet("WATCHDOG=1", 0.4)
    assert notify.quiet("WATCHDOG=1", 1)
    os.kill(serving, signal.SIGCONT)
    notify.next("WATCHDOG=1")


def test_a_watchdog_of_another_process_is_left_alone(place, notify):
    path = place.write(manifest())
    place.start("run", "-m", path, env=environment(
        NOTIFY_SOCKET=notify.address, WATCHDOG_USEC="200000", WATCHDOG_PID="1"))
    notify.next("READY=1")
    assert notify.quiet("WATCHDOG=1", 0.6)


def test_an_upgrade_keeps_the_service_manager(place, notify):
    port = free_port()
    path = place.write(manifest(
        pid_file=place.file("sluice.pid"), listeners=[{"listen": "127.0.0.1:%d" % port}]))
    proxy = place.start("run", "-m", path, env=environment(
        NOTIFY_SOCKET=notify.address, WATCHDOG_USEC="400000"))
    notify.next("READY=1")
    proxy.send_signal(signal.SIGUSR2)
    notify.next("RELOADING=1")
    assert "MAINPID=%d" % proxy.pid in notify.next("READY=1")
    notify.next("WATCHDOG=1")
    # The pid file is still this process's.
    assert place.text("sluice.pid") == "%d\n" % proxy.pid
    other = place.run("run", "-m", path)
    assert (other.returncode, other.stderr) == (
        1, "%s: pid_file: %s: another sluice runs, as process %d\n"
        % (path, place.file("sluice.pid"), proxy.pid))
    assert ask(("127.0.0.1", port)) == "ok"
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait(harness.DEADLINE) == 0
    assert not os.path.exists(place.file("sluice.pid"))


def test_a_wrong_variable_is_a_line(place):
    proxy = place.start("run", "-m", place.write(manifest()), env=environment(
        NOTIFY_SOCKET="vsock:2:1"))
    assert "NOTIFY_SOCKET: vsock:2:1 is neither a path nor an abstract name (@...)" in proxy.log()


# -- socket activation ----------------------------------------------------------------------------

ACTIVATE = """
import os, sys
count = int(sys.argv[1])
for place in range(count):
    os.set_inheritable(3 + place, True)
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(place, sockets, *arguments):
    """Starts the program with these as its descriptors 3 and on, as systemd does."""
    def put():
        # Above their targets first, so that none is overwritten.
        high = [os.dup2(one.fileno(), 100 + index) for index, one in enumerate(sockets)]
        for index, number in enumerate(high):
            os.dup2(number, 3 + index)
            os.close(number)

    return place.start(
        *arguments, prefix=(sys.executable, "-c", ACTIVATE, str(len(sockets))),
        pass_fds=tuple(range(3, 3 + len(sockets))), preexec_fn=put)


def listening(address=("127.0.0.1", 0), kind=socket.SOCK_STREAM, listens=True):
    made = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, kind)
    made.bind(address)
    if listens:
        made.listen(128)
    return made


def test_sockets_of_a_service_manager_are_used(place):
    tcp, unix = listening(), listening(place.file("web.sock"))
    port = tcp.getsockname()[1]
    path = place.write(manifest(workers=3, listeners=[
        {"listen": "127.0.0.1:%d" % port}, {"listen": "unix:" + place.file("web.sock")}]))
    # Whoever connects before the proxy is there is served, too.
    early = Client(("127.0.0.1", port))
    proxy = activated(place, [tcp, unix], "run", "-m", path)
    assert early.request().body == b"ok"
    early.close()
    for _ in range(30):
        assert ask(("127.0.0.1", port)) == "ok"
        assert ask(place.file("web.sock")) == "ok"
    assert "warn" not in proxy.log()
    with open("/proc/%d/environ" % children(proxy.pid)[0], "rb") as file:
        assert b"LISTEN_" not in file.read()
    # An upgrade of the program keeps them.
    proxy.send_signal(signal.SIGUSR2)
    eventually(lambda: proxy.log().count("ready, workers") == 2, "the upgrade")
    assert ask(("127.0.0.1", port)) == "ok"
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait(harness.DEADLINE) == 0
    # The service manager's sockets, and their files, are its own.
    assert os.path.exists(place.file("web.sock"))
    waiting = socket.create_connection(("127.0.0.1", port))
    waiting.close()
    tcp.close()
    unix.close()


def test_sockets_that_do_not_fit_are_said(place):
    used, unused = listening(), listening()
    datagrams = listening(kind=socket.SOCK_DGRAM, listens=False)
    silent = listening(listens=False)
    path = place.write(manifest(
        listeners=[{"listen": "127.0.0.1:%d" % used.getsockname()[1]}]))
    proxy = activated(place, [used, unused, datagrams, silent], "run", "-m", path)
    for line in ("warn supervisor socket activation: descriptor 5 is no stream socket",
                 "warn supervisor socket activation: descriptor 6 does not listen",
                 "warn supervisor no listener for the inherited socket 127.0.0.1:%d"
                 % unused.getsockname()[1]):
        assert line in proxy.log()
    assert ask(used.getsockname()) == "ok"


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not there")
def test_systemds_own_starter(place):
    port = free_port()
    address = "127.0.0.1:%d" % port
    path = place.write(manifest(listeners=[{"listen": address}]))
    process = subprocess.Popen(
        ["systemd-socket-activate", "-l", address, place.binary, "run", "-m", path],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place.pids.append(process.pid)

    def connects():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(connects, "the starter listens")
    assert ask(("127.0.0.1", port)) == "ok"


# -- users ----------------------------------------------------------------------------------------


@root
def test_the_user_is_dropped_and_low_ports_stay(place):
    # A port that only root, or the capability, may take.
    port = next(p for p in range(700, 1024) if can_bind(p))
    path = place.write(manifest(user="nobody", listeners=[{"listen": "127.0.0.1:%d" % port}]))
    proxy = place.start("run", "-m", path)
    assert ask(("127.0.0.1", port)) == "ok"
    serving = children(proxy.pid)[0]
    for pid in (proxy.pid, serving):
        assert status(pid, "Uid").split() == ["65534"] * 4
        assert status(pid, "Gid").split() == ["65534"] * 4
        assert set(status(pid, "Groups").split()) <= {"65534"}
        assert status(pid, "NoNewPrivs") == "1"
    bind = "%016x" % (1 << 10)
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert (status(proxy.pid, kind), status(serving, kind)) == (bind, "0" * 16)
    for task in os.listdir("/proc/%d/task" % serving):
        with open("/proc/%d/task/%s/status" % (serving, task)) as file:
            text = file.read()
        assert re.search(r"^CapEff:\s*0+$", text, re.M) and re.search(r"NoNewPrivs:\s*1", text)
    # The right outlives an upgrade, after which another low port can be taken.
    more = next(p for p in range(port + 1, 1024) if can_bind(p))
    place.write(manifest(user="nobody", listeners=[
        {"listen": "127.0.0.1:%d" % port}, {"listen": "127.0.0.1:%d" % more}]))
    proxy.send_signal(signal.SIGUSR2)
    eventually(lambda: proxy.log().count("ready, workers") == 2, "the upgrade")
    assert ask(("127.0.0.1", more)) == "ok"
    assert status(proxy.pid, "CapEff") == bind
    eventually(lambda: len(children(proxy.pid)) == 1, "the old process ends")
    assert status(children(proxy.pid)[0], "CapEff") == "0" * 16


def can_bind(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


@root
def test_a_group_of_its_own(place):
    path = place.write(manifest())
    proxy = place.start("run", "-m", path, "--user", "65534", "--group", "daemon")
    assert status(proxy.pid, "Uid").split()[0] == "65534"
    assert status(proxy.pid, "Gid").split() == ["1"] * 4


@root
def test_what_the_user_cannot_read_is_said(place):
    path = place.write(manifest(user="nobody"))
    os.chmod(place.library, 0o700)
    ended = place.run("run", "-m", path)
    assert ended.returncode == 78
    assert "Permission denied" in ended.stderr and place.library in ended.stderr
    os.chmod(place.library, 0o755)
    os.chmod(path, 0o600)
    ended = place.run("run", "-m", path)
    assert (ended.returncode, ended.stderr) == (
        78, "%s: cannot be read: Permission denied\n" % path)


@root
def test_only_root_becomes_another_user(place):
    path = place.write(manifest(user="daemon"))
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", place.binary]
    for more in ([], ["--no-supervisor"]):
        ended = subprocess.run([*prefix, "run", "-m", path, *more], capture_output=True, text=True)
        assert ended.returncode == 78
        assert ended.stderr == (
            "%s: user daemon: its groups can't be taken: Operation not permitted;"
            " only root may become another user\n" % path)


def test_an_unknown_user(place):
    path = place.write(manifest(user="no-such-user"))
    ended = place.run("run", "-m", path)
    assert (ended.returncode, ended.stderr) == (
        78, "%s: user no-such-user: there is no user of this name\n" % path)


# -- daemon ---------------------------------------------------------------------------------------


def test_a_daemon_returns_when_it_serves(place):
    port = free_port()
    path = place.write(manifest(
        error_log=place.file("error.log"), listeners=[{"listen": "127.0.0.1:%d" % port}]))
    ended = place.run("run", "-m", path, "--daemon", "--pid-file", place.file("sluice.pid"))
    assert ended.returncode == 0, ended.stderr
    # At once: nothing is waited for here.
    assert ask(("127.0.0.1", port)) == "ok"
    pid = int(place.text("sluice.pid"))
    assert os.stat(place.file("sluice.pid")).st_mode & 0o777 == 0o644
    for process in [pid, *children(pid)]:
        assert os.getsid(process) == os.getsid(pid) != os.getsid(0)
        links = [os.readlink("/proc/%d/fd/%d" % (process, fd)) for fd in (0, 1, 2)]
        assert links == ["/dev/null", "/dev/null", place.file("error.log")]
    # Not the leader of its session: it can't get a terminal by opening one.
    assert os.getsid(pid) != pid
    again = place.run("run", "-m", path, "--daemon", "--pid-file", place.file("sluice.pid"))
    assert again.returncode == 1
    assert "another sluice runs, as process %d" % pid in again.stderr
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not is_running(pid), "the daemon ends")
    assert not os.path.exists(place.file("sluice.pid"))
    assert "stopped" in place.text("error.log")


def test_a_daemon_that_fails_says_so(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        path = place.write(manifest(
            pid_file=place.file("sluice.pid"), error_log=place.file("error.log"),
            listeners=[{"listen": address}]))
        ended = place.run("run", "-m", path, "--daemon")
    assert ended.returncode == 78
    assert "listeners[0].listen: %s: Address already in use" % address in ended.stderr
    assert not os.path.exists(place.file("sluice.pid"))


def test_a_daemon_without_a_log_lets_go_of_the_output(place):
    path = place.write(manifest(pid_file=place.file("sluice.pid")))
    # Ends when the last process has closed the pipe.
    ended = place.run("run", "-m", path, "--daemon")
    assert ended.returncode == 0
    pid = int(place.text("sluice.pid"))
    for process in [pid, *children(pid)]:
        assert os.readlink("/proc/%d/fd/2" % process) == "/dev/null"


def test_a_pid_file_that_was_left_behind_is_replaced(place):
    path = place.write(manifest(pid_file=place.file("sluice.pid")))
    proxy = place.start("run", "-m", path)
    proxy.kill()
    proxy.wait()
    assert place.text("sluice.pid") == "%d\n" % proxy.pid
    again = place.start("run", "-m", path)
    assert place.text("sluice.pid") == "%d\n" % again.pid


@root
def test_a_pid_file_in_a_folder_of_root_is_emptied(place):
    path = place.write(manifest(user="nobody", pid_file=place.file("sluice.pid")))
    proxy = place.start("run", "-m", path)
    assert place.text("sluice.pid") == "%d\n" % proxy.pid
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait(harness.DEADLINE) == 0
    assert place.text("sluice.pid") == ""
    # And that is nobody's.
    place.start("run", "-m", path)


def test_the_log_is_rotated(place):
    port = free_port()
    path = place.write(manifest(
        error_log=place.file("error.log"), listeners=[{"listen": "127.0.0.1:%d" % port}]))
    proxy = place.start("run", "-m", path)
    for turn in range(2):
        old = place.file("error.log.%d" % turn)
        eventually(lambda: os.path.exists(place.file("error.log")), "the log is there")
        os.rename(place.file("error.log"), old)
        proxy.send_signal(signal.SIGUSR1)
        eventually(lambda: os.path.exists(place.file("error.log")), "the log is opened again")
        eventually(lambda: all(
            os.readlink("/proc/%d/fd/2" % pid) == place.file("error.log")
            for pid in [proxy.pid, *children(proxy.pid)]), "all processes write to it")
    # A process that comes later writes there, too.
    os.kill(children(proxy.pid)[0], signal.SIGKILL)
    eventually(lambda: "SIGKILL" in place.text("error.log"), "the crash is in the log")
    eventually(lambda: "ready, workers" in place.text("error.log"), "the restart is in the log")
    assert ask(("127.0.0.1", port)) == "ok"


def test_a_log_that_cannot_be_written_stops_the_start(place):
    path = place.write(manifest(error_log=place.file("none/error.log")))
    ended = place.run("run", "-m", path)
    assert (ended.returncode, ended.stderr) == (
        78, "%s: error_log: %s: No such file or directory\n" % (path, place.file("none/error.log")))


@root
def test_a_log_that_the_user_cannot_write_stops_the_start(place):
    with open(place.file("error.log"), "w"):
        os.chmod(place.file("error.log"), 0o600)
    path = place.write(manifest(user="nobody", error_log=place.file("error.log")))
    ended = place.run("run", "-m", path)
    assert (ended.returncode, ended.stderr) == (
        78, "%s: error_log: %s: Permission denied\n" % (path, place.file("error.log")))


def test_without_a_supervisor_such_keys_have_no_effect(place):
    path = place.write(manifest(pid_file=place.file("sluice.pid")))
    proxy = place.start("run", "-m", path, "--no-supervisor")
    assert "pid_file: warning: has no effect without the supervisor" in proxy.log()
    assert not os.path.exists(place.file("sluice.pid"))
    ended = place.run("run", "-m", path, "--no-supervisor", "--daemon")
    assert (ended.returncode, ended.stderr) == (
        2, 'sluice: option "--daemon" needs the supervisor\n')
