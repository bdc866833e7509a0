"""The RateLimit plugin in the real proxy: what is let in with several workers, who waits, what
clients are told, and what a swap leaves of the counts."""
import json
import shutil
import signal
import threading
import time

import pytest

import harness
from harness import run, serve
from reloading import manifest_of, reload, wait_gone
from wire import Client, reply, request


def limited(*rules, **config):
    return {"library": "libRateLimit.so", "config": {"rules": list(rules), **config}}


@pytest.fixture
def app(origin):
    return origin(serve(reply(b"ok")))


@pytest.fixture
def proxy(sluice, app):
    """A proxy with these rules on its chain."""
    def make(*rules, workers=1, config=None, **over):
        return sluice(app, workers=workers, chain=["limit"],
                      plugins={"limit": limited(*rules, **(config or {}))}, **over)

    return make


def burst(proxy, count, connections=8, headers=lambda number: ()):
    """The statuses of so many requests on several connections at once, so that all workers get
    some."""
    statuses, lock = [], threading.Lock()

    def client(number):
        wire = Client(proxy.address)
        for index in range(number, count, connections):
            status = wire.request(fields=headers(index)).status
            with lock:
                statuses.append(status)
        wire.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == count
    return statuses


# ------------------------------------------------------------------ accuracy
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("rule", [
    {"window": "1h"}, {"window": "1h", "algorithm": "token_bucket"},
], ids=["window", "bucket"])
def test_all_workers_keep_one_limit_exactly(proxy, workers, rule):
    """200 of 600 requests: not one more, and not one less but by what is taken back meanwhile."""
    made = proxy({"name": "one", "limit": 200, **rule}, workers=workers)
    statuses = burst(made, 600, connections=16)
    admitted = statuses.count(200)
    print("%s, %d workers: %d of 600 let in, limit 200" % (rule, workers, admitted))
    assert set(statuses) == {200, 429}
    # Refused requests are counted for a moment: at a window's edge one may refuse another.
    assert 200 - 2 * workers <= admitted <= 200
    if "algorithm" in rule:
        assert admitted == 200


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_each_key_has_a_limit_of_its_own(proxy, workers):
    made = proxy({"name": "user", "key": "header:x-user", "limit": 5, "window": "1h"},
                 workers=workers)
    statuses = burst(made, 400, headers=lambda n: [("X-User", "u%d" % (n % 40))])
    assert 200 - 2 * workers <= statuses.count(200) <= 200
    # Without the field a rule by it does not count.
    assert burst(made, 20) == [200] * 20


