"""Sets of peers that a plugin gives (`sluice.peers/1`), through the binary."""
import os
import subprocess
import threading

import pytest

import reloading
from harness import eventually, serve
from test_admin import curl
from wire import reply

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("peers") / "libpeers.so")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
         "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins/peers.c")], check=True)
    return path


@pytest.fixture
def proxy(sluice, library, tmp_path):
    """A proxy whose upstream `app` gets its peers from the plugin."""

    def make(*peers, workers=1, balancer=True, **app):
        made = sluice(
            workers=workers,
            admin={"listen": "unix:%s/admin.sock" % tmp_path},
            plugins={"rr": {"library": "libRoundRobin.so"}, "set": {"library": library}},
            chain=["set"],
            upstreams={"app": {"discovery": True, "peers": list(peers),
                               **({"balancer": "rr"} if balancer else {}), **app}},
            routes=[{"match": {}, "upstream": "app"}])
        made.socket = str(tmp_path / "admin.sock")
        return made

    return make


def named(origin, *names):
    return [origin(serve(reply(name.encode()))) for name in names]


def put(c, *peers):
    """Has the plugin give these peers."""
    addresses = ",".join(getattr(p, "address", p) for p in peers)
    return c.request(target="/peers/" + addresses).status


def answers(c, count=20):
    return {c.request().body.decode() for _ in range(count)}


def upstream(proxy, name="app"):
    body = curl(proxy, "/v1/upstreams")[2]
    return next(u for u in body["upstreams"] if u["name"] == name)


def addresses(proxy):
    return {p["address"]: p["health"] for p in upstream(proxy)["peers"]}


def test_without_peers_a_request_gets_503(proxy, client):
    p = proxy()
    c = client(p)
    assert c.request().status == 503
    p.wait_log(r"503.*the upstream has no peers")
    found = upstream(p)
    assert (found["name"], found["discovery"], found["healthy"], found["peers"]) == (
        "app", True, 0, [])


def test_peers_come_and_go(proxy, client, origin):
    a, b, c3 = named(origin, "a", "b", "c")
    p = proxy()
    c = client(p)
    assert put(c, a, b) == 200
    p.wait_log(r"upstream app: peers: 2 \+127")
    p.wait_log(r"changed app count=2")
    assert answers(c) == {"a", "b"}
    assert put(c, b, c3) == 200
    eventually(lambda: answers(c) == {"b", "c"}, "the new set to be used")
    assert put(c) == 200
    eventually(lambda: c.request().status == 503, "the empty set")
    assert put(c, a) == 200
    eventually(lambda: c.request().status == 200, "one peer again")
    assert addresses(p) == {a.address: "healthy"}


