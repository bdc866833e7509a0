"""What `examples/discovery` holds does what its page says, with other ports."""
import os
import re
import shlex
import shutil

import harness
from catalog import Catalog, instance
from harness import eventually, serve
from nameserver import Dnsmasq, free_port
from wire import Client, reply

FOLDER = os.path.join(harness.ROOT, "examples/discovery")


def test_three_sources(tmp_path, origin):
    folder = tmp_path / "discovery"
    shutil.copytree(FOLDER, folder)
    web, first, second, api = (origin(serve(reply(name)))
                               for name in (b"web", b"first", b"second", b"api"))
    catalog = Catalog([instance("127.0.0.1", api.port)])
    consul = origin(catalog.script)
    names = Dnsmasq(tmp_path, free_port(), [("127.0.0.1", "web.example")], ttl=2)
    ports = {"3000": web.port, "3001": first.port, "3002": second.port, "5353": names.port,
             "8500": consul.port, "8080": 0}
    for name in ("sluice.json5", "peers.json"):
        text = re.sub(r"\b(3000|3001|3002|5353|8500|8080)\b",
                      lambda match: str(ports[match.group(1)]), (folder / name).read_text())
        (folder / name).write_text(text.replace(
            "version: 1,", "version: 1, plugin_dir: %r," % harness.PLUGINS))
    path = str(folder / "sluice.json5")
    checked = harness.run("check", "--no-bind", "--manifest", path)
    assert checked.returncode == 0 and "warning" not in checked.stderr, checked.stderr

    proxy = harness.Sluice(tmp_path, {}, prefix=(
        "sh", "-c", 'exec "$0" run --manifest ' + shlex.quote(path)))
    try:
        def bodies(target, count=6):
            return {Client(proxy.address).request(target=target).body for _ in range(count)}

        eventually(lambda: bodies("/") == {b"web"}, "a peer from the name server")
        eventually(lambda: bodies("/api/x") == {b"api"}, "a peer from the catalog")
        eventually(lambda: bodies("/admin/x") == {b"first", b"second"}, "peers from the file")
        (folder / "peers.json.new").write_text('["127.0.0.1:%d"]' % second.port)
        os.rename(folder / "peers.json.new", folder / "peers.json")
        eventually(lambda: bodies("/admin/x") == {b"second"}, "one peer from the file")
        names.kill()
        proxy.wait_log("upstream web: .*; it keeps its 1 peer")
        assert bodies("/") == {b"web"}
    finally:
        names.close()
        catalog.close()
        proxy.close()
