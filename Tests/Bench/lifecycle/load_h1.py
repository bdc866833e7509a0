"""Lanes that speak HTTP/1.1, in the clear or over TLS."""
import asyncio
import random
import select
import ssl
import time

import bodies

# Seconds that a connection, or an answer, may take.
PATIENCE = 15
# Share of requests whose answer is asked to take its time, so that it is under way when
# something changes.
SLOW_SHARE, SLOW_SECONDS = 0.03, 0.4


class Broken(Exception):
    """The exchange failed; why."""


class H1Lane:
    """One client that asks one thing after the other.

    `requests` is how many a connection carries before the client itself leaves it (0: no bound);
    `think` is the mean of the pauses between two requests, in seconds. In these pauses the
    connection is idle, and a server may close it.
    """

    def __init__(self, name, ledger, port, tls=None, requests=0, think=0.01):
        self.name, self.ledger, self.port, self.tls = name, ledger, port, tls
        self.requests, self.think = requests, think
        self.rng = random.Random(name)
        self.reader = self.writer = None
        self.served = 0
        self.poll = None

    async def run(self, stop):
        number = 0
        while not stop.is_set():
            await asyncio.sleep(self.rng.expovariate(1 / self.think))
            number += 1
            await self.exchange(number)
        self.drop()

    async def exchange(self, number):
        ledger = self.ledger
        began = time.monotonic()
        ledger.sent += 1
        body = bodies.pick(self.rng)
        slow = self.rng.random() < SLOW_SHARE
        fresh = False
        try:
            fresh = not await self.is_open()
            if fresh:
                await self.open()
            last = self.requests and self.served + 1 >= self.requests
            await asyncio.wait_for(self.ask(number, body, slow, last), PATIENCE)
        except Broken as error:
            ledger.fail(str(error), "%s %d" % (self.name, number))
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            where = "on a new connection" if fresh else "on a kept connection"
            ledger.fail("%s %s" % (reason(error), where), "%s %d" % (self.name, number))
        else:
            self.served += 1
            ledger.ok(None if slow else began)
            if not last and not self.told_to_close:
                return
            if not last:
                ledger.allowed["told to close"] += 1
        self.drop()

    # -------------------------------------------------------------- connection
    async def is_open(self):
        """Whether the connection of the last exchange can be used. One that its server closed
        meanwhile is left: nothing was sent on it."""
        if not self.writer:
            return False
        for _ in range(4):
            if self.reader.at_eof() or self.reader.exception() or self.writer.is_closing():
                clean = self.reader.exception() is None
                self.ledger.allowed["closed idle" if clean else "reset idle"] += 1
                self.drop()
                return False
            # Something is there to be read: the end, which the loop has not seen, or a ticket.
            if not self.poll.poll(0):
                break
            await asyncio.sleep(0)
        return True

    async def open(self):
        name = "localhost" if self.tls else None
        try:
            self.reader, self.writer = await asyncio.wait_for(asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.tls, server_hostname=name), PATIENCE)
        except ConnectionRefusedError:
            raise Broken("refused") from None
        except asyncio.TimeoutError:
            raise Broken("no connection in time") from None
        except (OSError, EOFError) as error:
            raise Broken("%s while connecting" % reason(error)) from None
        self.poll = select.poll()
        self.poll.register(self.writer.get_extra_info("socket").fileno(), select.POLLIN)
        self.served = 0

    def drop(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    # ---------------------------------------------------------------- exchange
    async def ask(self, number, body, slow, last):
        chunked = number % 7 == 0
        self.writer.write(b"POST /checked HTTP/1.1\r\nhost: localhost\r\n%s%s%s\r\n" % (
            names(self.name, number, body, slow),
            b"connection: close\r\n" if last else b"",
            b"transfer-encoding: chunked\r\n" if chunked
            else b"content-length: %d\r\n" % len(body)))
        if chunked and body:
            self.writer.write(b"%x\r\n%s\r\n" % (len(body), body))
        elif body:
            self.writer.write(body)
        if chunked:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Broken("answer cut in its head") from None
            raise
        try:
            status, fields = parse(head)
            answer = await self.read_body(fields)
        except (EOFError, OSError):
            raise Broken("answer cut in its body") from None
        check(status, fields, number, body, answer)

    async def read_body(self, fields):
        self.told_to_close = b"close" in fields.get(b"connection", b"").lower()
        if b"chunked" not in fields.get(b"transfer-encoding", b"").lower():
            return await self.reader.readexactly(int(fields[b"content-length"]))
        body = bytearray()
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                while await self.reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return bytes(body)
            body += (await self.reader.readexactly(size + 2))[:-2]


def reason(error):
    """Words for an error, the same for each of its kind."""
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return "TLS error %s" % error.reason
    if isinstance(error, EOFError):
        return "closed without an answer"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return "reset without an answer"
    return type(error).__name__


def names(lane, number, body, slow):
    """The fields that the origin checks."""
    return b"x-lane: %s\r\nx-number: %d\r\nx-digest: %s\r\n%s" % (
        lane.encode(), number, bodies.digest(body).encode(),
        b"x-delay: %.1f\r\n" % SLOW_SECONDS if slow else b"")


def parse(head):
    lines = head[:-4].split(b"\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    return int(lines[0].split(b" ")[1]), fields


def check(status, fields, number, body, answer):
    """That an answer is the whole answer to this request, which came whole to the origin."""
    if status != 200:
        raise Broken("status %d" % status)
    if fields.get(b"x-number") != b"%d" % number:
        raise Broken("misordered")
    if fields.get(b"x-got", b"").decode() != bodies.digest(body):
        raise Broken("request damaged")
    if fields.get(b"x-digest", b"").decode() != bodies.digest(answer):
        raise Broken("answer damaged")
