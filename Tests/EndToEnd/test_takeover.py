"""Idle connections to peers move between workers: new ones are made only when nobody has one."""
import signal
import threading

import pytest

from certificates import Authority
from harness import eventually, serve
from wire import Client, Truncated, reply

WORKERS = 4
# A connection to a peer is back in its pool before the client's is closed.
CLOSE = [("Connection", "close")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def workers_with_takeover(proxy):
    return proxy.log.count("idle connection of another worker taken over")


def ask(address, count=1):
    """Requests on one new connection; their responses."""
    client = Client(address)
    try:
        answers = [client.request() for _ in range(count - 1)]
        answers.append(client.request(fields=CLOSE))
        assert client.ended()
        return answers
    finally:
        client.close()


def crowd(clients, rounds, work):
    """`work()` so many times by so many threads; what went wrong."""
    failures = []

    def run():
        for _ in range(rounds):
            try:
                work()
            except Exception as error:  # noqa: B902  compared with none
                failures.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def expect_ok(address, count=1):
    for answer in ask(address, count):
        assert answer.status == 200, answer.status


def test_one_connection_serves_all_workers(sluice, origin):
    app = origin(serve(reply()))
    proxy = sluice(app, workers=WORKERS)
    for _ in range(100):
        expect_ok(proxy.address)
    assert len(app.requests) == 100
    assert app.connections == 1
    # The kernel spreads clients, so most requests found the connection elsewhere.
    assert workers_with_takeover(proxy) >= 30


def test_tls_moves_along(sluice, origin, authority):
    leaf = authority.issue("IP:127.0.0.1")
    app = origin(serve(reply(b"x" * 20_000)), tls=authority.server_context(leaf))
    proxy = sluice(app, workers=WORKERS, upstream={"tls": {"ca": authority.path}})
    for _ in range(100):
        for answer in ask(proxy.address, count=2):
            assert answer.status == 200 and answer.body == b"x" * 20_000
    assert len(app.requests) == 200
    # Each had a handshake, and nothing else had.
    assert app.connections == 1
    assert workers_with_takeover(proxy) >= 30
    assert "TLS" not in proxy.log


def test_uploads_on_connections_taken_over(sluice, origin):
    app = origin(serve(lambda head: reply(head.body)))
    proxy = sluice(app, workers=WORKERS)
    for number in range(60):
        client = Client(proxy.address)
        body = b"%d" % number * 40_000
        answer = client.request("POST", body=body, fields=CLOSE)
        assert answer.status == 200 and answer.body == body
        assert client.ended()
        client.close()
    assert app.connections == 1


def test_as_many_connections_as_requests_at_a_time(sluice, origin):
    app = origin(serve(reply()))
    proxy = sluice(app, workers=WORKERS)
    assert crowd(8, 100, lambda: expect_ok(proxy.address)) == []
    assert len(app.requests) == 800
    # Of its own each worker would come to have eight.
    assert app.connections <= 2 * 8


def test_the_limit_of_requests_holds_over_workers(sluice, origin):
    counts = []

    def script(connection):
        counts.append(0)
        place = len(counts) - 1
        while connection.read_request():
            counts[place] += 1
            connection.send(reply())

    proxy = sluice(origin(script), workers=WORKERS, upstream={"pool": {"requests": 5}})
    for _ in range(50):
        expect_ok(proxy.address)
    assert counts == [5] * 10


def test_a_connection_that_names_its_client_does_not_move(sluice, origin):
    def script(connection):
        assert connection.until(b"\r\n").startswith(b"PROXY TCP4 ")
        serve(reply())(connection)

    app = origin(script)
    proxy = sluice(app, workers=WORKERS, upstream={"proxy_protocol": "v1"})
    for _ in range(20):
        expect_ok(proxy.address, count=2)
    assert app.connections == 20
    assert workers_with_takeover(proxy) == 0


def test_nothing_moves_without_a_pool(sluice, origin):
    app = origin(serve(reply()))
    proxy = sluice(app, workers=WORKERS, upstream={"pool": {"idle_per_peer": 0}})
    for _ in range(20):
        expect_ok(proxy.address)
    assert app.connections == 20


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.seconds(300)
def test_an_origin_that_closes_at_any_time_fails_no_request(sluice, origin, authority, secure):
    def script(connection):
        # The answer does not say that it is the last one: the end comes when the connection lies
        # in a pool, moves, or has its next request.
        for _ in range(1 + connection.number % 4):
            if connection.read_request() is None:
                return
            connection.send(reply())
        connection.changed = threading.Event()
        connection.changed.wait(connection.number % 7 / 2_000)

    options = {}
    if secure:
        leaf = authority.issue("IP:127.0.0.1")
        options["tls"] = authority.server_context(leaf)
    app = origin(script, **options)
    upstream = {"retries": {"attempts": 16}}
    if secure:
        upstream["tls"] = {"ca": authority.path}
    proxy = sluice(app, workers=WORKERS, upstream=upstream, log={"level": "debug"})
    rounds = 100 if secure else 400
    assert crowd(8, rounds, lambda: expect_ok(proxy.address)) == []
    assert workers_with_takeover(proxy) > 20


def test_drain_in_the_middle_of_it(sluice, origin):
    app = origin(serve(reply()))
    proxy = sluice(app, workers=WORKERS)
    begun = threading.Event()
    stop = threading.Event()
    wrong = []

    def run():
        while not stop.is_set():
            try:
                client = Client(proxy.address)
            except OSError:
                return
            try:
                if client.request().status != 200:
                    wrong.append("status")
                begun.set()
            except (OSError, Truncated):
                # The kernel had the connection, and the listener was closed; but half an answer
                # never is one.
                if client.buffer:
                    wrong.append("cut")
            finally:
                client.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    eventually(lambda: workers_with_takeover(proxy) > 10, "connections move")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_end() == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    app.wait_closed(app.connections)
