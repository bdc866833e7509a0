"""HUP: what a manifest can change while the process serves, and what becomes of a bad one."""
import os
import re
import shutil
import socket

import pytest

import cplugin
import h2server
from h2wire import H2
from harness import eventually, serve
from reloading import free_port, manifest_of, refused, refuses, reload, send, wait_gone
from reloading import outcome
from wire import Client, reply


@pytest.fixture(scope="session")
def tally(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("tally"), "tally")


@pytest.fixture
def proxy(sluice):
    def make(*peers, **options):
        return sluice(*peers, supervised=False, **options)

    return make


def named(origin, name):
    """An origin that says its name."""
    return origin(serve(reply(name)))


def body(client, target="/"):
    return client.request(target=target).body


# ------------------------------------------------------------------ what changes
def test_routes_and_replies(proxy, origin, client):
    one, two = named(origin, b"one"), named(origin, b"two")
    p = proxy(one, upstreams={"other": {"peers": [two.address]}})
    c = client(p)
    assert body(c) == b"one"
    manifest = manifest_of(p)
    manifest["routes"] = [{"name": "new", "match": {"path": "/new"}, "upstream": "other"},
                          {"name": "rest", "match": {}, "upstream": "app"}]
    assert reload(p, manifest) == 2
    assert [body(c, t) for t in ("/", "/new", "/")] == [b"one", b"two", b"one"]
    manifest["routes"].reverse()
    assert reload(p, manifest) == 3
    assert body(c, "/new") == b"one", "the first route takes all"
    wait_gone(p, 1, 2)


def test_the_same_manifest_changes_nothing(proxy, origin, client, tally):
    p = proxy(named(origin, b"one"), plugins={"t": {"library": tally}}, chain=["t"])
    mark = send(p)
    assert "nothing has changed" in outcome(p, mark)[0].group()
    assert p.log.count("plugin=t created") == 1


def test_a_plugins_configuration_and_its_image(proxy, origin, client, tally):
    """An instance of the same file uses the code that is loaded already."""
    p = proxy(named(origin, b"one"), chain=["t"],
              plugins={"t": {"library": tally, "config": {"greeting": "a"}}})
    c = client(p)
    assert c.request().get("x-greeting") == "a"
    images = mapped(p)
    manifest = manifest_of(p)
    for greeting in "bc":
        manifest["plugins"]["t"]["config"]["greeting"] = greeting
        wait_gone(p, reload(p, manifest) - 1)
        assert c.request().get("x-greeting") == greeting
    assert p.log.count("plugin=t created") == 3
    assert p.log.count("plugin=t destroyed") == 2
    assert mapped(p) == images


def mapped(proxy):
    """How often code of a plugin is mapped."""
    with open("/proc/%d/maps" % proxy.process.pid) as file:
        return sum("tally" in line and " r-xp " in line or " r-xp " in line and "(deleted)" in line
                   for line in file)


def test_another_file_at_the_same_path(proxy, origin, client, tally, tmp_path):
    library = str(tmp_path / "libt.so")
    shutil.copy(tally, library)
    p = proxy(named(origin, b"one"), plugins={"t": {"library": library}}, chain=["t"])
    c = client(p)
    assert c.request().get("x-version") == "1"
    # Written over, not put in its place: what is loaded is a copy of its own.
    made = cplugin.build(tmp_path, "tally", '-DVERSION="2"', file="other.so")
    shutil.copyfile(made, library)
    assert reload(p) == 2
    assert c.request().get("x-version") == "2"
    wait_gone(p, 1)


def test_plugins_come_and_go(proxy, origin, client, tally):
    p = proxy(named(origin, b"one"))
    c = client(p)
    assert c.request().get("x-greeting") is None
    manifest = manifest_of(p)
    manifest["plugins"] = {"t": {"library": tally, "config": {"greeting": "a"}}}
    manifest["routes"][0]["chain"] = ["t"]
    reload(p, manifest)
    assert c.request().get("x-greeting") == "a"
    manifest["plugins"] = {}
    del manifest["routes"][0]["chain"]
    reload(p, manifest)
    assert c.request().get("x-greeting") is None
    p.wait_log("plugin=t destroyed")
    wait_gone(p, 1, 2)


