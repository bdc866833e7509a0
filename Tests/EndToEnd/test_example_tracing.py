"""What `examples/tracing` holds does what its page says, with other addresses."""
import os
import shlex

import pytest

import harness
import otlp
from harness import serve
from otlp import collector  # noqa: F401  a fixture
from wire import reply

FOLDER = os.path.join(harness.ROOT, "examples/tracing")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def example(tmp_path):
    made = []

    def start(app, to):
        with open(os.path.join(FOLDER, "sluice.json5")) as file:
            text = file.read()
        for old, new in {"version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
                         '"127.0.0.1:8080"': '"127.0.0.1:0"',
                         '"127.0.0.1:3000"': '"%s"' % app.address,
                         '"127.0.0.1:4318"': '"%s"' % to.address}.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sluice.json5"
        path.write_text(text)
        serving = 'exec "$0" run --manifest ' + shlex.quote(str(path))
        made.append(harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving)))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_the_requests_of_the_page(origin, example, client, collector):
    app, to = origin(serve(reply(b"ok"))), collector()
    proxy = example(app, to)
    answer = client(proxy).request(
        target="/orders/7?voucher=abc",
        fields=[("traceparent", "00-%s-00f067aa0ba902b7-01" % TRACE)])
    trace = otlp.Trace(to.wait_spans(2))
    assert answer.get("traceresponse") == "00-%s-%s-01" % (TRACE, trace.server.id)
    assert (trace.server.trace, trace.server.name) == (TRACE, "GET orders")
    assert trace.server.attributes["url.query"] == "voucher=REDACTED"
    assert trace.server.resource["service.name"] == "shop"
    # Without the application, the trace of the 502 is there whatever the ratio.
    app.close()
    assert client(proxy).request(target="/x").status == 502
    spans = [span for span in to.wait_spans(4) if span.trace != TRACE]
    failed = otlp.Trace(spans)
    assert failed.server.attributes["sluice.exported_for"] == "error"
    assert failed.server.name == "GET rest"
    assert [span.attributes["error.type"] for span in failed.attempts] == ["connect"]
