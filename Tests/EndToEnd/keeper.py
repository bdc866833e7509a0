"""What tests of the cache's role share: a proxy whose cache is plugins/keeper.c."""
import json
import re

import pytest

import cplugin
import harness
from h2wire import H2, get
from wire import Client, pattern, reply  # noqa: F401  for those that import from here

LARGE = 1 << 20


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("keeper"), "keeper")


def stats(proxy):
    """What the plugin has counted; asks the first listener, which may speak HTTP/2 alone."""
    c = Client(proxy.address)
    try:
        return json.loads(c.request(target="/stats").body)
    finally:
        c.close()


def check(proxy):
    """Each writer and each reader has been ended, and each request has been told of its end."""
    harness.eventually(
        lambda: (lambda s: s["stores"] == s["commits"] + s["aborts"]
                 and s["readers"] == s["closes"])(stats(proxy)),
        "every writer and reader is ended: %s" % stats(proxy))
    assert not re.search(r"ended .* open=[^0]", proxy.log), proxy.log


def ended(proxy, path, **facts):
    """Waits for the end of a request with these facts."""
    order = ("cache", "internal", "outcome", "status")
    rest = " ".join("%s=%s" % (name, facts.get(name, r"\d+")) for name in order)
    proxy.wait_log(r"ended %s %s open=0\b" % (re.escape(path), rest))


@pytest.fixture
def keeper(sluice, library):
    """A proxy with the cache on its chain; when the test is over, what was begun must be ended."""
    made = []

    def make(*peers, chain=(), plugins=None, on_error=None, **options):
        entry = {"library": library}
        if on_error:
            entry["on_error"] = on_error
        listener = options.pop("listener", {"protocols": ["h1", "h2c"]})
        made.append(sluice(
            *peers, plugins={"keeper": entry, **(plugins or {})}, listener=listener,
            chain=[*chain, "keeper"], **options))
        return made[-1]

    yield make
    for proxy in made:
        if proxy.process.poll() is None:
            check(proxy)


def page(body=b"page", fields=(("ETag", '"1"'),)):
    return harness.serve(reply(body, fields=list(fields)))


def fetch_h2(address, path, fields=(), tls=None, method="GET"):
    """A response over HTTP/2: its status, its fields and its body."""
    c = H2(address, tls=tls, server_name="localhost")
    c.credits = True
    try:
        stream = c.open().fetch(get(path, method, extra=list(fields)))
        fields = dict(stream.fields)
        return int(fields[":status"]), fields, bytes(stream.body)
    finally:
        c.close()
