"""What the stress test of the cache does: objects that change, an origin that serves them, and
clients that check every octet of what they get.

The body of a version can be computed from its name, so a client knows what it must be by the entity
tag alone. An origin breaks some responses off; those must never be taken for whole.
"""
import random
import re
import threading
import time

import harness
import wire

# Objects, and the largest of them. Together they are more than the store has room for.
OBJECTS = 160
SIZE_MAX = 200_000
STORE = 8 << 20

# The longest that a response may live, and be served stale behind that, in seconds.
FRESH, BEHIND = 2, 2
# What a busy machine may add to it.
SLACK = 8

BLOCK = wire.pattern(SIZE_MAX * 2, 1)


class Objects:
    """All versions of all objects, and since when each is outdated."""

    def __init__(self, seed):
        self.lock = threading.Lock()
        self.versions = [0] * OBJECTS
        self.outdated = {}
        self.seed = seed

    def size(self, number):
        # A few small ones, many of middle size, and empty ones.
        return (number * 7919 % 97) ** 2 * SIZE_MAX // 9216

    def body(self, number, version):
        start = (number * 104729 + version * 7907) % SIZE_MAX
        return BLOCK[start:start + self.size(number)]

    def current(self, number):
        with self.lock:
            return self.versions[number]

    def change(self, number):
        with self.lock:
            self.outdated[number, self.versions[number]] = time.monotonic()
            self.versions[number] += 1

    def too_old(self, number, version, asked):
        """Whether it was outdated for too long when it was asked for."""
        with self.lock:
            since = self.outdated.get((number, version))
        return since is not None and asked - since > FRESH + BEHIND + SLACK


