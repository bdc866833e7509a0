"""The Tracing plugin in the real proxy: what peers and clients are told of a trace, and what a
collector gets of it, over retries, hedges, swaps and the end."""
import re
import threading

import pytest

import grpcpeer
import otlp
from otlp import collector, traced  # noqa: F401  fixtures
from harness import serve
from keeper import library, page  # noqa: F401  a fixture, and an origin
from wire import reply, request

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TRACEPARENT = "00-%s-%s-01" % (TRACE, SPAN)
FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def parts(head):
    """Trace, span and flags of what a peer got."""
    match = FORM.fullmatch(head.get("traceparent"))
    assert match, head.fields
    return match.groups()


# ------------------------------------------------------------------- what comes
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_request_and_its_attempt(traced, origin, client, encoding):
    app = origin(serve(reply(b"hello")))
    proxy, to = traced(app, encoding=encoding, service="shop",
                       resource={"deployment.environment.name": "prö\"d"})
    answer = client(proxy).request(
        "POST", "/a/b?x=1&token=abc&y=%31", body=b"12345",
        fields=[("User-Agent", "test \"agent\" \xff"), ("traceparent", TRACEPARENT),
                ("tracestate", "a=1,b=2")])
    assert (answer.status, answer.get("traceresponse")) == (200, None)
    trace = otlp.Trace(to.wait_spans(2))
    server, (attempt,) = trace.server, trace.attempts
    assert (server.trace, server.parent, server.name) == (TRACE, SPAN, "POST")
    assert (server.flags, server.state, server.links) == (0x301, "a=1,b=2", [])
    said = dict(server.attributes)
    assert said.pop("client.port") > 0
    assert said == {
        "http.request.method": "POST", "http.response.status_code": 200, "url.scheme": "http",
        "url.path": "/a/b", "url.query": "x=1&token=REDACTED&y=%31",
        "server.address": "test", "network.protocol.version": "1.1",
        "client.address": "127.0.0.1", "user_agent.original": "test \"agent\" \ufffd",
        "http.request.body.size": 5, "http.response.body.size": 5, "sluice.upstream": "app",
        "sluice.attempts": 1, "sluice.outcome": "complete"}
    assert (attempt.name, attempt.flags, attempt.events) == ("POST", 0x101, ["first_byte"])
    assert attempt.attributes == {
        "http.request.method": "POST", "http.response.status_code": 200,
        "server.address": "127.0.0.1", "server.port": app.port, "sluice.upstream": "app",
        "sluice.connection.reused": False}
    assert not server.error and not attempt.error
    assert parts(app.requests[0]) == (TRACE, attempt.id, "01")
    assert app.requests[0].all("tracestate") == ["a=1,b=2"]
    assert server.resource == {
        "service.name": "shop", "telemetry.sdk.name": "sluice", "telemetry.sdk.language": "swift",
        "telemetry.sdk.version": "0.1.0", "deployment.environment.name": "prö\"d"}


def test_a_new_trace_without_a_parent(traced, origin, client):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app, response=["traceresponse", "server_timing"])
    answer = client(proxy).request(fields=[("tracestate", "a=1")])
    trace = otlp.Trace(to.wait_spans(2))
    found, span, flags = parts(app.requests[0])
    assert (found, span, flags) == (trace.server.trace, trace.attempts[0].id, "03")
    assert app.requests[0].get("tracestate") is None
    assert (trace.server.parent, trace.server.flags) == ("", 0x103)
    own = "00-%s-%s-03" % (trace.server.trace, trace.server.id)
    assert answer.get("traceresponse") == own
    assert answer.get("server-timing") == 'traceparent;desc="%s"' % own


@pytest.mark.parametrize("fields", [
    [("traceparent", TRACEPARENT.upper())],
    [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)],
    [("traceparent", TRACEPARENT + "-")],
    [("traceparent", "ff" + TRACEPARENT[2:])],
    [("traceparent", "00-%s-%s-01" % ("0" * 32, SPAN))],
])
def test_a_broken_parent_is_none(traced, origin, client, fields):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app)
    client(proxy).request(fields=fields + [("tracestate", "a=1")])
    server = otlp.Trace(to.wait_spans(2)).server
    assert server.trace != TRACE and server.parent == "" and server.links == []
    assert app.requests[0].get("tracestate") is None


