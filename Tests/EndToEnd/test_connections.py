"""Persistence on both sides: who keeps a connection, and who must not."""
import threading

import pytest

from harness import serve
from wire import DEADLINE, chunk, reply, request


# -------------------------------------------------------------- downstream
def test_a_client_is_kept_by_default(sluice, origin, client):
    app = origin(serve(lambda r: reply(r.target.encode())))
    c = client(sluice(app))
    for number in range(50):
        answer = c.request(target="/%d" % number)
        assert answer.body == b"/%d" % number
        assert not answer.closes
    assert app.connections == 1


def test_a_client_that_asks_for_close_gets_it(sluice, origin, client):
    c = client(sluice(origin(serve(reply()))))
    answer = c.request(fields=[("Connection", "close")])
    assert answer.closes and answer.body == b"ok"
    assert c.ended()


def test_close_of_a_client_does_not_close_the_origin(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app)
    for _ in range(5):
        client(proxy).request(fields=[("Connection", "close")])
    assert app.connections == 1


def test_http_1_0_is_closed_after_the_answer(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app))
    c.send(request(version="1.0"))
    assert c.response().body == b"ok"
    assert c.ended()
    assert app.requests[0].version == "HTTP/1.1"


def test_http_1_0_without_host_is_served(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app))
    c.send(request(version="1.0", host=None))
    assert c.response().status == 200
    assert len(app.requests[0].all("host")) == 1


def test_http_1_0_is_kept_when_it_asks(sluice, origin, client):
    c = client(sluice(origin(serve(reply()))))
    for _ in range(3):
        c.send(request(version="1.0", fields=[("Connection", "keep-alive")]))
        answer = c.response()
        assert answer.body == b"ok"
        assert (answer.get("connection") or "").lower() == "keep-alive"


def test_pipelined_requests_are_answered_in_order(sluice, origin, client):
    app = origin(serve(lambda r: reply(r.target.encode() + r.body)))
    c = client(sluice(app))
    c.send(b"".join(request("POST" if i % 3 else "GET", "/%d" % i, body=b"x" * (i % 3))
                    for i in range(40)))
    for number in range(40):
        assert c.response().body == b"/%d" % number + b"x" * (number % 3)


def test_pipelined_requests_behind_a_chunked_one(sluice, origin, client):
    app = origin(serve(lambda r: reply(r.target.encode() + r.body)))
    c = client(sluice(app))
    c.send(b"POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"body")
           + b"0\r\nX: y\r\n\r\n" + request(target="/b"))
    assert c.response().body == b"/abody"
    assert c.response().body == b"/b"


def test_requests_behind_a_close_are_not_served(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app))
    c.send(request(fields=[("Connection", "close")]) + request(target="/never"))
    assert c.response().closes
    assert c.ended()
    assert [r.target for r in app.requests] == ["/"]


def test_the_last_of_the_allowed_requests_says_close(sluice, origin, client):
    proxy = sluice(origin(serve(reply())), listener={"limits": {"requests": 3}})
    c = client(proxy)
    assert [c.request().closes for _ in range(3)] == [False, False, True]
    assert c.ended()
    assert client(proxy).request().status == 200


def test_an_idle_client_is_closed_without_an_answer(sluice, origin, client):
    c = client(sluice(origin(serve(reply())), listener={"timeouts": {"idle": "200ms"}}))
    assert c.request().status == 200
    assert c.rest() == b""


def test_a_half_closed_client_still_gets_its_answer(sluice, origin, client):
    def script(c):
        c.read_request()
        assert sent.wait(DEADLINE)
        c.send(reply(b"late"))

    sent = threading.Event()
    app = origin(script)
    c = client(sluice(app, listener={"half_close": "serve"}))
    c.send(request())
    app.wait_requests(1)
    c.finish()
    sent.set()
    assert c.response().body == b"late"
    assert c.ended()


def test_a_half_closed_client_aborts_when_so_configured(sluice, origin, client):
    gone = []

    def script(c):
        c.read_request()
        gone.append(c.ended())

    app = origin(script)
    c = client(sluice(app, listener={"half_close": "abort"}))
    c.send(request())
    app.wait_requests(1)
    c.finish()
    assert c.rest() == b""
    app.wait_closed(1)
    assert gone == [True]


