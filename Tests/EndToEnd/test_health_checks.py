"""HealthCheck through the binary, with real servers that fail in real ways."""
import os
import signal
import subprocess
import threading
import time

import pytest

import harness
import reloading
from certificates import Authority
from grpcpeer import Server
from harness import eventually, serve
from test_admin import curl
from test_peers import addresses, answers, named, upstream
from wire import reply


@pytest.fixture
def proxy(sluice, tmp_path):
    """A proxy with a HealthCheck of this configuration before these peers."""

    def make(config, *peers, workers=1, **over):
        app = over.pop("upstream", {})
        made = sluice(
            workers=workers,
            admin={"listen": "unix:%s/admin.sock" % tmp_path},
            plugins={"rr": {"library": "libRoundRobin.so"},
                     "health": {"library": "libHealthCheck.so", "config": config}},
            chain=["health"],
            upstreams={"app": {"balancer": "rr",
                               "peers": [getattr(p, "address", p) for p in peers], **app}},
            routes=[{"match": {}, "upstream": "app"}], **over)
        made.socket = str(tmp_path / "admin.sock")
        return made

    return make


def active(**more):
    return {"active": {"interval": "50ms", "timeout": "500ms", "rise": 2, "fall": 2, **more}}


def checked(origin):
    return [r for r in origin.requests if r.get("user-agent") == "sluice-health-check"]


def wait_health(proxy, peer, state):
    eventually(lambda: addresses(proxy)[getattr(peer, "address", peer)] == state,
               "%s to be %s" % (getattr(peer, "address", peer), state))


def reason(proxy, peer):
    address = getattr(peer, "address", peer)
    return next(p for p in upstream(proxy)["peers"] if p["address"] == address).get("reason")


