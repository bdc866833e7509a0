"""The Cache plugin is swapped (`sluice plugin swap`) under readers in the middle of hits, fills in
the middle of bodies and requests that wait for a fill: each gets the whole, the origin is asked
once, and what is stored stays."""
import os
import shutil
import threading

import pytest

import harness
from h2wire import H2, get
from harness import eventually
from keeper import fetch_h2
from reloading import wait_gone
from wire import DEADLINE, Client, chunk, pattern, reply, request

LARGE = pattern(8 << 20)
FRESH = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n"


class Gated:
    """An origin's script: the head when it is told to, and a half of the body before the rest."""

    def __init__(self, body=LARGE, is_chunked=False):
        self.body, self.is_chunked = body, is_chunked
        self.head, self.rest = threading.Event(), threading.Event()

    def __call__(self, connection):
        half = len(self.body) // 2
        while connection.read_request():
            assert self.head.wait(DEADLINE)
            if self.is_chunked:
                connection.send(FRESH + b"Transfer-Encoding: chunked\r\n\r\n")
            else:
                connection.send(FRESH + b"Content-Length: %d\r\n\r\n" % len(self.body))
            for part in (self.body[:half], self.body[half:]):
                for at in range(0, len(part), 50_000):
                    piece = part[at:at + 50_000]
                    connection.send(chunk(piece) if self.is_chunked else piece)
                assert self.rest.wait(DEADLINE)
            if self.is_chunked:
                connection.send(b"0\r\n\r\n")

    def open(self):
        self.head.set()
        self.rest.set()


class Proxy:
    """A proxy with a cache, and two copies of its library to swap between."""

    def __init__(self, sluice, folder, app, **config):
        self.paths = []
        for name in ("one", "two"):
            self.paths.append(shutil.copy(os.path.join(harness.PLUGINS, "libCache.so"),
                                          folder / name))
            with open(self.paths[-1], "ab") as file:
                file.write(name.encode())
        self.proxy = sluice(
            app, workers=2, chain=["cache"], listener={"protocols": ["h1", "h2c"]},
            admin={"listen": "unix:%s/admin" % folder},
            plugins={"cache": {"library": "libCache.so",
                               "config": {"memory": "64MiB", "lock": {"wait": "30s"}, **config}}})
        self.address, self.swaps = self.proxy.address, 0

    def swap(self):
        done = harness.run("plugin", "swap", "cache", self.paths[self.swaps % 2], "--manifest",
                           self.proxy.path)
        assert done.returncode == 0, done.stderr
        self.swaps += 1

    def gone(self):
        """Nothing is left of the instances before."""
        wait_gone(self.proxy, *range(1, self.swaps + 1))


@pytest.fixture
def swapped(sluice, origin, tmp_path):
    def make(script, **config):
        app = origin(script)
        return Proxy(sluice, tmp_path, app, **config), app

    return make


class Visit:
    """A GET over HTTP/1 or HTTP/2, of which not all is read at first."""

    def __init__(self, proxy, speaks, path="/"):
        self.speaks = speaks
        if speaks == "h1":
            self.client = Client(proxy.address, receive_buffer=4096)
            self.client.send(request(target=path))
        else:
            # Without credits it takes the first 65,535 bytes.
            self.client = H2(proxy.address).open()
            self.stream = self.client.request(get(path))

    def begin(self):
        """Waits for the head, and something of the body."""
        if self.speaks == "h1":
            self.head = self.client.until(b"\r\n\r\n")
            while not self.client.buffer:
                assert self.client.fill(1000)
            self.client.buffer = self.head + self.client.buffer
        else:
            stream = self.client.streams[self.stream]
            self.client.until(lambda: stream.fields and stream.body, "a part of the body")

    def body(self):
        """The rest, until its end."""
        if self.speaks == "h1":
            body = self.client.response().body
        else:
            self.client.credits = True
            # For what has come without.
            self.client.credit(0, 65_535)
            self.client.credit(self.stream, 65_535)
            body = bytes(self.client.response(self.stream).body)
        self.client.close()
        return body


def is_hit(proxy):
    status, fields, body = fetch_h2(proxy.address, "/")
    return status == 200 and "; hit" in fields["cache-status"] and body


BOTH = ("h1", "h2")


def test_readers_in_the_middle_of_hits(swapped):
    script = Gated()
    script.open()
    p, app = swapped(script)
    assert fetch_h2(p.address, "/")[2] == LARGE
    readers = []
    for _ in range(3):
        visits = [Visit(p, speaks) for speaks in BOTH * 2]
        for visit in visits:
            visit.begin()
        readers += visits
        p.swap()
        assert is_hit(p) == LARGE
    assert all(visit.body() == LARGE for visit in readers)
    p.gone()
    assert is_hit(p) == LARGE and len(app.requests) == 1


@pytest.mark.parametrize("is_chunked", [False, True])
def test_fills_in_the_middle_of_bodies(swapped, is_chunked):
    """Those who come after the swap read along with a fetch of the instance before."""
    script = Gated(is_chunked=is_chunked)
    script.head.set()
    p, app = swapped(script)
    visits = []
    for _ in range(3):
        some = [Visit(p, speaks) for speaks in BOTH * 2]
        for visit in some:
            visit.begin()
        visits += some
        p.swap()
    assert len(app.requests) == 1
    script.rest.set()
    assert all(visit.body() == LARGE for visit in visits)
    p.gone()
    assert is_hit(p) == LARGE and len(app.requests) == 1


