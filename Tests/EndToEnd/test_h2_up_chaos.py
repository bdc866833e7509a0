"""Clients, and peers of HTTP/2, that do anything at any time: the proxy goes on, and keeps
nothing."""
import os
import random
import threading

import pytest

import h2origin as h2
from h2frames import CANCEL, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, REFUSED_STREAM, Violation
from h2server import H2C
from h2wire import H2, get
from harness import eventually
from test_h2_up_faults import CONNECTION_ERRORS, OK, STREAM_ERRORS
from wire import Client, Truncated, chunk, pattern, request

BODY = pattern(300_000)


def behave(c, r, dice):
    """One of many ways to answer, most of them wrong."""
    kind = dice.randrange(16)
    if kind == 0:
        c.rst(r.id, dice.choice([0, 2, REFUSED_STREAM, CANCEL, 13]))
    elif kind == 1:
        c.headers(r.id, OK)
        c.data(r.id, b"some")
        c.rst(r.id, dice.randrange(14))
    elif kind == 2:
        c.goaway_out(max(0, r.id - 2 * dice.randrange(3)))
    elif kind == 3 and dice.random() < 0.3:
        c.sock.close()
    elif kind == 4:
        dice.choice(list(STREAM_ERRORS.values()))(c, r.id)
        r.answered = r.abandoned = True
    elif kind == 5 and dice.random() < 0.2:
        action = dice.choice([a for n, (a, _) in CONNECTION_ERRORS.items() if "flood" not in n])
        action(c, r.id)
    elif kind == 6:
        # Nothing at all.
        pass
    elif kind == 7:
        c.headers(r.id, [(":status", "103"), ("link", "x")])
        c.answer(r.id, BODY[:dice.randrange(1, 5000)], length=False, trailers=[("x", "1")])
    elif kind == 8:
        c.settings((INITIAL_WINDOW_SIZE, dice.choice([0, 1, 1000, 65_535, 1 << 20])),
                   (MAX_CONCURRENT_STREAMS, dice.choice([1, 3, 100])))
        c.answer(r.id)
    else:
        c.answer(r.id, BODY[:dice.choice([0, 1, 16_384, 16_385, 100_000])],
                 length=dice.random() < 0.5)


def one_of_http1(address, dice):
    c = Client(address, receive_buffer=dice.choice([None, 4096]))
    c.sock.settimeout(1)
    for _ in range(dice.randrange(1, 4)):
        size = dice.choice([0, 1, 10_000, 100_000])
        if dice.random() < 0.5:
            c.send(request("POST", "/x", body=BODY[:size]))
        else:
            c.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + (chunk(BODY[:size]) if size else b"") + b"0\r\nx-t: 1\r\n\r\n")
        if dice.random() < 0.3:
            break
        if c.response().closes:
            break
    c.reset() if dice.random() < 0.3 else c.close()


def one_of_http2(address, dice):
    c = H2(address)
    c.sock.settimeout(1)
    c.open((INITIAL_WINDOW_SIZE, dice.choice([0, 1000, 65_535, 1 << 20])))
    c.credits = dice.random() < 0.7
    streams = []
    for _ in range(dice.randrange(1, 12)):
        whole = dice.random() < 0.5
        stream = c.request(get("/x", "GET" if whole else "POST"), end=whole)
        if not whole:
            c.data(stream, BODY[:dice.choice([0, 1, 5000])], end=dice.random() < 0.8)
        if dice.random() < 0.2:
            c.rst(stream)
        streams.append(stream)
    for stream in streams:
        if dice.random() < 0.8:
            c.response(stream)
    c.close()


@pytest.mark.seconds(120)
@pytest.mark.parametrize("seed", range(3))
def test_anything_at_any_time(sluice, h2origin, seed):
    seed = int(os.environ.get("SEED", seed))
    print("SEED=%d" % seed)

    def script(c):
        dice = random.Random(seed * 1000 + c.number)
        c.credits = dice.random() < 0.8
        try:
            c.serve(lambda c, r: behave(c, r, dice))
        except Violation as error:
            # What follows a wrong frame of ours is no fault of the proxy, nor are the frames that
            # it sent before it knew.
            if "6.9" in str(error) or "8." in str(error) or "7541" in str(error):
                raise
        except (AssertionError, KeyError):
            pass

    server = h2origin(script)
    p = sluice(server, listener=H2C, upstream={
        "protocol": "h2c", "http2": {"max_concurrent_streams": 5, "ping_interval": "100ms"},
        "timeouts": {"first_byte": "300ms", "read": "300ms", "write": "300ms"}})

    def play(number):
        dice = random.Random(seed * 7919 + number)
        for _ in range(10):
            try:
                dice.choice([one_of_http1, one_of_http2])(p.address, dice)
            except (OSError, Truncated, AssertionError) as error:
                if isinstance(error, Violation):
                    raise

    failures = []

    def run(number):
        try:
            play(number)
        except BaseException as error:  # noqa: B902  raised below
            failures.append(error)

    before = p.descriptors()
    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]
    assert p.process.poll() is None, p.log
    server.stop_listening()
    with server.changed:
        live = list(server.live)
    for c in live:
        c.sock.close()
    eventually(lambda: p.descriptors() <= before + 2, "descriptors go back")