def test_the_manifests_peers_serve_until_there_is_a_set(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy(a.address)
    c = client(p)
    assert answers(c) == {"a"}
    assert put(c, b) == 200
    eventually(lambda: answers(c) == {"b"}, "the set to be used")


@pytest.mark.parametrize("peers, reason", [
    (["localhost:80"], r'peers\[0\]: "localhost:80" is no address with a port'),
    (["127.0.0.1"], r'peers\[0\]: "127.0.0.1" is no address with a port'),
    (["127.0.0.1:0"], r'peers\[0\]: "127.0.0.1:0" is no address with a port'),
    (["127.0.0.1:80", "127.0.0.1:80"], r"peers\[1\]: 127.0.0.1:80 is peers\[0\], too"),
])
def test_a_bad_set_is_refused_as_a_whole(proxy, client, origin, peers, reason):
    a, = named(origin, "a")
    p = proxy(a.address)
    c = client(p)
    assert put(c, *peers) == 400
    p.wait_log(reason)
    assert answers(c) == {"a"}


def test_a_static_upstream_takes_no_set(sluice, library, client, origin):
    a, = named(origin, "a")
    p = sluice(a, plugins={"set": {"library": library}}, chain=["set"])
    c = client(p)
    assert put(c, "127.0.0.1:1") == 400
    p.wait_log(r"upstream app: the manifest does not say discovery: true")
    assert answers(c) == {"a"}


def test_several_peers_need_a_balancer(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy(a.address, balancer=False)
    c = client(p)
    assert put(c, a, b) == 400
    p.wait_log(r"several peers need a balancer")


def test_a_reload_keeps_the_set(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy(a.address)
    c = client(p)
    assert put(c, b) == 200
    eventually(lambda: answers(c) == {"b"}, "the set to be used")
    manifest = reloading.manifest_of(p)
    manifest["upstreams"]["app"]["timeouts"] = {"connect": "3s"}
    reloading.reload(p, manifest)
    assert answers(c) == {"b"}
    # Without discovery the manifest counts again.
    del manifest["upstreams"]["app"]["discovery"]
    reloading.reload(p, manifest)
    assert answers(c) == {"a"}


def test_what_stays_keeps_its_connections(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy()
    c = client(p)
    assert put(c, a) == 200
    eventually(lambda: c.request().status == 200, "the peer")
    for peers in ([a, b], [a], [b, a], [a]):
        put(c, *peers)
        eventually(lambda: set(addresses(p)) == {x.address for x in peers}, "the set")
        answers(c, 6)
    assert a.connections == 1


def test_a_draining_peer_finishes(proxy, client, origin):
    release = threading.Event()

    def slow(connection):
        head = connection.read_request()
        if head.target == "/slow":
            release.wait(20)
        connection.send(reply(b"a"))

    a = origin(slow)
    b, = named(origin, "b")
    p = proxy()
    c, waiting = client(p), client(p)
    put(c, a)
    eventually(lambda: c.request().status == 200, "the peer")
    waiting.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    a.wait(lambda: any(r.target == "/slow" for r in a.requests), "the slow request")
    put(c, "~" + a.address, b)
    eventually(lambda: addresses(p).get(a.address) == "draining", "the draining peer")
    assert answers(c) == {"b"}
    release.set()
    assert waiting.response().body == b"a"


def test_a_draining_peer_keeps_its_sessions(sluice, library, tmp_path, client, origin):
    a, b = named(origin, "a", "b")
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "key").chmod(0o600)
    p = sluice(
        admin={"listen": "unix:%s/admin.sock" % tmp_path},
        plugins={"rr": {"library": "libRoundRobin.so",
                        "config": {"sticky": {"secrets": [str(tmp_path / "key")]}}},
                 "set": {"library": library}},
        chain=["set"], upstreams={"app": {"discovery": True, "balancer": "rr"}},
        routes=[{"match": {}, "upstream": "app"}])
    p.socket = str(tmp_path / "admin.sock")
    c = client(p)

    def use(*peers):
        assert put(c, *peers) == 200
        wanted = {getattr(x, "address", x).lstrip("~") for x in peers}
        states = {x.lstrip("~"): "draining" for x in peers if isinstance(x, str)}
        eventually(lambda: set(addresses(p)) == wanted and all(
            (h == "draining") == (a in states) for a, h in addresses(p).items()), "the set")

    use(a)
    session = [("Cookie", c.request().get("set-cookie").partition(";")[0])]
    use("~" + a.address, b)
    p.wait_log(r"upstream app: peers: 2 \+%s draining %s" % (b.address, a.address))
    assert answers(c) == {"b"}
    for _ in range(5):
        kept = c.request(fields=session)
        assert kept.body == b"a" and kept.get("set-cookie") is None
    # Nobody else gets in, also when it is the last one.
    use("~" + a.address)
    assert c.request(fields=session).body == b"a"
    assert c.request().status == 503
    # A set that leaves it out ends its sessions, one that has it again takes it back.
    use(b)
    assert c.request(fields=session).body == b"b"
    use(a, b)
    assert answers(c) == {"a", "b"} and c.request(fields=session).body == b"a"


def test_a_draining_peer_without_a_balancer_goes(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy(balancer=False)
    c = client(p)
    assert put(c, a) == 200
    eventually(lambda: c.request().body == b"a", "the peer")
    assert put(c, "~" + a.address, b) == 200
    eventually(lambda: addresses(p) == {b.address: "healthy", a.address: "draining"}, "the set")
    assert answers(c) == {"b"}


def test_a_backup_is_used_when_nothing_else_is_left(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy()
    c = client(p)
    put(c, a, "+" + b.address)
    eventually(lambda: len(addresses(p)) == 2, "the set")
    assert answers(c) == {"a"}
    assert [x["backup"] for x in upstream(p)["peers"]] == [False, True]
    assert upstream(p)["peers"][0]["zone"] == "west"
    a.close()
    assert answers(c) == {"b"}


@pytest.mark.seconds(90)
def test_no_request_fails_while_peers_change(proxy, client, origin):
    """Every set has at least one peer of the one before, under load on two workers."""
    origins = named(origin, "a", "b", "c", "d")
    p = proxy(workers=2)
    first = client(p)
    put(first, *origins[:2])
    eventually(lambda: first.request().status == 200, "the peers")
    stop, failures, counts = threading.Event(), [], []

    def load():
        c = client(p)
        count = 0
        while not stop.is_set():
            response = c.request()
            count += 1
            if response.status != 200:
                failures.append(response.status)
            if response.closes:
                c = client(p)
        counts.append(count)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(20):
        peers = [origins[turn % 4], origins[(turn + 1) % 4]]
        put(first, *peers)
        eventually(lambda: set(addresses(p)) == {x.address for x in peers}, "set %d" % turn)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and sum(counts) > 100
    assert all(x.requests for x in origins)


@pytest.mark.parametrize("app, problem", [
    ({"peers": []}, "upstreams.app.peers: at least 1 is needed, or discovery: true"),
    ({}, "upstreams.app.peers: this key is missing; or say discovery: true"),
    ({"peers": ["127.0.0.1:1"], "discovery": False}, "upstreams.app.discovery: expected true"),
])
def test_the_manifest_says_whether_there_may_be_none(tmp_path, app, problem):
    from harness import run
    path = tmp_path / "sluice.json"
    path.write_text('{"version": 1, "listeners": [{"listen": "127.0.0.1:0"}], "upstreams": '
                    '{"app": %s}, "routes": [{"upstream": "app"}]}'
                    % str(app).replace("'", '"').replace("False", "false"))
    done = run("check", "--manifest", str(path))
    assert done.returncode == 78 and problem in done.stderr
