"""The table of hostile messages, replayed through the running proxy in both directions.

The table is that of the parser's unit tests (see its README beside it). There it shows what the
parser says; here, what a client and an origin see.
"""
import json
import os

import pytest

from harness import ROOT
from wire import Truncated, reply, request

TABLE = os.path.join(ROOT, "Tests/HTTPTests/Vectors/hostile.jsonl")


def rows(direction):
    if not os.path.exists(TABLE):
        return []
    with open(TABLE, encoding="utf-8") as file:
        table = [json.loads(line) for line in file if line.strip()]
    return [pytest.param(row, id=row["id"]) for row in table if row["direction"] == direction]


def test_the_table_is_there():
    assert len(rows("request")) + len(rows("response")) >= 150


def never_whole(origin):
    """An origin that notes the requests it got whole."""
    whole = []

    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            whole.append(head)
            c.send(reply())

    return origin(script), whole


@pytest.fixture
def strict(sluice, origin, client):
    app, whole = never_whole(origin)
    return sluice(app), app, whole


@pytest.mark.parametrize("row", rows("request"))
def test_a_hostile_request(strict, client, row):
    proxy, app, whole = strict
    c = client(proxy)
    try:
        c.send(row["raw"].encode("latin-1"))
    except ConnectionError:
        pass
    # A second request right behind: whatever the first was taken for, this is not to be served.
    try:
        c.send(request(target="/second"))
        c.finish()
    except OSError:
        pass
    data = b""
    try:
        while c.fill():
            pass
        data = c.buffer
    except ConnectionError:
        data = c.buffer
    judge_request(row, data, app, whole)


def judge_request(row, data, app, whole):
    expect = row["expect"]
    if expect.isdigit():
        assert data.startswith(b"HTTP/1.1 %s " % expect.encode()), row["why"]
        assert data.count(b"HTTP/1.1 ") == 1
        assert "/second" not in [r.target for r in app.requests]
        assert whole == []


@pytest.mark.parametrize("row", rows("response"))
def test_a_hostile_response(sluice, origin, client, row):
    raw = row["raw"].encode("latin-1")

    def script(c):
        while c.read_request():
            c.send(raw)

    c = client(sluice(origin(script)))
    c.send(request())
    try:
        answer = c.response()
        status = answer.status
    except (Truncated, ConnectionError):
        status = "cut"
    if row["expect"].isdigit():
        assert status in (int(row["expect"]), "cut"), row["why"]
