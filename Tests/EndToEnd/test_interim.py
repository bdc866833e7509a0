"""1xx responses and Expect: 100-continue."""
import threading

import pytest

from harness import serve
from wire import DEADLINE, Truncated, reply, request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


def expecting(length, version="1.1"):
    return request("POST", fields=[("Expect", "100-continue"), ("Content-Length", str(length))],
                   version=version)


def test_100_of_the_origin_reaches_a_client_that_waits_for_it(sluice, origin, client):
    def script(c):
        head = c.read_head()
        assert head.get("expect") == "100-continue"
        c.send(CONTINUE)
        c.read_body(head)
        c.send(reply(head.body))

    c = client(sluice(origin(script)))
    c.send(expecting(4))
    assert c.head().status == 100
    c.send(b"body")
    assert c.response().body == b"body"


def test_a_final_answer_instead_of_100(sluice, origin, client):
    """The body was never sent, so the connection cannot be used for another request."""
    def script(c):
        c.read_head()
        c.send(reply(b"no", "417 Expectation Failed"))

    c = client(sluice(origin(script)))
    c.send(expecting(4))
    answer = c.response()
    assert (answer.status, answer.body, answer.interim) == (417, b"no", [])
    assert answer.closes and c.ended()


def test_a_client_may_send_its_body_without_waiting(sluice, origin, client):
    app = origin(serve(lambda r: CONTINUE + reply(r.body)))
    c = client(sluice(app))
    for _ in range(2):
        c.send(expecting(4) + b"body")
        assert c.response().body == b"body"


def test_a_local_reply_needs_no_body(sluice, client):
    proxy = sluice(plugins={"no": {"library": "libRespond.so",
                                   "config": {"status": 403, "body": "no"}}},
                   routes=[{"match": {}, "chain": ["no"]}])
    c = client(proxy)
    c.send(expecting(10_000_000))
    answer = c.response()
    assert (answer.status, answer.interim) == (403, [])
    assert answer.closes and c.ended()


def test_an_unknown_expectation_is_passed_on(sluice, origin, client):
    """RFC 9110 section 10.1.1 allows 417; nginx, HAProxy and Envoy pass it on."""
    app = origin(serve(reply()))
    answer = client(sluice(app)).request(fields=[("Expect", "something")])
    assert answer.status == 417 if not app.requests else answer.status == 200


def test_100_is_not_for_a_client_that_did_not_ask(sluice, origin, client):
    app = origin(serve(CONTINUE + reply()))
    c = client(sluice(app))
    for _ in range(2):
        answer = c.request("POST", body=b"x")
        assert (answer.status, answer.interim) == (200, [])


def test_103_then_200(sluice, origin, client):
    app = origin(serve(EARLY_HINTS + EARLY_HINTS + reply(b"done")))
    c = client(sluice(app))
    for _ in range(2):
        answer = c.request()
        assert [r.status for r in answer.interim] == [103, 103]
        assert answer.interim[0].get("link") == "</a.css>; rel=preload"
        assert answer.body == b"done"
    assert app.connections == 1


def test_103_is_passed_on_before_the_final_answer_exists(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(EARLY_HINTS)
        assert seen.wait(DEADLINE)
        c.send(reply(b"done"))

    seen = threading.Event()
    app = origin(script)
    c = client(sluice(app))
    c.send(request())
    assert c.head().status == 103
    seen.set()
    assert c.response().body == b"done"


def test_1xx_is_not_for_http_1_0(sluice, origin, client):
    c = client(sluice(origin(serve(EARLY_HINTS + reply(b"done")))))
    c.send(request(version="1.0"))
    answer = c.response()
    assert (answer.interim, answer.body) == ([], b"done")


def test_103_then_death_is_502(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(EARLY_HINTS)

    c = client(sluice(origin(script)))
    assert c.request().status == 502


def test_head_with_100_then_200(sluice, origin, client):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    app = origin(serve(lambda r: CONTINUE + head if r.method == "HEAD" else reply(b"next")))
    c = client(sluice(app))
    assert c.request("HEAD").get("content-length") == "100"
    assert c.request().body == b"next"


def test_1xx_without_end_is_bounded(sluice, origin, client):
    """An origin must not keep a client for ever with interim answers."""
    def script(c):
        c.read_request()
        while True:
            c.send(EARLY_HINTS * 100)

    app = origin(script)
    c = client(sluice(app))
    try:
        assert c.request().status == 502
    except Truncated:
        pass
    app.wait_closed(1)


@pytest.mark.parametrize("status", ["101 Switching Protocols", "199 Odd"])
def test_101_is_an_error_where_no_upgrade_was_asked_for(sluice, origin, client, status):
    raw = ("HTTP/1.1 %s\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n" % status).encode()
    app = origin(serve(raw + reply(b"after")))
    answer = client(sluice(app)).request()
    if status.startswith("101"):
        assert answer.status == 502
        assert b"after" not in answer.body
    else:
        assert answer.body == b"after"
