"""WebSockets with the library `websockets` at both ends: TLS to the client, and to the origin as
well. In the clear they are in test_upgrade.py, over HTTP/2 in test_h2_websocket.py."""
import asyncio
import contextlib

import pytest
import websockets

from wire import DEADLINE, pattern


async def echo(socket, _path=None):
    async for message in socket:
        await socket.send(message)


async def refuse(socket, _path=None):
    await socket.close(4001, "enough")


@pytest.fixture
def through(https, ca, leaf):
    """Runs `client(connect)` against a server with this handler behind the proxy; `connect` opens
    a socket through the proxy."""

    def run(client, handler=echo, secure=False, tls=None, **options):
        async def exchange():
            context = ca.server_context(leaf) if secure else None
            upstream = {"tls": {"ca": ca.path, "server_name": "localhost"}} if secure else {}
            async with websockets.serve(handler, "127.0.0.1", 0, max_size=None, ssl=context,
                                        subprotocols=["chat.v2", "chat.v1"]) as server:
                port = server.sockets[0].getsockname()[1]
                loop = asyncio.get_running_loop()
                proxy = await loop.run_in_executor(None, lambda: https(
                    "127.0.0.1:%d" % port, upstream=upstream, tls=tls, **options))
                client_context = ca.client_context(alpn=["http/1.1"])

                def connect(path="/chat", **more):
                    return websockets.connect(
                        "wss://localhost:%d%s" % (proxy.address[1], path), max_size=None,
                        ssl=client_context, host="127.0.0.1", **more)

                return await client(connect)

        return asyncio.run(asyncio.wait_for(exchange(), DEADLINE * 2))

    return run


MESSAGES = ["hello", "x" * 70_000, pattern(3_000_000), "", b"", "é" * 40_000, b"\0" * 125,
            b"\0" * 126, b"\0" * 65_535, b"\0" * 65_536]


@pytest.mark.parametrize("secure", [False, True], ids=["origin in the clear", "origin over TLS"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_echo(through, secure, version):
    async def client(connect):
        async with connect(subprotocols=["chat.v1"]) as ws:
            assert ws.subprotocol == "chat.v1"
            assert ws.transport.get_extra_info("ssl_object").version() == "TLSv" + version
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
            await ws.ping()
        assert ws.close_code == 1000

    through(client, secure=secure, tls={"min_version": version, "max_version": version})


def test_fragments_arrive_as_they_were_sent(through):
    """A message in frames, with a ping in the middle of it."""
    seen = []

    async def handler(socket, _path=None):
        async for message in socket:
            seen.append(message)
            await socket.send(["an", "swer"])

    async def client(connect):
        async with connect() as ws:
            async def parts():
                yield "one "
                await (await ws.ping())
                yield "two"

            await ws.send(parts())
            assert await ws.recv() == "answer"

    through(client, handler)
    assert seen == ["one two"]


def test_both_directions_at_once(through):
    """More in each direction than any buffer holds, so one that waits for the other hangs."""
    count, data = 40, pattern(250_000)

    async def client(connect):
        async with connect() as ws:
            async def send():
                for _ in range(count):
                    await ws.send(data)

            sending = asyncio.create_task(send())
            for _ in range(count):
                assert await ws.recv() == data
            await sending

    through(client)


def test_a_close_of_the_server(through):
    async def client(connect):
        async with connect() as ws:
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (4001, "enough")

    through(client, refuse)


def test_many_sockets_at_once(through):
    async def client(connect):
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(connect("/%d" % i)) for i in range(50)]
            for number, ws in enumerate(sockets):
                await ws.send("to %d" % number)
            for number, ws in reversed(list(enumerate(sockets))):
                assert await ws.recv() == "to %d" % number

    through(client)


def test_a_silent_socket_ends_in_its_time(through):
    async def client(connect):
        async with connect(ping_interval=None) as ws:
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1006

    through(client, listener={"timeouts": {"tunnel": "300ms"}})
