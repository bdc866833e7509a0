"""Limits of several machines with a store in common: two proxies and a real Redis, which is also
frozen, killed and started again while requests run."""
import json
import os
import re
import socket
import threading
import time

import pytest

import redis
from harness import eventually, manifest, run, serve
from wire import Client, reply

pytestmark = pytest.mark.skipif(not redis.PROGRAM, reason="there is no redis-server")

PASSWORD = "s3cret-of-the-store"
# Between two talks with the store.
SYNC = 0.05


@pytest.fixture
def store(tmp_path):
    made = []

    def start(**options):
        made.append(redis.Redis(tmp_path, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def app(origin):
    return origin(serve(reply(b"ok")))


@pytest.fixture
def proxy(sluice, app, tmp_path):
    def make(server, limit=100, window="1h", workers=1, rule=None, **over):
        settings = {"address": server.address, "sync": "%dms" % (SYNC * 1000), **over}
        if server.password and "password_file" not in over:
            path = tmp_path / "password"
            path.write_text(server.password + "\n")
            path.chmod(0o600)
            settings["password_file"] = str(path)
        rules = [{"name": "api", "key": "header:x-user", "limit": limit, "window": window,
                  "shared": True, **(rule or {})}]
        return sluice(app, workers=workers, chain=["limit"], plugins={"limit": {
            "library": "libRateLimit.so", "config": {"rules": rules, "store": settings}}})

    return make


def ask(proxy, count, user="ann", pause=0.0):
    """How many of so many requests are let in, and the longest time that one took of those that
    are not the slowest hundredth, which an odd pause of the machine makes."""
    admitted, times, wire = 0, [], None
    for number in range(count):
        if number % 500 == 0:
            if wire:
                wire.close()
            wire = Client(proxy.address)
        begin = time.monotonic()
        status = wire.request(fields=[("X-User", user)]).status
        times.append(time.monotonic() - begin)
        assert status in (200, 429, 503)
        admitted += status == 200
        if pause:
            time.sleep(pause)
    wire.close()
    return admitted, sorted(times)[(len(times) * 99 - 1) // 100]


def sum_of(store):
    return sum(int(store.ask("GET", key.decode()).split(b"\r\n")[1]) for key in store.keys())


def test_what_is_let_in_here_is_known_there(proxy, store):
    server = store(password=PASSWORD)
    first, second = proxy(server), proxy(server)
    assert ask(first, 60)[0] == 60
    eventually(lambda: server.keys() and sum_of(server) == 60, "the store knows it")
    # One request, for the second to ask about the key at all.
    assert ask(second, 1)[0] == 1
    eventually(lambda: sum_of(server) == 61, "the store knows it")
    time.sleep(2 * SYNC)
    assert ask(second, 60)[0] == 39
    # The first hears of it with its next request.
    eventually(lambda: ask(first, 1)[0] == 0, "the first knows it")
    assert ask(first, 5)[0] == 0
    # What is kept of a key: a name without the user's, for three windows.
    (key,) = server.keys()
    assert re.fullmatch(rb"sluice:api:3600000:[0-9a-f]{16}:\d+", key)
    left = int(server.ask("PTTL", key.decode())[1:])
    assert 2 * 3600_000 < left <= 3 * 3600_000
    for one in (first, second):
        assert PASSWORD not in one.log and "ann" not in one.log


@pytest.mark.parametrize("workers", [1, 2])
def test_two_processes_keep_a_common_limit(proxy, store, workers):
    """The tolerance: what the others let in within a sync interval and a round trip."""
    server = store()
    proxies = [proxy(server, limit=300, workers=workers) for _ in range(2)]
    pause = 0.002
    results = []
    threads = [threading.Thread(target=lambda p=p: results.append(ask(p, 400, pause=pause)))
               for p in proxies for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    admitted = sum(result[0] for result in results)
    # Each of the two lets in what comes to it in that time: two clients, one request each `pause`.
    tolerance = 2 * 2 * (SYNC + 0.05) / pause
    print("2 processes, %d workers each: %d of 1600 let in, limit 300, tolerance %d"
          % (workers, admitted, tolerance))
    assert 300 - 2 * workers <= admitted <= 300 + tolerance


def test_other_windows_begin_anew(proxy, store):
    server = store()
    made = proxy(server, limit=5, window="1s")
    assert 5 <= ask(made, 20)[0] <= 10
    eventually(lambda: ask(made, 1)[0] == 1, "room in a later window")


@pytest.mark.parametrize("down", ["local", "allow", "refuse"])
def test_a_killed_store_and_its_return(proxy, store, down):
    server = store()
    made = proxy(server, limit=50, on_down=down)
    assert ask(made, 10, "before")[0] == 10
    eventually(lambda: sum_of(server) == 10, "the store knows it")
    server.kill()
    made.wait_log(r"warn plugin=limit store 127\.0\.0\.1:\d+ .*; until it is back")
    admitted, longest = ask(made, 100, "during")
    assert admitted == {"local": 50, "allow": 100, "refuse": 0}[down]
    assert longest < 0.25
    if down == "refuse":
        assert Client(made.address).request(fields=[("X-User", "x")]).status == 503
    # Without the value there is no key, and nothing to ask a store about.
    assert Client(made.address).request().status == 200
    server.start()
    made.wait_log(r"info plugin=limit store \S+ is back")
    assert ask(made, 60, "after")[0] == 50
    eventually(lambda: any(sum_of(server) >= 50 for _ in [0]), "the store counts again")
    assert len(re.findall(r"until it is back", made.log)) == 1


def test_no_request_waits_for_a_store_that_hangs(proxy, store):
    server = store()
    made = proxy(server, limit=1000, workers=2, timeout="500ms")
    usual = ask(made, 200, "usual")[1]
    server.freeze()
    admitted, longest = ask(made, 1000, "frozen", pause=0.001)
    print("99 of 100 requests take %.1f ms at most with the store, %.1f ms while it hangs"
          % (usual * 1000, longest * 1000))
    # A request that waited for the store would take its timeout.
    assert admitted == 1000 and longest < 0.25
    made.wait_log("does not answer: Connection timed out; until it is back")
    server.thaw()
    made.wait_log("is back")
    assert ask(made, 10, "thawed")[0] == 10


def test_a_wrong_password_is_told_without_it(proxy, store, tmp_path):
    server = store(password=PASSWORD)
    wrong = tmp_path / "wrong"
    wrong.write_text("another-secret\n")
    wrong.chmod(0o600)
    made = proxy(server, password_file=str(wrong))
    made.wait_log("answers: WRONGPASS")
    assert ask(made, 120)[0] == 100
    assert "another-secret" not in made.log


def test_a_stranger_is_no_store(proxy, store):
    """Something else listens at the address: an answer that is no reply ends the connection."""
    class Stranger:
        password = None

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        Stranger.address = "127.0.0.1:%d" % listener.getsockname()[1]
        made = proxy(Stranger)
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        made.wait_log("store .* does not speak as Redis does; until it is back")
        assert connection.recv(1000) == b""
        connection.close()
        assert ask(made, 110)[0] == 100


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_password_that_others_read_is_refused(tmp_path, mode):
    (tmp_path / "password").write_text("x\n")
    os.chmod(tmp_path / "password", mode)
    config = {"rules": [{"name": "a", "limit": 1, "shared": True}],
              "store": {"address": "127.0.0.1:6379", "password_file": "password"}}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest("127.0.0.1:1", chain=["l"], plugins={
        "l": {"library": "libRateLimit.so", "config": config}})))
    done = run("check", "--manifest", str(path))
    assert done.returncode == 78
    assert "store.password_file: %s/password: others may read or write it; use chmod 600" \
        % tmp_path in done.stderr
    os.chmod(tmp_path / "password", 0o600)
    assert run("check", "--manifest", str(path)).returncode == 0
