"""Ketama, Maglev, Random and LeastConnections through the binary, and Ketama beside nginx."""
import os
import subprocess
import threading
from collections import Counter

import pytest

import harness
from harness import eventually, serve
from wire import Client, reply, request


def named(origin, *names):
    return [origin(serve(reply(name.encode()))) for name in names]


def balanced(sluice, library, peers, config=None, **over):
    """A proxy with one upstream, balanced by a plugin that is named there and nowhere else."""
    peers = [peer.address if hasattr(peer, "address") else peer for peer in peers]
    over.setdefault("plugins", {})["lb"] = {
        "library": "lib%s.so" % library, "config": config or {}}
    return sluice(
        upstreams={"app": {"balancer": "lb", "peers": peers}},
        routes=[{"match": {}, "upstream": "app"}], **over)


def answers(c, targets, **options):
    return [c.request(target=target, **options).body.decode() for target in targets]


# ---------------------------------------------------------------- beside nginx
# Of each origin of nginx: its weight, and where it listens.
ORIGINS = [(1, "127.0.0.1:{}"), (5, "127.0.0.1:{}"), (2, "127.0.0.2:{}"), (1, "[::1]:{}"),
           (3, "unix:{}/app.sock")]


def free_ports(count):
    probes = [harness.socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def hashing_nginx(tmp_path):
    """nginx with `hash $arg_k consistent` before origins of its own, each of which answers with its
    number; the proxy's address, and the peers as of a manifest."""
    ports = free_ports(len(ORIGINS) + 1)
    addresses = [form.format(port if "{}:" not in form and "unix" not in form else tmp_path)
                 for (_, form), port in zip(ORIGINS, ports)]
    text = "\n".join(
        ["daemon off; pid %s/pid; worker_processes 1;" % tmp_path,
         "user root;" if os.getuid() == 0 else "",
         "events { worker_connections 256; }", "http { access_log off;"]
        + ["%s_temp_path %s/%s;" % (kind, tmp_path, kind)
           for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
        + ["upstream app { hash $arg_k consistent;"]
        + ["server %s weight=%d;" % (address, weight)
           for address, (weight, _) in zip(addresses, ORIGINS)]
        + ["}", "server { listen 127.0.0.1:%d; location / { proxy_pass http://app; } }" % ports[-1]]
        + ['server { listen %s; return 200 "%d"; }' % (address, index)
           for index, address in enumerate(addresses)] + ["}"])
    config = tmp_path / "nginx.conf"
    config.write_text(text)
    process = subprocess.Popen(["nginx", "-p", str(tmp_path), "-e", "stderr", "-c", str(config)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        assert process.poll() is None, "nginx did not start"
        with harness.socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", ports[-1])) == 0

    eventually(listens, "nginx listens")
    yield ("127.0.0.1", ports[-1]), [
        {"address": address, "weight": weight}
        for address, (weight, _) in zip(addresses, ORIGINS)]
    process.terminate()
    process.wait(10)


def test_ketama_chooses_as_nginx_does(sluice, client, hashing_nginx):
    nginx, peers = hashing_nginx
    proxy = balanced(sluice, "Ketama", peers, {"key": "query:k"})
    targets = ["/?k=user-%d" % number for number in range(990)]
    targets += ["/?k=", "/?k=%20", "/?k=a%2Fb", "/?a=b&k=" + "x" * 1000]
    targets += ["/?k=" + "y" * length for length in range(1, 8)]
    targets.remove("/?k=")  # nginx gives it to one peer, Sluice to any
    theirs = answers(client(nginx), targets)
    assert len(targets) == 1000
    assert answers(client(proxy), targets) == theirs
    assert set(theirs) == set("01234")


# --------------------------------------------------------------------- hashing
@pytest.mark.parametrize("library", ["Ketama", "Maglev"])
def test_a_session_stays_with_its_peer(sluice, origin, client, library):
    proxy = balanced(sluice, library, named(origin, *"abcd"), {"key": "cookie:sid"}, workers=2)
    found = {}
    for _ in range(3):
        for sid in range(20):
            cookie = [("Cookie", "x=1; sid=%d" % sid)]
            found.setdefault(sid, set()).update(answers(client(proxy), "/", fields=cookie))
    assert all(len(peers) == 1 for peers in found.values())
    assert set.union(*found.values()) == set("abcd")
    # Without a session any peer will do.
    assert len(set(answers(client(proxy), ["/"] * 60))) == 4


@pytest.mark.parametrize("library", ["Ketama", "Maglev"])
def test_keys_of_a_dead_peer_go_elsewhere_and_come_back(sluice, origin, client, library):
    origins = named(origin, *"abcd")
    c = client(balanced(sluice, library, origins, {"key": "path"}))
    targets = ["/%d" % number for number in range(60)]
    before = answers(c, targets)
    origins[1].close()
    during = answers(c, targets)
    assert [d for b, d in zip(before, during) if b != "b"] == [b for b in before if b != "b"]
    assert {d for b, d in zip(before, during) if b == "b"} == {"a", "c", "d"}
    assert answers(c, targets) == during
    origin(serve(reply(b"b")), port=origins[1].port)
    assert answers(c, targets) == before


def test_several_parts_make_a_key(sluice, origin, client):
    proxy = balanced(sluice, "Ketama", named(origin, *"abcdefgh"), {
        "key": ["client_ip", "header:x-user", "path"]})
    c = client(proxy)
    seen = {tuple(set(answers(c, [target + "?1", target + "?2"], fields=[("X-User", user)])))
            for target in ("/a", "/b", "/c") for user in "uvw"}
    assert all(len(peers) == 1 for peers in seen) and len(seen) > 2


def test_maglev_does_not_care_how_peers_are_listed(sluice, origin, client):
    origins = named(origin, *"abcde")
    targets = ["/%d" % number for number in range(100)]
    assert answers(client(balanced(sluice, "Maglev", origins, {"key": "path"})), targets) == \
        answers(client(balanced(sluice, "Maglev", origins[::-1], {"key": "path"})), targets)


@pytest.mark.parametrize("library", ["Ketama", "Maglev"])
def test_a_hot_key_is_spread_when_its_peer_is_busy(sluice, origin, client, library):
    """Requests of one key that hang: with twice the mean no peer has more than half of them."""
    free = threading.Event()

    def hang(name):
        def answer(_):
            free.wait(harness.DEADLINE)
            return reply(name.encode())
        return origin(serve(answer))

    origins = [hang(name) for name in "abcd"]
    proxy = balanced(sluice, library, origins, {"key": "path", "max_load": 2})
    clients = [client(proxy) for _ in range(20)]
    for number, c in enumerate(clients):
        c.send(request(target="/hot"))
        eventually(lambda: sum(len(o.requests) for o in origins) == number + 1, "it arrives")
    counts = sorted(len(o.requests) for o in origins)
    assert counts == [0, 0, 10, 10]
    free.set()
    for c in clients:
        assert c.response().status == 200


def test_a_balancer_that_is_on_the_chain_runs_once(sluice, origin, client):
    proxy = balanced(sluice, "Ketama", named(origin, "a", "b", "c"), {"key": "path"}, chain=["lb"])
    c = client(proxy)
    targets = ["/%d" % number for number in range(30)]
    assert answers(c, targets) == answers(c, targets)


# ----------------------------------------------------------------- by the load
def test_random_follows_the_weights(sluice, origin, client):
    a, b = named(origin, "a", "b")
    proxy = balanced(sluice, "Random", [{"address": a.address, "weight": 3}, b.address])
    got = Counter(answers(client(proxy), ["/"] * 400))
    # Five standard deviations.
    assert abs(got["a"] - 300) < 44


def test_least_connections_leaves_a_peer_that_hangs(sluice, origin, client):
    free = threading.Event()

    def slow(_):
        free.wait(harness.DEADLINE)
        return reply(b"slow")

    hanging, quick = origin(serve(slow)), origin(serve(reply(b"quick")))
    proxy = balanced(sluice, "LeastConnections", [hanging, quick], workers=2)
    # Until one hangs; peers that are equally busy are chosen by chance.
    waiting = []
    while not hanging.requests:
        waiting.append(client(proxy))
        waiting[-1].send(request())
        eventually(lambda: len(hanging.requests) + len(quick.requests) == len(waiting), "arrives")
        if not hanging.requests:
            waiting[-1].response()
    for _ in range(4):
        assert answers(client(proxy), ["/"] * 5) == ["quick"] * 5
    free.set()
    assert waiting[-1].response().body == b"slow"


# --------------------------------------------------------------------- refusals
@pytest.mark.parametrize("library,config,line", [
    ("Maglev", {"table_size": 65536},
     "plugins.lb.config: table_size: 65536 is no prime number; the next one is 65537"),
    ("Ketama", {"key": "cookie"},
     'plugins.lb.config: key: no key: "cookie"; there are client_ip'),
    ("Ketama", {"max_load": 0.5}, "plugins.lb.config.max_load: must be at least 1, is 0.5"),
    ("LeastConnections", {"measure": "cpu"},
     'plugins.lb.config.measure: expected one of "requests", "latency", found "cpu"'),
])
def test_check_names_what_is_wrong(tmp_path, library, config, line):
    path = tmp_path / "x.json"
    path.write_text(harness.json.dumps(harness.manifest(
        "127.0.0.1:9", "127.0.0.1:10", upstream={"balancer": "lb"},
        plugins={"lb": {"library": "lib%s.so" % library, "config": config}})))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode == 78 and line in done.stderr, done.stderr


def test_a_table_that_cannot_be_built_names_the_upstream(tmp_path):
    path = tmp_path / "x.json"
    peers = [{"address": "127.0.0.1:%d" % port, "weight": 65535} for port in (9, 10)]
    path.write_text(harness.json.dumps(harness.manifest(
        *peers, upstream={"balancer": "lb"}, plugins={"lb": {"library": "libKetama.so"}})))
    done = harness.run("run", "--manifest", str(path))
    assert done.returncode == 78
    assert "upstreams.app.balancer: plugin lb: a ring of 20971200 points" in done.stderr


@pytest.mark.parametrize("count", [63, 64])
def test_a_way_has_room_for_64_plugins(sluice, origin, tmp_path, count):
    """The balancer's hook takes one place."""
    chain = ["h%d" % number for number in range(count)]
    peers = [o.address for o in named(origin, "a", "b")]
    over = dict(
        plugins={"lb": {"library": "libKetama.so", "config": {"key": "path"}},
                 **{name: {"library": "libHeaders.so"} for name in chain}},
        chain=chain[:30], upstreams={"app": {"balancer": "lb", "peers": peers}},
        routes=[{"name": "all", "match": {}, "chain": chain[30:], "upstream": "app"}])
    if count == 63:
        assert Client(sluice(**over).address).request().status == 200
        return
    path = tmp_path / "x.json"
    path.write_text(harness.json.dumps(harness.manifest(**over)))
    done = harness.run("run", "--manifest", str(path))
    assert done.returncode == 78
    assert "route all: 65 plugins on its way" in done.stderr