def test_keys_without_number_take_no_memory(proxy):
    made = proxy({"name": "user", "key": "header:x-user", "limit": 100}, workers=2)

    def distinct(begin, count):
        for index in range(begin, begin + count, 100):
            wire = Client(made.address)
            batch = range(index, min(index + 100, begin + count))
            wire.send(b"".join(request(fields=[("X-User", "user-%d" % n)]) for n in batch))
            for _ in batch:
                assert wire.response().status == 200
            wire.close()

    distinct(0, 4000)
    before = made.rss()
    distinct(4000, 20000)
    grown = made.rss() - before
    print("20000 further keys: %d KiB" % (grown // 1024))
    assert grown < 2 << 20


# --------------------------------------------------------------- what is told
def test_clients_are_told(proxy, client):
    wire = client(proxy({"name": "api", "limit": 2, "window": "1h"}, config={"fields": "both"}))
    first, second, third = (wire.request() for _ in range(3))
    assert [r.status for r in (first, second, third)] == [200, 200, 429]
    for response, left in ((first, 1), (second, 0), (third, 0)):
        assert response.get("ratelimit-policy") == '"api";q=2;w=3600'
        assert response.get("ratelimit").startswith('"api";r=%d;t=' % left)
        assert response.get("x-ratelimit-limit") == "2"
        assert response.get("x-ratelimit-remaining") == str(left)
        assert 1 <= int(response.get("x-ratelimit-reset")) <= 7200
    assert first.get("retry-after") is None
    assert 1 <= int(third.get("retry-after")) <= 7200
    assert third.body == b"too many requests\n" and not third.closes


def test_the_status_the_body_and_silence(proxy, client):
    wire = client(proxy({"name": "api", "limit": 1, "window": "1h", "status": 503},
                        config={"fields": "none", "body": "later\n"}))
    assert wire.request().status == 200
    refused = wire.request()
    assert (refused.status, refused.body) == (503, b"later\n")
    assert refused.get("retry-after") and not refused.get("ratelimit")


def test_it_comes_back_after_what_it_said(proxy, client):
    wire = client(proxy({"name": "api", "limit": 1, "window": "500ms"}))
    assert wire.request().status == 200
    refused = wire.request()
    assert refused.status == 429
    time.sleep(int(refused.get("retry-after")))
    assert wire.request().status == 200


def test_routes_have_rules_of_their_own(sluice, app, client):
    made = sluice(app, plugins={"limit": limited({"name": "api", "limit": 1, "window": "1h"})},
                  routes=[{"name": "api", "match": {"path": "/api/*"}, "chain": ["limit"],
                           "upstream": "app"}, {"match": {}, "upstream": "app"}])
    wire = client(made)
    assert [wire.request(target="/api/x").status for _ in range(2)] == [200, 429]
    assert wire.request(target="/").status == 200


# -------------------------------------------------------------------- waiting
def test_delayed_requests_come_at_the_rate(proxy):
    made = proxy({"name": "q", "algorithm": "token_bucket", "limit": 50, "burst": 1,
                  "delay": "10s"}, workers=2)
    begin = time.monotonic()
    assert burst(made, 40, connections=20) == [200] * 40
    # 39 of them wait for the token of their own, one each 20 ms.
    seconds = time.monotonic() - begin
    print("40 requests at 50 a second: %.2f s" % seconds)
    assert seconds >= 38 / 50


def test_the_queue_has_a_bound(proxy):
    made = proxy({"name": "q", "algorithm": "token_bucket", "limit": 1, "burst": 1,
                  "delay": "60s", "queue": 3})
    wires = [Client(made.address) for _ in range(6)]
    for wire in wires:
        wire.send(request())
    answered = [wire for wire in wires if not wire.quiet(0.3)]
    assert sorted(wire.response().status for wire in answered) == [200, 429, 429]
    # Clients that go leave their places.
    for wire in wires:
        wire.close()
    eventual = Client(made.address)
    harness.eventually(lambda: probe(made), "a place in the queue")
    eventual.close()


def probe(proxy):
    """Whether a request waits in place of being refused."""
    wire = Client(proxy.address)
    wire.send(request())
    waits = wire.quiet(0.05)
    wire.close()
    return waits


def test_requests_under_way_are_limited_and_wait_for_room(origin, sluice, client):
    gate = threading.Event()

    def slow(connection):
        while connection.read_request() is not None:
            gate.wait(10)
            connection.send(reply(b"ok"))

    app = origin(slow)
    rule = {"name": "c", "algorithm": "concurrency", "key": [], "limit": 2}
    made = sluice(app, workers=2, chain=["limit"], plugins={"limit": limited(rule)})
    wires = [client(made) for _ in range(2)]
    for wire in wires:
        wire.send(request())
    app.wait_requests(2)
    refused = client(made).request()
    assert (refused.status, refused.get("retry-after")) == (429, "1")
    assert refused.get("ratelimit-policy") == '"c";q=2;qu="concurrent-requests"'
    # A client that goes away gives its place back.
    wires[0].close()
    harness.eventually(lambda: admitted(made, app), "a place")
    gate.set()
    assert wires[1].response().status == 200
    harness.eventually(lambda: client(made).request().status == 200, "room again")


def admitted(proxy, app):
    """Whether a request comes as far as the origin."""
    count = len(app.requests)
    wire = Client(proxy.address)
    wire.send(request())
    came = wire.quiet(0.1) and len(app.requests) > count
    wire.close()
    return came


def test_a_queue_for_requests_under_way(origin, sluice):
    running, most, lock = 0, 0, threading.Lock()

    def count(connection):
        nonlocal running, most
        while connection.read_request() is not None:
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.01)
            with lock:
                running -= 1
            connection.send(reply(b"ok"))

    rule = {"name": "c", "algorithm": "concurrency", "key": [], "limit": 3, "delay": "10s"}
    made = sluice(origin(count), workers=4, chain=["limit"], plugins={"limit": limited(rule)})
    assert burst(made, 200, connections=24) == [200] * 200
    assert most <= 3


# ---------------------------------------------------------------------- swaps
@pytest.mark.parametrize("library", ["the same", "another"])
@pytest.mark.parametrize("algorithm", ["sliding_window", "token_bucket"])
def test_a_reload_keeps_the_counts(proxy, client, tmp_path, algorithm, library):
    rule = {"name": "keep", "algorithm": algorithm, "limit": 10, "window": "1h"}
    made = proxy(rule, workers=2)
    assert [client(made).request().status for _ in range(6)] == [200] * 6
    content = manifest_of(made)
    content["plugins"]["limit"]["config"]["body"] = "other\n"
    if library == "another":
        # A file of its own has code of its own, which takes over what the other has counted.
        path = str(tmp_path / "libOther.so")
        shutil.copy(harness.PLUGINS + "/libRateLimit.so", path)
        content["plugins"]["limit"]["library"] = path
    generation = reload(made, content)
    wait_gone(made, generation - 1)
    statuses = [client(made).request().status for _ in range(6)]
    assert statuses == [200] * 4 + [429] * 2


def test_another_process_begins_with_the_buckets_alone(proxy, client):
    """Where memory lies means nothing to a process that takes this one's place."""
    made = proxy(
        {"name": "bucket", "algorithm": "token_bucket", "limit": 10, "window": "1h",
         "key": "header:x-bucket"},
        {"name": "window", "limit": 10, "window": "1h", "key": "header:x-window"},
        {"name": "under", "algorithm": "concurrency", "limit": 20, "key": []}, workers=2)

    def ask(name, count):
        statuses = []
        for _ in range(count):
            wire = client(made)
            statuses.append(wire.request(fields=[(name, "a")]).status)
            wire.close()
        return statuses

    assert ask("X-Bucket", 6) == ask("X-Window", 6) == [200] * 6
    old = made.serving
    made.process.send_signal(signal.SIGUSR2)
    made.wait_log(r"process %d drains" % old)
    harness.eventually(lambda: old not in made.processes, "the old process ends")
    assert ask("X-Bucket", 6) == [200] * 4 + [429] * 2
    assert ask("X-Window", 11) == [200] * 10 + [429]


def test_requests_under_way_count_across_a_reload(origin, sluice, client):
    gate = threading.Event()

    def slow(connection):
        while connection.read_request() is not None:
            gate.wait(10)
            connection.send(reply(b"ok"))

    app = origin(slow)
    rule = {"name": "c", "algorithm": "concurrency", "key": [], "limit": 2}
    made = sluice(app, chain=["limit"], plugins={"limit": limited(rule)})
    old = client(made)
    old.send(request())
    app.wait_requests(1)
    content = manifest_of(made)
    content["plugins"]["limit"]["config"]["body"] = "other\n"
    generation = reload(made, content)
    new = client(made)
    new.send(request())
    app.wait_requests(2)
    assert client(made).request().status == 429
    gate.set()
    assert [old.response().status, new.response().status] == [200, 200]
    old.close()
    wait_gone(made, generation - 1)
    # Both have been given back, and neither twice.
    wires = [client(made) for _ in range(3)]
    gate.clear()
    for wire in wires[:2]:
        wire.send(request())
    app.wait_requests(4)
    assert wires[2].request().status == 429
    gate.set()
    assert [wire.response().status for wire in wires[:2]] == [200, 200]


# -------------------------------------------------------------- configuration
def test_check_names_the_key(tmp_path):
    content = harness.manifest("127.0.0.1:1", chain=["limit"], plugins={"limit": limited(
        {"name": "a", "limit": 1, "burst": 2}, {"name": "b", "limit": 0})})
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    done = run("check", "--manifest", str(path))
    assert done.returncode == 78
    assert "plugins.limit.config.rules[1].limit: must be at least 1, is 0" in done.stderr
    content["plugins"]["limit"]["config"]["rules"].pop()
    path.write_text(json.dumps(content))
    done = run("check", "--manifest", str(path))
    assert "rules[0].burst: does not go with this algorithm" in done.stderr
