"""What `examples/observability` holds does what its page says, with other addresses."""
import os
import re
import shlex
import socket

import pytest

import harness
from harness import eventually, run, serve
from metrics import Metrics
from wire import reply

FOLDER = os.path.join(harness.ROOT, "examples/observability")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def example(tmp_path, origin):
    """The proxy's address; nobody listens where the collector should be."""
    apps = [origin(serve(reply(b"hello"))) for _ in range(2)]
    port = free_port()
    with open(os.path.join(FOLDER, "sluice.json5")) as file:
        text = file.read()
    for old, new in {"version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
                     "127.0.0.1:8080": "127.0.0.1:%d" % port,
                     "127.0.0.1:3000": apps[0].address, "127.0.0.1:3001": apps[1].address,
                     "127.0.0.1:4318": "127.0.0.1:1"}.items():
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / "sluice.json5"
    path.write_text(text)
    serving = 'cd "$(dirname %s)" && exec "$0" run --manifest %s' % (
        shlex.quote(str(path)), shlex.quote(str(path)))
    proxy = harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving))
    yield apps, ("127.0.0.1", port)
    proxy.close()


def test_one_request_is_in_all_of_them(example, client, tmp_path):
    apps, address = example
    answers = [client(address).request() for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    log = tmp_path / "access.log"
    eventually(lambda: log.exists() and log.read_text().count("\n") == 6, "all lines are there")
    # Each worker writes its own lines, so those of one may be behind those of another.
    lines = sorted(log.read_text().splitlines(), key=lambda line: '" 429 ' in line)
    for line in lines[:5]:
        assert re.search(r'"GET / HTTP/1\.1" 200 5 .* route=shop upstream=127\.\S+ by=-$', line)
    assert re.search(r'" 429 .* by=limit$', lines[5]), lines[5]
    asked = [head for app in apps for head in app.requests]
    assert sorted(re.findall(r"id=(\S+) ", "\n".join(lines[:5]))) == sorted(
        head.get("x-request-id") for head in asked)
    assert sorted(re.findall(r"trace=(\S+) ", "\n".join(lines[:5]))) == sorted(
        head.get("traceparent").split("-")[1] for head in asked)
    found = Metrics(client(address).request(target="/metrics").body.decode())
    assert found.value("sluice_http_requests_total", route="shop", code="2xx") == 5
    # The limit is before the choice of a route.
    assert found.value("sluice_http_requests_total", code="4xx") == 1
    shown = run("top", "--manifest", str(tmp_path / "sluice.json5"), "--interval", "100ms")
    assert shown.returncode == 0, shown.stderr
    assert "log > trace > numbers > limit > headers > app" in shown.stdout
