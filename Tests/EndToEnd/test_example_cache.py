"""What `examples/cache` holds does what its page says, with other addresses."""
import os
import shlex

import pytest

import harness
from wire import reply

FOLDER = os.path.join(harness.ROOT, "examples/cache")


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
        serving = 'exec "$0" run --manifest ' + shlex.quote(str(path))
        made.append(harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving)))
        return made[-1]

    yield start
    for one in made:
        one.close()


def script(connection):
    while True:
        head = connection.read_request()
        if not head:
            return
        if head.target == "/gone":
            connection.send(reply(b"", "404 Not Found"))
        else:
            connection.send(reply(b"0123456789abc", fields=[("Cache-Control", "max-age=3600")]))


def test_the_page(origin, example, client):
    app = origin(script)
    c = client(example(app))

    def said(target="/page", **options):
        return c.request(target=target, **options).get("cache-status")

    assert said() == "Sluice; fwd=uri-miss; fwd-status=200; stored"
    assert said("/page?utm_source=mail") in ("Sluice; hit; ttl=3600", "Sluice; hit; ttl=3599")
    part = c.request(target="/page", fields=[("Range", "bytes=0-9")])
    assert part.status == 206 and part.body == b"0123456789"
    assert said(fields=[("Cookie", "session=1")]) \
        == "Sluice; fwd=bypass; fwd-status=200; detail=rule"
    assert said("/api/x") is None
    assert c.request("PURGE", "/page").body == b"purged\n"
    assert "fwd=uri-miss" in said()
    c.request(target="/gone")
    assert "; hit" in said("/gone")
    app.close()
    assert "; hit" in said()
