"""What tests of the Cache plugin's disk tier share: an origin with large bodies, proxies that keep
them in a folder, and looks into it."""
import os
import re

import pytest

import harness
from harness import eventually
from wire import DEADLINE, Client, reply

LARGE = 3_000_000


class Pages:
    """An origin's script: each address has a body of its own, made of its name and size."""

    def __init__(self, size=LARGE, fields=("Cache-Control: max-age=600",), chunked=False):
        self.size, self.fields, self.chunked = size, list(fields), chunked
        self.status = "200 OK"
        self.seen = []
        self.gate = None
        self.version = 0

    def body(self, target):
        seed = ("%s %d;" % (target, self.version)).encode()
        return (seed * (self.size // len(seed) + 1))[:self.size]

    def __call__(self, connection):
        while True:
            head = connection.read_request()
            if not head:
                return
            self.seen.append(head)
            fields = [tuple(f.split(": ", 1)) for f in self.fields]
            if head.get("if-none-match") == '"%d"' % self.version:
                lines = "".join("%s: %s\r\n" % f for f in fields).encode()
                connection.send(b"HTTP/1.1 304 Not Modified\r\n%s\r\n" % lines)
                continue
            body = self.body(head.target)
            if self.chunked:
                lines = "".join("%s: %s\r\n" % f for f in fields).encode()
                connection.send(b"HTTP/1.1 %s\r\n%sTransfer-Encoding: chunked\r\n\r\n"
                                % (self.status.encode(), lines))
                for at in range(0, len(body), 100_000):
                    piece = body[at:at + 100_000]
                    connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                    if self.gate and at == 0:
                        assert self.gate.wait(DEADLINE)
                connection.send(b"0\r\n\r\n")
                continue
            whole = reply(body, self.status, fields)
            if self.gate:
                connection.send(whole[:len(whole) // 2])
                assert self.gate.wait(DEADLINE)
                connection.send(whole[len(whole) // 2:])
            else:
                connection.send(whole)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "disk")


def library(folder, size="1GiB", disk=None, **config):
    disk = {"path": folder, "size": size, "min_object": "1KiB", **(disk or {})}
    return {"library": "libCache.so",
            "config": {"storage": {"memory": "16MiB", "disk": disk},
                       "purge": {"allow": ["127.0.0.0/8"]}, **config}}


@pytest.fixture
def cached(sluice, folder):
    """A proxy with a cache that sends all from 1 KiB on to the disk, once that stores."""
    def make(app, workers=1, over=None, where=None, **config):
        p = sluice(app, workers=workers, chain=["cache"],
                   plugins={"cache": library(where or folder, **config)}, **(over or {}))
        p.wait_log("the disk tier stores")
        return p

    return make


@pytest.fixture
def lasting(tmp_path, folder):
    """Proxies one after the other with one folder, which may be killed."""
    made = []

    def make(app, wait=True, over=None, **config):
        place = tmp_path / ("lasting%d" % len(made))
        place.mkdir()
        manifest = harness.manifest(app, chain=["cache"],
                                    plugins={"cache": library(folder, **config)}, **(over or {}))
        made.append(harness.Sluice(place, manifest, supervised=False))
        if wait:
            made[-1].wait_log("the disk tier stores")
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def kill(proxy):
    proxy.process.kill()
    proxy.process.wait()


def files(folder):
    """Files of objects."""
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names
                  if re.fullmatch("[0-9a-f]{16}", name) and os.path.basename(at) != "new")


def get(proxy, target="/", fields=(), method="GET"):
    """One request by a connection of its own."""
    c = Client(proxy.address)
    try:
        return c.request(method, target, fields=list(fields))
    finally:
        c.close()


def wait_stored(folder, count=1):
    eventually(lambda: len(files(folder)) >= count, "%d objects are on the disk" % count)


def fill(proxy, pages, folder, *targets):
    """Has addresses stored on the disk, one after the other."""
    for target in targets:
        before = len(files(folder))
        assert get(proxy, target).body == pages.body(target)
        wait_stored(folder, before + 1)


def is_from_disk(message):
    return "; hit" in message.get("cache-status") and "detail=disk" in message.get("cache-status")


def metric(path, name):
    """The sum of a metric of the plugin."""
    c = Client(path)
    try:
        text = c.request(target="/v1/metrics").body.decode()
    finally:
        c.close()
    found = [line for line in text.splitlines()
             if line.startswith("sluice_plugin_cache_" + name + "{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)
