"""What plugins are told of HTTP/2 requests that never become one, by a plugin whose configuration
is its behaviour (as in test_phases.py)."""
import re

import pytest

import h2server
from h2wire import (
    CANCEL, H2, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE, NO_ERROR, PROTOCOL_ERROR, get, post)
from harness import serve
from test_phases import EVERYTHING, calls, library, proxy  # noqa: F401  fixtures
from wire import reply

ENDS = r"call request_end .*outcome=(\d)"
CLIENT_GONE, MALFORMED = "1", "4"


@pytest.fixture(scope="module", autouse=True)
def spoken(tmp_path_factory):
    h2server.need(tmp_path_factory.mktemp("need"))


@pytest.fixture
def started(proxy, origin):  # noqa: F811
    """A connection to a proxy whose one plugin logs every call."""

    def start(**listener):
        made = proxy(origin(serve(reply())), plugins=[EVERYTHING],
                     listener={**h2server.H2C, **listener})
        return made, H2(made.address).open()

    return start


@pytest.mark.parametrize("fields,end", [
    (get(extra=[("Upper", "x")]), True),
    (get(extra=[("connection", "close")]), True),
    (get()[1:], True),
    (post(extra=[("content-length", "5")]), True),
    (get(extra=[("x", " y")]), False),
], ids=["an upper-case name", "connection", "no method", "a length and no content", "half open"])
def test_a_malformed_request_ends_once(started, fields, end):
    p, c = started()
    stream = c.request(fields, end)
    assert c.response(stream).reset == PROTOCOL_ERROR
    p.wait_log(ENDS)
    # The connection goes on, and its next request is one of its own.
    assert c.fetch().status == 200
    p.wait_log("(?s)%s.*%s" % (ENDS, ENDS))
    assert re.findall(ENDS, p.log) == [MALFORMED, "0"]
    assert calls(p)[0] == ("0", "request_end")


@pytest.mark.parametrize("fields,status", [
    (get(extra=[("x", "y" * 2000)]), 431),
    (get(extra=[("x-%d" % i, "y") for i in range(20)]), 431),
    (get("/" + "x" * 600), 414),
    ([(":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "http"), (":path", "/"),
      (":authority", "a")], 501),
], ids=["too many octets", "too many fields", "a long target", "an unknown protocol"])
@pytest.mark.parametrize("end", [True, False], ids=["whole", "half open"])
def test_a_request_over_a_bound_is_answered_through_the_plugins(started, fields, status, end):
    p, c = started(limits={"head": 1024, "fields": 10, "target": 512})
    assert c.peer[MAX_HEADER_LIST_SIZE] == 1024
    answer = c.response(c.request(fields, end))
    assert answer.status == status and bytes(answer.body).startswith(b"%d " % status)
    if not end:
        c.until(lambda: answer.reset is not None, "RST_STREAM")
        assert answer.reset == NO_ERROR
    p.wait_log(ENDS)
    assert [phase for _, phase in calls(p)] == ["local_reply", "response_headers", "response_body",
                                                "request_end"]
    assert re.findall(ENDS, p.log) == [MALFORMED]
    assert c.fetch().status == 200


def test_a_body_longer_than_it_says_is_malformed(started):
    p, c = started()
    stream = c.request(post(extra=[("content-length", "2")]), end=False)
    c.data(stream, b"xyz", end=True)
    assert c.response(stream).reset == PROTOCOL_ERROR
    p.wait_log(ENDS)
    assert re.findall(ENDS, p.log) == [MALFORMED]


def test_malformed_trailers_are_malformed(started):
    p, c = started()
    stream = c.request(post(), end=False)
    c.data(stream, b"xyz")
    c.headers(stream, [("Bad", "x")], end=True)
    assert c.response(stream).reset == PROTOCOL_ERROR
    p.wait_log(ENDS)
    assert re.findall(ENDS, p.log) == [MALFORMED]


def test_malformed_requests_count_for_limits_requests(started):
    p, c = started(limits={"requests": 2})
    assert c.response(c.request(get()[1:])).reset == PROTOCOL_ERROR
    assert not c.goaway
    c.request(get()[1:])
    c.until(lambda: c.goaway, "GOAWAY")


def test_a_response_that_is_not_taken_is_cancelled(proxy, origin):  # noqa: F811
    """timeouts.write of a stream: the other side has not failed, so it is not INTERNAL_ERROR."""
    p = proxy(origin(serve(reply(b"x" * 100))), plugins=[EVERYTHING],
              listener={**h2server.H2C, "timeouts": {"write": "300ms"}})
    c = H2(p.address).open((INITIAL_WINDOW_SIZE, 10))
    stream = c.request()
    c.until(lambda: c.streams[stream].reset is not None, "RST_STREAM")
    assert c.streams[stream].reset == CANCEL and len(c.streams[stream].body) == 10
    p.wait_log("timeouts.write: the client did not take its response")
    p.wait_log(ENDS)
    assert re.findall(ENDS, p.log) == [CLIENT_GONE]
    c.ping()
