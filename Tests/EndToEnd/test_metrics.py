"""What the proxy counts, after traffic whose numbers are known."""
import math
import socket
import threading

import pytest

import reloading
from h2wire import H2, get
from harness import serve
from metrics import PLUGIN, ROUTE, Metrics, proxy, says, scrape, settled  # noqa: F401
from wire import reply, request

BUCKETS = [.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30,
           60, math.inf]
SIZES = [4.0 ** power for power in range(4, 16)] + [math.inf]
DURATION = "sluice_http_request_duration_seconds"


# ------------------------------------------------------------------- requests
@pytest.mark.parametrize("workers", [1, 2])
def test_requests_by_route_upstream_and_class(proxy, origin, client, workers):
    app = origin(serve(says))
    p = proxy(app, workers=workers, routes=[
        {"name": "api", "match": {"path": "/*"}, "upstream": "app"}])
    for _ in range(10):
        c = client(p)
        for target in ["/200/10", "/204/0", "/301/300", "/404/1000", "/500/5000"]:
            c.request(target=target)
        assert c.request("POST", "/201/5", body=b"y" * 1000).status == 201
        assert c.request("TRACE", "/").status == 405
    m = settled(p, "sluice_http_requests_total", 10, code="4xx", route="none")
    total = lambda **labels: m.value("sluice_http_requests_total", **labels)
    assert total(route="api", upstream="app", code="2xx") == 30
    assert [total(route="api", code=c) for c in ("1xx", "3xx", "4xx", "5xx", "none")] == [
        0, 10, 10, 10, 0]
    # What was answered before a route was looked for.
    assert m.series("sluice_http_requests_total", route="none") == {
        (("code", "4xx"), ("route", "none"), ("upstream", "")): 10}
    for code, count in ("2xx", 30), ("3xx", 10), ("4xx", 10), ("5xx", 10):
        labels = dict(route="api", upstream="app", code=code)
        assert m.value(DURATION + "_count", **labels) == count
        assert m.value(DURATION + "_bucket", le="+Inf", **labels) == count
        assert 0 < m.value(DURATION + "_sum", **labels) < 60
    body = "sluice_http_response_body_bytes"
    assert m.value(body + "_sum", route="api", code="2xx") == 10 * 15
    assert m.value(body + "_sum", route="api", code="5xx") == 50000
    at = lambda name, bound, **labels: m.value(name + "_bucket", le=bound, route="api", **labels)
    assert [at(body, b, code="4xx") for b in ("256", "1024", "4096")] == [0, 10, 10]
    assert [at(body, b, code="5xx") for b in ("4096", "16384", "+Inf")] == [0, 10, 10]
    body = "sluice_http_request_body_bytes"
    assert m.value(body + "_sum", route="api", code="2xx") == 10000
    # Those without a body are those of no bytes.
    assert [at(body, b, code="2xx") for b in ("256", "1024", "+Inf")] == [20, 30, 30]
    assert [at(body, b, code="3xx") for b in ("256", "+Inf")] == [10, 10]


def test_bounds_of_histograms(proxy, origin, client):
    p = proxy(origin(serve(says)))
    client(p).request()
    m = settled(p, "sluice_http_requests_total", 1, route="app")
    for name, bounds in (DURATION, BUCKETS), ("sluice_http_response_body_bytes", SIZES):
        series = m.series(name + "_bucket", route="app")
        assert sorted(float(dict(key)["le"]) for key in series) == bounds
        assert list(series.values()) == sorted(series.values()), "not cumulative"


def test_a_duration_falls_into_its_bucket(proxy, origin, client):
    gate = threading.Event()

    def slow(c):
        c.read_request()
        gate.wait(10)
        c.send(reply())

    p = proxy(origin(slow))
    c = client(p)
    c.send(request())
    m = settled(p, "sluice_worker_requests_in_flight", 2)
    assert m.value("sluice_upstream_requests_in_flight", upstream="app") == 1
    threading.Timer(0.3, gate.set).start()
    assert c.response().status == 200
    m = settled(p, "sluice_http_requests_total", 1, route="app")
    bucket = lambda bound: m.value(DURATION + "_bucket", route="app", le=bound)
    assert bucket("0.25") == 0 and bucket("60") == 1
    first = "sluice_upstream_first_byte_seconds"
    assert m.value(first + "_bucket", upstream="app", le="0.25") == 0
    assert m.value(first + "_count", upstream="app") == 1
    assert m.value("sluice_worker_requests_in_flight") == 1, "the scrape itself"


