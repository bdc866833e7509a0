"""Connections of a process that hands over to another one: what is idle is not cut under a request
that is on its way."""
import signal

import pytest

import cplugin
import harness
from harness import serve
from wire import reply, request


@pytest.fixture
def proxy(sluice, origin):
    def make(**options):
        return sluice(origin(serve(reply())), **options)

    return make


def upgrade(proxy):
    """By USR2; the process that now drains."""
    old = proxy.serving
    proxy.process.send_signal(signal.SIGUSR2)
    proxy.wait_log(r"process %d drains" % old)
    return old


def gone(proxy, old):
    harness.eventually(lambda: old not in proxy.processes, "the old process ends")


def test_an_idle_connection_is_used_once_more(proxy, client):
    proxy = proxy()
    c = client(proxy)
    assert not c.request().closes
    old = upgrade(proxy)
    answer = c.request()
    assert answer.status == 200 and answer.closes
    assert c.ended()
    gone(proxy, old)


def test_a_connection_that_said_nothing_yet_is_answered(proxy, client):
    proxy = proxy()
    c = client(proxy)
    # Until it is accepted it would be the new process's.
    other = client(proxy)
    assert other.request().status == 200
    old = upgrade(proxy)
    answer = c.request()
    assert answer.status == 200
    assert other.request().closes
    c.close()
    gone(proxy, old)


def test_idle_connections_last_as_long_as_tunnels(proxy, client):
    proxy = proxy(shutdown_grace="300ms")
    c = client(proxy)
    c.request()
    old = upgrade(proxy)
    assert c.ended()
    gone(proxy, old)


def test_idle_connections_last_no_longer_than_ever(proxy, client):
    proxy = proxy(listener={"timeouts": {"idle": "300ms"}})
    c = client(proxy)
    c.request()
    old = upgrade(proxy)
    assert c.ended()
    gone(proxy, old)


def test_term_does_not_wait_for_them(proxy, client):
    """Also where a process that handed over still has some."""
    proxy = proxy()
    c = client(proxy)
    c.request()
    upgrade(proxy)
    other = client(proxy)
    other.request()
    assert proxy.stop() == 0
    assert c.ended() and other.ended()


# --------------------------------------------------------------- counts of older generations
@pytest.fixture
def counted(sluice, origin, tmp_path):
    library = cplugin.build(tmp_path, "tally")
    p = sluice(origin(serve(reply())), chain=["t"], admin={"listen": "unix:%s/a" % tmp_path},
               plugins={"t": {"library": library, "state": "require"}})
    p.library = library
    return p


@pytest.mark.parametrize("rolled_back", [False, True])
def test_what_a_canary_counted_goes_along(counted, client, rolled_back):
    """Its instance ends with the process: in the middle of its trial, or while a request holds
    it."""
    p = counted

    def command(*words):
        done = harness.run("plugin", *words, "--manifest", p.path)
        assert done.returncode == 0, done.stderr

    command("swap", "t", p.library, "--canary", "99.99%")
    c = client(p)
    for _ in range(20):
        assert c.request().status == 200
    if rolled_back:
        held = client(p)
        held.send(request(target="/hold"))
        p.wait_log("holds a request")
        command("rollback", "t")
    old = upgrade(p)
    c.close()
    if rolled_back:
        assert "generation 2 is gone" not in p.log
        held.reset()
    gone(p, old)
    count = lambda: int(client(p).request(target="/count").body)
    asked = []

    def agrees():
        asked.append(count())
        return asked[-1] == 20 + rolled_back + len(asked)

    harness.eventually(agrees, "the counts agree")