def test_peers_come_and_go(proxy, origin, client):
    """Connections to those that stay are used again; those to others are closed."""
    stays, goes, comes = (named(origin, name) for name in (b"stays", b"goes", b"comes"))
    p = proxy(stays, goes)
    c = client(p)
    assert {body(c) for _ in range(4)} == {b"stays", b"goes"}
    manifest = manifest_of(p)
    manifest["upstreams"]["app"]["peers"] = [stays.address, comes.address]
    reload(p, manifest)
    goes.wait_closed(1)
    assert {body(c) for _ in range(4)} == {b"stays", b"comes"}
    assert (stays.connections, goes.connections, comes.connections) == (1, 1, 1)
    manifest["upstreams"]["app"]["peers"] = [comes.address]
    del manifest["upstreams"]["app"]["balancer"]
    reload(p, manifest)
    assert {body(c) for _ in range(4)} == {b"comes"}
    assert comes.connections == 1
    stays.wait_closed(1)


def test_a_peer_that_comes_back_is_connected_to_anew(proxy, origin, client):
    one, two = named(origin, b"one"), named(origin, b"two")
    p = proxy(one)
    c = client(p)
    first = manifest_of(p)
    second = manifest_of(p)
    second["upstreams"]["app"]["peers"] = [two.address]
    for number in range(2, 8, 2):
        assert body(c) == b"one"
        reload(p, second)
        assert body(c) == b"two"
        wait_gone(p, number - 1)
        reload(p, first)
        wait_gone(p, number)
    assert body(c) == b"one"
    assert (one.connections, two.connections) == (4, 3)


def test_another_balancer(proxy, origin, client):
    one, two = named(origin, b"one"), named(origin, b"two")
    p = proxy(one, two)
    c = client(p)
    manifest = manifest_of(p)
    manifest["plugins"]["rr"] = {"library": "libMaglev.so", "config": {"key": ["header:x-user"]}}
    assert {body(c) for _ in range(4)} == {b"one", b"two"}
    reload(p, manifest)
    user = [("x-user", "a")]
    assert len({c.request(fields=user).body for _ in range(6)}) == 1
    assert (one.connections, two.connections) == (1, 1)
    wait_gone(p, 1)


def test_settings_of_an_upstream(proxy, origin, client):
    """Timeouts and the pool change in place; what makes a connection another one does not."""
    app = named(origin, b"one")
    p = proxy(app)
    c = client(p)
    body(c)
    manifest = manifest_of(p)
    manifest["upstreams"]["app"]["timeouts"] = {"connect": "3s"}
    reload(p, manifest)
    body(c)
    assert app.connections == 1
    manifest["upstreams"]["app"]["proxy_protocol"] = "v1"
    reload(p, manifest)
    app.wait_closed(1)


def test_listeners_come_and_go(proxy, origin, client):
    p = proxy(named(origin, b"one"))
    one, two = client(p), free_port()
    manifest = manifest_of(p)
    manifest["listeners"].append({"listen": two})
    reload(p, manifest)
    p.wait_log("listening on " + two)
    host, _, port = two.rpartition(":")
    kept = client((host, int(port)))
    assert body(one) == body(kept) == b"one"
    del manifest["listeners"][1]
    reload(p, manifest)
    p.wait_log("no longer listening on " + two)
    assert kept.ended(), "an idle connection of it is closed"
    assert refuses((host, int(port)))
    assert body(one) == b"one"
    reload(p, {**manifest, "listeners": manifest["listeners"] + [{"listen": two}]})
    assert body(client((host, int(port)))) == b"one"


def test_a_unix_socket_comes_and_goes(proxy, origin, client, tmp_path):
    p = proxy(named(origin, b"one"))
    path = str(tmp_path / "front.sock")
    manifest = manifest_of(p)
    manifest["listeners"].append({"listen": "unix:" + path})
    reload(p, manifest)
    assert body(client(path)) == b"one"
    del manifest["listeners"][1]
    reload(p, manifest)
    eventually(lambda: not os.path.exists(path), "its file is removed")


def test_limits_of_a_listener(proxy, origin, client):
    """They hold for the next request of connections that stand; these still count."""
    p = proxy(named(origin, b"one"), listener={"limits": {"connections": 2}})
    kept, other = client(p), client(p)
    assert body(kept) == body(other) == b"one"
    assert client(p).request().status == 503
    manifest = manifest_of(p)
    manifest["listeners"][0]["limits"] = {"connections": 3, "target": "1KiB"}
    reload(p, manifest)
    assert body(client(p)) == b"one"
    assert client(p).request().status == 503
    assert kept.request(target="/" + "x" * 2000).status == 414


