#!/usr/bin/env python3
"""The origin behind a proxy that is tortured: HTTP/1.1, WebSocket and gRPC in one process.

Every checked request names its lane and its number in the lane. A lane is a client that asks one
thing after the other, so numbers of a lane only grow: one that comes again was sent twice by
somebody in between, and one that is smaller was overtaken. The origin answers with the number, the
digest of the body that it got, and a body of its own with its digest.

Prints one line of JSON with its ports, and ends when its standard input does. GET /-/totals says
what it saw.
"""
import asyncio
import json
import logging
import os
import random
import sys

import grpc
import grpc.aio
import websockets

import bodies

# Several ports of HTTP/1.1, so that peers can come and go.
PEERS = 3


class Seen:
    """What came, over all lanes. `exchanges` are the requests that were no messages of a stream."""

    def __init__(self):
        self.last = {}
        self.requests = self.exchanges = self.duplicates = self.overtaken = self.broken = 0
        self.examples = []

    def note(self, lane, number):
        last = self.last.get(lane, -1)
        self.requests += 1
        if number > last:
            self.last[lane] = number
            return
        if number == last:
            self.duplicates += 1
        else:
            self.overtaken += 1
        if len(self.examples) < 20:
            self.examples.append("%s: %d after %d" % (lane, number, last))

    def totals(self):
        names = ("requests", "exchanges", "duplicates", "overtaken", "broken", "examples")
        return {name: getattr(self, name) for name in names}


class Origin:
    def __init__(self):
        self.seen = Seen()
        self.rng = random.Random(1)

    # ---------------------------------------------------------------- HTTP/1.1
    async def serve(self, reader, writer, peer):
        """One connection of a proxy; it is never closed by this side between two requests."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path, fields = parse(head)
                body = await read_body(reader, fields)
                if path == b"/-/totals":
                    writer.write(plain(json.dumps(self.seen.totals()).encode(), peer))
                elif b"x-lane" in fields:
                    await self.answer(writer, fields, body, peer)
                else:
                    writer.write(plain(b"ok\n", peer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, writer, fields, body, peer):
        number, got = int(fields[b"x-number"]), bodies.digest(body)
        self.seen.note(fields[b"x-lane"].decode(), number)
        self.seen.exchanges += 1
        if fields.get(b"x-digest", b"").decode() != got:
            self.seen.broken += 1
        # Never empty: something must be left to come after the delay, or else the proxy may take
        # the connection for idle.
        own = bodies.pick(self.rng) or b"."
        chunked = number % 5 == 0
        writer.write(
            b"HTTP/1.1 200 OK\r\nx-number: %d\r\nx-got: %s\r\nx-digest: %s\r\nx-peer: %d\r\n"
            b"%s\r\n\r\n" % (
                number, got.encode(), bodies.digest(own).encode(), peer,
                b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(own)))
        half = len(own) // 2
        write_part(writer, own[:half], chunked)
        if b"x-delay" in fields:
            await asyncio.sleep(float(fields[b"x-delay"]))
        write_part(writer, own[half:], chunked)
        if chunked:
            writer.write(b"0\r\n\r\n")

    # ----------------------------------------------------------------- streams
    def reply(self, message):
        lane, number, whole, got = bodies.read_question(message)
        self.seen.note(lane, number)
        self.seen.broken += not whole
        return bodies.answer(number, got, bodies.pick(self.rng, 9_000))

    async def websocket(self, connection):
        async for message in connection:
            await connection.send(self.reply(message))

    async def chat(self, messages, context):
        async for message in messages:
            yield self.reply(message)

    # ------------------------------------------------------------------- start
    async def run(self):
        ports = {"h1": []}
        for peer in range(PEERS):
            server = await asyncio.start_server(
                lambda r, w, peer=peer: self.serve(r, w, peer), "127.0.0.1", 0, backlog=1024)
            ports["h1"].append(server.sockets[0].getsockname()[1])
        sockets = await websockets.serve(
            self.websocket, "127.0.0.1", 0, compression=None, ping_interval=None, max_size=None,
            backlog=1024)
        ports["ws"] = sockets.sockets[0].getsockname()[1]
        rpc = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        rpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat)}),))
        ports["grpc"] = rpc.add_insecure_port("127.0.0.1:0")
        await rpc.start()
        print(json.dumps(ports), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)


def parse(head):
    """The path and the fields of a request's head, names in lower case."""
    lines = head[:-4].split(b"\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    return lines[0].split(b" ")[1], fields


async def read_body(reader, fields):
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        body = bytearray()
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return bytes(body)
            body += (await reader.readexactly(size + 2))[:-2]
    return await reader.readexactly(int(fields.get(b"content-length", b"0")))


def plain(body, peer):
    return (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-peer: %d\r\n\r\n" % (len(body), peer)
            + body)


def write_part(writer, part, chunked):
    if chunked and part:
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
    elif part:
        writer.write(part)


if __name__ == "__main__":
    # It tells of each WebSocket that ends without a close, which is what lanes look for.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(Origin().run())
