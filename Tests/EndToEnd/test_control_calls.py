"""Calls outside of requests that do not return: the order is refused, what serves goes on, and the
next order is carried out."""
import re

import pytest

import cplugin
import h2server
from h2wire import H2, get
from harness import eventually, serve
from reloading import manifest_of, outcome, refused, reload, send, wait_gone
from wire import reply, request


@pytest.fixture(scope="session")
def tally(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("tally"), "tally")


@pytest.fixture
def counted(sluice, tally, origin):
    def make(**config):
        return sluice(origin(serve(reply())), supervised=False, chain=["t"], workers=2,
                      plugin_probe="off", plugins={"t": {
                          "library": tally, "state": "require", "config": config,
                          "budgets": {"control": "300ms"}}})

    return make


def changed(proxy, **config):
    manifest = manifest_of(proxy)
    manifest["plugins"]["t"]["config"] = config
    return manifest


def overdue(call):
    return "plugins.t: %s has not returned in 300 ms (budgets.control)" % call


@pytest.mark.parametrize("call", ["create", "warm", "import_state"])
def test_a_new_instance(counted, client, call):
    p = counted()
    c = client(p)
    assert c.request(target="/count").body == b"1"
    refused(p, changed(p, hang=call), overdue(call))
    assert c.request(target="/count").body == b"2"
    reload(p, changed(p, greeting="g1"))
    assert c.request(target="/count").body == b"3"
    wait_gone(p, 1)


def test_an_old_instance_that_does_not_give_its_state(counted, client):
    p = counted(hang="export_state")
    refused(p, changed(p, greeting="g1"), overdue("export_state"))
    manifest = changed(p, greeting="g1")
    manifest["plugins"]["t"]["state"] = "discard"
    reload(p, manifest)
    assert client(p).request(target="/count").body == b"1"


def test_what_an_old_instance_counted_last(counted, client):
    p = counted(hang="export_rest")
    reload(p, changed(p, greeting="g1"))
    p.wait_log("counted last is lost: plugins.t: export_rest has not returned in 300 ms")
    wait_gone(p, 1)
    assert client(p).request(target="/count").body == b"1"


def test_an_instance_that_does_not_end(counted, client):
    p = counted(hang="destroy")
    reload(p, changed(p, greeting="g1"))
    p.wait_log("destroy has not returned in 300 ms")
    wait_gone(p, 1)
    reload(p, changed(p, greeting="g2"))
    wait_gone(p, 2)
    assert client(p).request(target="/count").status == 200


def test_generations_that_end_while_a_call_hangs(sluice, tally, origin, client):
    """Two that share an instance end at once: it is stopped on each worker, then destroyed."""
    p = sluice(origin(serve(reply())), supervised=False, workers=2, plugin_probe="off",
               plugins={name: {"library": tally, "budgets": {"control": "500ms"}}
                        for name in "ab"},
               routes=[{"match": {"host": name}, "chain": [name], "upstream": "app"}
                       for name in "ab"])

    def change(name, **config):
        manifest = manifest_of(p)
        manifest["plugins"][name]["config"] = config
        return manifest

    held = []
    for number, name in enumerate("ab", 1):
        held.append(client(p))
        held[-1].send(request(target="/hold", host="a"))
        eventually(lambda: p.log.count("holds a request") == number, "it waits")
        reload(p, change(name, greeting="g1"))
    # Nothing is let go of while the call hangs.
    mark = send(p, change("a", hang="create"))
    assert client(p).request(target="/wake", host="a").body == b"2"
    for c in held:
        assert c.response().status == 200
    assert "has not returned" in outcome(p, mark)[0].group(2)
    wait_gone(p, 1, 2)
    for name in "ab":
        said = re.findall("plugin=%s (stopped|destroyed)" % name, p.log)
        assert said == ["stopped", "stopped", "destroyed"], p.log


# ------------------------------------------------------------------ reload_grace
def echo(c):
    """Switches protocols when asked to, and is silent from then on."""
    head = c.read_request()
    if head and head.get("upgrade"):
        c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
               b"Upgrade: echo\r\n\r\n")
        c.rest()
    elif head:
        c.send(reply())


@pytest.fixture
def bounded(sluice, tally, origin):
    def make(**options):
        return sluice(origin(echo), supervised=False, chain=["t"], reload_grace="500ms",
                      plugins={"t": {"library": tally}}, **options)

    return make


def go_over(proxy):
    reload(proxy, changed(proxy, greeting="g1"))
    proxy.wait_log("reload_grace is over, requests of generation 1 cut: 1")
    wait_gone(proxy, 1)


def test_grace_of_a_request(bounded, client):
    p = bounded()
    held = client(p)
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    go_over(p)
    assert held.ended()
    assert client(p).request().get("x-greeting") == "g1"


def test_grace_of_a_tunnel(bounded, client):
    p = bounded()
    tunnel = client(p)
    tunnel.send(request(fields=[("Connection", "Upgrade"), ("Upgrade", "echo")]))
    assert tunnel.response().status == 101
    go_over(p)
    assert tunnel.ended()


def test_grace_of_a_stream(bounded):
    """The other streams of its connection go on."""
    p = bounded(listener=h2server.H2C)
    c = H2(p.address).open()
    held = c.request(get("/hold"))
    p.wait_log("holds a request")
    go_over(p)
    assert c.response(held).reset is not None
    assert dict(c.fetch().fields)["x-greeting"] == "g1"


def test_no_grace_is_no_bound(counted, client):
    p = counted()
    held = client(p)
    held.send(request(target="/hold"))
    p.wait_log("holds a request")
    reload(p, changed(p, greeting="g1"))
    assert held.quiet(1) and "generation 1 is gone" not in p.log
