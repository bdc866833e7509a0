"""What `examples/rate-limiting` holds does what its page says, with other addresses."""
import os
import shlex
import threading

import pytest

import harness
import redis
from wire import request, reply

FOLDER = os.path.join(harness.ROOT, "examples/rate-limiting")


@pytest.fixture
def example(tmp_path):
    made = []

    def start(name, app, **replaced):
        with open(os.path.join(FOLDER, name)) as file:
            text = file.read()
        changes = {"version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
                   '"127.0.0.1:8080"': '"127.0.0.1:0"',
                   '"127.0.0.1:3000"': '"%s"' % app.address, **replaced}
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        serving = 'exec "$0" run --manifest ' + shlex.quote(str(path))
        made.append(harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving)))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_the_limits_of_the_page(origin, example, client):
    gate = threading.Event()

    def script(connection):
        while (head := connection.read_request()) is not None:
            if head.target.startswith("/reports/"):
                gate.wait(10)
            connection.send(reply(b"ok"))

    app = origin(script)
    proxy = example("sluice.json5", app)
    first = client(proxy).request()
    assert first.get("ratelimit-policy") == '"client";q=50;w=1'
    assert first.get("ratelimit") == '"client";r=49;t=1'
    wire = client(proxy)
    answers = [wire.request(target="/login?user=ann") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].get("retry-after") == "20"
    assert answers[3].body == b"too many attempts\n"
    # Two reports run, the third waits, and none is refused.
    reports = [client(proxy) for _ in range(3)]
    for report in reports:
        report.send(request(target="/reports/a"))
    app.wait_requests(1 + 3 + 2)
    assert reports[2].quiet(0.2)
    assert len(app.requests) == 6
    gate.set()
    assert [report.response().status for report in reports] == [200, 200, 200]


@pytest.mark.skipif(not redis.PROGRAM, reason="there is no redis-server")
def test_a_limit_of_several_machines(origin, example, client, tmp_path):
    server = redis.Redis(tmp_path)
    try:
        app = origin(harness.serve(reply(b"ok")))
        proxy = example("shared.json5", app,
                        **{'"127.0.0.1:6379"': '"%s"' % server.address})
        assert client(proxy).request(fields=[("X-Api-Key", "k")]).status == 200
        harness.eventually(lambda: server.keys(), "the server counts")
        assert server.keys()[0].startswith(b"sluice:api:60000:")
    finally:
        server.close()
