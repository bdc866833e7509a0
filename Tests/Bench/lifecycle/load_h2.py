"""Lanes that speak HTTP/2 over TLS: several on one connection, as streams.

A client that is sent away does what RFC 9113 says. After a GOAWAY it asks nothing more on the
connection; streams above the last id were not processed and are asked again elsewhere (§6.8), as
is one that was reset with REFUSED_STREAM (§8.7). Both are counted, and no failure. Everything else
that keeps a stream from its whole answer is one.
"""
import asyncio
import random
import select
import struct
import time

import hpack

import bodies
from load_h1 import Broken, PATIENCE, SLOW_SECONDS, SLOW_SHARE, check, reason

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
REFUSED_STREAM = 7
FRAME = 16_384
# What a server may send on one stream, more than any body; and on a connection, given anew
# when half is used.
STREAM_WINDOW, CONNECTION_WINDOW = 1 << 20, 1 << 30


class Unprocessed(Exception):
    """The server says that it did nothing with the stream."""


class Left(Exception):
    """Nothing may be asked on the connection any more, and nothing was."""


class Stream:
    def __init__(self, window):
        self.window = window
        self.fields, self.body = {}, bytearray()
        self.done = asyncio.get_running_loop().create_future()

    def end(self, error=None):
        if self.done.done():
            return
        if error:
            self.done.set_exception(error)
        else:
            self.done.set_result(None)


class Connection:
    def __init__(self, ledger):
        self.ledger = ledger
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams, self.next = {}, 1
        self.window, self.stream_window = 65_535, 65_535
        self.used = 0
        self.room = asyncio.Event()
        self.usable = True
        self.block = b""

    async def open(self, port, tls):
        self.reader, self.writer = await asyncio.wait_for(asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost"), PATIENCE)
        self.writer.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + frame(SETTINGS, 0, 0, struct.pack(">HIHI", 2, 0, 4, STREAM_WINDOW))
            + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", CONNECTION_WINDOW - 65_535)))
        self.poll = select.poll()
        self.poll.register(self.writer.get_extra_info("socket").fileno(), select.POLLIN)
        self.task = asyncio.create_task(self.read())
        return self

    # ------------------------------------------------------------------ asking
    async def ask(self, fields, body):
        """The answer's status, fields and body."""
        if not self.usable:
            raise Left
        number, self.next = self.next, self.next + 2
        stream = self.streams[number] = Stream(self.stream_window)
        try:
            block = self.encoder.encode(fields)
            self.writer.write(frame(
                HEADERS, END_HEADERS | (0 if body else END_STREAM), number, block))
            if body:
                await self.send(stream, number, body)
            await stream.done
        except OSError:
            # What the server said of the stream before the connection broke counts more.
            if stream.done.done():
                stream.done.result()
            raise
        finally:
            del self.streams[number]
            if stream.done.done() and not stream.done.cancelled():
                stream.done.exception()  # looked at, or asyncio complains
            self.leave()
        fields = dict(stream.fields)
        return int(fields[b":status"]), fields, bytes(stream.body)

    async def send(self, stream, number, body):
        at = 0
        while at < len(body) and not stream.done.done():
            size = min(len(body) - at, FRAME, stream.window, self.window)
            if size <= 0:
                self.room.clear()
                await self.room.wait()
                continue
            stream.window -= size
            self.window -= size
            last = END_STREAM if at + size == len(body) else 0
            self.writer.write(frame(DATA, last, number, body[at:at + size]))
            at += size
            await self.writer.drain()

    async def read_first(self):
        """Lets the loop take what has come, so that a GOAWAY is seen before more is asked."""
        for _ in range(3):
            if not self.usable or not self.poll.poll(0):
                return
            await asyncio.sleep(0)

    def leave(self):
        """Closes a connection that nothing more is asked on."""
        if not self.usable and not self.streams:
            self.writer.close()

    # ----------------------------------------------------------------- reading
    async def read(self):
        error = Broken("closed without an answer")
        try:
            while True:
                head = await self.reader.readexactly(9)
                size, type_, flags, number = (
                    int.from_bytes(head[:3], "big"), head[3], head[4],
                    int.from_bytes(head[5:], "big") & 0x7fffffff)
                payload = await self.reader.readexactly(size)
                self.take(type_, flags, number, payload)
                await self.writer.drain()
        except asyncio.IncompleteReadError:
            if self.usable and not self.streams:
                self.ledger.allowed["closed idle"] += 1
        except OSError as problem:
            error = Broken(reason(problem))
        except hpack.HPACKError as problem:
            error = Broken("HPACK: %s" % problem)
        finally:
            self.usable = False
            for stream in self.streams.values():
                stream.end(error)
            self.room.set()
            self.writer.close()

    def take(self, type_, flags, number, payload):
        stream = self.streams.get(number)
        if type_ == DATA:
            self.take_data(stream, payload)
        elif type_ in (HEADERS, CONTINUATION):
            self.block = payload if type_ == HEADERS else self.block + payload
            if flags & END_HEADERS:
                fields = self.decoder.decode(self.block, raw=True)
                if stream:
                    stream.fields = dict(fields)
        elif type_ == SETTINGS and not flags & ACK:
            self.take_settings(payload)
        elif type_ == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, payload))
        elif type_ == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if number == 0:
                self.window += more
            elif stream:
                stream.window += more
            self.room.set()
        elif type_ == GOAWAY:
            self.take_goaway(*struct.unpack(">II", payload[:8]))
        elif type_ == RST_STREAM and stream:
            code = int.from_bytes(payload, "big")
            refused = code == REFUSED_STREAM
            stream.end(Unprocessed("refused stream") if refused
                       else Broken("stream reset with %d" % code))
            self.room.set()
        if type_ in (DATA, HEADERS) and flags & END_STREAM and stream:
            stream.end()

    def take_data(self, stream, payload):
        if stream:
            stream.body += payload
        self.used += len(payload)
        if self.used > CONNECTION_WINDOW // 2:
            self.writer.write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self.used)))
            self.used = 0

    def take_settings(self, payload):
        for at in range(0, len(payload), 6):
            name, value = struct.unpack(">HI", payload[at:at + 6])
            if name == 4:
                for stream in self.streams.values():
                    stream.window += value - self.stream_window
                self.stream_window = value
                self.room.set()
        self.writer.write(frame(SETTINGS, ACK, 0, b""))

    def take_goaway(self, last, code):
        self.ledger.allowed["GOAWAY"] += self.usable
        self.usable = False
        if code:
            self.ledger.fail("GOAWAY with error %d" % code)
        for number, stream in self.streams.items():
            if number > last:
                stream.end(Unprocessed("above GOAWAY"))
        self.room.set()
        self.leave()