def test_requests_that_have_no_whole_response(proxy, origin, client):
    def cut(c):
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    hung = threading.Event()

    def script(c):
        if c.number == 0:
            cut(c)
        else:
            c.read_request()
            hung.wait(10)

    app = origin(script)
    p = proxy(app)
    c = client(p)
    c.send(request())
    c.head()
    gone = client(p)
    gone.send(request())
    app.wait_requests(2)
    gone.reset()
    broken = client(p)
    broken.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert broken.response().status == 400
    m = settled(p, "sluice_http_requests_incomplete_total", 3)
    ends = lambda **labels: m.value("sluice_http_requests_incomplete_total", **labels)
    assert ends(route="app", outcome="upstream_cut") == 1
    assert ends(route="app", outcome="client_gone") == 1
    assert ends(route="none", outcome="malformed") == 1
    # Whoever goes away before a head has no status.
    assert m.value("sluice_http_requests_total", route="app", code="none") == 1
    hung.set()


def test_streams_are_requests(sluice, origin):
    p = sluice(origin(serve(says)), listener={"protocols": ["h1", "h2c"]}, plugins=PLUGIN,
               routes=[ROUTE, {"name": "app", "match": {}, "upstream": "app"}])
    c = H2(p.address).open()
    for _ in range(7):
        assert c.fetch(get("/404/2000")).status == 404
    m = settled(p, "sluice_http_requests_total", 7, route="app", code="4xx")
    assert m.value("sluice_http_response_body_bytes_sum", route="app") == 14000
    assert m.value("sluice_http2_connections_total") == 1
    assert m.value("sluice_http2_streams_total") == 7
    assert m.value("sluice_http2_floods_total") == 0
    assert m.value("sluice_worker_connections") == 2
    c.close()


# ---------------------------------------------------------------------- peers
def test_connections_are_made_once_and_used_again(proxy, origin, client):
    p = proxy(origin(serve(says)))
    c = client(p)
    for _ in range(5):
        c.request()
    c.request("POST", "/", body=b"x")
    m = settled(p, "sluice_http_requests_total", 6, route="app")
    value = lambda name, **labels: m.value("sluice_upstream_" + name, upstream="app", **labels)
    assert value("requests_sent_total", connection="new") == 1
    assert value("requests_sent_total", connection="reused") == 5
    assert value("responses_total", code="2xx") == 6 and value("responses_total") == 6
    assert value("connect_seconds_count") == 1
    assert value("tls_handshake_seconds_count") == 0
    # The time of one with a body has the client's in it.
    assert value("first_byte_seconds_count") == 5
    assert value("connections") == 1 and value("connections_idle") == 1
    assert value("peers", health="healthy") == 1 and value("peers") == 1
    assert value("attempt_failures_total") == 0 and value("retries_total") == 0


def test_handshakes_are_timed(proxy, https, origin, connect, ca, leaf):
    app = origin(serve(says), tls=ca.server_context(leaf))
    p = https(app, upstream={"tls": {"ca": ca.path, "server_name": "localhost"}}, plugins=PLUGIN,
              chain=["m"])
    assert connect(p).request().status == 200
    c = connect(p)
    m = Metrics(c.request(target="/metrics").body.decode())
    listener = "sluice_listener_tls_handshake_seconds"
    assert m.value(listener + "_count") == 2 and m.value(listener + "_sum") > 0
    assert m.value("sluice_upstream_tls_handshake_seconds_count", upstream="app") == 1
    assert m.value("sluice_upstream_connect_seconds_count", upstream="app") == 1
    plain = socket.create_connection(p.address)
    plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    while plain.recv(100):
        pass
    plain.close()
    m = Metrics(connect(p).request(target="/metrics").body.decode())
    assert m.value("sluice_listener_tls_handshake_failures_total") == 1


