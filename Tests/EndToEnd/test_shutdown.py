"""The end of the process, in order and at once."""
import os
import signal
import socket
import threading

import pytest

from harness import eventually, serve
from wire import DEADLINE, Client, Truncated, reply, request


def slow(release):
    """Answers every request, after `release` when it is /slow."""
    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            if head.target == "/slow":
                assert release.wait(DEADLINE)
            c.send(reply(head.target.encode()))

    return script


def refuses(address):
    with socket.socket() as s:
        return s.connect_ex(address) != 0


def test_term_lets_a_running_request_finish(sluice, origin, client):
    release = threading.Event()
    app = origin(slow(release))
    proxy = sluice(app)
    running, idle, fresh = client(proxy), client(proxy), client(proxy)
    assert idle.request().status == 200
    running.send(request(target="/slow"))
    app.wait_requests(2)
    proxy.signal(signal.SIGTERM)
    assert idle.rest() == b""
    assert fresh.rest() == b""
    eventually(lambda: refuses(proxy.address), "new connections are refused")
    assert proxy.process.poll() is None
    release.set()
    answer = running.response()
    assert (answer.body, answer.closes) == (b"/slow", True)
    assert running.ended()
    assert proxy.wait_end() == 0


def test_term_lets_a_body_finish(sluice, origin, client):
    """The head was sent before: the end of the connection then has to do without the field."""
    release = threading.Event()

    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        assert release.wait(DEADLINE)
        c.send(b"half")

    proxy = sluice(origin(script))
    c = client(proxy)
    c.send(request())
    c.head()
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refuses(proxy.address), "new connections are refused")
    release.set()
    assert c.read(8) == b"halfhalf"
    assert c.ended()
    assert proxy.wait_end() == 0


def test_term_lets_a_request_that_is_being_sent_finish(sluice, origin, client):
    app = origin(serve(lambda r: reply(r.body)))
    proxy = sluice(app)
    c = client(proxy)
    c.send(request("POST", fields=[("Content-Length", "8")]) + b"half")
    app.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refuses(proxy.address), "new connections are refused")
    c.send(b"half")
    answer = c.response()
    assert (answer.body, answer.closes) == (b"halfhalf", True)
    assert proxy.wait_end() == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_term_of_an_idle_proxy(sluice, origin, client, workers):
    proxy = sluice(origin(serve(reply())), workers=workers)
    clients = [client(proxy) for _ in range(10)]
    assert [c.request().status for c in clients] == [200] * 10
    assert proxy.stop() == 0
    assert all(c.ended() for c in clients)


def test_no_request_is_lost_by_term(sluice, origin, client):
    """Clients that keep asking while it stops: every request is answered whole, or its connection
    ended before the first byte of an answer."""
    app = origin(serve(reply(b"x" * 10_000)))
    proxy = sluice(app, workers=2)
    torn, asked = [], threading.Semaphore(0)

    def ask():
        try:
            while True:
                c = Client(proxy.address)
                for _ in range(50):
                    try:
                        c.send(request())
                        answer = c.response()
                    except (Truncated, ConnectionError) as error:
                        if c.buffer or "10000" in str(error):
                            torn.append(error)
                        break
                    asked.release()
                    if answer.closes:
                        break
                c.close()
        except OSError:
            pass

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for t in threads:
        t.start()
    for _ in range(200):
        assert asked.acquire(timeout=DEADLINE)
    assert proxy.stop() == 0
    for t in threads:
        t.join(DEADLINE)
        assert not t.is_alive()
    assert torn == []


def test_a_second_term_ends_at_once(sluice, origin, client):
    release = threading.Event()
    app = origin(slow(release))
    proxy = sluice(app)
    c = client(proxy)
    c.send(request(target="/slow"))
    app.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refuses(proxy.address), "new connections are refused")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_end() == 0
    assert c.rest() == b""
    release.set()


def test_int_ends_at_once(sluice, origin, client):
    release = threading.Event()
    app = origin(slow(release))
    proxy = sluice(app)
    c = client(proxy)
    c.send(request(target="/slow"))
    app.wait_requests(1)
    proxy.signal(signal.SIGINT)
    assert proxy.wait_end() == 0
    assert c.rest() == b""
    release.set()


def test_the_file_of_a_unix_socket_goes_with_the_process(sluice, origin, client, tmp_path):
    path = str(tmp_path / "front.sock")
    proxy = sluice(origin(serve(reply())), listener={"listen": "unix:" + path})
    assert os.path.exists(path)
    assert proxy.stop() == 0
    assert not os.path.exists(path)


def test_a_stale_unix_socket_is_replaced(sluice, origin, client, tmp_path):
    """As a crash leaves it."""
    path = str(tmp_path / "front.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    proxy = sluice(origin(serve(reply())), listener={"listen": "unix:" + path})
    assert client(proxy).request().status == 200


@pytest.mark.parametrize("supervised", [True, False])
@pytest.mark.parametrize("number, line", [
    (signal.SIGHUP, "reload: nothing has changed"),
    (signal.SIGUSR1, None),
], ids=["HUP", "USR1"])
def test_signals_that_change_nothing(sluice, origin, client, number, line, supervised):
    proxy = sluice(origin(serve(reply(b"ok"))), supervised=supervised)
    c = client(proxy)
    assert c.request().status == 200
    proxy.signal(number)
    if line:
        proxy.wait_log(line)
    assert c.request().status == 200