def test_several_fields_of_a_state_are_one_list(traced, origin, client):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app)
    c = client(proxy)
    c.request(fields=[("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("tracestate", "b=2")])
    assert otlp.Trace(to.wait_spans(2)).server.state == "a=1,b=2"
    assert ",".join(app.requests[0].all("tracestate")) == "a=1,b=2"
    # A member too many, and none is passed on; the trace is.
    members = ["k%d=1" % number for number in range(33)]
    c.request(fields=[("traceparent", TRACEPARENT), ("tracestate", ",".join(members[:20])),
                      ("tracestate", ",".join(members[20:]))])
    assert app.requests[1].get("tracestate") is None and parts(app.requests[1])[0] == TRACE


def test_who_is_not_trusted_begins_anew_with_a_link(traced, origin, client):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app, sampling={"trusted": ["192.0.2.0/24"]})
    client(proxy).request(fields=[("traceparent", TRACEPARENT), ("tracestate", "a=1")])
    server = otlp.Trace(to.wait_spans(2)).server
    assert server.trace != TRACE and server.parent == "" and server.links == [(TRACE, SPAN)]
    assert app.requests[0].get("tracestate") is None


def test_b3_is_read_where_it_is_asked_for(traced, origin, client):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app, b3=True)
    c = client(proxy)
    c.request(fields=[("b3", "%s-%s-1" % (TRACE, SPAN))])
    server = otlp.Trace(to.wait_spans(2)).server
    assert (server.trace, server.parent) == (TRACE, SPAN)
    assert app.requests[0].get("b3") is None
    # Not recorded, and nothing comes of it.
    c.request(fields=[("b3", "0")])
    assert parts(app.requests[1])[2] == "02"


def test_the_route_gives_the_name(traced, origin, client):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app, more={"routes": [
        {"name": "users", "match": {"path": "/users/*"}, "upstream": "app"}]})
    client(proxy).request(target="/users/7")
    server = otlp.Trace(to.wait_spans(2)).server
    assert (server.name, server.attributes["http.route"]) == ("GET users", "users")


# --------------------------------------------------------------------- sampling
def test_what_is_not_recorded_is_exported_when_it_fails(traced, origin, client):
    app = origin(serve(lambda head: reply(b"", status=head.target[1:] + " X")))
    proxy, to = traced(app, sampling={"ratio": 0})
    c = client(proxy)
    for status in (200, 404, 503):
        assert c.request(target="/%d" % status).status == status
    assert [parts(head)[2] for head in app.requests] == ["02"] * 3
    trace = otlp.Trace(to.wait_spans(2))
    server, (attempt,) = trace.server, trace.attempts
    assert server.attributes["url.path"] == "/503"
    assert server.attributes["sluice.exported_for"] == "error"
    assert server.error and server.attributes["error.type"] == "503"
    assert attempt.error and attempt.attributes["error.type"] == "503"
    assert parts(app.requests[2]) == (server.trace, attempt.id, "02")
    assert len(to.spans) == 2


def test_what_is_not_recorded_is_exported_when_it_is_slow(traced, origin, client):
    def answer(head):
        if head.target == "/slow":
            threading.Event().wait(0.3)
        return reply(b"ok")

    proxy, to = traced(origin(serve(answer)), sampling={"ratio": 0, "slow": "200ms"})
    c = client(proxy)
    c.request(target="/fast")
    c.request(target="/slow")
    server = otlp.Trace(to.wait_spans(2)).server
    assert server.attributes["sluice.exported_for"] == "slow" and not server.error
    assert server.end - server.start >= 250_000_000


def test_the_parent_or_the_ratio_decides(traced, origin, client):
    app = origin(serve(reply(b"ok")))
    proxy, to = traced(app, sampling={"ratio": 0.25, "parent": "ratio"})
    c = client(proxy)
    # The lowest 56 bits decide: a quarter of them is at or above c0…
    for low, flags in (("00bfffffffffffff", "00"), ("ffc0000000000000", "01")):
        c.request(fields=[("traceparent", "00-%s%s-%s-01" % ("1" * 16, low, SPAN))])
        assert parts(app.requests[-1])[2] == flags
    assert len(to.wait_spans(2)) == 2


def test_a_request_that_the_host_refuses_has_a_span(traced, origin, client):
    proxy, to = traced(origin(serve(reply(b"ok"))))
    c = client(proxy)
    c.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad Field: x\r\n\r\n")
    assert c.response().status == 400
    (server,) = to.wait_spans(1)
    assert server.attributes["http.response.status_code"] == 400 and not server.error


# ------------------------------------------------------------ retries and hedges
def test_every_attempt_is_a_span_of_the_request(traced, origin, client):
    bad = [origin(serve(reply(b"", status="503 X"))) for _ in range(2)]
    good = origin(serve(reply(b"ok")))
    proxy, to = traced(*bad, good, upstream={
        "retries": {"attempts": 3, "on": ["503"], "budget": {"min": 9}}})
    c = client(proxy)
    for _ in range(3):
        assert c.request().status == 200
    found = otlp.traces(to.wait_spans(3 + 7))
    sent = {parts(head)[:2] for app in (*bad, good) for head in app.requests}
    assert sent == {(span.trace, span.id) for one in found.values() for span in one.attempts}
    for one in found.values():
        numbers = [span.attributes.get("http.request.resend_count", 0) for span in one.attempts]
        assert numbers == list(range(len(numbers)))
        assert one.server.attributes["sluice.attempts"] == len(numbers)
        statuses = [span.attributes["http.response.status_code"] for span in one.attempts]
        assert statuses == [503] * (len(numbers) - 1) + [200]
        ends = [span.error for span in one.attempts]
        assert ends == [True] * (len(numbers) - 1) + [False]


