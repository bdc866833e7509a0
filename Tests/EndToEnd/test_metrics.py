"""What the proxy counts, after traffic whose numbers are known: by the Metrics plugin and by the
admin interface."""
import http.client
import json
import math
import os
import re
import socket
import subprocess
import threading

import pytest

import harness
import metrics
import reloading
from h2wire import H2, get
from harness import eventually, serve
from metrics import OPEN, PLUGIN, ROUTE, TEXT, Metrics, scrape
from wire import reply, request

BUCKETS = [.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30,
           60, math.inf]
SIZES = [4.0 ** power for power in range(4, 16)] + [math.inf]
DURATION = "sluice_http_request_duration_seconds"


@pytest.fixture
def proxy(sluice):
    """A proxy with the plugin, whose routes are those of the test and then the plugin's own."""
    def make(*peers, routes=None, plugins=None, **options):
        routes = [{"name": "app", "match": {}, "upstream": "app"}] if routes is None else routes
        return sluice(*peers, plugins={**PLUGIN, **(plugins or {})}, routes=[ROUTE] + routes,
                      **options)

    return make


def says(head):
    """An origin that answers with the status in the path and as many bytes as it says."""
    parts = head.target.strip("/").split("/")
    status, count = (parts + ["200", "2"])[:2] if parts[0].isdigit() else ("200", "2")
    return reply(b"x" * int(count), status=status + " Some")


def settled(proxy, name, count, **labels):
    """A scrape in which something has this count: an answer is out before it is counted."""
    found = []
    eventually(lambda: found.append(scrape(proxy)) or found[-1].value(name, **labels) == count,
               "%s %s is %s" % (name, labels, count))
    return found[-1]


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
    app = origin(serve(says), tls=leaf.server_context())
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
    assert m.value("sluice_listener_connections", **listener) == 3
    assert m.value("sluice_listener_connections_total", **listener) == 3
    assert m.value("sluice_worker_connections") == 3
    settled(p, "sluice_listener_connections", 3, **listener)
    third = client(p)
    third.request()
    assert client(p).request().status == 503
    third.close()
    m = settled(p, "sluice_listener_connections_refused_total", 1, reason="connections")
    assert m.value("sluice_listener_connections_refused_total") == 1


# -------------------------------------------------------------------- plugins
def test_calls_of_hooks_are_counted_and_some_are_timed(proxy, origin, client):
    p = proxy(origin(serve(says)), plugins={"hdr": {"library": "libHeaders.so", "config": {
        "response": {"set": {"x-a": "b"}}}}}, chain=["hdr"])
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


# -------------------------------------------------------------------- formats
OPEN_FIRST = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
              "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")


def test_both_formats_say_the_same(proxy, origin, client):
    p = proxy(origin(serve(says)))
    client(p).request(target="/404/9")
    settled(p, "sluice_http_requests_total", 1, route="app")
    text, open_ = scrape(p), scrape(p, OPEN_FIRST)
    assert open_.text.endswith("\n# EOF\n") and "# EOF" not in text.text
    name = "sluice_http_requests_total"
    assert text.series(name, route="app") == open_.series(name, route="app")
    assert "sluice_http_requests" in open_.families
    assert open_.families["sluice_build"].type == "info"
    assert open_.families[DURATION].unit == "seconds"
    assert text.families["sluice_build_info"].type == "gauge"
    strip = lambda names: {re.sub("_(total|info)$", "", n) for n in names}
    assert strip(text.families) == strip(open_.families)


def test_hostile_bytes_in_a_label(tmp_path, sluice, origin):
    folder = tmp_path / 'a"b\\c'
    folder.mkdir()
    path = str(folder / "ü.sock")
    p = sluice(origin(serve(says)), listener={"listen": "unix:" + path}, plugins=PLUGIN,
               chain=["m"])
    for accept in None, OPEN_FIRST:
        m = scrape(p, accept)
        assert m.value("sluice_listener_connections_total", listener="unix:" + path) >= 1


def test_process_metrics_are_the_kernels(proxy, origin):
    p = proxy(origin(serve(says)))
    m = scrape(p)
    assert abs(m.value("process_resident_memory_bytes") - p.rss()) < 64 << 20
    assert abs(m.value("process_open_fds") - p.descriptors()) <= 3
    assert m.value("process_max_fds") >= 1024
    with open("/proc/%d/stat" % p.serving) as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/stat") as file:
        boot = int(re.search(r"btime (\d+)", file.read()).group(1))
    began = boot + ticks / os.sysconf("SC_CLK_TCK")
    assert abs(m.value("process_start_time_seconds") - began) < 2
    assert 0 < m.value("sluice_worker_cpu_seconds_total") <= m.value("process_cpu_seconds_total")
    assert m.value("sluice_build_info", version="0.1.0") == 1


# ----------------------------------------------------------------- the plugin
def test_who_may_look_and_how(proxy, origin, client):
    p = proxy(origin(serve(says)), plugins={
        "m": {"library": "libMetrics.so", "config": {"allow": ["127.0.0.2/32"]}}})
    assert client(p).request(target="/metrics").status == 403
    near = client(p, source="127.0.0.2")
    answer = near.request(target="/metrics?x=1")
    assert answer.status == 200 and answer.get("cache-control") == "no-store"
    answer = near.request("POST", "/metrics", body=b"x")
    assert answer.status == 405 and answer.get("allow") == "GET, HEAD"
    near.send(request("HEAD", "/metrics"))
    head = near.response("HEAD")
    assert head.status == 200 and int(head.get("content-length")) > 1000


