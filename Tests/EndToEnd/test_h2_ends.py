"""Ends of HTTP/2 connections that nobody uses, and of those that begin while the process ends."""
import signal
import threading

import pytest

import h2server
from h2wire import H2, NO_ERROR
from harness import serve
from wire import DEADLINE, reply


@pytest.fixture(scope="module", autouse=True)
def spoken(tmp_path_factory):
    h2server.need(tmp_path_factory.mktemp("need"))


def test_a_connection_that_begins_after_term(sluice, origin, client):
    """It stood already, without a byte: its first request is served, then it ends as others do."""
    release = threading.Event()

    def script(c):
        c.read_request()
        assert release.wait(DEADLINE)
        c.send(reply())

    proxy = sluice(origin(script), listener=h2server.H2C)
    busy, late, silent = H2(proxy.address).open(), H2(proxy.address), client(proxy)
    slow = busy.request()
    proxy.signal(signal.SIGTERM)
    busy.until(lambda: busy.goaway, "GOAWAY")
    late.open()
    release.set()
    assert late.fetch().status == 200
    late.drained()
    assert [g[1] for g in late.goaway] == [NO_ERROR] * 2 and late.goaway[-1][0] == 1
    assert busy.response(slow).status == 200
    assert silent.ended()
    assert proxy.wait_end() == 0


def test_an_idle_connection_ends_in_its_time(sluice, origin):
    """Also when that is shorter than the time of a head. PINGs keep it."""
    proxy = sluice(origin(serve(reply())), listener={
        **h2server.H2C, "timeouts": {"idle": "500ms", "head": "1h"}})
    c = H2(proxy.address).open()
    assert c.fetch().status == 200
    for _ in range(8):
        c.quiet(0.1)
        c.ping()
    c.drained()
    assert [g[:2] for g in c.goaway] == [(1, NO_ERROR)]
