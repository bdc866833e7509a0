#!/usr/bin/python3
"""An origin that does wrong on demand: one process, one port, one page that it shares with whoever
started it.

The page says what to do with the next request, and has the number of requests that came in each
hundredth of a second: it outlives a process that is killed. Checks (GET /health) are served like
requests and not counted.
"""
import asyncio
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time

FINE, SLOW, RESET, UNAVAILABLE = range(4)
HEADER = 64
# Hundredths of a second that are counted: 30 minutes.
BUCKETS = 180_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n"
# Milliseconds by which a slow origin is late.
DELAY = 200


class Page:
    """Mode (u32), start of the count (f64 at 8), requests by hundredths of a second."""

    def __init__(self, path, start=None):
        size = HEADER + 4 * BUCKETS
        if start is not None:
            with open(path, "wb") as file:
                file.truncate(size)
        with open(path, "r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), size)
        if start is not None:
            struct.pack_into("d", self.bytes, 8, start)
        self.start = struct.unpack_from("d", self.bytes, 8)[0]
        self.counts = memoryview(self.bytes)[HEADER:].cast("I")

    @property
    def mode(self):
        return self.bytes[0]

    @mode.setter
    def mode(self, value):
        self.bytes[0] = value

    def place(self, moment):
        return min(max(int((moment - self.start) * 100), 0), BUCKETS - 1)

    def note(self):
        self.counts[self.place(time.monotonic())] += 1

    def forget(self, begin):
        """What was counted since."""
        for place in range(self.place(begin), self.place(time.monotonic()) + 1):
            self.counts[place] = 0

    # ----------------------------------------------------- read by the others
    def count(self, begin, end):
        """Requests between two moments."""
        return sum(self.counts[self.place(begin):self.place(end)])

    def first(self, begin, end):
        """Moment of the first request between two others, or None."""
        return self.any(range(self.place(begin), self.place(end)), 0)

    def last(self, begin, end):
        """Of the last one: the end of its hundredth."""
        return self.any(range(self.place(end) - 1, self.place(begin) - 1, -1), 0.01)

    def any(self, places, add):
        for place in places:
            if self.counts[place]:
                return self.start + place / 100 + add
        return None


class Connection(asyncio.Protocol):
    def __init__(self, page, loop):
        self.page, self.loop, self.input = page, loop, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.input += data
        while b"\r\n\r\n" in self.input:
            head, self.input = self.input.split(b"\r\n\r\n", 1)
            self.serve(head)

    def serve(self, head):
        if not head.startswith(b"GET /health "):
            self.page.note()
        mode = self.page.mode
        if mode == RESET:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif mode == UNAVAILABLE:
            self.transport.write(BUSY)
        else:
            path = head.split(b" ", 2)[1]
            answer = OK % (len(path), path)
            if mode == SLOW:
                self.loop.call_later(DELAY / 1000, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def serve(path, port):
    loop, page = asyncio.get_running_loop(), Page(path)
    server = await loop.create_server(
        lambda: Connection(page, loop), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


class Origin:
    """The process, as its owner sees it."""

    def __init__(self, folder, name, start):
        self.path = os.path.join(folder, name)
        self.page, self.port, self.process = Page(self.path, start), 0, None
        self.begin()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def begin(self):
        """Starts it, at the port it had before, if it had one; returns when it listens."""
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), self.path, str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        """Returns when it has read what had come for it meanwhile, which is forgotten: whoever sent
        that has given it up."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        self.page.forget(begin)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