def test_large_texts_come_whole_and_a_client_that_leaves_costs_nothing(proxy, origin, client):
    app = origin(serve(says))
    routes = [{"name": "route-%03d" % n, "match": {"path": "/200/2/%03d" % n}, "upstream": "app"}
              for n in range(200)]
    p = proxy(app, routes=routes)
    c = client(p)
    for n in range(200):
        assert c.request(target="/200/2/%03d" % n).status == 200
    m = settled(p, "sluice_http_requests_total", 200, upstream="app")
    assert len(m.text) > 512 * 1024
    before = p.rss()
    for _ in range(30):
        gone = client(p)
        gone.send(request(target="/metrics"))
        gone.reset()
    assert scrape(p).value("sluice_http_requests_total", upstream="app") == 200
    eventually(lambda: p.rss() < before + (48 << 20), "memory of scrapes is given back")


def test_so_many_scrapes_at_a_time(proxy, origin, client):
    p = proxy(origin(serve(says)), plugins={
        "m": {"library": "libMetrics.so", "config": {"scrapes": 1}}})
    clients = [client(p) for _ in range(20)]
    for c in clients:
        c.send(request(target="/metrics"))
    answers = [c.response() for c in clients]
    assert {a.status for a in answers} <= {200, 503}
    assert answers[0].status == 200
    for answer in answers:
        if answer.status == 503:
            assert answer.get("retry-after") == "1"


# ------------------------------------------------------------------ the admin
class Admin(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def admin(path, target, **headers):
    connection = Admin(path)
    connection.request("GET", target, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers["Content-Type"], body


@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "alone"])
def test_the_admin_interface_has_both_formats(tmp_path, sluice, origin, client, supervised):
    path = str(tmp_path / "admin.sock")
    p = sluice(origin(serve(says)), admin={"listen": "unix:" + path}, supervised=supervised)
    client(p).request()
    for accept, type_ in ((OPEN_FIRST, OPEN), ("*/*", TEXT), ("text/plain", TEXT),
                          ("application/openmetrics-text;q=0.1,text/plain;q=0.2", TEXT)):
        status, found, body = admin(path, "/v1/metrics", Accept=accept)
        assert (status, found) == (200, type_)
        m = Metrics(body.decode(), type_ == OPEN)
        assert m.value("sluice_http_requests_total", upstream="app") == 1
    assert admin(path, "/v1/metrics/openmetrics")[1] == OPEN


def test_more_than_a_megabyte_goes_through_the_supervisor(tmp_path, sluice, origin, client):
    path = str(tmp_path / "admin.sock")
    routes = [{"name": "route-%03d" % n, "match": {"path": "/200/2/%03d" % n}, "upstream": "app"}
              for n in range(400)]
    p = sluice(origin(serve(says)), admin={"listen": "unix:" + path}, routes=routes)
    c = client(p)
    for n in range(400):
        assert c.request(target="/200/2/%03d" % n).status == 200
    status, _, body = admin(path, "/v1/metrics")
    assert status == 200 and len(body) > 1 << 20
    assert len(Metrics(body.decode()).series("sluice_http_requests_total", code="2xx")) == 400


def test_upstreams_show_what_waits(tmp_path, sluice, origin, client):
    path = str(tmp_path / "admin.sock")
    gate = threading.Semaphore(0)

    def script(c):
        while c.read_request():
            gate.acquire(timeout=20)
            c.send(reply())

    app = origin(script)
    p = sluice(app, admin={"listen": "unix:" + path},
               upstream={"limits": {"in_flight": 1, "pending": 1, "pending_timeout": "20s"}})
    one, two = client(p), client(p)
    one.send(request())
    app.wait_requests(1)
    two.send(request())
    show = lambda: json.loads(admin(path, "/v1/upstreams")[2])["upstreams"][0]
    eventually(lambda: show()["pending"] == 1, "one waits")
    assert client(p).request().status == 503
    found = show()
    assert found["limit_refusals"] == 1 and found["connections"] == 1
    assert (found["retries"], found["hedges"], found["budget_refusals"]) == (0, 0, 0)
    said = subprocess.run([harness.BINARY, "status", "--admin", "unix:" + path],
                          capture_output=True, text=True, check=True).stdout
    assert "pending: 1, connections: 1, limit refusals: 1" in said, said
    gate.release(2)
    assert one.response().status == two.response().status == 200
    eventually(lambda: show()["idle_connections"] == 1, "the connection is idle")
    assert show()["pending"] == 0


# ----------------------------------------------------------------------- docs
def test_every_metric_is_documented(proxy, origin, client):
    """docs/metrics.md has a row for each metric of the running proxy, with its type and labels."""
    with open(os.path.join(harness.ROOT, "docs/metrics.md")) as file:
        page = file.read()
    rows = {}
    for line in page.splitlines():
        match = re.fullmatch(r"\| `(\w+)` \| (\w+) \| ([^|]*) \| (.+) \|", line)
        if match:
            name, kind, labels, _ = match.groups()
            assert name not in rows, name
            rows[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
    p = proxy(origin(serve(says)), plugins={"hdr": {"library": "libHeaders.so", "config": {
        "response": {"set": {"x-a": "b"}}}}}, chain=["hdr"])
    client(p).request()
    m = settled(p, "sluice_http_requests_total", 1, route="app")
    found = {}
    for family in m.families.values():
        # The library's own form of a counter's name.
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {n for s in family.samples for n in s.labels} - {"le"}
        found[name] = (family.type, labels)
    assert found.keys() <= rows.keys(), found.keys() - rows.keys()
    assert rows.keys() <= found.keys(), rows.keys() - found.keys()
    for name, (kind, labels) in found.items():
        shown, named = rows[name]
        assert (shown if shown != "info" else "gauge") == kind, name
        assert labels <= named and (not labels or labels == named), name