class Origin(harness.Origin):
    def __init__(self, objects):
        self.objects = objects
        self.random = random.Random(objects.seed)
        self.broken = 0
        super().__init__(self._serve_objects)

    def note(self, head):
        """Millions of requests are not kept."""

    def _serve_objects(self, connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            number = int(head.target.rpartition("/")[2])
            version = self.objects.current(number)
            body = self.objects.body(number, version)
            tag = '"%d-%d"' % (number, version)
            fields = [("ETag", tag), ("Cache-Control", self.control(number))]
            chance = self.random.random()
            if tag in (head.get("if-none-match") or ""):
                lines = "".join("%s: %s\r\n" % f for f in fields)
                connection.send(b"HTTP/1.1 304 Not Modified\r\n%s\r\n" % lines.encode())
            elif head.method == "HEAD":
                connection.send(wire.reply(body, fields=fields).partition(b"\r\n\r\n")[0]
                                + b"\r\n\r\n")
            elif chance < 0.02 and len(body) > 10:
                self.broken += 1
                connection.send(wire.reply(body, fields=fields)[:-5])
                return
            elif chance < 0.03:
                connection.send(wire.reply(b"", "503 Service Unavailable"))
            elif number % 3:
                connection.send(wire.reply(body, fields=fields))
            else:
                connection.send(self.chunks(body, fields))

    def control(self, number):
        if number % 17 == 0:
            return "no-store"
        return "max-age=%d, stale-while-revalidate=%d" % (number % (FRESH + 1), BEHIND)

    @staticmethod
    def chunks(body, fields):
        lines = "".join("%s: %s\r\n" % f for f in fields)
        head = b"HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n" % lines.encode()
        return head + b"".join(wire.chunk(body[i:i + 40000])
                               for i in range(0, len(body), 40000)) + b"0\r\n\r\n"


class Client(threading.Thread):
    """Asks at random until `end`, and checks; `errors` has what was wrong."""

    def __init__(self, number, objects, address, end):
        super().__init__(daemon=True)
        self.objects, self.address, self.end = objects, address, end
        self.random = random.Random(objects.seed * 1000 + number)
        self.errors = []
        self.counts = {}
        self.tags = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def run(self):
        connection = None
        try:
            while time.monotonic() < self.end and not self.errors:
                connection = connection or wire.Client(self.address)
                if not self.ask(connection):
                    connection.close()
                    connection = None
        except Exception as error:  # noqa: B902  reported by the test
            self.errors.append(repr(error))
        finally:
            if connection:
                connection.close()

    def ask(self, connection):
        """One request; False when the connection is of no more use."""
        # Low numbers more often, as with anything popular.
        number = int(OBJECTS * self.random.random() ** 2)
        size, method, fields = self.objects.size(number), "GET", []
        chance = self.random.random()
        if chance < 0.03:
            self.objects.change(number)
        if chance < 0.05:
            method = "PURGE"
        elif chance < 0.15:
            method = "HEAD"
        elif chance < 0.35 and size > 1:
            fields.append(("Range", self.ranges(size)))
        elif chance < 0.5 and number in self.tags:
            fields.append(("If-None-Match", self.tags[number]))
        elif chance < 0.53:
            fields.append(("Cache-Control", "no-cache"))
        asked = time.monotonic()
        try:
            connection.send(wire.request(method, "/object/%d" % number, fields))
            if chance > 0.99:
                # Leaves in the middle.
                connection.fill(1000)
                self.count("left")
                return False
            response = connection.response(method)
        except (wire.Truncated, ConnectionError):
            self.count("cut")
            return False
        self.check(number, method, dict(fields), response, asked)
        return not response.closes

    def ranges(self, size):
        first = self.random.randrange(size)
        last = self.random.randrange(first, size)
        return self.random.choice([
            "bytes=%d-%d" % (first, last), "bytes=%d-" % first, "bytes=-%d" % (first + 1),
            "bytes=0-0,%d-%d" % (max(first, 2), max(last, 2))])

    def check(self, number, method, fields, response, asked):
        self.count("%s %d" % (method, response.status))
        if method == "PURGE":
            self.expect(response.status in (200, 404), response, "PURGE")
            return
        if response.status in (502, 503, 504):
            return
        tag = re.fullmatch(r'"(\d+)-(\d+)"', response.get("etag") or "")
        if response.status == 416:
            return
        self.expect(tag and int(tag[1]) == number, response, "another object than %d" % number)
        if self.errors:
            return
        version = int(tag[2])
        self.expect(version <= self.objects.current(number), response, "a version to come")
        self.expect(not self.objects.too_old(number, version, asked), response, "too old")
        body = self.objects.body(number, version)
        if response.status == 304:
            self.expect(fields.get("If-None-Match") == response.get("etag"), response, "not asked")
        elif method == "HEAD":
            length = response.get("content-length")
            self.expect(length in (None, "%d" % len(body)), response, "length")
        elif response.status == 206:
            self.expect("Range" in fields, response, "no range asked for")
            self.check_parts(body, response)
        else:
            self.expect(response.status == 200, response, "status")
            self.expect(response.body == body, response, "not the body of its tag")
            self.tags[number] = response.get("etag")

    def check_parts(self, body, response):
        kind = re.fullmatch(r'multipart/byteranges; *boundary="?([^";]+)"?',
                            response.get("content-type") or "")
        pieces = [(response.get("content-range") or "", response.body)]
        if kind:
            mark = b"\r\n--" + kind[1].encode()
            pieces = []
            for piece in (b"\r\n" + response.body).split(mark)[1:-1]:
                head, _, content = piece.partition(b"\r\n\r\n")
                where = re.search(rb"(?i)content-range: *([^\r]+)", head)
                pieces.append((where[1].decode() if where else "", content))
        for where, content in pieces:
            at = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", where)
            self.expect(at and int(at[3]) == len(body)
                        and content == body[int(at[1]):int(at[2]) + 1], response, "not that part")

    def expect(self, good, response, what):
        if not good:
            self.errors.append("%s: %d %s, %d octets" % (
                what, response.status, response.fields, len(response.body)))
