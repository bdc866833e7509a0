"""What `examples/metrics` holds does what its page says, with other addresses."""
import os
import shlex
import shutil
import socket
import subprocess

import pytest

import harness
from harness import eventually, serve
from metrics import Metrics, scrape
from wire import reply

FOLDER = os.path.join(harness.ROOT, "examples/metrics")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def example(tmp_path, origin):
    """The proxy, its address for clients and that for metrics."""
    app = origin(serve(reply(b"hello")))
    clients, metrics = free_port(), free_port()
    with open(os.path.join(FOLDER, "sluice.json5")) as file:
        text = file.read()
    for old, new in {"version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
                     "127.0.0.1:8080": "127.0.0.1:%d" % clients,
                     "127.0.0.1:9102": "127.0.0.1:%d" % metrics,
                     "127.0.0.1:3000": app.address}.items():
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / "sluice.json5"
    path.write_text(text)
    serving = 'exec "$0" run --manifest ' + shlex.quote(str(path))
    proxy = harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving))
    yield proxy, ("127.0.0.1", clients), ("127.0.0.1", metrics)
    proxy.close()


def test_metrics_are_where_clients_are_not(example, client, tmp_path):
    _, clients, metrics = example
    assert client(clients).request().body == b"hello"
    # There it is a path like any other, and here there is nothing else.
    assert client(clients).request(target="/metrics").body == b"hello"
    assert client(metrics).request().status == 404
    eventually(lambda: scrape(metrics).value("sluice_http_requests_total", route="app") == 2,
               "both requests are counted")
    found = scrape(metrics)
    assert found.series("sluice_http_requests_total", route="app") == {
        (("code", "2xx"), ("route", "app"), ("upstream", "app")): 2}
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", str(tmp_path / "admin.sock"),
         "http://localhost/v1/metrics"], capture_output=True, text=True, check=True)
    assert Metrics(done.stdout).value("sluice_http_requests_total", route="app") == 2


def test_the_configuration_of_prometheus_is_one():
    assert shutil.which("promtool"), "prometheus is needed: run `make test-deps`"
    done = subprocess.run(["promtool", "check", "config", os.path.join(FOLDER, "prometheus.yml")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
