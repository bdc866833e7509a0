"""How metrics are served: formats, the Metrics plugin, the admin interface, and that each metric is
documented."""
import http.client
import json
import os
import re
import socket
import subprocess
import threading

import pytest

import harness
from harness import eventually, serve
from metrics import OPEN, PLUGIN, ROUTE, TEXT, Metrics, proxy, says, scrape, settled  # noqa: F401
from wire import reply, request

DURATION = "sluice_http_request_duration_seconds"


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
    # Until those jobs have run, the worker has as many scrapes as it may.
    eventually(lambda: client(p).request(target="/metrics").status == 200, "there is room again")
    eventually(lambda: p.rss() < before + (48 << 20), "memory of scrapes is given back")


def test_so_many_scrapes_at_a_time(proxy, origin, client):
    p = proxy(origin(serve(says)), plugins={
        "m": {"library": "libMetrics.so", "config": {"scrapes": 1}}})
    clients = [client(p) for _ in range(20)]
    for c in clients:
        c.send(request(target="/metrics"))
    answers = [c.response() for c in clients]
    # Which of them comes first is the kernel's choice.
    assert {a.status for a in answers} | {503} == {200, 503}
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
    count = lambda m: m.value("sluice_http_requests_total", upstream="app")
    eventually(lambda: count(Metrics(admin(path, "/v1/metrics")[2].decode())) == 1, "it counts")
    for accept, type_ in ((OPEN_FIRST, OPEN), ("*/*", TEXT), ("text/plain", TEXT),
                          ("application/openmetrics-text;q=0.1,text/plain;q=0.2", TEXT)):
        status, found, body = admin(path, "/v1/metrics", Accept=accept)
        assert (status, found) == (200, type_)
        assert count(Metrics(body.decode(), type_ == OPEN)) == 1
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
        match = re.fullmatch(r"\| `(\w+)` \| (\w+) \|([^|]*)\| (.+) \|", line)
        if match:
            name, kind, labels, _ = match.groups()
            assert name not in rows, name
            rows[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
    p = proxy(origin(serve(says)), plugins={"hdr": {"library": "libHeaders.so", "config": {
        "response": {"set": [{"name": "x-a", "value": "b"}]}}}}, chain=["hdr"])
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
