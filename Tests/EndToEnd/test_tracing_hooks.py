"""Spans of plugins' hooks that took long: what blocks, what waits, and what nobody asked for."""
import threading

import pytest

import cplugin
import otlp
from harness import serve
from otlp import collector, traced  # noqa: F401  fixtures
from wire import reply, request

MILLISECOND = 1_000_000


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("phases"), "phases")


@pytest.fixture
def proxy(traced, library):  # noqa: F811
    """A proxy with a plugin behind the tracing one that does what `actions` says."""

    def make(app, actions, **config):
        return traced(app, more={
            "chain": ["trace", "one"],
            "plugins": {"one": {"library": library, "config": actions}}}, **config)

    return make


def hooks(trace):
    return [span for span in trace.children if span.name.startswith("plugin ")]


def took(span):
    return (span.end - span.start) / MILLISECOND


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("phase", ["request_headers", "upstream_request", "upstream_result",
                                   "response_headers", "response_body"])
def test_a_hook_that_blocks_has_a_span(proxy, origin, client, phase, encoding):
    to_proxy, to = proxy(origin(serve(reply(b"hello"))), {phase: "sleep:30"}, encoding=encoding)
    assert client(to_proxy).request().body == b"hello"
    trace = otlp.Trace(to.wait_spans(3))
    (span,) = hooks(trace)
    assert (span.name, span.kind, span.error) == ("plugin one/" + phase, otlp.INTERNAL, False)
    assert took(span) >= 30 and took(trace.server) >= took(span)
    busy = span.attributes.pop("sluice.hook.busy_ns")
    assert busy == span.end - span.start
    assert span.attributes == {
        "sluice.plugin": "one", "sluice.phase": phase, "sluice.hook.waits": 0}


@pytest.mark.parametrize("how", ["deadline", "job"])
@pytest.mark.parametrize("phase", ["request_headers", "upstream_request", "upstream_response",
                                   "response_headers", "response_body"])
def test_a_wait_is_in_the_span_of_its_hook(proxy, origin, client, phase, how):
    to_proxy, to = proxy(origin(serve(reply(b"hello"))), {phase: "suspend:" + how})
    assert client(to_proxy).request().body == b"hello"
    (span,) = hooks(otlp.Trace(to.wait_spans(3)))
    assert span.name == "plugin one/" + phase
    assert took(span) >= 19 > span.attributes["sluice.hook.busy_ns"] / MILLISECOND
    assert span.attributes["sluice.hook.waits"] == 1
    assert "sluice.cancelled" not in span.attributes


def test_a_wait_that_the_client_does_not_live_to_see(proxy, origin, client):
    to_proxy, to = proxy(origin(serve(reply(b"hello"))), {"request_headers": "suspend:never"})
    c = client(to_proxy)
    c.send(request())
    to_proxy.wait_log("call request_headers")
    c.reset()
    trace = otlp.Trace(to.wait_spans(2))
    (span,) = hooks(trace)
    assert span.attributes["sluice.cancelled"] is True and span.end == trace.server.end
    assert span.attributes["sluice.hook.waits"] == 1
    assert trace.server.attributes["sluice.outcome"] == "client_gone"


@pytest.mark.parametrize("config, actions", [
    ({}, {"request_headers": "go", "response_headers": "go", "response_body": "go"}),
    ({"slow_hook": "0s"}, {"request_headers": "sleep:20"}),
    ({"slow_hook": "10s"}, {"request_headers": "suspend:deadline"}),
], ids=["quick", "off", "below"])
def test_nothing_of_what_is_quick_or_not_asked_for(proxy, origin, client, config, actions):
    # A machine that stands still for as long would make a quick hook a slow one.
    config.setdefault("slow_hook", "5s")
    to_proxy, to = proxy(origin(serve(reply(b"hello"))), actions, **config)
    c = client(to_proxy)
    assert [c.request().body for _ in range(3)] == [b"hello"] * 3
    found = otlp.traces(to.wait_spans(6))
    assert [hooks(trace) for trace in found.values()] == [[], [], []]


def test_what_is_not_recorded_and_slow_shows_its_hooks(proxy, origin, client):
    to_proxy, to = proxy(
        origin(serve(reply(b"hello"))), {"upstream_request": "sleep:40"},
        sampling={"ratio": 0, "slow": "30ms"})
    assert client(to_proxy).request().body == b"hello"
    trace = otlp.Trace(to.wait_spans(3))
    assert trace.server.attributes["sluice.exported_for"] == "slow"
    assert [span.name for span in hooks(trace)] == ["plugin one/upstream_request"]


def test_a_request_that_waits_for_the_cache(traced, origin, client):  # noqa: F811
    """The second of two at the same time waits until the first has brought the page."""
    release, asked = threading.Event(), threading.Event()

    def script(connection):
        while connection.read_request() is not None:
            asked.set()
            release.wait(10)
            connection.send(reply(b"page", fields=[("Cache-Control", "max-age=60")]))

    to_proxy, to = traced(origin(script), more={
        "chain": ["trace", "store"],
        "plugins": {"store": {"library": "libCache.so", "config": {"memory": "16MiB"}}}})
    first, second = client(to_proxy), client(to_proxy)
    first.send(request())
    assert asked.wait(10)
    second.send(request())
    # It is in its wait when a third request, behind it in the loop, was answered by the proxy.
    assert client(to_proxy).request("TRACE").status >= 400
    threading.Timer(0.05, release.set).start()
    assert (first.response().body, second.response().body) == (b"page", b"page")
    names = [(span.name, span.attributes["sluice.hook.waits"] > 0)
             for trace in otlp.traces(to.wait_spans(7)).values() for span in hooks(trace)]
    assert ("plugin store/cache_lookup", True) in names