class Pool:
    """The connection that lanes share, made anew when it can't be used."""

    def __init__(self, ledger, port, tls):
        self.ledger, self.port, self.tls = ledger, port, tls
        self.connection = None
        self.lock = asyncio.Lock()

    async def get(self):
        async with self.lock:
            if not self.connection or not self.connection.usable:
                try:
                    self.connection = await Connection(self.ledger).open(self.port, self.tls)
                except ConnectionRefusedError:
                    raise Broken("refused") from None
                except asyncio.TimeoutError:
                    raise Broken("no connection in time") from None
                except (OSError, EOFError) as error:
                    raise Broken("%s while connecting" % reason(error)) from None
            await self.connection.read_first()
            return self.connection

    def close(self):
        if self.connection:
            self.connection.usable = False
            self.connection.leave()


class H2Lane:
    def __init__(self, name, ledger, pool, think=0.01):
        self.name, self.ledger, self.pool, self.think = name, ledger, pool, think
        self.rng = random.Random(name)

    async def run(self, stop):
        number = 0
        while not stop.is_set():
            await asyncio.sleep(self.rng.expovariate(1 / self.think))
            number += 1
            await self.exchange(number)
        self.pool.close()

    async def exchange(self, number):
        ledger = self.ledger
        ledger.sent += 1
        began = time.monotonic()
        body = bodies.pick(self.rng)
        slow = self.rng.random() < SLOW_SHARE
        fields = [
            (":method", "POST"), (":scheme", "https"), (":path", "/checked"),
            (":authority", "localhost"), ("x-lane", self.name), ("x-number", str(number)),
            ("x-digest", bodies.digest(body)), ("content-length", str(len(body)))]
        if slow:
            fields.append(("x-delay", str(SLOW_SECONDS)))
        while True:
            try:
                connection = await self.pool.get()
                status, got, answer = await asyncio.wait_for(
                    connection.ask(fields, body), PATIENCE)
                check(status, got, number, body, answer)
            except Left:
                continue
            except Unprocessed as error:
                ledger.allowed["asked again: %s" % error] += 1
                continue
            except (Broken, OSError, asyncio.TimeoutError) as error:
                why = error if isinstance(error, Broken) else reason(error)
                ledger.fail(str(why), "%s %d" % (self.name, number))
                return
            ledger.ok(None if slow else began)
            return


def frame(type_, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", type_, flags, stream) + payload
