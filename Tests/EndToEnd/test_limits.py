"""Every bound of a client at its edge: one within, one over."""
import pytest

from harness import eventually, serve
from wire import Truncated, chunk, reply, request


def limited(**limits):
    return {"limits": limits}


def head_of(length):
    """A request whose head is exactly this long."""
    base = request(fields=[("X-Fill", "")])
    return request(fields=[("X-Fill", "f" * (length - len(base)))])


def refused(c, status):
    """The answer to what was sent is this status, and the connection ends."""
    answer = c.response()
    assert (answer.status, answer.closes) == (status, True)
    assert answer.get("content-length") is not None
    assert c.ended()
    return True


def test_head_bytes(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app, listener=limited(head="1KiB"))
    c = client(proxy)
    for length in (1023, 1024):
        c.send(head_of(length))
        assert c.response().status == 200
    c.send(head_of(1025))
    assert refused(c, 431)
    assert len(app.requests) == 2
    proxy.wait_log("(?i)head")


def test_head_bytes_without_end(sluice, origin, client):
    """Refused when the limit is passed, not when the head ends."""
    c = client(sluice(origin(serve(reply())), listener=limited(head="1KiB")))
    c.send(b"GET / HTTP/1.1\r\nHost: t\r\nX-Fill: " + b"f" * 1024)
    assert refused(c, 431)


def test_the_largest_head(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, listener=limited(head=65535)))
    c.send(head_of(65535))
    assert c.response().status == 200
    assert len(app.requests[0].get("x-fill")) > 65000
    c.send(head_of(65536))
    assert refused(c, 431)


def test_fields(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, listener=limited(fields=10)))
    assert c.request(fields=[("X-%d" % i, "v") for i in range(9)]).status == 200  # with Host: 10
    c.send(request(fields=[("X-%d" % i, "v") for i in range(10)]))
    assert refused(c, 431)
    assert len(app.requests) == 1


def test_target(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, listener=limited(target=100)))
    assert c.request(target="/" + "a" * 99).status == 200
    c.send(request(target="/" + "a" * 100))
    assert refused(c, 414)
    assert len(app.requests) == 1


def test_a_target_without_end(sluice, origin, client):
    c = client(sluice(origin(serve(reply())), listener=limited(target=100)))
    c.send(b"GET /" + b"a" * 2000)
    assert refused(c, 414)


def test_body_with_length(sluice, origin, client):
    app = origin(serve(lambda r: reply(b"%d" % len(r.body))))
    c = client(sluice(app, listener=limited(body=1000)))
    assert c.request("POST", body=b"x" * 1000).body == b"1000"
    c.send(request("POST", body=b"x" * 1001))
    assert refused(c, 413)
    assert len(app.requests) == 1


def test_body_in_chunks(sluice, origin, client):
    whole = []

    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            whole.append(len(head.body))
            c.send(reply(b"%d" % len(head.body)))

    app = origin(script)
    c = client(sluice(app, listener=limited(body=1000)))
    start = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    c.send(start + chunk(b"x" * 400) + chunk(b"x" * 600) + b"0\r\n\r\n")
    assert c.response().body == b"1000"
    c.send(start + chunk(b"x" * 400) + chunk(b"x" * 601) + b"0\r\n\r\n")
    assert refused(c, 413)
    eventually(lambda: app.closed == app.connections, "the upstream connection ends")
    assert whole == [1000]


def test_a_length_over_64_bits_is_refused(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app)
    for length in ("9223372036854775808", "18446744073709551617", "1" * 40):
        c = client(proxy)
        c.send(request("POST", fields=[("Content-Length", length)]))
        assert c.response().status in (400, 413)
        assert c.ended()
    assert app.requests == []


def test_connections(sluice, origin, client):
    proxy = sluice(origin(serve(reply())), listener=limited(connections=3))
    clients = [client(proxy) for _ in range(3)]
    assert [c.request().status for c in clients] == [200] * 3
    for _ in range(3):
        over = client(proxy)
        assert refused(over, 503)
    proxy.wait_log("(?i)connections")
    assert [c.request().status for c in clients] == [200] * 3
    clients[0].close()
    # The place is free once the proxy has seen the end of that connection.
    eventually(lambda: status_of_a_new_client(proxy, client) == 200, "a new client is served")


def test_connections_over_all_workers(sluice, origin, client):
    proxy = sluice(origin(serve(reply())), workers=2, listener=limited(connections=4))
    clients = [client(proxy) for _ in range(4)]
    assert [c.request().status for c in clients] == [200] * 4
    for _ in range(4):
        assert refused(client(proxy), 503)


def status_of_a_new_client(proxy, client):
    c = client(proxy)
    try:
        return c.request().status
    except (Truncated, ConnectionError):
        return None
    finally:
        c.close()


def test_connections_of_one_address(sluice, origin, client):
    proxy = sluice(origin(serve(reply())), listener=limited(connections_per_address=2))
    first = [client(proxy, source="127.0.0.1") for _ in range(2)]
    assert [c.request().status for c in first] == [200] * 2
    assert refused(client(proxy, source="127.0.0.1"), 503)
    second = [client(proxy, source="127.0.0.2") for _ in range(2)]
    assert [c.request().status for c in second] == [200] * 2
    assert refused(client(proxy, source="127.0.0.2"), 503)
    proxy.wait_log(r"127\.0\.0\.1")
    first[0].close()

    def again():
        c = client(proxy, source="127.0.0.1")
        try:
            return c.request().status == 200
        except (Truncated, ConnectionError):
            return False
        finally:
            c.close()

    eventually(again, "a new client of the address is served")


# ------------------------------------------------ bounds of the chunked coding
START = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("body", [
    b"5;" + b"e" * 1100 + b"\r\nhello\r\n0\r\n\r\n",
    (b"1;" + b"e" * 900 + b"\r\nx\r\n") * 30 + b"0\r\n\r\n",
    b"0\r\n" + b"X: " + b"t" * 9000 + b"\r\n\r\n",
    b"0\r\n" + b"X: y\r\n" * 65 + b"\r\n",
    b"fffffffffffffffff\r\nhello\r\n",
], ids=["one extension", "all extensions", "trailer bytes", "trailer fields",
        "size over 64 bits"])
def test_chunked_coding_is_bounded(sluice, origin, client, body):
    complete = []
    app = origin(lambda c: complete.append(c.read_request()))
    c = client(sluice(app))
    c.send(START + body)
    try:
        assert c.response().status in (400, 413, 431)
    except Truncated:
        pass
    assert c.ended()
    eventually(lambda: app.closed == app.connections, "the upstream connection ends")
    assert complete in ([], [None])


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nX: " + b"f" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1100 + b"Content-Length: 0\r\n\r\n",
], ids=["bytes", "fields"])
def test_a_response_head_over_the_limits_is_502(sluice, origin, client, head):
    assert client(sluice(origin(serve(head)))).request().status == 502