@pytest.mark.parametrize("speaks", BOTH)
def test_those_who_wait_for_a_fill(swapped, speaks):
    """The one who fetches speaks one version, those who wait both."""
    script = Gated()
    p, app = swapped(script)
    visits = [Visit(p, speaks)]
    app.wait_requests(1)
    for _ in range(3):
        visits += [Visit(p, each) for each in BOTH * 3]
        p.swap()
    assert len(app.requests) == 1
    script.open()
    bodies = []
    # One after the other would let the first wait for the window of the others.
    threads = [threading.Thread(target=lambda v=visit: bodies.append(v.body()))
               for visit in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * DEADLINE)
    assert len(bodies) == len(visits) and all(body == LARGE for body in bodies)
    p.gone()
    assert is_hit(p) == LARGE and len(app.requests) == 1


def test_a_fetch_that_fails_after_the_swap_is_taken_over(swapped):
    """The lock goes from a request of one instance to one of the next."""
    release = threading.Event()

    def script(connection):
        while connection.read_request():
            if connection.number == 0:
                assert release.wait(DEADLINE)
                return
            connection.send(FRESH + b"Content-Length: 4\r\n\r\npage")

    p, app = swapped(script)
    first = Visit(p, "h1")
    app.wait_requests(1)
    p.swap()
    second = Visit(p, "h2")
    assert first.client.quiet()
    release.set()
    assert second.body() == b"page"
    # It may have been sent again, or answered with an error: the other one has the page.
    assert first.client.response().status in (200, 502)
    p.gone()
    assert is_hit(p) == b"page"


def test_a_body_that_can_not_be_stored(swapped):
    """Readers along with it, on both sides of a swap."""
    script = Gated(is_chunked=True)
    script.head.set()
    p, app = swapped(script, max_object="6MiB")
    visits = []
    for _ in range(2):
        some = [Visit(p, speaks) for speaks in BOTH]
        for visit in some:
            visit.begin()
        visits += some
        p.swap()
    assert len(app.requests) == 1
    script.rest.set()
    bodies = []
    threads = [threading.Thread(target=lambda v=visit: bodies.append(v.body()))
               for visit in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * DEADLINE)
    assert len(bodies) == len(visits) and all(body == LARGE for body in bodies)
    assert len(app.requests) == 1
    p.gone()


def test_stale_ones_are_updated_once(swapped):
    """A request in the background of one instance, while the next one serves."""
    gate, bodies = threading.Event(), iter([b"old", b"new"])

    def script(connection):
        while connection.read_request():
            body = next(bodies)
            if body == b"new":
                assert gate.wait(DEADLINE)
            connection.send(reply(body, fields=[
                ("Cache-Control", "max-age=60, stale-while-revalidate=600"),
                ("Age", "61" if body == b"old" else "0")]))

    p, app = swapped(script)
    c = Client(p.address)
    assert c.request().body == b"old" and c.request().body == b"old"
    app.wait_requests(2)
    p.swap()
    assert c.request().body == b"old" and fetch_h2(p.address, "/")[2] == b"old"
    gate.set()
    eventually(lambda: fetch_h2(p.address, "/")[2] == b"new", "it is updated")
    p.gone()
    assert len(app.requests) == 2


def test_no_request_is_lost(swapped):
    """Clients of both versions ask for a few things again and again while it is swapped."""
    bodies = {"/%d" % n: pattern(40_000 * n + 7, seed=n) for n in range(6)}

    def script(connection):
        while True:
            head = connection.read_request()
            if not head:
                return
            connection.send(reply(bodies[head.target], fields=[("Cache-Control", "max-age=600")]))

    p, app = swapped(script)
    over, problems, counts = threading.Event(), [], []

    def visit(number):
        done = 0
        try:
            while not over.is_set():
                # Before the connection has had all requests that it may.
                if done % 500 == 0:
                    c = H2(p.address) if number % 2 else Client(p.address)
                    if number % 2:
                        c.credits = True
                        c.open()
                path = "/%d" % ((number + done) % len(bodies))
                if number % 2:
                    body = bytes(c.response(c.request(get(path))).body)
                else:
                    body = c.request(target=path).body
                if body != bodies[path]:
                    problems.append("%s has another body" % path)
                done += 1
        except Exception as error:  # noqa: B902  shown by the test
            problems.append(repr(error))
        counts.append(done)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        p.swap()
    over.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert problems == [] and len(counts) == len(threads) and min(counts) > 5, counts
    p.gone()
    assert len(app.requests) == len(bodies)


def test_the_next_instance_makes_no_tables(swapped):
    """It takes over what is there before it would make any of its own."""
    p, app = swapped(lambda c: c.read_request() and c.send(reply(b"page", fields=[
        ("Cache-Control", "max-age=600")])), memory="64GiB")
    assert fetch_h2(p.address, "/")[2] == b"page"
    before, most = (p.proxy.rss(name) for name in ("VmSize", "VmPeak"))
    assert before > 1 << 30
    p.swap()
    # A thread that makes an instance has some room reserved for its heap.
    assert p.proxy.rss("VmPeak") - max(before, most) < 1 << 29
    assert is_hit(p) == b"page" and len(app.requests) == 1
    p.gone()
    assert p.proxy.rss("VmSize") - before < 1 << 29