def test_an_attempt_without_a_connection_has_a_span(traced, origin, client):
    gone = origin(serve(reply(b"ok")))
    gone.stop_listening()
    good = origin(serve(reply(b"ok")))
    proxy, to = traced(gone, good)
    c = client(proxy)
    # One of the two begins with the one that is gone.
    assert [c.request().status for _ in range(2)] == [200, 200]
    found = otlp.traces(to.wait_spans(5))
    ((first, second),) = [one.attempts for one in found.values() if len(one.attempts) == 2]
    assert first.attributes["error.type"] == "connect" and first.error
    assert first.attributes["server.port"] == gone.port and first.events == []
    assert not second.error


def test_a_hedge_and_the_attempt_that_it_beats(traced, origin, client):
    gate = threading.Event()

    def silent(connection):
        connection.read_request()
        gate.wait(10)

    slow, quick = origin(silent), origin(serve(reply(b"ok")))
    proxy, to = traced(slow, quick, upstream={
        "hedge": {"after": "100ms"}, "retries": {"budget": {"min": 9}}})
    c = client(proxy)
    # One of the two begins with the slow one.
    assert [c.request().status for _ in range(2)] == [200, 200]
    gate.set()
    found = otlp.traces(to.wait_spans(5))
    (hedged,) = [one for one in found.values() if len(one.attempts) == 2]
    first, second = hedged.attempts
    assert first.attributes["sluice.cancelled"] is True and not first.error
    assert "error.type" not in first.attributes
    assert second.attributes["http.response.status_code"] == 200
    assert second.start < first.end
    assert parts(slow.requests[0])[1] == first.id
    assert second.id in {parts(head)[1] for head in quick.requests}


def test_a_client_that_leaves_ends_its_spans(traced, origin, client):
    gate = threading.Event()

    def silent(connection):
        connection.read_request()
        gate.wait(10)

    app = origin(silent)
    proxy, to = traced(app)
    c = client(proxy)
    c.send(request())
    app.wait_requests(1)
    c.reset()
    trace = otlp.Trace(to.wait_spans(2))
    gate.set()
    assert trace.server.attributes["sluice.outcome"] == "client_gone" and not trace.server.error
    assert trace.attempts[0].attributes["sluice.cancelled"] is True


# ------------------------------------------------------------------------- a cache
def test_a_cache_has_a_span(traced, origin, client, library):
    proxy, to = traced(origin(page(b"the page")), more={
        "chain": ["trace", "keep"], "plugins": {"keep": {"library": library}}})
    c = client(proxy)
    assert [c.request(target="/a").body for _ in range(2)] == [b"the page"] * 2
    found = otlp.traces(to.wait_spans(3 + 2)).values()
    states = {one.server.attributes["sluice.cache.status"]: one.children for one in found}
    assert set(states) == {"miss", "hit"}
    looked, attempt = states["miss"]
    assert (looked.name, looked.kind, attempt.kind) == ("cache", otlp.INTERNAL, otlp.CLIENT)
    assert looked.end == attempt.start
    assert [span.attributes for span in states["hit"]] == [{"sluice.cache.status": "hit"}]


# ------------------------------------------------------------------ versions of HTTP
@pytest.fixture
def service():
    made = grpcpeer.Server()
    yield made
    made.close()


def test_a_call_of_grpc_over_http2(traced, service):
    proxy, to = traced(service.address, upstream={"protocol": "h2c"},
                       more={"listener": {"protocols": ["h2c"]}})
    with grpcpeer.channel(proxy.address) as channel:
        call = grpcpeer.method(channel, "Unary")
        assert call(b"hello", timeout=10, metadata=[("traceparent", TRACEPARENT)]) == b"hello"
    trace = otlp.Trace(to.wait_spans(2))
    said = trace.server.attributes
    assert (trace.server.trace, trace.server.parent) == (TRACE, SPAN)
    assert said["network.protocol.version"] == "2" and said["rpc.system"] == "grpc"
    assert said["url.path"] == "/test.Echo/Unary" and trace.server.name == "POST"
    (_, metadata), = service.service.calls
    assert metadata["traceparent"] == "00-%s-%s-01" % (TRACE, trace.attempts[0].id)


def test_streams_of_one_connection_are_traces_of_their_own(traced, service):
    proxy, to = traced(service.address, upstream={"protocol": "h2c"},
                       more={"listener": {"protocols": ["h2c"]}})
    with grpcpeer.channel(proxy.address) as channel:
        call = grpcpeer.method(channel, "Unary")
        for future in [call.future(b"%d" % number, timeout=10) for number in range(50)]:
            future.result()
    found = otlp.traces(to.wait_spans(100))
    assert len(found) == 50
    sent = {metadata["traceparent"][3:52] for _, metadata in service.service.calls}
    assert sent == {"%s-%s" % (one.server.trace, one.attempts[0].id) for one in found.values()}
