"""Times of a client: each ends what is too slow, and only that."""
import threading

import pytest

from harness import serve
from wire import DEADLINE, Truncated, chunk, reply, request


def timed(**timeouts):
    return {"timeouts": timeouts}


def drip(c, data, interval=0.05):
    """Sends byte after byte until the other side answers or closes; how many were sent."""
    for count in range(len(data)):
        try:
            c.send(data[count:count + 1])
        except ConnectionError:
            return count
        if not c.quiet(interval):
            return count + 1
    return len(data)


def test_the_time_of_a_head_is_for_all_of_it(sluice, origin, client):
    """Each byte is quick enough; their sum is not."""
    app = origin(serve(reply()))
    proxy = sluice(app, listener=timed(head="500ms"))
    c = client(proxy)
    sent = drip(c, b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: " + b"s" * 400)
    assert sent < 100
    answer = c.response()
    assert (answer.status, answer.closes) == (408, True)
    assert c.ended()
    assert app.requests == []
    proxy.wait_log("(?i)head")


def test_a_connection_without_a_byte_ends(sluice, origin, client):
    c = client(sluice(origin(serve(reply())), listener=timed(head="300ms", idle="60s")))
    # RFC 9110 section 15.5.9 allows 408; nginx just closes, HAProxy answers.
    data = c.rest()
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")


def test_the_head_of_a_second_request_has_its_own_time(sluice, origin, client):
    c = client(sluice(origin(serve(reply())), listener=timed(head="500ms", idle="60s")))
    assert c.request().status == 200
    assert c.quiet(0.8)  # idle is not the head's time
    c.send(request()[:10])
    answer = c.response()
    assert (answer.status, answer.closes) == (408, True)


def test_a_slow_head_within_the_time_is_served(sluice, origin, client):
    c = client(sluice(origin(serve(reply())), listener=timed(head="10s")))
    drip(c, request(), 0.01)
    assert c.response().status == 200


@pytest.mark.parametrize("start", [
    request("POST", fields=[("Content-Length", "10")]) + b"half",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"half"),
], ids=["sized", "chunked"])
def test_a_body_that_does_not_go_on(sluice, origin, client, start):
    complete = []
    app = origin(lambda c: complete.append(c.read_request()))
    proxy = sluice(app, listener=timed(body="300ms"))
    c = client(proxy)
    c.send(start)
    try:
        assert c.response().status == 408
    except Truncated:
        pass
    assert c.ended()
    app.wait_closed(1)
    assert complete == []
    proxy.wait_log("(?i)body")


def test_a_body_that_does_go_on(sluice, origin, client):
    """Longer in all than the time between two reads."""
    c = client(sluice(origin(serve(lambda r: reply(r.body))), listener=timed(body="500ms")))
    body = b"0123456789"
    c.send(request("POST", fields=[("Content-Length", "10")]))
    drip(c, body, 0.1)
    assert c.response().body == body


def test_the_least_rate_of_a_body(sluice, origin, client):
    """Averaged over ten seconds, so this one takes ten."""
    app = origin(serve(reply()))
    proxy = sluice(app, listener={"limits": {"body_rate": 1000}, "timeouts": {"body": "60s"}})
    c = client(proxy)
    c.send(request("POST", fields=[("Content-Length", "100000")]))
    drip(c, b"x" * 1000)
    try:
        assert c.response().status == 408
    except Truncated:
        pass
    assert c.ended()
    app.wait_closed(1)
    proxy.wait_log("(?i)rate")


def test_no_least_rate(sluice, origin, client):
    c = client(sluice(origin(serve(lambda r: reply(r.body))),
                      listener={"limits": {"body_rate": 0}}))
    c.send(request("POST", fields=[("Content-Length", "3")]))
    drip(c, b"abc", 0.3)
    assert c.response().body == b"abc"


def test_a_client_that_does_not_read_is_cut(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            c.send(b"x" * 65536)

    app = origin(script)
    proxy = sluice(app, listener=timed(write="500ms"))
    c = client(proxy, receive_buffer=4096)
    c.send(request())
    app.wait_closed(1)
    with pytest.raises((Truncated, ConnectionResetError)):
        c.response()
    proxy.wait_log("(?i)write")


def test_a_client_that_reads_slowly_is_not_cut(sluice, origin, client):
    """It takes bytes again and again, each time within the time for writing."""
    app = origin(serve(reply(b"x" * 3_000_000)))
    c = client(sluice(app, listener=timed(write="1s")), receive_buffer=65536)
    c.send(request())
    c.head()
    left = 3_000_000 - len(c.buffer)
    c.buffer = b""
    pace = threading.Event()
    while left:
        got = len(c.sock.recv(min(left, 150_000)))
        assert got
        left -= got
        pace.wait(0.05)


def test_a_busy_client_is_not_idle(sluice, origin, client):
    """The idle time does not run while a response is awaited."""
    def script(c):
        c.read_request()
        assert waited.wait(DEADLINE)
        c.send(reply())

    waited = threading.Event()
    app = origin(script)
    c = client(sluice(app, listener=timed(idle="200ms", head="200ms", body="200ms", write="200ms")))
    c.send(request())
    assert c.quiet(0.7)
    waited.set()
    assert c.response().status == 200
