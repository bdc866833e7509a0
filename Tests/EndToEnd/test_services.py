"""The host's services through the binary, by a plugin whose path names one."""
import os
import re
import subprocess
import threading

import pytest

from harness import eventually

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("services") / "libservices.so")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
         "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins/services.c")], check=True)
    return path


@pytest.fixture
def proxy(sluice, library):
    def make(workers=2, **entry):
        plugins = {
            "first": {"library": library, "config": {"role": "first"}},
            "second": {"library": library, **entry},
        }
        return sluice(plugins=plugins, workers=workers,
                      routes=[{"match": {"path": "/attributes"}, "chain": ["first", "second"]},
                              {"match": {}, "chain": ["second"]}])

    return make


def ask(client, path):
    return client.request(target=path).body.decode()


def on_each_worker(proxy, client, workers):
    """A connection to each worker; `/count` was asked on every connection that it took."""
    found = {}
    for _ in range(200):
        c = client(proxy)
        worker = ask(c, "/count").split()[0]
        found.setdefault(worker, c)
        if len(found) == workers:
            return found
    raise AssertionError("200 connections and only these workers: %s" % sorted(found))


def test_pairs_in_the_log(proxy, client):
    p = proxy()
    ask(client(p), "/pairs/x=1")
    p.wait_log(r'info plugin=second pairs path="/pairs/x=1" said="a \\"b\\"\\x0a" empty=""\n')


def test_metrics_of_all_workers_are_added_up(proxy, client):
    p = proxy()
    workers = on_each_worker(p, client, 2)
    for _ in range(10):
        for c in workers.values():
            ask(c, "/count")
    total = int(ask(workers["0"], "/count").split()[1])
    text = ask(workers["1"], "/metrics")
    assert "# HELP sluice_plugin_requests Requests.\n# TYPE sluice_plugin_requests counter" in text
    counts = dict(re.findall(
        r'sluice_plugin_requests{plugin="second",worker="(\d)"} (\d+)', text))
    assert sum(map(int, counts.values())) == total
    assert int(counts["0"]) >= 11 and int(counts["1"]) >= 10
    # Both instances are there, and a gauge is what the last one set.
    assert 'sluice_plugin_requests{plugin="first",worker="1"} 0\n' in text
    assert re.search(r'sluice_plugin_depth{plugin="second"} 10\n', text)
    # The host's own: images of libraries, of which both instances share one.
    assert 'sluice_plugin_images{state="in_use"} 1\n' in text
    assert re.search(r'sluice_plugin_image_bytes{state="in_use"} \d{4,}\n', text)


def test_shared_counters_over_workers_lose_nothing(proxy, client):
    p = proxy(workers=4)
    seen = []

    def count():
        for _ in range(25):
            c = client(p)
            seen.extend(int(ask(c, "/count").split()[1]) for _ in range(4))
            c.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 401))


def test_a_bucket_is_one_for_all_workers(proxy, client):
    p = proxy(workers=2)
    workers = on_each_worker(p, client, 2)
    statuses = [c.request(target="/bucket").status for _ in range(15) for c in workers.values()]
    assert statuses == [200] * 20 + [429] * 10


def test_attributes_go_from_one_plugin_to_the_next(proxy, client):
    c = client(proxy())
    assert ask(c, "/attributes") == "42 /attributes"
    assert ask(c, "/attributes") == "42 /attributes"


def test_attributes_that_nobody_set(sluice, library, client):
    c = client(sluice(plugins={"p": {"library": library}}, routes=[{"match": {}, "chain": ["p"]}]))
    assert ask(c, "/attributes") == "nothing was set"


def test_timers_of_a_worker(proxy, client):
    workers = on_each_worker(proxy(), client, 2)
    for c in workers.values():
        eventually(lambda: int(ask(c, "/ticks").split()[0]) >= 5, "five ticks")
        assert ask(c, "/ticks").split()[1] == "1"


def test_a_cancelled_timer_stops(proxy, client):
    c = client(proxy(workers=1))
    eventually(lambda: int(ask(c, "/ticks").split()[0]) >= 1, "a tick")
    assert ask(c, "/cancel") == "0 -3"
    ticks = ask(c, "/ticks")
    assert ask(c, "/offload")  # 20 ms
    assert ask(c, "/offload")
    assert ask(c, "/ticks") == ticks


def test_a_task_for_all_workers(proxy, client):
    p = proxy(workers=3)
    # `create` has posted before any worker was there, and is not asked for again.
    for worker in range(3):
        p.wait_log("plugin=second posted on %d" % worker)
    c = client(p)
    assert ask(c, "/") == "posted 3"
    ask(c, "/post")
    eventually(lambda: ask(c, "/") == "posted 6", "a task on each of three workers")


def test_work_that_blocks_holds_no_worker_up(proxy, client):
    p = proxy(workers=1)
    slow = [client(p) for _ in range(8)]
    for c in slow:
        c.send(b"GET /offload HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ask(client(p), "/ticks")
    for c in slow:
        # On a blocking thread (3), and back on the worker that asked (1).
        assert c.response().body == b"reason 1 payload %d" % (3 << 8 | 1)


def test_requests_wait_for_a_key_on_all_workers(proxy, client):
    p = proxy(workers=2)
    workers = on_each_worker(p, client, 2)
    for c in workers.values():
        c.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: p.log.count("plugin=second waits") == 2, "two requests wait")
    assert ask(client(p), "/wake") == "2"
    for c in workers.values():
        assert c.response().body == b"reason 3 payload 7"
    assert ask(client(p), "/wake") == "0"


def test_a_client_that_goes_away_uses_up_no_wake(proxy, client):
    p = proxy(workers=1)
    gone, stays = client(p), client(p)
    for number, c in enumerate([gone, stays], 1):
        c.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: p.log.count("plugin=second waits") == number, "it waits")
    gone.reset()
    ask(client(p), "/ticks")  # the worker has seen the end of the first
    assert ask(client(p), "/wake") == "1"
    assert stays.response().body == b"reason 3 payload 7"


@pytest.mark.parametrize("memory, buffers", [("1MiB", 16), ("64KiB", 1), (131071, 1)])
def test_the_manifest_bounds_buffers(proxy, client, memory, buffers):
    c = client(proxy(memory=memory))
    for _ in range(3):  # they come back
        assert ask(c, "/buffers") == str(buffers)


def test_stopping_with_tasks_under_way(proxy, client):
    p = proxy(workers=2)
    for _ in range(4):
        c = client(p)
        c.send(b"GET /offload HTTP/1.1\r\nHost: a\r\n\r\n")
        ask(client(p), "/post")
    assert p.stop() == 0
    assert p.log.count("destroyed") == 2
