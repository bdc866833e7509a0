"""Lanes of long-lived streams: WebSocket connections, and bidirectional streams of gRPC. Each
message is a question that must be answered, in order and whole."""
import asyncio
import random
import time

import grpc
import grpc.aio
import websockets

import bodies
from load_h1 import Broken, PATIENCE, reason

# Seconds that a stream lasts, drawn evenly.
SESSION = (0.5, 8.0)


class StreamLane:
    """One stream after the other; a message after the other on each."""

    def __init__(self, name, ledger, think=0.02, session=SESSION):
        self.name, self.ledger, self.think, self.session = name, ledger, think, session
        self.rng = random.Random(name)
        self.number = 0

    async def run(self, stop):
        while not stop.is_set():
            end = time.monotonic() + self.rng.uniform(*self.session)
            try:
                await self.stream(lambda: stop.is_set() or time.monotonic() > end)
            except Broken as error:
                self.ledger.fail(str(error), "%s %d" % (self.name, self.number))
                await asyncio.sleep(self.think)
            self.ledger.allowed["streams"] += 1
        await self.close()

    async def close(self):
        """The end of the lane."""

    async def question(self):
        """(number, body, message) of the next one, after a pause."""
        await asyncio.sleep(self.rng.expovariate(1 / self.think))
        self.number += 1
        self.ledger.sent += 1
        body = bodies.pick(self.rng, 9_000)
        return body, bodies.question(self.name, self.number, body)

    def check(self, began, body, message):
        number, got, whole = bodies.read_answer(message)
        if number != self.number:
            raise Broken("misordered")
        if got != bodies.digest(body):
            raise Broken("request damaged")
        if not whole:
            raise Broken("answer damaged")
        self.ledger.ok(began)


class WebSocketLane(StreamLane):
    def __init__(self, name, ledger, port, **options):
        super().__init__(name, ledger, **options)
        self.port = port

    async def stream(self, is_over):
        connection = await self.open()
        try:
            while not is_over():
                body, message = await self.question()
                began = time.monotonic()
                await connection.send(message)
                self.check(began, body, await asyncio.wait_for(connection.recv(), PATIENCE))
            # The closing handshake is part of it: the server's close must come.
            await asyncio.wait_for(connection.close(), PATIENCE)
            if connection.close_code != 1000:
                raise Broken("closed with %s" % connection.close_code)
        except websockets.ConnectionClosed as closed:
            raise Broken("closed with %s" % (closed.rcvd.code if closed.rcvd else "nothing")) \
                from None
        except asyncio.TimeoutError:
            raise Broken("no answer in time") from None
        finally:
            await connection.close()

    async def open(self):
        try:
            return await websockets.connect(
                "ws://127.0.0.1:%d/ws" % self.port, compression=None, ping_interval=None,
                open_timeout=PATIENCE, close_timeout=PATIENCE, max_size=None)
        except ConnectionRefusedError:
            raise Broken("refused") from None
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            raise Broken("%s while opening" % reason(error)) from None
        except websockets.InvalidHandshake as error:
            raise Broken("opening: %s" % type(error).__name__) from None


class GrpcLane(StreamLane):
    """A channel of its own; what a channel does about GOAWAY is what grpcio does."""

    def __init__(self, name, ledger, port, **options):
        super().__init__(name, ledger, **options)
        self.channel = grpc.aio.insecure_channel("127.0.0.1:%d" % port, options=[
            ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200)])
        self.chat = self.channel.stream_stream("/test.Echo/Chat")

    async def stream(self, is_over):
        call = self.chat()
        try:
            while not is_over():
                body, message = await self.question()
                began = time.monotonic()
                await call.write(message)
                answer = await asyncio.wait_for(call.read(), PATIENCE)
                if answer is grpc.aio.EOF:
                    raise asyncio.InvalidStateError
                self.check(began, body, answer)
            await call.done_writing()
            if await asyncio.wait_for(call.read(), PATIENCE) is not grpc.aio.EOF:
                raise Broken("more than was asked for")
            if await call.code() is not grpc.StatusCode.OK:
                raise Broken("ended with %s" % (await call.code()).name)
        except grpc.aio.AioRpcError as error:
            raise self.explain(error.code(), error.details()) from None
        except asyncio.TimeoutError:
            raise Broken("no answer in time") from None
        except asyncio.InvalidStateError:
            raise self.explain(await call.code(), await call.details()) from None
        finally:
            call.cancel()

    def explain(self, code, details):
        if "refused" in (details or ""):
            return Broken("refused")
        self.ledger.examples.append("%s: %s" % (self.name, (details or "")[:300]))
        return Broken("ended with %s" % code.name)

    async def close(self):
        await self.channel.close()
