"""Discovery over the lives of instances and processes: starts, reloads, upgrades, ends."""
import threading

import pytest

from discovering import (NAME, answers, by_dns, discovered, dnsmasq, loopbacks,  # noqa: F401
                         nameserver, wait_answers, write)
from harness import serve
from nameserver import a
from reloading import manifest_of, reload
from test_hand_over import gone, upgrade
from wire import Client, reply, request


@pytest.mark.parametrize("attempt", range(5))
def test_the_first_request_finds_a_peer(sluice, loopbacks, tmp_path, attempt):
    port, _ = loopbacks("127.0.0.1")
    path = tmp_path / "peers.json"
    write(path, '["127.0.0.1:%d"]' % port)
    proxy = discovered(sluice, {"file": str(path)})
    assert Client(proxy.address).request().status == 200


def test_an_upgrade_begins_with_the_last_good_set(sluice, loopbacks, dnsmasq):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    server = dnsmasq([("127.0.0.1", NAME), ("127.0.0.2", NAME)])
    proxy = by_dns(sluice, server, port)
    wait_answers(proxy, "127.0.0.1", "127.0.0.2")
    server.kill()
    # All the time, on connections of their own: also the first of the new process has a peer.
    found, is_over = set(), threading.Event()

    def ask():
        while not is_over.is_set():
            found.update(answers(proxy, 1))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        old = upgrade(proxy)
        assert answers(proxy) == {"127.0.0.1", "127.0.0.2"}
    finally:
        is_over.set()
        asking.join()
    assert found == {"127.0.0.1", "127.0.0.2"}
    gone(proxy, old)


def test_a_start_does_not_wait_for_ever_and_recovers(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1")
    state = {"silent": True}
    server = nameserver(lambda question: None if state["silent"]
                        else question.answer([a("127.0.0.1")]))
    proxy = by_dns(sluice, server, port, {"start_timeout": "300ms"}, type="a")
    assert answers(proxy, 2) & {502, 503}
    proxy.wait_log("no answer; it has no peers")
    state["silent"] = False
    wait_answers(proxy, "127.0.0.1")


def test_a_plugin_that_waits_for_a_server_ends_at_once(sluice, nameserver):
    server = nameserver(lambda question: None)
    proxy = by_dns(sluice, server, 80, {"start_timeout": "0ms", "timeout": "5s", "attempts": 5},
                   type="a")
    server.wait(lambda questions: questions, "a question")
    assert proxy.stop() == 0
    assert "does not end" not in proxy.log


def test_another_instance_begins_with_the_last_good_set(sluice, loopbacks, dnsmasq):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    server = dnsmasq([("127.0.0.1", NAME), ("127.0.0.2", NAME)])
    proxy = by_dns(sluice, server, port)
    wait_answers(proxy, "127.0.0.1", "127.0.0.2")
    server.kill()
    manifest = manifest_of(proxy)
    manifest["plugins"]["disco"]["config"]["upstreams"]["web"]["retry_max"] = "2s"
    reload(proxy, manifest)
    assert proxy.log.count("begins with 2 peers") == 2
    assert answers(proxy) == {"127.0.0.1", "127.0.0.2"}


def test_an_old_instance_asks_no_more(sluice, loopbacks, origin, tmp_path):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    held = threading.Event()

    def answer(head):
        if head.target == "/held":
            held.wait(30)
        return reply(b"holding")

    holding = origin(serve(answer))
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    write(paths[0], '["%s"]' % holding.address)
    write(paths[1], '["127.0.0.2:%d"]' % port)
    proxy = discovered(sluice, {"file": {"path": str(paths[0]), "interval": "100ms"}})
    wait_answers(proxy, "holding")
    waiting = Client(proxy.address)
    waiting.send(request(target="/held"))
    holding.wait(lambda: "/held" in [head.target for head in holding.requests], "/held")
    manifest = manifest_of(proxy)
    manifest["plugins"]["disco"]["config"]["upstreams"]["web"]["file"]["path"] = str(paths[1])
    reload(proxy, manifest)
    wait_answers(proxy, "127.0.0.2")
    # The old instance lives for the request that waits, and its file changes.
    write(paths[0], '["127.0.0.1:%d"]' % port)
    write(paths[1], '["127.0.0.2:%d", "127.0.0.2:%d"]' % (port, port))
    proxy.wait_log("127.0.0.2:%d is there twice" % port)
    assert answers(proxy, 30) == {"127.0.0.2"}
    assert "added (127.0.0.1:" not in proxy.log
    held.set()
    assert waiting.response().body == b"holding"


def test_an_upstream_that_was_left_out_for_a_while(sluice, loopbacks, tmp_path):
    port, _ = loopbacks("127.0.0.1")
    path = tmp_path / "peers.json"
    write(path, '["127.0.0.1:%d"]' % port)
    proxy = discovered(sluice, {"file": {"path": str(path), "interval": "100ms"}})
    wait_answers(proxy, "127.0.0.1")
    manifest = manifest_of(proxy)
    manifest["upstreams"]["web"] = {"peers": ["127.0.0.9:%d" % port]}
    reload(proxy, manifest)
    assert answers(proxy, 2) == {502}
    manifest["upstreams"]["web"] = {"discovery": True, "balancer": "rr"}
    reload(proxy, manifest)
    wait_answers(proxy, "127.0.0.1")
