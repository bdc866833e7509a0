"""Upgrade and the tunnel behind a 101."""
import asyncio
import threading

import pytest
import websockets

from harness import serve
from wire import DEADLINE, pattern, reply, request

ASK = [("Connection", "Upgrade"), ("Upgrade", "raw")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n"


def echo(c):
    """Accepts the upgrade and sends everything back."""
    c.read_request()
    c.send(SWITCH)
    while c.buffer or c.fill():
        data, c.buffer = c.buffer, b""
        c.send(data)


def test_websocket_echo(sluice):
    """A client and a server that are not ours."""
    async def exchange():
        async def handler(socket, _path=None):
            async for message in socket:
                await socket.send(message)

        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None) as server:
            peer = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            proxy = await loop.run_in_executor(None, lambda: sluice(peer))
            async with websockets.connect("ws://%s:%d/chat" % proxy.address, max_size=None) as ws:
                for message in ("hello", "x" * 70_000, pattern(1_000_000), "", "bye"):
                    await ws.send(message)
                    assert await ws.recv() == message
                await ws.ping()
            assert ws.close_code == 1000

    asyncio.run(asyncio.wait_for(exchange(), DEADLINE * 2))


def test_websocket_closed_by_the_server(sluice):
    """The close frame arrives, then the end of the stream."""
    async def exchange():
        async def handler(socket, _path=None):
            await socket.close(4001, "enough")

        async with websockets.serve(handler, "127.0.0.1", 0) as server:
            peer = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            proxy = await loop.run_in_executor(None, lambda: sluice(peer))
            async with websockets.connect("ws://%s:%d/" % proxy.address) as ws:
                with pytest.raises(websockets.ConnectionClosed):
                    await ws.recv()
                assert (ws.close_code, ws.close_reason) == (4001, "enough")

    asyncio.run(asyncio.wait_for(exchange(), DEADLINE * 2))


def test_the_upgrade_reaches_both_sides(sluice, origin, client):
    app = origin(echo)
    c = client(sluice(app))
    answer = c.request(fields=ASK)
    assert answer.status == 101
    assert answer.get("upgrade") == "raw"
    assert answer.get("connection").lower() == "upgrade"
    assert app.requests[0].get("upgrade") == "raw"
    assert app.requests[0].get("connection").lower() == "upgrade"
    c.send(b"\x00\x01 any bytes")
    assert c.read(12) == b"\x00\x01 any bytes"


