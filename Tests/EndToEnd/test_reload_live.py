"""Reloads while requests run: each ends with what it began with, and none is lost or counted
twice."""
import threading

import pytest

import cplugin
import h2server
from h2wire import H2, get
from harness import eventually, serve
from reloading import free_port, manifest_of, reload, send, wait_gone
from wire import DEADLINE, Client, chunk, pattern, reply, request


@pytest.fixture(scope="session")
def tally(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("tally"), "tally")


@pytest.fixture
def counted(sluice, tally):
    """A proxy with the plugin on the way of all requests."""
    def make(*peers, workers=1, state="prefer", **options):
        return sluice(*peers, supervised=False, chain=["t"], workers=workers, plugins={
            "t": {"library": tally, "state": state, "config": {"greeting": "g0"}}}, **options)

    return make


def greet(proxy, number):
    """The manifest with another configuration of the plugin."""
    manifest = manifest_of(proxy)
    manifest["plugins"]["t"]["config"]["greeting"] = "g%d" % number
    return manifest


def total(proxy, client):
    """What the plugin has counted, without this request."""
    return int(client(proxy).request(target="/count").body) - 1


# ------------------------------------------------------- requests across a reload
def test_a_request_that_waits_ends_in_its_old_chain(counted, origin, client):
    app = origin(serve(reply()))
    p = counted(app)
    held = client(p)
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    assert reload(p, greet(p, 1)) == 2
    other = client(p)
    assert other.request().get("x-greeting") == "g1"
    assert held.quiet() and "generation 1 is gone" not in p.log
    assert other.request(target="/wake").body == b"1"
    assert held.response().get("x-greeting") == "g0"
    wait_gone(p, 1)
    # The connection goes on with what is served now.
    assert held.request().get("x-greeting") == "g1"
    assert p.log.count("destroyed") == 1


def test_a_chain_without_a_plugin_lets_go_of_it(counted, origin, client):
    """The plugin is gone from the manifest while a request waits in it."""
    p = counted(origin(serve(reply())))
    held = client(p)
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    manifest = manifest_of(p)
    manifest["plugins"], manifest["chain"] = {}, []
    reload(p, manifest)
    assert client(p).request().get("x-greeting") is None
    assert "destroyed" not in p.log
    held.reset()
    wait_gone(p, 1)
    assert p.log.count("destroyed") == 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_comes_slowly(counted, origin, client, framing):
    """The head is asked for before the reload, the rest of both bodies goes over after it."""
    release = threading.Event()
    data = pattern(300_000)

    def script(c):
        while (head := c.read_head()) is not None:
            c.read_body(head)
            if head.target == "/slow":
                assert head.body == data and release.wait(DEADLINE)
                if framing == "chunked":
                    c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           + chunk(data[:1000]))
                    c.send(chunk(data[1000:]) + b"0\r\n\r\n")
                    continue
            c.send(reply(data))

    app = origin(script)
    p = counted(app)
    slow = client(p)
    head = request("POST", "/slow", [("Content-Length", "300000")])
    slow.send(head + data[:100_000])
    app.wait_requests(1)
    reload(p, greet(p, 1))
    assert client(p).request().get("x-greeting") == "g1"
    slow.send(data[100_000:])
    release.set()
    answer = slow.response()
    assert (answer.get("x-greeting"), answer.body) == ("g0", data)
    assert slow.request().get("x-greeting") == "g1"
    wait_gone(p, 1)


def test_a_peer_that_is_gone_ends_its_response(counted, origin, client):
    """The response of a peer that the manifest no longer has."""
    release = threading.Event()
    data = pattern(2_000_000)

    def script(c):
        while c.read_request():
            c.send(reply(data)[:1_000_000])
            assert release.wait(DEADLINE)
            c.send(reply(data)[1_000_000:])

    old, new = origin(script), origin(serve(reply(b"new")))
    p = counted(old)
    slow = client(p)
    slow.send(request())
    old.wait_requests(1)
    manifest = manifest_of(p)
    manifest["upstreams"]["app"]["peers"] = [new.address]
    reload(p, manifest)
    assert client(p).request().body == b"new"
    release.set()
    assert slow.response().body == data
    wait_gone(p, 1)
    # The connection to it is not kept for anybody.
    old.wait_closed(1)
    assert slow.request().body == b"new"


