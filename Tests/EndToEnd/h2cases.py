"""Rows for the suites of HTTP/2: a state of stream 1, octets that a client sends in it, and what
must come of it."""
import struct

import pytest

from h2hpack import block
from h2wire import (
    END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, STREAM_CLOSED, WINDOW_MAX, WINDOW_UPDATE,
    frame, get, post)
from wire import Truncated


# ------------------------------------------------------------------ outcomes
def connection(*codes):
    return "connection %s" % (codes,), lambda b, c: b.connection_error(c, *codes)


def stream(*codes):
    return "stream %s" % (codes,), lambda b, c: b.stream_error(c, 1, *codes)


def either(*codes):
    return "either %s" % (codes,), lambda b, c: b.either_error(c, 1, *codes)


FINE = "fine", lambda b, c: b.serves(c)


def _tolerated(b, c):
    # Section 5.1, "closed": an endpoint may ignore it, or may take it for an error.
    try:
        c.ping()
    except (Truncated, OSError):
        pass  # judged below
    if c.goaway or c.ended_by_peer:
        b.connection_error(c, STREAM_CLOSED, PROTOCOL_ERROR)
    else:
        assert c.streams[1].reset in (None, STREAM_CLOSED, PROTOCOL_ERROR)
        b.serves(c)


TOLERATED = "ignored or refused", _tolerated


# ------------------------------------------------------------------ states of stream 1
def cut(c):
    """The server resets the stream: its window overflows."""
    c.headers(1, post("/hold"), end=False)
    c.frame_out(WINDOW_UPDATE, 0, 1, u32(WINDOW_MAX))
    c.until(lambda: c.streams[1].reset is not None, "RST_STREAM")


STATES = {
    "idle": lambda c: None,
    "open": lambda c: c.headers(1, post("/hold"), end=False),
    "half-closed": lambda c: c.headers(1, get("/hold")),
    "ended": lambda c: (c.headers(1, get()), c.response(1)),
    "reset": lambda c: (c.headers(1, post("/hold"), end=False), c.rst(1), c.ping()),
    "cut": cut,
}


def u32(value):
    return struct.pack(">I", value)


REQUEST = block(get())
TRAILERS = block([("x-sum", "1")])
PRIORITIES = u32(0) + b"\x0f"


def headers(number, flags=END_HEADERS | END_STREAM, data=REQUEST):
    return frame(HEADERS, flags, number, data)


def table(*rows):
    """Rows of (section, what, state, octets, outcome) as parameters."""
    return pytest.mark.parametrize("state,octets,outcome", [
        pytest.param(state, octets, outcome,
                     id="%s %s, %s: %s" % (section, what, state, outcome[0]))
        for section, what, state, octets, outcome in rows])


def play(b, state, octets, outcome):
    c = b.connect()
    STATES[state](c)
    for number in (1, 3, 5):
        # What rows open; `outcome` goes on with 7.
        c.opened(number)
    # Rows have one SETTINGS frame at most; whether it is acknowledged is theirs to say.
    c.unacknowledged.append(())
    try:
        c.send(octets)
    except ConnectionError:
        pass  # judged by what came
    outcome[1](b, c)