def test_attempts_that_fail_and_those_that_follow(proxy, origin, client):
    def resets(c):
        c.read_request()

    good = origin(serve(says))
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    p = proxy(origin(resets), "127.0.0.1:%d" % dead.getsockname()[1], good,
              upstream={"retries": {"attempts": 3, "on": ["connect", "reset"],
                                    "budget": {"min": 100}}})
    c = client(p)
    for _ in range(6):
        assert c.request().status == 200
    m = settled(p, "sluice_http_requests_total", 6, route="app")
    value = lambda name, **labels: m.value("sluice_upstream_" + name, upstream="app", **labels)
    failed = value("attempt_failures_total")
    assert value("responses_total", code="2xx") == 6
    assert value("attempt_failures_total", reason="connect") == value(
        "retries_total", reason="connect") == value("connect_failures_total", step="connect") > 0
    assert value("attempt_failures_total", reason="closed") == value(
        "retries_total", reason="reset") > 0
    assert failed == value("retries_total")
    dead.close()


def test_a_budget_and_a_hedge(proxy, origin, client):
    hold = threading.Event()

    def slow(c):
        while c.read_request():
            hold.wait(10)

    p = proxy(origin(slow), origin(serve(says)), upstream={
        "retries": {"attempts": 2, "budget": {"min": 1, "percent": 1}}, "hedge": {"after": "20ms"}})
    c = client(p)
    for _ in range(4):
        assert c.request().status == 200
    m = settled(p, "sluice_http_requests_total", 4, route="app")
    hedges = m.value("sluice_upstream_hedges_total", upstream="app")
    assert hedges >= 1
    assert m.value("sluice_upstream_attempt_failures_total", reason="abandoned") == hedges
    hold.set()


def test_statuses_that_are_tried_again(proxy, origin, client):
    p = proxy(origin(serve(reply(status="503 No"))), origin(serve(reply(status="503 No"))),
              upstream={"retries": {"attempts": 2, "on": ["503"], "budget": {"min": 0,
                                                                             "percent": 0}}})
    assert client(p).request().status == 503
    m = settled(p, "sluice_http_requests_total", 1, route="app")
    assert m.value("sluice_upstream_retry_budget_refusals_total", upstream="app") == 1
    assert m.value("sluice_upstream_retries_total", upstream="app") == 0


def test_limits_and_queues(proxy, origin, client, sluice):
    gate = threading.Semaphore(0)

    def script(c):
        while c.read_request():
            gate.acquire(timeout=20)
            c.send(reply())

    app = origin(script)
    p = proxy(app, upstream={"limits": {"in_flight": 1, "pending": 1, "pending_timeout": "20s"}})
    one, two = client(p), client(p)
    one.send(request())
    app.wait_requests(1)
    two.send(request())
    m = settled(p, "sluice_upstream_pending", 1, upstream="app")
    assert client(p).request().status == 503
    m = settled(p, "sluice_upstream_limit_refusals_total", 1, upstream="app", limit="in_flight")
    assert m.value("sluice_upstream_limit_refusals_total") == 1
    gate.release(2)
    assert one.response().status == two.response().status == 200
    m = settled(p, "sluice_upstream_pending_seconds_count", 1, upstream="app")
    assert m.value("sluice_upstream_pending", upstream="app") == 0
    assert m.value("sluice_upstream_pending_timeouts_total", upstream="app") == 0


def test_a_wait_that_is_over(proxy, origin, client):
    hold = threading.Event()

    def script(c):
        c.read_request()
        hold.wait(10)

    app = origin(script)
    p = proxy(app, upstream={"limits": {"in_flight": 1, "pending": 1, "pending_timeout": "50ms"}})
    client(p).send(request())
    app.wait_requests(1)
    assert client(p).request().status == 503
    m = settled(p, "sluice_upstream_pending_timeouts_total", 1, upstream="app")
    assert m.value("sluice_upstream_pending_seconds_bucket", upstream="app", le="0.025") == 0
    assert m.value("sluice_upstream_pending_seconds_count", upstream="app") == 1
    hold.set()


