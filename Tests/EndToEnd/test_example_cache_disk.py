"""What `examples/cache-disk` holds does what its page says, with other addresses."""
import os
import re
import shlex

import pytest

import harness
from harness import eventually
from wire import Client, pattern, reply

FOLDER = os.path.join(harness.ROOT, "examples/cache-disk")


@pytest.fixture
def example(tmp_path):
    made = []

    def start(app):
        with open(os.path.join(FOLDER, "sluice.json5")) as file:
            text = file.read()
        changes = {"version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
                   '"127.0.0.1:8080"': '"127.0.0.1:0"',
                   '"127.0.0.1:3000"': '"%s"' % app.address}
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sluice.json5"
        path.write_text(text)
        serving = 'exec "$0" run --no-supervisor --manifest ' + shlex.quote(str(path))
        made.append(harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving)))
        made[-1].wait_log("the disk tier stores")
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait()


VIDEO = pattern(3_000_000)


def script(connection):
    while True:
        head = connection.read_request()
        if not head:
            return
        body = VIDEO if head.target == "/video" else b"small"
        connection.send(reply(body, fields=[("Cache-Control", "max-age=3600")]))


def said(proxy, target, method="GET"):
    c = Client(proxy.address)
    try:
        got = c.request(method, target)
        if method == "GET":
            assert got.body == (VIDEO if target == "/video" else b"small")
        return got.get("cache-status") or got.body
    finally:
        c.close()


def test_the_page(origin, example, tmp_path):
    app = origin(script)
    p = example(app)
    folder = tmp_path / "cache"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert said(p, "/video") == "Sluice; fwd=uri-miss; fwd-status=200; stored"
    eventually(lambda: list(folder.glob("??/*")), "it is a file")
    hit = r"Sluice; hit; ttl=3[56]\d\d; detail=disk"
    assert re.fullmatch(hit, said(p, "/video"))
    said(p, "/page")
    assert re.fullmatch(r"Sluice; hit; ttl=3[56]\d\d", said(p, "/page"))
    p.process.kill()
    p.process.wait()
    p = example(app)
    assert re.fullmatch(hit, said(p, "/video"))
    assert len(app.requests) == 2
    assert said(p, "/video", "PURGE") == b"purged\n"
    assert "fwd=uri-miss" in said(p, "/video")