def test_tls_begins_and_ends_at_an_address(proxy, origin, client, connect, leaf):
    p = proxy(named(origin, b"one"))
    plain = client(p)
    assert body(plain) == b"one"
    manifest = manifest_of(p)
    manifest["listeners"][0]["tls"] = {"certificates": [leaf.entry]}
    reload(p, manifest)
    assert plain.ended(), "what was begun in the clear ends"
    secure = connect(p)
    assert body(secure) == b"one"
    del manifest["listeners"][0]["tls"]
    reload(p, manifest)
    assert secure.ended()
    assert body(client(p)) == b"one"


def test_certificates(proxy, origin, connect, ca, leaf):
    """Connections that stand go on; new ones get the new certificate."""
    p = proxy(named(origin, b"one"), listener={"tls": {"certificates": [leaf.entry]}})
    kept = connect(p)
    before = kept.sock.getpeercert(True)
    other = ca.issue("localhost")
    manifest = manifest_of(p)
    manifest["listeners"][0]["tls"]["certificates"] = [other.entry]
    reload(p, manifest)
    assert body(kept) == b"one"
    assert connect(p).sock.getpeercert(True) != before


def test_the_files_of_a_certificate(proxy, origin, connect, ca, leaf, tmp_path):
    """The manifest is the same, the files are not."""
    entry = {key: str(tmp_path / key) for key in leaf.entry}
    for key, path in leaf.entry.items():
        shutil.copy(path, entry[key])
    p = proxy(named(origin, b"one"), listener={"tls": {"certificates": [entry]}})
    before = connect(p).sock.getpeercert(True)
    for key, path in ca.issue("localhost").entry.items():
        shutil.copy(path, entry[key])
    assert reload(p) == 2
    assert connect(p).sock.getpeercert(True) != before


def test_the_level_of_the_log(proxy, origin, client, tally):
    p = proxy(named(origin, b"one"), plugins={"t": {"library": tally}}, chain=["t"])
    manifest = manifest_of(p)
    manifest["log"]["level"] = "error"
    manifest["plugins"]["t"]["config"] = {"greeting": "quiet"}
    # The line of the reload itself is not written any more.
    send(p, manifest)
    eventually(lambda: client(p).request().get("x-greeting") == "quiet", "it is served")
    assert "generation 2 serves" not in p.log
    eventually(lambda: quiet(p, client), "refused requests leave no line")
    manifest["log"]["level"] = "debug"
    reload(p, manifest)
    bad = client(p)
    bad.send(b"bad\r\n\r\n")
    assert bad.response().status == 400
    p.wait_log(r"worker=0 400")


def quiet(proxy, client):
    mark = len(proxy.lines)
    bad = client(proxy)
    bad.send(b"bad\r\n\r\n")
    assert bad.response().status == 400
    return len(proxy.lines) == mark


# ------------------------------------------------------------------- what is refused
def bad_manifests(tally, busy):
    return {
        "no JSON": (None, "sluice.json"),
        "an unknown key": ({"nonsense": 1}, "nonsense"),
        "an unknown plugin": ({"chain": ["nobody"]}, "nobody"),
        "no such file": ({"plugins": {"u": {"library": "/none/libu.so"}}}, "/none/libu.so"),
        "a port in use": ({"listeners": [{"listen": busy}]}, "in use"),
        "another number of workers": ({"workers": 3}, "workers: 1 run, 3 are wanted"),
        "create fails": (config(tally, "create"), "create fails as it was told"),
        "warm fails": (config(tally, "warm"), "warm fails as it was told"),
        "a state that must move": (
            {"plugins": {"t": {"library": tally, "state": "require",
                               "config": {"fail": "import_state"}}}},
            "its state can't be moved: plugins.t: import_state: import_state fails"),
    }


def config(tally, call):
    return {"plugins": {"t": {"library": tally, "config": {"fail": call}}}}