# ---------------------------------------------------------------- connections
def test_connections_of_listeners(proxy, origin, client):
    p = proxy(origin(serve(says)), listener={"limits": {"connections": 3}})
    open_ = [client(p) for _ in range(2)]
    for c in open_:
        c.request()
    m = scrape(p)
    listener = dict(listener="127.0.0.1:0")
    assert m.value("sluice_listener_connections_open", **listener) == 3
    assert m.value("sluice_listener_connections_total", **listener) == 3
    assert m.value("sluice_worker_connections") == 3
    settled(p, "sluice_listener_connections_open", 3, **listener)
    third = client(p)
    third.request()
    assert client(p).request().status == 503
    third.close()
    m = settled(p, "sluice_listener_connections_refused_total", 1, reason="connections")
    assert m.value("sluice_listener_connections_refused_total") == 1


# -------------------------------------------------------------------- plugins
def test_calls_of_hooks_are_counted_and_some_are_timed(proxy, origin, client):
    p = proxy(origin(serve(says)), plugins={"hdr": {"library": "libHeaders.so", "config": {
        "response": {"set": [{"name": "x-a", "value": "b"}]}}}}, chain=["hdr"])
    c = client(p)
    for _ in range(256):
        c.request()
    m = settled(p, "sluice_http_requests_total", 256, route="app")
    calls = m.series("sluice_plugin_hook_calls_total", plugin="hdr")
    phases = {dict(key)["phase"]: value for key, value in calls.items()}
    assert phases["response_headers"] >= 256, phases
    timed = m.value("sluice_plugin_hook_duration_seconds_count", plugin="hdr",
                    phase="response_headers")
    assert 4 <= timed <= 4 + len(m.families), "one request in 64"
    assert 0 < m.value("sluice_plugin_hook_duration_seconds_sum", plugin="hdr") < 1
    assert m.value("sluice_plugin_hook_errors_total", plugin="hdr") == 0


# ----------------------------------------------------------- reloads and swaps
@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_goes_on_with_the_numbers(proxy, origin, client, workers):
    p = proxy(origin(serve(says)), workers=workers)
    for _ in range(5):
        client(p).request()
    settled(p, "sluice_http_requests_total", 5, route="app")
    changed = reloading.manifest_of(p)
    changed["routes"].insert(0, {"name": "new", "match": {"path": "/new"}, "upstream": "app"})
    reloading.reload(p, changed)
    for target in ["/", "/new", "/new"]:
        client(p).request(target=target)
    m = settled(p, "sluice_http_requests_total", 2, route="new")
    assert m.value("sluice_http_requests_total", route="app") == 6
    assert m.value("sluice_upstream_responses_total", upstream="app") == 8
    # A route that is gone keeps what it has counted: a counter never falls.
    reloading.reload(p, {**changed, "routes": [ROUTE, *changed["routes"][2:]]})
    assert scrape(p).value("sluice_http_requests_total", route="new") == 2


def test_labels_are_bounded_whatever_clients_send(proxy, origin, client):
    p = proxy(origin(serve(says)), listener={"limits": {"requests": 1000000}})
    c = client(p)
    c.request()
    before = settled(p, "sluice_http_requests_total", 1, route="app")
    batch = 100
    for first in range(0, 10000, batch):
        c.send(b"".join(
            request(target="/200/2/%d" % n, host="h%d.example" % n, method="M%d" % (n % 50),
                    fields=[("X-%d" % n, "%d" % n)]) for n in range(first, first + batch)))
        for _ in range(batch):
            c.response()
    after = settled(p, "sluice_http_requests_total", 10001, route="app")
    known = lambda m: {k for k in m.samples if dict(k[1]).get("route") != "metrics"}
    new = known(after) - known(before)
    assert not {k for k in new if k[0].startswith("sluice_")}, new
