"""A real Prometheus gets the metrics of a real proxy: what it says of the texts, what it makes of
the numbers, and whether each expression of the dashboard has something to show."""
import json
import os
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

import harness
import metrics
from h2wire import H2, get
from harness import eventually, serve
from metrics import PLUGIN, ROUTE, says
from wire import Client

HEADERS = {"hdr": {"library": "libHeaders.so",
                   "config": {"response": {"set": [{"name": "x-a", "value": "b"}]}}}}

DASHBOARD = os.path.join(harness.ROOT, "examples/observability/grafana.json")


class Prometheus:
    """Scrapes twice a second, and answers queries."""

    def __init__(self, folder, target):
        assert shutil.which("prometheus"), "prometheus is needed: run `make test-deps`"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        config = folder / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "scrape_configs": [{"job_name": "sluice", "static_configs": [{"targets": [target]}]}]}))
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=%s" % config,
             "--storage.tsdb.path=%s" % (folder / "tsdb"), "--web.listen-address=" + self.address],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        eventually(self.is_ready, "prometheus is ready")

    def is_ready(self):
        assert self.process.poll() is None, "prometheus did not start"
        try:
            return urllib.request.urlopen("http://%s/-/ready" % self.address).status == 200
        except (OSError, urllib.error.URLError):
            return False

    def get(self, path, **query):
        url = "http://%s/api/v1/%s?%s" % (self.address, path, urllib.parse.urlencode(query))
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError("%s: %s" % (query, error.read().decode())) from None

    def query(self, expression):
        """The samples of an expression now: labels and values."""
        found = self.get("query", query=expression)
        assert found["resultType"] == "vector"
        return [(sample["metric"], float(sample["value"][1])) for sample in found["result"]]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture
def prometheus(tmp_path):
    made = []

    def make(target):
        folder = tmp_path / "prometheus"
        folder.mkdir()
        made.append(Prometheus(folder, target))
        return made[-1]

    yield make
    for one in made:
        one.close()


def busy(proxy, stop):
    """All that a dashboard shows, until it is told to stop."""
    c = Client(proxy.address)
    while not stop.is_set():
        for target in ("/200/100", "/404/10", "/500/10", "/flaky/200"):
            try:
                c.request(target=target)
            except Exception:
                c = Client(proxy.address)
        c.request("POST", "/200/10", body=b"y" * 500)
        other = H2(proxy.address).open()
        other.fetch(get("/200/5"))
        other.close()
        gone = Client(proxy.address)
        gone.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        gone.response()
        gone.close()
        stop.wait(0.05)
    c.close()


@pytest.mark.seconds(120)
def test_prometheus_and_the_dashboard(sluice, origin, prometheus):
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    app = origin(serve(says))
    p = sluice(
        app, listener={"protocols": ["h1", "h2c"], "limits": {"requests": 1000000}},
        plugins={**PLUGIN, **HEADERS, "turns": {"library": "libRoundRobin.so"}},
        chain=["hdr"],
        upstreams={"flaky": {"balancer": "turns", "retries": {"attempts": 2},
                             "peers": ["127.0.0.1:%d" % dead.getsockname()[1], app.address]}},
        routes=[ROUTE, {"name": "flaky", "match": {"path": "/flaky/*"}, "upstream": "flaky"},
                {"name": "app", "match": {}, "upstream": "app"}])
    stop = threading.Event()
    worker = threading.Thread(target=busy, args=(p, stop))
    worker.start()
    try:
        prom = prometheus("%s:%d" % p.address)
        # As many scrapes as a rate over some seconds needs.
        eventually(lambda: [v for _, v in prom.query("count_over_time(up[10s])") if v >= 8],
                   "prometheus has scraped")
        target = prom.get("targets")["activeTargets"][0]
        assert target["health"] == "up", target["lastError"]
        with open(DASHBOARD) as file:
            dashboard = json.load(file)
        expressions = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
        expressions += [a["expr"] for a in dashboard["annotations"]["list"]]
        assert len(expressions) > 40
        for expression in expressions:
            filled = expression.replace("$__rate_interval", "10s").replace("$job", ".+").replace(
                "$instance", ".+")
            assert "$" not in filled, filled
            eventually(lambda: prom.query(filled), "%s has series" % filled)
    finally:
        stop.set()
        worker.join()
    # What the proxy has and what Prometheus has of it.
    name = "sluice_http_requests_total"
    key = lambda labels: tuple(labels[n] for n in ("code", "route", "upstream") if n in labels)
    here = {key(dict(k)): v for k, v in metrics.scrape(p).series(name).items()
            if dict(k)["route"] != "metrics"}

    def there():
        # An empty label is none to Prometheus.
        return {(labels["code"], labels["route"], labels.get("upstream", "")): value
                for labels, value in prom.query(name) if labels["route"] != "metrics"}

    eventually(lambda: there() == here, "the counts are the same")
    # It asked for OpenMetrics, and took it for that.
    units = prom.get("metadata", metric="sluice_http_request_duration_seconds")
    assert units["sluice_http_request_duration_seconds"][0]["unit"] == "seconds"
    dead.close()


def test_promtool_finds_nothing_to_say(sluice, origin, client):
    p = sluice(origin(serve(says)), plugins={**PLUGIN, **HEADERS}, chain=["hdr"],
        routes=[ROUTE, {"name": "app", "match": {}, "upstream": "app"}])
    for target in ("/", "/404/1", "/500/9"):
        client(p).request(target=target)
    text = metrics.scrape(p).text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          text=True)
    assert done.returncode == 0 and not done.stdout and not done.stderr, done.stdout + done.stderr