@pytest.mark.parametrize("what", bad_manifests("", ""))
def test_a_bad_manifest_changes_nothing(proxy, origin, client, tally, what):
    app = named(origin, b"one")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        p = proxy(app, plugins={"t": {"library": tally}}, chain=["t"])
        c = client(p)
        assert body(c, "/count") == b"1"
        change, text = bad_manifests(tally, "127.0.0.1:%d" % taken.getsockname()[1])[what]
        manifest = manifest_of(p)
        if change is None:
            with open(p.path, "w") as file:
                file.write("{")
        else:
            manifest.update({"listeners": manifest["listeners"] + change.pop("listeners", []),
                             "plugins": {**manifest["plugins"], **change.pop("plugins", {})},
                             **change})
            p.save(manifest)
        descriptors = p.descriptors()
        for _ in range(3):
            refused(p, None, text)
        assert p.descriptors() == descriptors
        assert body(c, "/count") == b"2"
        assert (app.connections, p.log.count("plugin=t created")) in [(0, 1), (0, 4)]
        assert p.log.count("plugin=t created") == 1 + p.log.count("plugin=t destroyed")


def test_every_problem_has_a_line(proxy, origin, tally):
    p = proxy(named(origin, b"one"))
    manifest = manifest_of(p)
    manifest["plugins"] = {"a": {"library": "/none/a.so"}, "b": {"library": "/none/b.so"}}
    refused(p, manifest, "/none/a.so", "/none/b.so")


# ----------------------------------------------------------------- what stays
@pytest.mark.seconds(120)
def test_a_hundred_reloads_leave_nothing(proxy, origin, client, tally, leaf):
    """Neither descriptors nor, but for what a plan takes, memory."""
    one, two = named(origin, b"one"), named(origin, b"two")
    p = proxy(one, two, plugins={"t": {"library": tally, "config": {}}}, chain=["t"])
    second = {"listen": free_port(), "tls": {"certificates": [leaf.entry]}}
    c = client(p)

    def rounds(count):
        manifest = manifest_of(p)
        # With a line for each, the log would leave some out.
        manifest["log"]["level"] = "error"
        for i in range(count):
            manifest["plugins"]["t"]["config"]["greeting"] = "g%d" % i
            manifest["listeners"][1:] = [second] if i % 2 == 0 else []
            manifest["upstreams"]["app"]["peers"] = [one.address, two.address][:1 + i % 2]
            manifest["upstreams"]["app"].pop("balancer", None)
            if i % 2:
                manifest["upstreams"]["app"]["balancer"] = "rr"
            send(p, manifest)
            eventually(lambda: c.request().get("x-greeting") == "g%d" % i, "it is served")

    rounds(21)
    eventually(lambda: two.closed == two.connections, "nothing to the second peer is left")
    descriptors, memory = p.descriptors(), p.rss()
    rounds(81)
    eventually(lambda: p.descriptors() <= descriptors + 1, "no descriptor is left")
    grown = (p.rss() - memory) / 81
    print("%d bytes a reload" % grown)
    assert grown < 64 << 10


@pytest.mark.parametrize("kind", ["h1", "tls", "h2"])
def test_idle_connections_stay(proxy, origin, client, connect, leaf, tally, kind):
    block = {"h1": {}, "tls": {"tls": {"certificates": [leaf.entry]}}, "h2": h2server.H2C}[kind]
    p = proxy(named(origin, b"one"), listener=block, chain=["t"],
              plugins={"t": {"library": tally, "config": {}}})
    if kind == "h2":
        c = H2(p.address).open()
        ask = lambda: dict(c.fetch().fields)["x-greeting"]  # noqa: E731
    else:
        c = connect(p) if kind == "tls" else client(p)
        ask = lambda: c.request().get("x-greeting")  # noqa: E731
    manifest = manifest_of(p)
    for i in range(20):
        manifest["plugins"]["t"]["config"]["greeting"] = "g%d" % i
        reload(p, manifest)
        assert ask() == "g%d" % i
    assert not (kind == "h2" and c.goaway)
    wait_gone(p, *range(1, 21))


def test_names_in_the_log(proxy, origin):
    """What a reload says of itself."""
    p = proxy(named(origin, b"one"))
    manifest = manifest_of(p)
    manifest["log"]["level"] = "info"
    reload(p, manifest)
    assert re.search(r" info control reload: generation 2 serves\n", p.log)
    p.wait_log(r" info control generation 1 is gone\n")
    assert isinstance(Client(p.address).request().status, int)