def test_a_tunnel(counted, origin, client):
    """It stays with the generation that it began in, for as long as it lasts."""
    def script(c):
        c.read_request()
        c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while c.fill():
            c.send(c.buffer)
            c.buffer = b""

    p = counted(origin(script))
    tunnel = client(p)
    tunnel.send(request(fields=[("Connection", "Upgrade"), ("Upgrade", "echo")]))
    assert tunnel.response().status == 101
    for number in range(1, 6):
        reload(p, greet(p, number))
        tunnel.send(b"ping%d" % number)
        assert tunnel.read(5) == b"ping%d" % number
    wait_gone(p, 2, 3, 4, 5)
    assert "generation 1 is gone" not in p.log
    tunnel.close()
    wait_gone(p, 1)


def test_streams_of_one_connection(counted, origin):
    """HTTP/2: a stream that was begun before, and one after, on the same connection."""
    p = counted(origin(serve(reply())), listener=h2server.H2C)
    c = H2(p.address).open()
    held = c.request(get("/hold"))
    p.wait_log("holds a request")
    reload(p, greet(p, 1))
    assert dict(c.fetch().fields)["x-greeting"] == "g1"
    c.fetch(get("/wake"))
    assert dict(c.response(held).fields)["x-greeting"] == "g0"
    assert not c.goaway
    wait_gone(p, 1)


# -------------------------------------------------- connections of a listener that goes
def removed(proxy, listener=None):
    """The manifest with another listener, and without it."""
    manifest = manifest_of(proxy)
    manifest["listeners"].append({"listen": free_port(), **(listener or {})})
    without = {**manifest, "listeners": manifest["listeners"][:1]}
    host, _, port = manifest["listeners"][1]["listen"].rpartition(":")
    return manifest, without, (host, int(port))


def test_a_request_on_a_listener_that_goes(counted, origin, client):
    p = counted(origin(serve(reply())))
    manifest, without, address = removed(p)
    reload(p, manifest)
    held, idle = client(address), client(address)
    assert idle.request().status == 200
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    reload(p, without)
    assert idle.ended()
    client(p).request(target="/wake")
    answer = held.response()
    assert answer.status == 200 and answer.closes
    assert held.ended()
    wait_gone(p, 1, 2)


def test_streams_on_a_listener_that_goes(counted, origin, client):
    p = counted(origin(serve(reply())))
    manifest, without, address = removed(p, h2server.H2C)
    reload(p, manifest)
    c = H2(address).open()
    held = c.request(get("/hold"))
    p.wait_log("holds a request")
    reload(p, without)
    c.until(lambda: c.goaway, "GOAWAY")
    client(p).request(target="/wake")
    assert c.response(held).status == 200
    c.drained()
    wait_gone(p, 2)


# ------------------------------------------------------------------------- state
def load(proxy, until, target="/", connections=4):
    """Requests on so many connections until an event; how many were answered with 200."""
    counts, problems = [0] * connections, []

    def work(at):
        try:
            c = Client(proxy.address)
            while not until.is_set():
                answer = c.request(target=target)
                assert answer.status == 200, answer.start
                counts[at] += 1
                if answer.closes:  # `limits.requests`
                    c.close()
                    c = Client(proxy.address)
            c.close()
        except BaseException as error:  # noqa: B902  raised by `join`
            problems.append(error)

    threads = [threading.Thread(target=work, args=(at,), daemon=True)
               for at in range(connections)]
    for thread in threads:
        thread.start()

    def join():
        until.set()
        for thread in threads:
            thread.join(DEADLINE)
        if problems:
            raise problems[0]
        return sum(counts)

    return join


@pytest.mark.seconds(120)
def test_every_request_is_counted_once(counted, origin, client):
    """Thirty reloads under load: what is counted beside a moving state is neither lost nor
    counted twice."""
    p = counted(origin(serve(reply())), workers=2, state="require")
    join = load(p, threading.Event(), target="/count")
    for number in range(1, 31):
        reload(p, greet(p, number))
    answered = join()
    wait_gone(p, *range(1, 31))
    assert total(p, client) == answered
    assert p.log.count("plugin=t created") == 31
    assert p.log.count("plugin=t destroyed") == 30
    print("%d requests" % answered)


