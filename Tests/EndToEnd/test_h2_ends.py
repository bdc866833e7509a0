"""Ends of HTTP/2 connections that nobody uses, and of those that begin while the process ends."""
import signal
import threading

import pytest

import h2server
from h2wire import GOAWAY, H2, INITIAL_WINDOW_SIZE, NO_ERROR, Violation, WINDOW, WINDOW_MAX, get
from harness import serve
from wire import DEADLINE, Truncated, pattern, reply


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


# Around what the sockets of a connection hold and what a turn of the loop takes, so that some of
# them have their last bytes behind a full socket when the connection is over.
SIZES = [100_000 + 61_440 * i // 2 for i in range(0, 64)] + [6_000_000]


@pytest.mark.parametrize("how", ["term", "requests", "client"])
def test_a_response_behind_a_full_socket_is_not_cut(sluice, origin, how):
    """The connection is over while the client does not read: all of it comes once it does."""
    def script(c):
        while head := c.read_request():
            c.send(reply(pattern(int(head.target[1:]))))

    limits = {"requests": 1 if how == "requests" else 1000}
    proxy = sluice(origin(script), listener={**h2server.H2C, "limits": limits})
    clients = []
    for size in SIZES:
        c = H2(proxy.address, receive_buffer=4096).open((INITIAL_WINDOW_SIZE, WINDOW_MAX))
        c.credit(0, WINDOW_MAX - WINDOW)
        c.request(get("/%d" % size))
        if how == "client":
            c.frame_out(GOAWAY, 0, 0, b"\0" * 8)
        clients.append(c)
    # One that does read ends, and by then the others have had both GOAWAYs.
    reader = H2(proxy.address).open()
    assert reader.fetch(get("/1")).status == 200
    if how == "client":
        reader.frame_out(GOAWAY, 0, 0, b"\0" * 8)
    if how == "term":
        proxy.signal(signal.SIGTERM)
    reader.drained()
    for c, size in zip(clients, SIZES):
        answer = c.response(1)
        assert answer.reset is None and bytes(answer.body) == pattern(size)
        c.drained()
        assert [g[1] for g in c.goaway] == [NO_ERROR] * len(c.goaway) and c.goaway
        assert c.goaway[-1][0] == 1
    if how == "term":
        assert proxy.wait_end() == 0


def test_a_client_that_never_reads_ends_in_the_time_of_writing(sluice, origin):
    """Also behind the end of its last response."""
    proxy = sluice(origin(serve(reply(pattern(8_000_000)))), listener={
        **h2server.H2C, "timeouts": {"write": "1s", "idle": "100ms"}, "limits": {"requests": 1}})
    c = H2(proxy.address, receive_buffer=4096).open((INITIAL_WINDOW_SIZE, WINDOW_MAX))
    c.credit(0, WINDOW_MAX - WINDOW)
    c.request()
    proxy.wait_log("timeouts.write: an HTTP/2 client did not go on")
    with pytest.raises((Truncated, Violation)):
        c.response(1)
