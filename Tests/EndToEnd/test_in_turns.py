"""Exchanges in which both sides send in turns, and are silent in between: HTTP/1.1 and gRPC."""
import threading
import time

import grpc
import pytest

import grpcpeer
import h2peer
import h2wire
import harness
from grpcpeer import Asker, Server
from wire import DEADLINE, Truncated, chunk, request

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = [("Transfer-Encoding", "chunked")]
# Over the time of a body and of a response's read, which the tests set to it.
SHORT, PAUSE = "300ms", 0.8


def turns(c):
    """Answers the head at once, and each chunk before the next."""
    head = c.read_head()
    if head is None:
        return
    c.send(HEAD)
    while True:
        size = int(c.until(b"\r\n"), 16)
        data = c.read(size + 2)[:-2]
        if not size:
            break
        c.send(chunk(b"re: " + data))
    c.send(b"0\r\n\r\n")


def short(**more):
    """A listener and an upstream on which a pause is long."""
    return {"listener": {"timeouts": {"body": SHORT, **more}},
            "upstream": {"timeouts": {"read": SHORT, "first_byte": "5s"}}}


def ask(c, question):
    c.send(chunk(question))
    answer = chunk(b"re: " + question)
    assert c.read(len(answer)) == answer


def test_silence_between_turns(sluice, origin, client):
    c = client(sluice(origin(turns), **short()))
    c.send(request("POST", fields=POST))
    assert b"200" in c.until(b"\r\n\r\n")
    for i in range(3):
        time.sleep(PAUSE)
        ask(c, b"question %d" % i)
    c.send(b"0\r\n\r\n")
    assert c.read(5) == b"0\r\n\r\n"


def test_silence_of_both_sides_has_a_bound(sluice, origin, client):
    p = sluice(origin(turns), **short(tunnel="1s"))
    c = client(p)
    c.send(request("POST", fields=POST))
    c.until(b"\r\n\r\n")
    # What either side sends begins it anew.
    for i in range(3):
        time.sleep(0.6)
        ask(c, b"%d" % i)
    begin = time.monotonic()
    assert c.ended()
    assert 0.8 < time.monotonic() - begin < 5
    p.wait_log("cut: timeouts.tunnel: neither side sent anything; upstream app; POST /; client")


def test_a_silent_peer_after_the_request(sluice, origin, client):
    """It is the peer's turn alone, so timeouts.read holds from the request's end."""
    def script(c):
        c.read_head()
        c.send(HEAD + chunk(b"one"))
        c.until(b"0\r\n\r\n")
        c.rest()

    p = sluice(origin(script), **short())
    c = client(p)
    c.send(request("POST", fields=POST))
    c.until(chunk(b"one"))
    time.sleep(PAUSE)
    begin = time.monotonic()
    c.send(b"0\r\n\r\n")
    assert c.ended()
    assert 0.2 < time.monotonic() - begin < 5
    p.wait_log("timeouts.read: the response stopped")


def test_silence_before_the_response_is_a_slow_request(sluice, origin, client):
    def script(c):
        c.read_head()
        c.rest()

    c = client(sluice(origin(script), **short()))
    c.send(request("POST", fields=[*POST, ("Content-Type", "application/grpc")]))
    c.send(chunk(b"some"))
    try:
        assert c.response().status == 408
    except Truncated:
        pass


# --------------------------------------------------------------------- gRPC
@pytest.fixture
def service(tmp_path):
    """Makes a channel to a service through a proxy with short times."""
    made = []

    def make(listener=None, upstream=None, server=None):
        server = server or Server()
        made.append(server)
        p = harness.Sluice(tmp_path, harness.manifest(
            server.address, listener=harness.merge({"protocols": ["h2c"]}, listener or {}),
            upstream=harness.merge({"protocol": "h2c"}, upstream or {})))
        made.append(p)
        made.append(grpcpeer.channel(p.address))
        return server.service, p, made[-1]

    yield make
    for thing in reversed(made):
        thing.close()


def chat(over, asker):
    return grpcpeer.method(over, "Chat", "stream_stream")(asker, timeout=4 * DEADLINE)


def test_a_silent_call_goes_on(service):
    seen, _, over = service(**short())
    asker = Asker()
    call = chat(over, asker)
    # Before the first message there is no response.
    seen.wait(lambda: seen.calls, "the call")
    for i in range(3):
        time.sleep(PAUSE)
        asker.put(b"%d" % i)
        assert next(call) == b"re: %d" % i
    time.sleep(PAUSE)
    asker.end()
    assert list(call) == [] and call.code() == grpc.StatusCode.OK


def test_a_silent_upload_goes_on(service):
    """The response comes only at its end."""
    seen, _, over = service(**short())
    asker = Asker()
    call = grpcpeer.method(over, "Size", "stream_unary").future(asker, timeout=DEADLINE)
    for _ in range(3):
        asker.put(b"12345")
        time.sleep(PAUSE)
    asker.end()
    assert call.result() == b"3 15"


@pytest.mark.seconds(90)
def test_slow_calls_are_under_no_least_rate(service):
    """A few bytes in more than ten seconds, over which the rate of a body is measured."""
    _, p, over = service()
    askers = [Asker() for _ in range(3)]
    one, two = chat(over, askers[0]), chat(over, askers[1])
    upload = grpcpeer.method(over, "Size", "stream_unary").future(askers[2], timeout=60)
    calls = threading.Event()
    for i in range(12):
        askers[0].put(b"%d" % i)
        assert next(one) == b"re: %d" % i
        askers[2].put(b"x")
        calls.wait(1)
    askers[1].put(b"late")
    assert next(two) == b"re: late"
    for asker in askers:
        asker.end()
    assert upload.result() == b"12 12"
    assert list(one) == [] and list(two) == []
    assert "body_rate" not in p.log


def test_a_silent_call_has_a_bound(service):
    seen, p, over = service(**short(tunnel="1s"))
    call = chat(over, Asker())
    seen.wait(lambda: seen.calls, "the call")
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() != grpc.StatusCode.DEADLINE_EXCEEDED
    p.wait_log("408: timeouts.tunnel: neither side sent anything")


@pytest.fixture
def silent(sluice, origin, client):
    """Begins a request of this Content-Type to an origin that does not answer; the client and the
    proxy."""
    made = []

    def make(kind):
        app = origin(h2peer.script(lambda exchange: None))
        listener = {"protocols": ["h2c"], **short()["listener"]}
        p = sluice(app, listener=listener, upstream={"protocol": "h2c"})
        c = h2wire.H2(p.address).open()
        made.append(c)
        c.headers(1, h2wire.post("/test.Echo/Size", [("content-type", kind)]), end=False)
        return c, p

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/json", "application/grpcx",
                                  "application/grp"])
def test_only_grpc_may_be_silent_before_the_response(silent, kind):
    c, p = silent(kind)
    assert c.response(1).status == 408
    p.wait_log("408: timeouts.body")


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto",
                                  "Application/gRPC; charset=x"])
def test_kinds_of_grpc(silent, kind):
    c, p = silent(kind)
    time.sleep(PAUSE)
    c.ping()
    assert not c.streams[1].done and "408" not in p.log