def test_what_a_held_request_counts_comes_later(counted, origin, client):
    """Three generations, all of which have a request: their rest goes to the last one."""
    p = counted(origin(serve(reply())))
    held = []
    for number in range(1, 4):
        held.append(client(p))
        held[-1].send(request(target="/hold"))
        eventually(lambda: p.log.count("holds a request") == number, "it waits")
        reload(p, greet(p, number))
        assert total(p, client) == 2 * number - 1
    client(p).request(target="/wake")
    assert [c.response().get("x-greeting") for c in held] == ["g0", "g1", "g2"]
    wait_gone(p, 1, 2, 3)
    assert total(p, client) == 7


@pytest.mark.parametrize("policy", ["prefer", "discard"])
def test_a_state_that_does_not_move(counted, origin, client, policy):
    """The new instance begins empty, and gets nothing of what the old one counts last."""
    p = counted(origin(serve(reply())), state=policy)
    for _ in range(3):
        client(p).request()
    held = client(p)
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    manifest = greet(p, 1)
    if policy == "prefer":
        manifest["plugins"]["t"]["config"]["fail"] = "import_state"
    reload(p, manifest)
    assert total(p, client) == 0
    noted = "begins without the state of the instance before it"
    assert (noted in p.log) == (policy == "prefer")
    client(p).request(target="/wake")
    assert held.response().status == 200
    wait_gone(p, 1)
    assert total(p, client) == 2


def test_a_plugin_that_comes_back_begins_anew(counted, origin, client):
    """An instance of the same name that was gone meanwhile has nothing of the first one."""
    p = counted(origin(serve(reply())))
    first = manifest_of(p)
    held = client(p)
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    reload(p, {**first, "plugins": {}, "chain": []})
    reload(p, first)
    assert total(p, client) == 0
    client(p).request(target="/wake")
    assert held.response().get("x-greeting") == "g0"
    wait_gone(p, 1)
    assert total(p, client) == 2


def test_a_rest_that_can_not_be_written_is_told(counted, origin, client):
    p = counted(origin(serve(reply())))
    manifest = manifest_of(p)
    manifest["plugins"]["t"]["config"]["fail"] = "export_rest"
    reload(p, manifest)
    wait_gone(p, reload(p, greet(p, 1)) - 1)
    p.wait_log("counted last is lost: plugins.t: export_rest: export_rest fails as it was told")


# ------------------------------------------------------------------------- many
def test_ten_reloads_at_once(counted, origin, client):
    """Manifests that are written while a reload runs: the last one is served in the end, and no
    request fails."""
    p = counted(origin(serve(reply())), workers=2)
    join = load(p, threading.Event())
    for number in range(1, 11):
        send(p, greet(p, number))
    eventually(lambda: client(p).request().get("x-greeting") == "g10", "the last one is served")
    assert join() > 0
    wait_gone(p, 1)


@pytest.mark.seconds(120)
def test_reloads_under_load_lose_nothing(counted, origin, client):
    """Peers, listeners, routes and plugins all change, forty times; every response is whole."""
    one, two = origin(serve(reply(b"x" * 5000))), origin(serve(reply(b"x" * 5000)))
    p = counted(one, two, workers=2)
    second = free_port()
    join = load(p, threading.Event(), connections=8)
    for number in range(1, 41):
        manifest = greet(p, number)
        manifest["listeners"] = manifest["listeners"][:1] + [{"listen": second}] * (number % 2)
        manifest["upstreams"]["app"]["peers"] = [one.address, two.address][:1 + number % 2]
        manifest["routes"] = [{"match": {"path": "/%d" % i}} for i in range(number % 5)]
        manifest["routes"] = [{**r, "upstream": "app"} for r in manifest["routes"]]
        manifest["routes"].append({"match": {}, "upstream": "app", "chain": ["t"][:number % 3]})
        manifest["chain"] = [] if number % 3 else ["t"]
        reload(p, manifest)
    assert join() > 40
    wait_gone(p, *range(1, 41))
