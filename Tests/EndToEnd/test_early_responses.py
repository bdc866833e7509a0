"""Responses that are complete before their request is: read the rest and keep, or close."""
import pytest

from harness import serve
from wire import Truncated, chunk, reply, request


def answers_at_once(c):
    """Answers each request at its head, then reads its body."""
    while True:
        head = c.read_head()
        if head is None:
            return
        c.send(reply(head.target.encode()))
        c.read_body(head)


def test_the_rest_of_the_body_still_reaches_the_origin_or_nobody(sluice, origin, client):
    """The client sends its body after it has the answer. Either all of it was read and the
    connection goes on, or the answer said close; never is the body taken for a request."""
    app = origin(answers_at_once)
    c = client(sluice(app))
    inner = request(target="/smuggled")
    c.send(request("POST", "/1", [("Content-Length", str(len(inner)))]))
    answer = c.response()
    assert answer.body == b"/1"
    try:
        c.send(inner + request(target="/2"))
        second = c.response()
        assert not answer.closes
        assert second.body == b"/2"
    except (Truncated, ConnectionError):
        assert answer.closes
    assert "/smuggled" not in [r.target for r in app.requests]


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_local_reply_reads_a_small_body_away(sluice, client, framing):
    proxy = sluice(plugins={"no": {"library": "libRespond.so",
                                   "config": {"status": 403, "body": "no"}}},
                   routes=[{"match": {}, "chain": ["no"]}],
                   listener={"limits": {"drain": "64KiB"}})
    c = client(proxy)
    for _ in range(3):
        if framing == "sized":
            c.send(request("POST", body=b"x" * 60_000))
        else:
            c.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + chunk(b"x" * 60_000) + b"0\r\n\r\n")
        answer = c.response()
        assert (answer.status, answer.body, answer.closes) == (403, b"no", False)


def test_a_local_reply_to_a_large_body_closes(sluice, client):
    proxy = sluice(plugins={"no": {"library": "libRespond.so",
                                   "config": {"status": 403, "body": "no"}}},
                   routes=[{"match": {}, "chain": ["no"]}],
                   listener={"limits": {"drain": "16KiB"}})
    c = client(proxy)
    c.send(request("POST", fields=[("Content-Length", "16385")]))
    answer = c.response()
    assert (answer.status, answer.body, answer.closes) == (403, b"no", True)
    assert c.ended()


def test_a_client_in_the_middle_of_a_large_body_can_read_the_answer(sluice, client):
    """The close does not reset the connection while the client is still sending, or the answer
    would be lost: RFC 9112 section 9.6."""
    proxy = sluice(plugins={"no": {"library": "libRespond.so",
                                   "config": {"status": 403, "body": "no"}}},
                   routes=[{"match": {}, "chain": ["no"]}])
    for _ in range(5):
        c = client(proxy)
        try:
            c.send(request("POST", body=b"x" * 8_000_000))
        except ConnectionError:
            pass
        assert c.response().status == 403


def test_an_early_answer_with_a_large_body_unread(sluice, origin, client):
    """The origin answers and reads no more: the answer passes, and both connections end."""
    def script(c):
        c.read_head()
        c.send(reply(b"early"))
        c.ended()

    app = origin(script)
    c = client(sluice(app))
    c.send(request("POST", fields=[("Content-Length", "100000000")]))
    answer = c.response()
    assert answer.body == b"early"
    c.close()
    app.wait_closed(1)


def test_an_upstream_with_an_unfinished_request_is_not_reused(sluice, origin, client):
    """Else the next request would be read as the rest of the body."""
    app = origin(lambda c: (c.read_head(), c.send(reply(b"early")), c.rest()))
    proxy = sluice(app)
    c = client(proxy)
    c.send(request("POST", "/1", [("Content-Length", "100")]))
    assert c.response().body == b"early"
    c.close()
    assert client(proxy).request(target="/2").body == b"early"
    assert [r.target for r in app.requests] == ["/1", "/2"]
    assert app.connections == 2


def test_an_answer_ahead_of_a_chunked_body(sluice, origin, client):
    app = origin(answers_at_once)
    c = client(sluice(app))
    c.send(b"POST /1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"part"))
    answer = c.response()
    assert answer.body == b"/1"
    if not answer.closes:
        c.send(chunk(b"rest") + b"0\r\n\r\n")
        assert c.request(target="/2").body == b"/2"


def test_body_after_the_answer_is_served_in_order(sluice, origin, client):
    """Pipelining across an early answer."""
    app = origin(serve(lambda r: reply(r.target.encode())))
    c = client(sluice(app))
    c.send(request("POST", "/1", body=b"x" * 30_000) + request(target="/2"))
    assert [c.response().body, c.response().body] == [b"/1", b"/2"]
