"""The cache's role under clients and origins that do as they please: whatever happens, each writer
and each reader is ended once, and what is kept is whole."""
import random
import threading

import pytest

from h2wire import H2, get
from keeper import check, fetch_h2, keeper, library, stats  # noqa: F401
from wire import Client, Malformed, Truncated, chunk, pattern, request

PATHS = 12


def body_of(path):
    return pattern(20_000 + 37_501 * int(path.strip("/") or 0), seed=int(path.strip("/") or 0))


def moody(seed):
    """An origin that answers, breaks off, or takes its time."""
    draw = random.Random(seed)

    def script(connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            body, mood = body_of(head.target), draw.random()
            if mood < 0.1:
                return
            if mood < 0.2:
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                                + body[:draw.randrange(len(body))])
                return
            if mood < 0.5:
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(body), 30_011):
                    connection.send(chunk(body[at:at + 30_011]))
                connection.send(b"0\r\n\r\n")
            else:
                connection.send(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return script


FIELDS = [[], [], [("x-lookup", "lock")], [("x-lookup", "join")], [("x-lookup", "stale")],
          [("x-lookup", "fetch")], [("x-lookup", "miss"), ("x-admit", "answer")],
          [("x-lookup", "miss"), ("x-failed", "answer")], [("x-read", "file")],
          [("x-read", "short")], [("x-read", "again:30000")], [("x-read", "unknown")],
          [("x-read", "broken:0")], [("x-admit", "pass")], [("x-write", "30000")],
          [("x-lookup", "bypass")], [("x-read", "fail")]]


def visit(address, draw, problems):
    """One connection: some requests, and maybe an end in the middle."""
    try:
        if draw.random() < 0.3:
            c = H2(address)
            c.credits = True
            c.open()
            path = "/%d" % draw.randrange(PATHS)
            streams = [c.request(get(path, extra=draw.choice(FIELDS))) for _ in range(3)]
            for stream in streams[:draw.randrange(4)]:
                got = c.response(stream)
                whole = got.fields and dict(got.fields)[":status"] == "200" and not got.reset
                if whole and bytes(got.body) != body_of(path):
                    problems.append("HTTP/2: %s has another body" % path)
            c.reset() if draw.random() < 0.5 else c.close()
            return
        c = Client(address, receive_buffer=draw.choice([None, 4096]))
        for _ in range(3):
            path = "/%d" % draw.randrange(PATHS)
            c.send(request(target=path, fields=draw.choice(FIELDS)))
            if draw.random() < 0.3:
                if draw.random() < 0.5:
                    c.until(b"\r\n\r\n")
                c.reset() if draw.random() < 0.5 else c.close()
                return
            got = c.response()
            if got.status == 200 and got.body != body_of(path):
                problems.append("%s has another body" % path)
        c.close()
    except (OSError, Truncated, Malformed):
        pass  # The origin broke off, or the client did.
    except AssertionError as error:
        problems.append(str(error))


@pytest.mark.parametrize("seed", range(3))
def test_all_that_is_begun_is_ended(keeper, origin, client, seed):
    app = origin(moody(seed))
    p = keeper(app, on_error="open", background_requests=4)
    problems = []

    def wander(number):
        draw = random.Random(seed * 100 + number)
        for _ in range(12):
            visit(p.address, draw, problems)

    threads = [threading.Thread(target=wander, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    check(p)
    counts = stats(p)
    assert counts["commits"] > 0 and counts["aborts"] > 0 and counts["readers"] > 0
