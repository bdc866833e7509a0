"""The table of hostile messages, replayed through the running proxy in both directions.

The table is that of the parser's unit tests. There it shows what the parser says; here, what a
client gets and what an origin sees. Each row: "raw" bytes, and "expect": the status of the refusal,
or "ok".
"""
import json
import os

import pytest

from harness import ROOT, Origin, Sluice, manifest
from wire import Client, Truncated, reply, request

TABLE = os.path.join(ROOT, "Tests/HTTPTests/Vectors/hostile.jsonl")
with open(TABLE, encoding="utf-8") as lines:
    ROWS = [json.loads(line) for line in lines if line.strip()]


def rows(direction):
    return [pytest.param(r, id=r["id"]) for r in ROWS if r["direction"] == direction]


class Bench:
    """One proxy for the whole table: a row must not spoil the next."""

    def __init__(self, folder):
        self.whole = []
        self.raw = {"/" + r["id"]: r["raw"].encode("latin-1")
                    for r in ROWS if r["direction"] == "response"}
        self.origin = Origin(self.script)
        self.proxy = Sluice(folder, manifest(self.origin))

    def script(self, c):
        while True:
            head = c.read_request()
            if head is None:
                return
            self.whole.append(head)
            if head.target in self.raw:
                c.send(self.raw[head.target])
                return  # some bodies end with their connection
            c.send(reply())

    def seen(self):
        with self.origin.changed:
            return [r.target for r in self.origin.requests]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("hostile"))
    yield bench
    bench.proxy.close()
    bench.origin.close()


def test_the_table_is_large_enough():
    assert len(ROWS) >= 150
    assert {r["direction"] for r in ROWS} == {"request", "response"}


def everything(c):
    """All bytes up to the end of the connection, also when it ends by a reset."""
    try:
        while c.fill():
            pass
    except ConnectionError:
        pass
    return c.buffer


@pytest.mark.parametrize("row", rows("request"))
def test_a_request(bench, row):
    second = "/second-" + row["id"]
    whole = len(bench.whole)
    c = Client(bench.proxy.address)
    try:
        c.send(row["raw"].encode("latin-1"))
        if row["expect"] != "ok":
            # Whatever the first is taken for, what stands behind it is not to be served.
            c.send(request(target=second))
        c.finish()
    except OSError:
        pass
    data = everything(c)
    c.close()
    if row["expect"] == "ok":
        status = int(data.split(b" ", 2)[1])
        assert status < 400 or status in (404, 405), (row["why"], data[:80])
    else:
        assert data.startswith(b"HTTP/1.1 %s " % row["expect"].encode()), (row["why"], data[:80])
        assert data.count(b"HTTP/1.1 ") == 1, row["why"]
        assert bench.whole[whole:] == []
        assert second not in bench.seen()


@pytest.mark.parametrize("row", rows("response"))
def test_a_response(bench, row):
    c = Client(bench.proxy.address)
    c.send(request(target="/" + row["id"]))
    status = "cut"
    try:
        status = c.response().status
    except (Truncated, ConnectionError):
        pass
    finally:
        c.close()
    if row["expect"] == "ok":
        assert status not in (502, "cut"), row["why"]
    else:
        # What is wrong behind the head can no longer be told by a status.
        assert status in (502, "cut"), row["why"]
        if b"\r\n\r\n" not in row["raw"].encode("latin-1")[:-4]:
            assert status == 502, row["why"]


def test_nothing_of_it_came_later(bench):
    """Also not in the meantime: no row's second request, and the proxy still serves."""
    assert [t for t in bench.seen() if t.startswith("/second-")] == []
    c = Client(bench.proxy.address)
    assert c.request(target="/after").status == 200
    c.close()
