"""WebSocket with clients and servers that are not ours, over HTTP/1.1; over HTTP/2 see
test_h2_websocket.py."""
import asyncio
import http

import pytest
import websockets

import h2peer
import h2wire
import harness
from certificates import Authority
from wire import DEADLINE, pattern

# How the client comes, and how the server is reached.
WAYS = [("ws", "ws"), ("wss", "ws"), ("ws", "wss"), ("wss", "wss"), ("wss", "auto")]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("websocket-ca"))
    made.leaf = made.issue("localhost", "IP:127.0.0.1")
    return made


class Way:
    """A proxy in front of a websockets server, and clients of it."""

    def __init__(self, folder, authority, front="ws", back="ws", listener=None, **options):
        self.folder, self.authority = folder, authority
        self.front, self.back = front, back
        self.listener, self.options = listener or {}, options
        self.seen = []

    async def handler(self, socket, _path=None):
        """Sends everything back, in the kind that it came."""
        self.seen.append(socket)
        async for message in socket:
            if message == "close":
                await socket.close(4001, "enough")
                return
            await socket.send(message)

    async def __aenter__(self):
        context = None
        if self.back != "ws":
            context = self.authority.server_context(self.authority.leaf)
            if self.back == "auto":
                # It would have HTTP/2 if it were asked, but then there is no upgrade.
                context.set_alpn_protocols(["h2", "http/1.1"])
        self.server = await websockets.serve(
            self.handler, "127.0.0.1", 0, ssl=context, max_size=None, **self.options)
        listener = dict(self.listener)
        if self.front == "wss":
            listener["tls"] = {"certificates": [self.authority.leaf.entry]}
            listener["protocols"] = ["h1", "h2"]
        upstream = {}
        if self.back != "ws":
            upstream = {"protocol": "auto" if self.back == "auto" else "h1",
                        "tls": {"ca": self.authority.path}}
        peer = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self.proxy = await loop.run_in_executor(None, lambda: harness.Sluice(
            self.folder, harness.manifest(peer, listener=listener, upstream=upstream)))
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()
        await asyncio.get_running_loop().run_in_executor(None, self.proxy.close)

    def connect(self, path="/chat", **options):
        if self.front == "wss":
            options["ssl"] = self.authority.client_context(alpn=["http/1.1"])
            options["server_hostname"] = "localhost"
        return websockets.connect("%s://%s:%d%s" % (self.front, *self.proxy.address, path),
                                  max_size=None, **options)


@pytest.fixture
def way(tmp_path, authority):
    return lambda *ends, **options: Way(tmp_path, authority, *ends, **options)


def play(way, scene):
    """Runs `scene(way)`, with the proxy and the server around it."""
    async def run():
        async with way:
            await scene(way)

    asyncio.run(asyncio.wait_for(run(), 3 * DEADLINE))


@pytest.mark.parametrize("front,back", WAYS)
def test_messages_of_every_kind(way, front, back):
    async def scene(w):
        async with w.connect() as socket:
            for message in ("hello", b"\0\1\2", "", "x" * 70_000, pattern(1 << 20), "\u00fc"):
                await socket.send(message)
                assert await socket.recv() == message
            # One message in three frames.
            await socket.send(iter(["one ", "two ", "three"]))
            assert await socket.recv() == "one two three"
            await socket.ping()
            await w.seen[0].ping()
        assert socket.close_code == 1000

    play(way(front, back), scene)


@pytest.mark.parametrize("front,back", WAYS)
def test_the_handshake_passes_as_it_is(way, front, back):
    async def scene(w):
        async with w.connect("/chat?room=1", subprotocols=["mqtt", "chat"],
                             extra_headers=[("X-Token", "t"), ("Cookie", "a=b")],
                             origin="https://site.example") as socket:
            assert socket.subprotocol == "chat"
            assert [e.name for e in socket.extensions] == ["permessage-deflate"]
            server = w.seen[0]
            assert server.path == "/chat?room=1"
            asked = server.request_headers
            assert (asked["X-Token"], asked["Cookie"]) == ("t", "a=b")
            assert asked["Origin"] == "https://site.example"
            text = "again and again " * 10_000
            await socket.send(text)
            assert await socket.recv() == text

    play(way(front, back, subprotocols=["chat"]), scene)


@pytest.mark.parametrize("front,back", WAYS)
def test_who_closes_says_why(way, front, back):
    async def scene(w):
        async with w.connect() as socket:
            await socket.send("close")
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (4001, "enough")
        async with w.connect() as socket:
            await socket.close(4002, "that is all")
            await asyncio.wait_for(w.seen[1].wait_closed(), DEADLINE)
            assert (w.seen[1].close_code, w.seen[1].close_reason) == (4002, "that is all")

    play(way(front, back), scene)


@pytest.mark.parametrize("front,back", WAYS)
def test_a_server_that_refuses(way, front, back):
    async def refuse(path, headers):
        refusal = http.HTTPStatus.FORBIDDEN, [("X-Why", "because")], b"no\n"
        return refusal if path == "/no" else None

    async def scene(w):
        with pytest.raises(websockets.InvalidStatusCode) as caught:
            await w.connect("/no")
        assert caught.value.status_code == 403 and caught.value.headers["X-Why"] == "because"
        async with w.connect() as socket:
            await socket.send("yes")
            assert await socket.recv() == "yes"

    play(way(front, back, process_request=refuse), scene)


def test_many_at_a_time(way):
    async def scene(w):
        async def one(number):
            async with w.connect() as socket:
                for i in range(10):
                    await socket.send("%d %d" % (number, i))
                    assert await socket.recv() == "%d %d" % (number, i)

        await asyncio.gather(*(one(i) for i in range(50)))
        assert len(w.seen) == 50

    play(way("wss", "wss"), scene)


def test_pings_keep_a_silent_socket(way):
    """timeouts.tunnel counts their bytes; without them the socket is cut."""
    async def scene(w):
        async with w.connect(ping_interval=0.2, ping_timeout=DEADLINE) as socket:
            await asyncio.sleep(2)
            await socket.send("still here")
            assert await socket.recv() == "still here"
        async with w.connect(ping_interval=None) as socket:
            with pytest.raises(websockets.ConnectionClosedError):
                await socket.recv()

    play(way("wss", "ws", listener={"timeouts": {"tunnel": "1s"}}, ping_interval=None), scene)


def test_a_client_that_vanishes(way):
    """The server learns of it."""
    async def scene(w):
        socket = await w.connect()
        socket.transport.abort()
        await asyncio.wait_for(w.seen[0].wait_closed(), DEADLINE)
        assert w.seen[0].close_code == 1006

    play(way("wss", "wss"), scene)


@pytest.mark.parametrize("front", ["h1", "h2"])
def test_a_peer_that_has_only_http2(sluice, origin, client, front):
    """There is no upgrade in HTTP/2, and a plain request in its place would be another request."""
    seen = []
    app = origin(h2peer.script(seen.append))
    p = sluice(app, listener={"protocols": ["h1", "h2c"]}, upstream={"protocol": "h2c"})
    if front == "h1":
        answer = client(p).request(fields=[
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        assert answer.status == 501
    else:
        c = h2wire.H2(p.address).open()
        c.headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                      (":authority", "test"), (":path", "/"), ("sec-websocket-version", "13")],
                  end=False)
        c.until(lambda: c.streams[1].done, "the answer")
        assert c.streams[1].status == 501
        c.close()
    p.wait_log("501: no upgrade goes to a peer that speaks HTTP/2")
    assert not seen
