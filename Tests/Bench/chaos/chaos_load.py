"""A client that asks at a constant rate, whatever becomes of the answers: one that waited for them
would ask less just when things go wrong.

A request's time runs from the moment it was due, so what is late in being sent counts, too. Each
answer must be 200, whole, and the one to its request. Nothing is tried again, but for a kept
connection that the proxy had closed before anything was sent on it.
"""
import asyncio
import random
import time

# Seconds after which an answer counts as failed.
PATIENCE = 5
# Keys that requests have, for balancers that hash.
KEYS = 4_096


class Connection(asyncio.Protocol):
    def __init__(self, load):
        self.load, self.input, self.request, self.transport = load, b"", None, None

    def connection_made(self, transport):
        self.transport = transport

    def send(self, number, due):
        self.input, self.request = b"", (number, due)
        self.load.pending[number] = self
        self.transport.write(
            b"GET /%d HTTP/1.1\r\nHost: chaos\r\nx-key: %d\r\n\r\n"
            % (number, self.load.random.randrange(KEYS)))

    def data_received(self, data):
        self.input += data
        if self.request is None:
            return self.transport.abort()
        head, separator, body = self.input.partition(b"\r\n\r\n")
        if not separator:
            return None
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), -1)
        if length < 0 or not head.startswith(b"HTTP/1.1 200 "):
            return self.fail(head[:12].decode("latin-1"))
        if len(body) < length:
            return None
        if body != b"/%d" % self.request[0]:
            return self.fail("an answer to another request")
        self.end(None)
        if b"connection: close" in lines:
            self.transport.close()
        else:
            self.load.idle.append(self)
        return None

    def connection_lost(self, error):
        if self in self.load.idle:
            self.load.idle.remove(self)
        if self.request:
            self.end("closed without an answer")

    def fail(self, why):
        self.end(why)
        self.transport.abort()

    def end(self, failure):
        number, due = self.request
        self.request = None
        self.load.pending.pop(number, None)
        self.load.note(due, failure)


class Load:
    """`results` are (due, seconds, failure or None) of each request."""

    def __init__(self, address, rate):
        self.address, self.rate = address, rate
        self.idle, self.pending, self.results = [], {}, []
        self.random = random.Random(1)
        self.ends = False

    def note(self, due, failure):
        self.results.append((due, time.monotonic() - due, failure))

    async def run(self):
        begin, number, tasks = time.monotonic(), 0, set()
        while not self.ends:
            now = time.monotonic()
            while number < (now - begin) * self.rate:
                due = begin + number / self.rate
                if self.idle:
                    self.idle.pop().send(number, due)
                else:
                    task = asyncio.ensure_future(self.ask_anew(number, due))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                number += 1
            self.give_up(now)
            await asyncio.sleep(0.001)
        end = time.monotonic() + PATIENCE
        while (self.pending or tasks) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        self.give_up(float("inf"))
        self.results.sort()

    async def ask_anew(self, number, due):
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(lambda: Connection(self), *self.address), PATIENCE)
            connection.send(number, due)
        except (OSError, asyncio.TimeoutError) as error:
            self.note(due, "no connection: %s" % type(error).__name__)

    def give_up(self, now):
        # In the order of their beginning, so the first is the oldest.
        while self.pending:
            connection = next(iter(self.pending.values()))
            if now - connection.request[1] < PATIENCE:
                return
            connection.fail("no answer in %d s" % PATIENCE)


class Window:
    """What became of the requests that were due between two moments."""

    def __init__(self, results, begin, end):
        mine = [entry for entry in results if begin <= entry[0] < end]
        self.requests = len(mine)
        self.failures = [why for _, _, why in mine if why]
        self.times = sorted(seconds for _, seconds, why in mine if not why)

    def percentile(self, part):
        """Milliseconds."""
        if not self.times:
            return float("nan")
        return self.times[min(int(len(self.times) * part), len(self.times) - 1)] * 1000
