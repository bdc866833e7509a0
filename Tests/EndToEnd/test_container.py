"""The proxy as the first process of a container: it ends when asked, adopts orphans and reaps
them."""
import os
import re
import signal
import subprocess
import sys

import pytest

import harness
from harness import eventually
from service import Place, ask, children, free_port, manifest, status

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def may_unshare():
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not may_unshare(), reason="no name space of processes to be had")


@pytest.fixture
def place():
    made = Place()
    yield made
    made.close()


def start(place):
    """The proxy as process 1 of a name space; the starter, and the proxy's number outside."""
    port = free_port()
    path = place.write(manifest(listeners=[{"listen": "127.0.0.1:%d" % port}]))
    starter = place.start("run", "-m", path, prefix=UNSHARE)
    init = children(starter.pid)[0]
    assert status(init, "NSpid").split()[-1] == "1"
    return starter, init, ("127.0.0.1", port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_ends_when_asked(place, number):
    starter, init, address = start(place)
    assert ask(address) == "ok"
    os.kill(init, number)
    assert starter.wait(harness.DEADLINE) == 0
    assert "process" not in re.sub(r".*draining.*", "", starter.log())


def test_signals_that_others_die_of_do_their_work(place):
    """The kernel drops signals for process 1 that have no handler: these must have one."""
    starter, init, address = start(place)
    os.kill(init, signal.SIGUSR1)
    os.kill(init, signal.SIGHUP)
    os.kill(init, signal.SIGUSR2)
    eventually(lambda: starter.log().count("ready, workers") == 2, "the upgrade")
    assert ask(address) == "ok"
    # One that means nothing to it is no end of it.
    os.kill(init, signal.SIGALRM)
    assert ask(address) == "ok"


def test_orphans_are_reaped(place):
    starter, init, address = start(place)
    # A process of the container whose parent ends before it, as of `docker exec`.
    orphan = "import os, time\nif os.fork() == 0:\n    time.sleep(0.2)\n    os._exit(7)\n"
    for _ in range(5):
        subprocess.run(["nsenter", "--target", str(init), "--pid", "--mount", sys.executable, "-c",
                        orphan], check=True)
    eventually(lambda: len(children(init)) > 1, "process 1 has adopted an orphan")
    eventually(lambda: len(children(init)) == 1, "the orphans are gone")
    assert status(children(init)[0], "State")[0] != "Z"
    # The end of a stranger is not that of the serving process.
    assert "error" not in starter.log()
    assert ask(address) == "ok"


def test_a_crash_is_survived(place):
    starter, init, address = start(place)
    os.kill(children(init)[0], signal.SIGKILL)
    eventually(lambda: starter.log().count("ready, workers") == 2, "the restart")
    assert ask(address) == "ok"