def test_a_client_that_closes_half_way_through_its_body_frees_the_origin(sluice, origin, client):
    complete = []
    app = origin(lambda c: complete.append(c.read_request()))
    c = client(sluice(app))
    c.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nonly this")
    app.wait_requests(1)
    c.close()
    app.wait_closed(1)
    assert complete == []


def test_a_client_that_leaves_stops_its_transfer(sluice, origin, client):
    """An uncacheable response is not read to its end for nobody."""
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            c.send(b"x" * 65536)

    app = origin(script)
    c = client(sluice(app))
    c.send(request())
    c.head()
    c.reset()
    app.wait_closed(1)


# ---------------------------------------------------------------- upstream
def test_upstream_connections_are_shared_by_clients(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app)
    for _ in range(10):
        assert client(proxy).request().status == 200
    assert app.connections == 1


def test_no_pool_means_a_connection_per_request(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, upstream={"pool": {"idle_per_peer": 0}}))
    for _ in range(3):
        assert c.request().status == 200
    assert app.connections == 3


def test_the_pool_is_bounded(sluice, origin, client):
    """Of three connections used at once, one is kept."""
    def script(c):
        while c.read_request():
            app.wait(lambda: len(app.requests) >= 3, "three at once")
            c.send(reply())

    app = origin(script)
    proxy = sluice(app, upstream={"pool": {"idle_per_peer": 1}})
    clients = [client(proxy) for _ in range(3)]
    for c in clients:
        c.send(request())
    assert [c.response().status for c in clients] == [200] * 3
    app.wait_closed(2)
    assert clients[0].request().status == 200
    assert app.connections == 3


def test_an_upstream_connection_has_a_number_of_requests(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, upstream={"pool": {"requests": 2}}))
    for _ in range(5):
        assert c.request().status == 200
    assert app.connections == 3


def test_an_idle_upstream_connection_is_closed_in_time(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, upstream={"timeouts": {"idle": "200ms"}}))
    c.request()
    app.wait_closed(1)
    assert c.request().status == 200
    assert app.connections == 2


def test_connection_close_of_an_origin_is_obeyed_and_not_passed_on(sluice, origin, client):
    app = origin(serve(reply(fields=[("Connection", "close")])))
    c = client(sluice(app))
    for count in (1, 2, 3):
        answer = c.request()
        assert not answer.closes
        assert app.connections == count
    app.wait_closed(2)


def test_an_http_1_0_origin_is_not_reused(sluice, origin, client):
    app = origin(serve(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    c = client(sluice(app))
    for count in (1, 2):
        assert c.request().body == b"hi"
        assert app.connections == count


@pytest.mark.parametrize("surplus", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"x", b"\r\n",
], ids=["response", "byte", "newline"])
def test_surplus_bytes_are_never_served_to_the_next(sluice, origin, client, surplus):
    """In one segment with the response, and so seen while it is read."""
    app = origin(serve(lambda r: reply(r.target.encode()) + surplus))
    proxy = sluice(app)
    for number in range(1, 4):
        assert client(proxy).request(target="/%d" % number).body == b"/%d" % number
        assert app.connections == number


def test_surplus_bytes_on_an_idle_connection_end_it(sluice, origin, client):
    """Later than the response: the pool watches what is idle."""
    def script(c):
        head = c.read_request()
        c.send(reply(head.target.encode()))
        if c.number == 0:
            assert answered.wait(DEADLINE)
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            assert c.ended()

    answered = threading.Event()
    app = origin(script)
    c = client(sluice(app))
    assert c.request(target="/1").body == b"/1"
    answered.set()
    app.wait_closed(1)
    assert c.request(target="/2").body == b"/2"
    assert app.connections == 2


def test_a_body_after_a_bodiless_response_is_not_served(sluice, origin, client):
    """An origin that sends a body with an answer to HEAD: those bytes are nobody's response."""
    app = origin(serve(lambda r: reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
                       if r.method == "HEAD" else reply(b"right")))
    proxy = sluice(app)
    assert client(proxy).request("HEAD").status == 200
    assert client(proxy).request().body == b"right"
    assert app.connections == 2