def test_bytes_in_one_segment_with_the_101(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(SWITCH + b"first words")
        c.ended()

    c = client(sluice(origin(script)))
    assert c.request(fields=ASK).status == 101
    assert c.read(11) == b"first words"


def test_nothing_passes_before_the_101(sluice, origin, client):
    """Bytes behind an Upgrade request are a second request until the origin has agreed: they must
    not reach it before (CVE-2026-2833 of another proxy)."""
    early = []

    def script(c):
        c.read_request()
        early.append(c.quiet(0.3))
        c.send(SWITCH)
        c.send(c.read(5))

    c = client(sluice(origin(script)))
    c.send(request(fields=ASK) + b"early")
    answer = c.response()
    if answer.status == 101:
        assert c.read(5) == b"early"
    assert early == [True]


@pytest.mark.parametrize("value", ["h2c", "websocket, H2C"])
def test_no_upgrade_to_http2(sluice, origin, client, value):
    """An origin that took it up would be asked things that no plugin and no route has seen."""
    app = origin(serve(reply()))
    c = client(sluice(app))
    answer = c.request(fields=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", value),
                               ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    assert answer.status == 200
    seen = app.requests[0]
    assert [seen.get(n) for n in ("upgrade", "connection", "http2-settings")] == [None] * 3


def test_a_refused_upgrade_is_a_plain_exchange(sluice, origin, client):
    """What follows is then the next request, and seen as one by the origin."""
    app = origin(serve(lambda r: reply(r.target.encode())))
    c = client(sluice(app))
    c.send(request(target="/1", fields=ASK) + request(target="/2"))
    assert c.response().body == b"/1"
    assert c.response().body == b"/2"
    assert [r.target for r in app.requests] == ["/1", "/2"]


def test_post_with_upgrade_sends_its_body_first(sluice, origin, client):
    def script(c):
        head = c.read_request()
        c.send(SWITCH + head.body)
        c.send(c.read(4))

    c = client(sluice(origin(script)))
    c.send(request("POST", fields=ASK, body=b"the body"))
    assert c.response("GET").status == 101
    assert c.read(8) == b"the body"
    c.send(b"more")
    assert c.read(4) == b"more"


def test_post_with_upgrade_sends_its_body_after_an_early_101(sluice, origin, client):
    """The origin switches before it has the body; the body's bytes come first all the same."""
    def script(c):
        c.read_head()
        c.send(SWITCH)
        c.send(c.read(12))

    c = client(sluice(origin(script)))
    c.send(request("POST", fields=ASK + [("Content-Length", "8")]))
    assert c.response("GET").status == 101
    c.send(b"the body")
    c.send(b"more")
    assert c.read(12) == b"the bodymore"


def test_upgrade_of_http_1_0_is_ignored(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app))
    c.send(request(version="1.0", fields=ASK))
    assert c.response().status == 200
    assert app.requests[0].get("upgrade") is None


def test_upgrade_not_named_in_connection_is_ignored(sluice, origin, client):
    app = origin(serve(reply()))
    assert client(sluice(app)).request(fields=[("Upgrade", "raw")]).status == 200
    assert app.requests[0].get("upgrade") is None


def test_a_tunnel_carries_much_in_both_directions(sluice, origin, client):
    data = pattern(20_000_000)
    c = client(sluice(origin(echo)))
    assert c.request(fields=ASK).status == 101
    sender = threading.Thread(target=c.send, args=(data,), daemon=True)
    sender.start()
    assert c.read(len(data)) == data
    sender.join(DEADLINE)


def test_a_client_that_closes_ends_the_tunnel(sluice, origin, client):
    app = origin(echo)
    c = client(sluice(app))
    assert c.request(fields=ASK).status == 101
    c.close()
    app.wait_closed(1)


def test_an_origin_that_closes_ends_the_tunnel(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(SWITCH + b"bye")

    c = client(sluice(origin(script)))
    assert c.request(fields=ASK).status == 101
    assert c.rest() == b"bye"


def test_an_origin_that_resets_cuts_the_tunnel(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(SWITCH)
        c.read(2)
        c.reset()

    c = client(sluice(origin(script)))
    assert c.request(fields=ASK).status == 101
    c.send(b"go")
    assert c.ended()


def test_a_half_closed_tunnel_still_carries_the_other_way(sluice, origin, client):
    def script(c):
        c.read_request()
        c.send(SWITCH)
        c.send(b"got " + c.rest())

    c = client(sluice(origin(script)))
    assert c.request(fields=ASK).status == 101
    c.send(b"all of it")
    c.finish()
    assert c.rest() == b"got all of it"


def test_a_silent_tunnel_is_closed_in_time(sluice, origin, client):
    app = origin(echo)
    c = client(sluice(app, listener={"timeouts": {"tunnel": "300ms"}}))
    assert c.request(fields=ASK).status == 101
    assert c.ended()
    app.wait_closed(1)


def test_a_tunnel_is_not_bound_by_the_idle_time(sluice, origin, client):
    """Ten exchanges, together longer than the times that govern requests."""
    times = {"idle": "100ms", "head": "100ms", "body": "100ms", "tunnel": "10s"}
    app = origin(echo)
    proxy = sluice(app, listener={"timeouts": times},
                   upstream={"timeouts": {"idle": "100ms", "read": "100ms", "first_byte": "1s"}})
    c = client(proxy)
    assert c.request(fields=ASK).status == 101
    for _ in range(5):
        assert c.quiet(0.1)
        c.send(b"ping")
        assert c.read(4) == b"ping"
