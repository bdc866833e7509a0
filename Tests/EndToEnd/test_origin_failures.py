"""An origin that dies, or falls silent, at each point of an exchange.

Before the client has a byte of the response it gets a whole error response; after that its
connection is cut, so that nobody takes a part for the whole.
"""
import threading

import pytest

from harness import serve
from wire import DEADLINE, Truncated, chunk, pattern, reply, request

HEAD = b"HTTP/1.1 200 OK\r\nX-A: b\r\n"
SIZED = HEAD + b"Content-Length: 100\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# What the origin sends before it dies.
BEFORE = {
    "nothing": b"",
    "part of the status line": b"HTTP/1.1 20",
    "status line": b"HTTP/1.1 200 OK\r\n",
    "part of the head": HEAD,
    "head but its last newline": SIZED[:-1],
    "an interim response": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}
AFTER = {
    "head, sized": SIZED,
    "part of the body, sized": SIZED + b"x" * 99,
    "head, chunked": CHUNKED,
    "part of a chunk size": CHUNKED + b"5",
    "chunk size": CHUNKED + b"5\r\n",
    "part of a chunk": CHUNKED + b"5\r\nabc",
    "chunk without its newline": CHUNKED + b"5\r\nabcde",
    "whole chunks": CHUNKED + chunk(b"abcde") * 2,
    "last chunk's size": CHUNKED + chunk(b"abcde") + b"0\r\n",
    "part of the trailers": CHUNKED + chunk(b"abcde") + b"0\r\nX-T: a\r\n",
}


def dying(sent, reset):
    def script(c):
        c.read_request()
        c.send(sent)
        if reset:
            c.reset()

    return script


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("point", BEFORE)
def test_death_before_the_head_is_whole_is_502(sluice, origin, client, point, reset):
    proxy = sluice(origin(dying(BEFORE[point], reset)))
    c = client(proxy)
    for _ in range(2):
        assert c.request().status == 502
    proxy.wait_log(r"(?i)\b(error|warn)")


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("point", AFTER)
def test_death_after_the_head_cuts_the_client(sluice, origin, client, point, reset):
    proxy = sluice(origin(dying(AFTER[point], reset)))
    c = client(proxy)
    c.send(request())
    try:
        answer = c.response()
        # A reset may overtake the bytes before it; then nothing of the response was seen.
        assert reset and answer.status == 502
    except (Truncated, ConnectionResetError):
        pass
    assert client(proxy).request("HEAD").status in (200, 502)


@pytest.mark.parametrize("point", AFTER)
def test_a_1_0_client_is_cut_too(sluice, origin, client, point):
    """It has no chunks to see the end by: with a length it sees a short body; without one only a
    reset tells it."""
    c = client(sluice(origin(dying(AFTER[point], False))))
    c.send(request(version="1.0"))
    with pytest.raises((Truncated, ConnectionResetError)):
        c.response()


def test_death_on_accept_is_502(sluice, origin, client):
    assert client(sluice(origin(lambda c: c.reset()))).request().status == 502


def test_death_in_the_middle_of_a_large_body(sluice, origin, client):
    """Enough to be under way by splice."""
    data = pattern(3_000_000)

    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + data)

    c = client(sluice(origin(script)))
    c.send(request())
    assert c.head().status == 200
    assert c.rest() == data


def test_death_during_an_upload_is_502(sluice, origin, client):
    def script(c):
        c.read_head()
        c.read(100_000)
        c.reset()

    c = client(sluice(origin(script)))
    try:
        c.send(request("POST", body=b"x" * 50_000_000))
    except ConnectionError:
        pass
    answer = c.response()
    assert answer.status == 502 and answer.closes


def test_an_answer_before_death_during_an_upload_arrives(sluice, origin, client):
    """The origin refuses, closes, and so resets what is still on its way."""
    def script(c):
        c.read_head()
        c.send(reply(b"too much", "413 Content Too Large", [("Connection", "close")]))
        c.read(100_000)

    c = client(sluice(origin(script)))
    try:
        c.send(request("POST", body=b"x" * 15_000_000))
    except ConnectionError:
        pass
    answer = c.response()
    assert (answer.status, answer.body) == (413, b"too much")


# ----------------------------------------------------------------- silence
def silent_after(sent):
    def script(c):
        c.read_request()
        c.send(sent)
        c.rest()

    return script


def test_no_first_byte_is_504(sluice, origin, client):
    app = origin(silent_after(b""))
    proxy = sluice(app, upstream={"timeouts": {"first_byte": "200ms"}})
    c = client(proxy)
    assert c.request().status == 504
    app.wait_closed(1)
    assert app.connections == 1
    assert app.address in proxy.log


def test_the_first_byte_is_waited_for_from_the_end_of_the_request(sluice, origin, client):
    """An upload may take longer than that."""
    app = origin(serve(lambda r: reply(r.body)))
    c = client(sluice(app, upstream={"timeouts": {"first_byte": "300ms"}}))
    c.send(request("POST", fields=[("Content-Length", "5")]))
    for byte in (b"a", b"b", b"c", b"d", b"e"):
        assert c.quiet(0.1)
        c.send(byte)
    assert c.response().body == b"abcde"


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"],
                         ids=["part of the head", "an interim response"])
def test_a_head_that_does_not_go_on_is_504(sluice, origin, client, sent):
    app = origin(silent_after(sent))
    times = {"read": "200ms", "first_byte": "400ms"}
    assert client(sluice(app, upstream={"timeouts": times})).request().status == 504
    app.wait_closed(1)


@pytest.mark.parametrize("sent", [SIZED + b"x" * 99, CHUNKED + chunk(b"abc")],
                         ids=["sized", "chunked"])
def test_a_body_that_does_not_go_on_cuts_the_client(sluice, origin, client, sent):
    app = origin(silent_after(sent))
    c = client(sluice(app, upstream={"timeouts": {"read": "200ms"}}))
    c.send(request())
    with pytest.raises((Truncated, ConnectionResetError)):
        c.response()
    app.wait_closed(1)


def test_an_origin_that_does_not_read_is_504(sluice, origin, client):
    def script(c):
        c.read_head()
        assert done.wait(DEADLINE)

    done = threading.Event()
    app = origin(script)
    c = client(sluice(app, upstream={"timeouts": {"write": "300ms"}}))
    c.sock.setblocking(True)
    try:
        c.send(request("POST", body=b"x" * 30_000_000))
    except ConnectionError:
        pass
    answer = c.response()
    done.set()
    assert answer.status == 504 and answer.closes