class Switch:
    """An answer that a test changes."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, request):
        return self.answer


# ------------------------------------------------------------------ active
def test_http_down_and_up_again(proxy, client, origin):
    switch = Switch(reply(b"a"))
    a, b = origin(serve(switch)), origin(serve(reply(b"b")))
    p = proxy(active(path="/health?x=1", host="check.example"), a, b)
    c = client(p)
    a.wait(lambda: len(checked(a)) >= 2, "two checks")
    check = checked(a)[0]
    assert (check.method, check.target, check.get("host")) == (
        "GET", "/health?x=1", "check.example")
    assert answers(c) == {"a", "b"}
    switch.answer = reply(status="503 No")
    wait_health(p, a, "unhealthy")
    assert reason(p, a) == "status 503"
    assert answers(c) == {"b"}
    switch.answer = reply(b"a")
    wait_health(p, a, "healthy")
    assert answers(c) == {"a", "b"}
    assert p.log.count("peer %s is unhealthy: status 503" % a.address) == 1
    assert p.log.count("peer %s is healthy again" % a.address) == 1
    metrics = curl(p, "/v1/metrics")[2]
    for name in ("health_checks_total", "health_changes_total", "health_peers"):
        assert "sluice_plugin_" + name in metrics


def test_every_check_has_a_connection_of_its_own(proxy, origin):
    a, b = origin(serve(reply(b"a"))), origin(serve(reply(b"b")))
    proxy(active(), a, b)
    a.wait(lambda: len(checked(a)) >= 5, "five checks")
    assert a.connections >= 5
    a.wait_closed(4)


def test_a_check_of_a_peer_that_is_gone_names_the_step(proxy, client, origin):
    a, = named(origin, "a")
    dead = reloading.free_port()
    p = proxy(active(), a, dead)
    wait_health(p, dead, "unhealthy")
    assert reason(p, dead).startswith("connect: ")
    # It comes back.
    b = origin(serve(reply(b"b")), port=int(dead.rpartition(":")[2]))
    wait_health(p, b, "healthy")
    assert answers(client(p)) == {"a", "b"}


def test_a_silent_peer_times_out(proxy, origin):
    hold = threading.Event()
    a, b = named(origin, "a", "b")
    silent = origin(lambda connection: hold.wait(20))
    p = proxy(active(timeout="100ms"), a, b, silent)
    wait_health(p, silent, "unhealthy")
    assert reason(p, silent) == "response: timed out"
    hold.set()


def test_a_stopped_process(proxy, client, origin, tmp_path):
    """SIGSTOP: the kernel still takes connections, and nobody answers."""
    address = reloading.free_port()
    server = subprocess.Popen(
        ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "-d", str(tmp_path),
         address.rpartition(":")[2]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        a, = named(origin, "a")
        p = proxy(active(timeout="200ms", initial="unhealthy"), a, address)
        wait_health(p, address, "healthy")
        server.send_signal(signal.SIGSTOP)
        wait_health(p, address, "unhealthy")
        assert answers(client(p)) == {"a"}
        server.send_signal(signal.SIGCONT)
        wait_health(p, address, "healthy")
    finally:
        server.kill()
        server.wait()


def test_the_body_counts(proxy, origin):
    good, bad = named(origin, "status: ok", "status: failing")
    p = proxy(active(body="ok"), good, bad)
    wait_health(p, bad, "unhealthy")
    assert reason(p, bad) == "the body is another one"
    assert addresses(p)[good.address] == "healthy"


def test_statuses_that_are_expected(proxy, origin):
    a = origin(serve(reply(status="404 No")))
    b = origin(serve(reply(status="301 Moved")))
    p = proxy(active(status=[404, "300-399"]), a, b)
    a.wait(lambda: len(checked(a)) >= 5, "checks")
    assert addresses(p) == {a.address: "healthy", b.address: "healthy"}


def test_another_port(proxy, origin):
    a, b = named(origin, "a", "b")
    health = origin(serve(reply(b"fine")))
    proxy(active(port=health.port), a, b)
    health.wait(lambda: len(checked(health)) >= 4, "checks of both peers")
    assert not a.requests and not b.requests


def test_tcp(proxy, origin):
    a, = named(origin, "a")
    dead = reloading.free_port()
    p = proxy(active(type="tcp"), a, dead)
    wait_health(p, dead, "unhealthy")
    assert addresses(p)[a.address] == "healthy" and not a.requests


def test_unhealthy_at_first(proxy, client, origin):
    a, b = named(origin, "a", "b")
    p = proxy(active(initial="unhealthy", rise=1), a, reloading.free_port())
    wait_health(p, a, "healthy")
    assert answers(client(p)) == {"a"}


def test_nginx_is_killed_and_comes_back(proxy, client, origin, tmp_path):
    address = reloading.free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(
        "daemon off; pid %s/pid; worker_processes 1; %s events {} http { access_log off;"
        " server { listen %s; location / { return 200 nginx; } } }"
        % (tmp_path, "user root;" if os.getuid() == 0 else "", address))

    def start():
        return subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(config),
                                 "-e", "/dev/null"])

    a, = named(origin, "a")
    server = start()
    try:
        p = proxy(active(initial="unhealthy"), a, address)
        c = client(p)
        wait_health(p, address, "healthy")
        wait_health(p, a, "healthy")
        assert answers(c) == {"a", "nginx"}
        server.terminate()
        server.wait()
        wait_health(p, address, "unhealthy")
        assert answers(c) == {"a"}
        server = start()
        wait_health(p, address, "healthy")
        assert answers(c) == {"a", "nginx"}
    finally:
        server.terminate()
        server.wait()


# ------------------------------------------------------------------ TLS, HTTP/2, gRPC
@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_tls_with_settings_of_its_own(proxy, origin, authority):
    """Peers in the clear, whose port for checks speaks TLS."""
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue("check.example")
    context.load_cert_chain(leaf.certificate, leaf.key)
    a, = named(origin, "a")
    health = origin(serve(reply(b"fine")), tls=context)
    tls = {"server_name": "check.example", "ca": authority.path}
    p = proxy(active(port=health.port, tls=tls), a)
    health.wait(lambda: len(checked(health)) >= 3, "checks")
    assert addresses(p) == {a.address: "healthy"}
    # The same without the authority.
    manifest = reloading.manifest_of(p)
    del manifest["plugins"]["health"]["config"]["active"]["tls"]["ca"]
    reloading.reload(p, manifest)
    wait_health(p, a, "unhealthy")
    assert reason(p, a).startswith("TLS: ")


def test_tls_of_the_upstream(proxy, origin, authority):
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue("IP:127.0.0.1")
    context.load_cert_chain(leaf.certificate, leaf.key)
    a = origin(serve(reply(b"a")), tls=context)
    b = origin(serve(reply(b"b")))
    p = proxy(active(type="tcp"), a, b, upstream={"tls": {"ca": authority.path}})
    wait_health(p, b, "unhealthy")
    assert reason(p, b).startswith("TLS: ")
    assert addresses(p)[a.address] == "healthy"


def test_openssl_as_an_origin(proxy, authority, origin):
    leaf = authority.issue("IP:127.0.0.1")
    address = reloading.free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-quiet", "-www", "-accept", address,
         "-cert", leaf.certificate, "-key", leaf.key],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        p = proxy(active(initial="unhealthy"), address, upstream={"tls": {"ca": authority.path}})
        wait_health(p, address, "healthy")
    finally:
        server.kill()
        server.wait()
    wait_health(p, address, "unhealthy")


def test_http2(proxy, h2origin):
    a = h2origin(lambda connection: connection.serve(b"a"))
    p = proxy(active(type="http2"), a, upstream={"protocol": "h2c"})
    a.wait(lambda: a.connections >= 4, "checks")
    assert addresses(p) == {a.address: "healthy"}
    a.close()
    wait_health(p, a, "unhealthy")


@pytest.mark.parametrize("service, state, why", [
    (None, "healthy", ""),
    ("test.Echo", "healthy", ""),
    ("test.Other", "unhealthy", "grpc-status 5"),
])
def test_grpc(proxy, service, state, why):
    server = Server()
    try:
        rules = {"service": service} if service else {}
        p = proxy(active(type="grpc", initial="unhealthy" if state == "healthy" else "healthy",
                         **rules), server, upstream={"protocol": "h2c"})
        wait_health(p, server, state)
        assert (reason(p, server) or "") == why
        if state == "healthy":
            server.stop(0).wait(10)
            wait_health(p, server, "unhealthy")
    finally:
        server.close()


# ------------------------------------------------------------------ passive
def passive(**more):
    return {"passive": {"consecutive": 3, "eject": "300ms", "eject_max": "2s",
                        "ejected_max": 50, **more}}


def test_errors_in_a_row_eject(proxy, client, origin):
    a, = named(origin, "a")
    b = origin(serve(reply(status="500 No")))
    p = proxy(passive(), a, b)
    c = client(p)
    for _ in range(6):
        c.request()
    wait_health(p, b, "ejected")
    assert reason(p, b) == "3 errors in a row"
    assert answers(c, 6) == {"a"}
    wait_health(p, b, "healthy")
    p.wait_log(r"peer %s is no longer ejected" % b.address)
    # Again, and for longer.
    for _ in range(6):
        c.request()
    p.wait_log(r"is ejected for 300 ms.*(?s:.*)is ejected for 600 ms")


def test_failed_connects_count(proxy, client, origin):
    a, = named(origin, "a")
    dead = reloading.free_port()
    p = proxy(passive(eject="30s", eject_max="30s"), a, dead)
    c = client(p)
    assert all(c.request().status == 200 for _ in range(8))
    wait_health(p, dead, "ejected")


def test_no_more_than_the_share_is_ejected(proxy, client, origin):
    bad = [origin(serve(reply(status="500 No"))) for _ in range(4)]
    p = proxy(passive(eject="30s", eject_max="30s"), *bad)
    c = client(p)
    for _ in range(40):
        c.request()
    assert sorted(addresses(p).values()) == ["ejected", "ejected", "healthy", "healthy"]


def test_a_rate_of_errors_ejects(proxy, client, origin):
    count = [0]

    def every_second(request):
        count[0] += 1
        return reply(status="500 No") if count[0] % 2 else reply(b"b")

    a, b = origin(serve(reply(b"a"))), origin(serve(every_second))
    p = proxy(passive(consecutive=0, rate=40, requests=10, eject="30s", eject_max="30s"), a, b)
    c = client(p)
    for _ in range(30):
        c.request()
    wait_health(p, b, "ejected")
    assert "errors of" in reason(p, b)


# ------------------------------------------------------------------ both
def test_panic_uses_all(proxy, client, origin):
    switch = Switch(reply(b"b"))
    a, b = origin(serve(reply(b"a"))), origin(serve(switch))
    c2 = origin(serve(switch))
    p = proxy({"panic": 50, **active(path="/h")}, a, b, c2)
    c = client(p)
    a.wait(lambda: checked(a), "a check")
    switch.answer = reply(b"b", status="503 No")
    p.wait_log(r"upstream app: panic: 1 of 3 peers are healthy: all are used")
    assert answers(c) == {"a", "b"}
    assert [x.get("used") for x in upstream(p)["peers"]] == [None, True, True]
    switch.answer = reply(b"b")
    p.wait_log(r"upstream app: panic is over")


def test_health_outlives_a_reload_and_ends_with_the_plugin(proxy, client, origin):
    a, = named(origin, "a")
    b = origin(serve(lambda r: reply(status="503 No") if r.get("user-agent") else reply(b"b")))
    p = proxy(active(), a, b)
    c = client(p)
    wait_health(p, b, "unhealthy")
    manifest = reloading.manifest_of(p)
    manifest["plugins"]["health"]["config"]["active"]["interval"] = "60s"
    number = reloading.reload(p, manifest)
    assert answers(c) == {"a"}
    reloading.wait_gone(p, number - 1)
    assert addresses(p)[b.address] == "unhealthy"
    manifest["chain"] = []
    del manifest["plugins"]["health"]
    number = reloading.reload(p, manifest)
    reloading.wait_gone(p, number - 1)
    assert answers(c) == {"a", "b"}


def test_workers_share_the_checks(proxy, origin):
    origins = named(origin, *"abcdef")
    p = proxy(active(interval="200ms"), *origins, workers=3)
    begin = time.monotonic()
    for one in origins:
        one.wait(lambda one=one: len(checked(one)) >= 4, "checks")
    seconds = time.monotonic() - begin
    # Each peer is checked once an interval, and not once for each worker.
    assert all(len(checked(one)) <= 3 + seconds / 0.18 for one in origins)
    assert set(addresses(p).values()) == {"healthy"}


def test_status_shows_it(proxy, origin):
    a, = named(origin, "a")
    dead = reloading.free_port()
    p = proxy(active(), a, dead)
    wait_health(p, dead, "unhealthy")
    done = harness.run("status", "--admin", "unix:" + p.socket)
    assert "upstream app, healthy: 1 of 2:" in done.stdout
    assert dead in done.stdout and "connect: " in done.stdout


@pytest.mark.parametrize("config, problem", [
    ({}, "must have at least 1 key"),
    ({"panic": 10}, "active or passive is needed"),
    ({"active": {"type": "udp"}}, "type"),
    ({"active": {"path": "x"}}, 'a path begins with "/"'),
    ({"active": {"type": "tcp", "path": "/"}}, "has no meaning for this type of check"),
    ({"active": {"status": ["299-200"]}}, "a status or a range"),
    ({"active": {"interval": "1ms"}}, "it is too short or too long"),
    ({"active": {"tls": {"ca": "/none.pem"}}}, "/none.pem"),
    ({"passive": {"consecutive": 0}}, "consecutive and rate are both 0"),
    ({"passive": {"eject": "10m"}}, "eject_max is less than eject"),
])
def test_refuses(tmp_path, config, problem):
    import json
    path = tmp_path / "sluice.json"
    path.write_text(json.dumps({
        "version": 1, "plugin_dir": harness.PLUGINS, "listeners": [{"listen": "127.0.0.1:0"}],
        "plugins": {"h": {"library": "libHealthCheck.so", "config": config}},
        "upstreams": {"app": {"peers": ["127.0.0.1:1"]}}, "routes": [{"upstream": "app"}]}))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode == 78 and "plugins.h" in done.stderr and problem in done.stderr


# ------------------------------------------------------------------ the example
def test_the_example(tmp_path):
    """`examples/health-checks` as its page says, with other ports."""
    import re
    folder = os.path.join(harness.ROOT, "examples/health-checks")
    ports = {}

    def port(match):
        return ports.setdefault(match.group(), reloading.free_port())

    with open(os.path.join(folder, "sluice.json5")) as file:
        text = re.sub(r"127\.0\.0\.1:\d+", port, file.read())
    (tmp_path / "sluice.json5").write_text(
        text.replace("version: 1,", 'version: 1, plugin_dir: "%s",' % harness.PLUGINS))
    peers = [ports["127.0.0.1:%d" % n] for n in (3001, 3002, 3003)]
    services = [subprocess.Popen(["/usr/bin/python3", os.path.join(folder, "service.py"),
                                  peer.rpartition(":")[2]]) for peer in peers]
    proxy = subprocess.Popen([harness.BINARY, "run", "--manifest",
                              str(tmp_path / "sluice.json5")], stderr=subprocess.DEVNULL)

    def curl(address, path="/", *arguments):
        done = subprocess.run(["curl", "-s", *arguments, "http://" + address + path],
                              capture_output=True, text=True, timeout=20)
        return done.stdout.strip()

    def answering():
        return {curl(ports["127.0.0.1:8080"]) for _ in range(9)}

    try:
        everyone = {peer.rpartition(":")[2] for peer in peers}
        eventually(lambda: answering() == everyone, "all services to answer")
        curl(peers[1], "/sick", "-X", "POST")
        eventually(lambda: answering() == everyone - {peers[1].rpartition(":")[2]},
                   "the unwell one to get no requests")
        done = harness.run("status", "--manifest", str(tmp_path / "sluice.json5"))
        assert "upstream app, healthy: 2 of 3, " in done.stdout and "status 503" in done.stdout
        curl(peers[1], "/well", "-X", "POST")
        eventually(lambda: answering() == everyone, "it to come back")
    finally:
        proxy.terminate()
        for one in services:
            one.kill()
            one.wait()
        proxy.wait(20)
