"""The Cache plugin's disk tier in the real proxy: what is served from files, what purges, reloads,
restarts and upgrades leave of it, and what a kill, a full disk or a damaged file makes of it."""
import json
import os
import re
import subprocess
import threading
import time
import types

import pytest

import harness
from harness import eventually, run
from keeper import fetch_h2
from reloading import manifest_of, reload, wait_gone
from test_hand_over import gone, upgrade
from wire import DEADLINE, Client, Truncated, pattern, reply, request

LARGE = 3_000_000


class Pages:
    """An origin's script: each address has a body of its own, made of its name and size."""

    def __init__(self, size=LARGE, fields=("Cache-Control: max-age=600",), chunked=False):
        self.size, self.fields, self.chunked = size, list(fields), chunked
        self.status = "200 OK"
        self.seen = []
        self.gate = None
        self.version = 0

    def body(self, target):
        seed = ("%s %d;" % (target, self.version)).encode()
        return (seed * (self.size // len(seed) + 1))[:self.size]

    def __call__(self, connection):
        while True:
            head = connection.read_request()
            if not head:
                return
            self.seen.append(head)
            fields = [tuple(f.split(": ", 1)) for f in self.fields]
            if head.get("if-none-match") == '"%d"' % self.version:
                lines = "".join("%s: %s\r\n" % f for f in fields).encode()
                connection.send(b"HTTP/1.1 304 Not Modified\r\n%s\r\n" % lines)
                continue
            body = self.body(head.target)
            if self.chunked:
                lines = "".join("%s: %s\r\n" % f for f in fields).encode()
                connection.send(b"HTTP/1.1 %s\r\n%sTransfer-Encoding: chunked\r\n\r\n"
                                % (self.status.encode(), lines))
                for at in range(0, len(body), 100_000):
                    piece = body[at:at + 100_000]
                    connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                    if self.gate and at == 0:
                        assert self.gate.wait(DEADLINE)
                connection.send(b"0\r\n\r\n")
                continue
            whole = reply(body, self.status, fields)
            if self.gate:
                connection.send(whole[:len(whole) // 2])
                assert self.gate.wait(DEADLINE)
                connection.send(whole[len(whole) // 2:])
            else:
                connection.send(whole)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "disk")


def library(folder, size="1GiB", disk=None, **config):
    disk = {"path": folder, "size": size, "min_object": "1KiB", **(disk or {})}
    return {"library": "libCache.so",
            "config": {"storage": {"memory": "16MiB", "disk": disk},
                       "purge": {"allow": ["127.0.0.0/8"]}, **config}}


@pytest.fixture
def cached(sluice, folder):
    """A proxy with a cache that sends all from 1 KiB on to the disk, once that stores."""
    def make(app, workers=1, over=None, where=None, **config):
        p = sluice(app, workers=workers, chain=["cache"],
                   plugins={"cache": library(where or folder, **config)}, **(over or {}))
        p.wait_log("the disk tier stores")
        return p

    return make


@pytest.fixture
def lasting(tmp_path, folder):
    """Proxies one after the other with one folder, which may be killed."""
    made = []

    def make(app, wait=True, over=None, **config):
        place = tmp_path / ("lasting%d" % len(made))
        place.mkdir()
        manifest = harness.manifest(app, chain=["cache"],
                                    plugins={"cache": library(folder, **config)}, **(over or {}))
        made.append(harness.Sluice(place, manifest, supervised=False))
        if wait:
            made[-1].wait_log("the disk tier stores")
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def kill(proxy):
    proxy.process.kill()
    proxy.process.wait()


def files(folder):
    """Files of objects."""
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names
                  if re.fullmatch("[0-9a-f]{16}", name) and os.path.basename(at) != "new")


def get(proxy, target="/", fields=(), method="GET"):
    """One request by a connection of its own."""
    c = Client(proxy.address)
    try:
        return c.request(method, target, fields=list(fields))
    finally:
        c.close()


def wait_stored(folder, count=1):
    eventually(lambda: len(files(folder)) >= count, "%d objects are on the disk" % count)


def fill(proxy, pages, folder, *targets):
    """Has addresses stored on the disk, one after the other."""
    for target in targets:
        before = len(files(folder))
        assert get(proxy, target).body == pages.body(target)
        wait_stored(folder, before + 1)


def is_from_disk(message):
    return "; hit" in message.get("cache-status") and "detail=disk" in message.get("cache-status")


# ------------------------------------------------------------------ hits
@pytest.mark.parametrize("size", [1024, 4096, 100_000, LARGE, 20_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_hit_is_what_was_stored(cached, origin, folder, size, chunked):
    pages = Pages(size, chunked=chunked)
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    for _ in range(3):
        again = get(p, "/a")
        assert again.status == 200 and again.body == pages.body("/a")
        assert is_from_disk(again) and again.get("content-length") == str(size)
    assert len(pages.seen) == 1


def test_small_ones_stay_in_memory(cached, origin, folder):
    pages = Pages(1023)
    p = cached(origin(pages))
    get(p, "/a")
    again = get(p, "/a")
    assert "; hit" in again.get("cache-status") and not is_from_disk(again)
    assert files(folder) == []


def test_over_tls_and_http2(sluice, origin, ca, leaf, folder):
    pages = Pages()
    p = sluice(origin(pages), chain=["cache"], plugins={"cache": library(folder)},
               listeners=[{"listen": "127.0.0.1:0", "protocols": ["h1", "h2c"]},
                          {"listen": "127.0.0.1:0", "tls": {"certificates": [leaf.entry]}}])
    p.wait_log("the disk tier stores")
    fill(p, pages, folder, "/a")
    status, _, body = fetch_h2(p.address, "/a", [])
    assert status == 200 and body == pages.body("/a")
    c = Client(p.addresses[1], tls=ca.client_context(), server_name="localhost")
    try:
        # Another scheme is another key.
        assert c.request(target="/a").body == pages.body("/a")
        wait_stored(folder, 2)
        for _ in range(2):
            got = c.request(target="/a")
            assert got.body == pages.body("/a") and is_from_disk(got)
    finally:
        c.close()
    assert len(pages.seen) == 2


def test_ranges_head_and_conditions(cached, origin, folder):
    pages = Pages(fields=["Cache-Control: max-age=600", 'ETag: "0"', "Content-Type: text/a"])
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    body = pages.body("/a")
    part = get(p, "/a", [("Range", "bytes=1000000-1999999")])
    assert (part.status, part.body) == (206, body[1_000_000:2_000_000])
    assert part.get("content-range") == "bytes 1000000-1999999/%d" % LARGE
    last = get(p, "/a", [("Range", "bytes=-5")])
    assert last.body == body[-5:]
    several = get(p, "/a", [("Range", "bytes=0-9,2000000-2000009")])
    assert several.status == 206 and body[2_000_000:2_000_010] in several.body
    assert get(p, "/a", [("Range", "bytes=%d-" % LARGE)]).status == 416
    head = get(p, "/a", method="HEAD")
    assert head.get("content-length") == str(LARGE) and is_from_disk(head)
    same = get(p, "/a", [("If-None-Match", '"0"')])
    assert same.status == 304 and same.get("etag") == '"0"'
    assert len(pages.seen) == 1


def test_who_waits_reads_along(cached, origin, folder, client):
    pages = Pages()
    pages.gate = threading.Event()
    p = cached(origin(pages))
    first, second = client(p), client(p)
    first.send(request(target="/a"))
    eventually(lambda: pages.seen, "the origin is asked")
    second.send(request(target="/a"))
    head = second.until(b"\r\n\r\n")
    assert b"collapsed" in head or b"hit" in head
    part = second.read(1_000_000)
    assert not pages.gate.is_set() and part == pages.body("/a")[:1_000_000]
    pages.gate.set()
    assert first.response().body == pages.body("/a")
    assert part + second.read(LARGE - 1_000_000) == pages.body("/a")
    assert len(pages.seen) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_many_clients_open_one_file(cached, origin, folder, client, workers):
    pages = Pages(200_000)
    app = origin(pages)
    p = cached(app, workers=workers, disk={"open_files": 1})
    fill(p, pages, folder, "/a", "/b")
    for _ in range(10):
        clients = [client(p) for _ in range(20)]
        for number, c in enumerate(clients):
            c.send(request(target="/ab"[0] + "ab"[number % 2]))
        for number, c in enumerate(clients):
            got = c.response()
            assert got.body == pages.body("/" + "ab"[number % 2])


def test_variants(cached, origin, folder):
    pages = Pages(fields=["Cache-Control: max-age=600", "Vary: X-A"])
    p = cached(origin(pages))
    for value in "ab":
        assert get(p, "/a", [("X-A", value)]).body == pages.body("/a")
    # Two variants, and what says how they differ.
    wait_stored(folder, 3)
    for value in "ab":
        assert is_from_disk(get(p, "/a", [("X-A", value)]))
    assert "fwd=vary-miss" in get(p, "/a", [("X-A", "c")]).get("cache-status")
    assert len(pages.seen) == 3


def test_the_newer_one_is_served(cached, origin, folder):
    """Large, then small, then large again: where it was before there is nothing left of it."""
    pages = Pages(fields=["Cache-Control: max-age=600"])
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    fresh = [("Cache-Control", "no-cache")]
    pages.size, pages.version = 10, 1
    assert get(p, "/a", fresh).body == pages.body("/a")
    assert get(p, "/a").body == pages.body("/a")
    eventually(lambda: files(folder) == [], "the file is gone")
    pages.size, pages.version = LARGE, 2
    assert get(p, "/a", fresh).body == pages.body("/a")
    wait_stored(folder)
    again = get(p, "/a")
    assert again.body == pages.body("/a") and is_from_disk(again)


# ------------------------------------------------------------------ what is stale
def test_validation_renews_the_head(cached, origin, folder):
    pages = Pages(fields=["Cache-Control: max-age=0", 'ETag: "0"'])
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    pages.fields = ["Cache-Control: max-age=600", 'ETag: "0"', "X-New: yes"]
    got = get(p, "/a")
    assert got.body == pages.body("/a") and got.get("x-new") == "yes"
    assert "fwd-status=304" in got.get("cache-status")
    assert pages.seen[1].get("if-none-match") == '"0"'
    again = get(p, "/a")
    assert again.body == pages.body("/a") and again.get("x-new") == "yes" and is_from_disk(again)
    assert len(pages.seen) == 2 and len(files(folder)) == 1


def test_stale_rules(cached, origin, folder):
    pages = Pages(fields=["Cache-Control: max-age=0, stale-if-error=600", 'ETag: "x"'])
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    pages.status = "503 Service Unavailable"
    got = get(p, "/a")
    assert got.status == 200 and got.body == pages.body("/a")
    pages.status = "200 OK"
    pages.fields = ["Cache-Control: max-age=0, stale-while-revalidate=600"]
    fill(p, pages, folder, "/b")
    before = len(pages.seen)
    assert get(p, "/b").body == pages.body("/b")
    eventually(lambda: len(pages.seen) > before, "it is updated in the background")


# ------------------------------------------------------------------ forgetting
def test_purge_by_method(cached, origin, folder):
    pages = Pages(fields=["Cache-Control: max-age=600", "Vary: X-A"])
    p = cached(origin(pages))
    for value in "ab":
        get(p, "/x", [("X-A", value)])
    wait_stored(folder, 3)
    assert get(p, "/y", method="PURGE").status == 404
    assert get(p, "/x", method="PURGE").status == 200
    for value in "ab":
        assert "fwd" in get(p, "/x", [("X-A", value)]).get("cache-status")


def test_an_unsafe_request_makes_room(cached, origin, folder):
    pages = Pages()
    p = cached(origin(pages))
    fill(p, pages, folder, "/x")
    get(p, "/x", method="POST")
    assert "fwd=uri-miss" in get(p, "/x").get("cache-status")


@pytest.mark.parametrize("again", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("order, gone", [
    (["--tag", "blue"], [1, 2]), (["--tag", "blu"], []), (["--prefix", "http://test/a/"], [0, 1]),
    (["--url", "http://TEST:80/a/1"], [1]), (["--url", "http://test/b"], [2]),
    (["--all"], [0, 1, 2]),
])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_purge_by_the_admin_interface(lasting, origin, tmp_path, folder, order, gone, soft, again):
    targets = {"/a/0": "red", "/a/1": "blue red", "/b": "blue"}
    pages = Pages(5000)
    app = origin(pages)
    path = str(tmp_path / "admin.sock")
    admin = {"admin": {"listen": "unix:" + path}}
    p = lasting(app, over=admin)
    for target, tags in targets.items():
        pages.fields = ["Cache-Control: max-age=600", "Surrogate-Key: " + tags]
        fill(p, pages, folder, target)
    if again:
        kill(p)
        p = lasting(app, over=admin)
    done = run("cache", "purge", "cache", *order, *(["--soft"] if soft else []),
               "--admin", "unix:" + path)
    assert done.stdout.strip() == "purged: %d" % len(gone), done
    # Whatever was purged stays so.
    kill(p)
    p = lasting(app)
    for number, target in enumerate(targets):
        said = get(p, target).get("cache-status")
        assert ("; hit" in said) == (number not in gone), (target, said)
        if number in gone:
            assert ("fwd=stale" if soft else "fwd=uri-miss") in said


def test_a_purge_while_it_arrives(cached, origin, folder, client):
    pages = Pages()
    pages.gate = threading.Event()
    p = cached(origin(pages))
    first = client(p)
    first.send(request(target="/x"))
    eventually(lambda: pages.seen, "the origin is asked")
    get(p, "/x", method="PURGE")
    pages.gate.set()
    assert first.response().body == pages.body("/x")
    assert "fwd" in get(p, "/x").get("cache-status")


# ------------------------------------------------------------------ other processes
def test_a_restart_finds_it(lasting, origin, folder):
    pages = Pages(fields=["Cache-Control: max-age=600", "Vary: X-A", 'ETag: "0"'])
    app = origin(pages)
    p = lasting(app)
    targets = ["/%d" % number for number in range(5)]
    for target in targets:
        assert get(p, target, [("X-A", "1")]).body == pages.body(target)
    wait_stored(folder, 10)
    stored = time.time()
    assert p.stop() == 0
    time.sleep(1.1)
    p = lasting(app)
    for target in targets:
        got = get(p, target, [("X-A", "1")])
        assert got.body == pages.body(target) and is_from_disk(got)
        # Of both processes together.
        assert 1 <= int(got.get("age")) <= time.time() - stored + 2
        assert "fwd=vary-miss" in get(p, target, [("X-A", "2")]).get("cache-status")
    assert len(pages.seen) == 10


def test_other_rules_for_keys_find_nothing(lasting, origin, folder):
    pages = Pages()
    app = origin(pages)
    p = lasting(app)
    fill(p, pages, folder, "/a")
    kill(p)
    p = lasting(app, key={"query": {"sort": True}})
    assert "fwd" in get(p, "/a").get("cache-status")


def test_a_reload_goes_on_with_it(cached, origin, folder):
    pages = Pages()
    p = cached(origin(pages), workers=2, lock={"wait": "5s"})
    fill(p, pages, folder, "/a")
    manifest = manifest_of(p)
    manifest["plugins"]["cache"]["config"]["lock"] = {"wait": "6s"}
    reload(p, manifest)
    wait_gone(p, 1)
    assert is_from_disk(get(p, "/a"))
    fill(p, pages, folder, "/b")
    assert is_from_disk(get(p, "/b"))
    assert p.log.count("the disk tier stores") == 1
    assert "stores nothing" not in p.log
    assert len(pages.seen) == 2


def test_a_reload_with_another_size_finds_it(cached, origin, folder):
    pages = Pages()
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    manifest = manifest_of(p)
    manifest["plugins"]["cache"]["config"]["storage"]["disk"]["size"] = "2GiB"
    reload(p, manifest)
    eventually(lambda: p.log.count("the disk tier stores") == 2, "the folder was looked through")
    assert is_from_disk(get(p, "/a"))
    assert len(pages.seen) == 1


def test_an_upgrade_hands_it_on(cached, origin, folder):
    pages = Pages()
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    gone(p, upgrade(p))
    eventually(lambda: len(re.findall("the disk tier stores ", p.log)) == 2,
               "the new process has the folder")
    assert is_from_disk(get(p, "/a"))
    fill(p, pages, folder, "/b")
    assert is_from_disk(get(p, "/b"))
    assert len(pages.seen) == 2


# ------------------------------------------------------------------ what goes wrong
@pytest.mark.parametrize("round", range(6))
def test_a_kill_leaves_no_torn_object(lasting, origin, folder, round):
    """Killed in the middle of writes: what is served then is whole, byte for byte."""
    pages = Pages(1_500_000, fields=["Cache-Control: max-age=600", 'ETag: "0"'],
                  chunked=round % 2 == 1)
    app = origin(pages)
    p = lasting(app)
    targets = ["/%d" % number for number in range(24)]
    stopped = threading.Event()

    def ask(part):
        for target in part:
            if stopped.is_set():
                return
            try:
                get(p, target)
            except (OSError, Truncated):
                return

    threads = [threading.Thread(target=ask, args=(targets[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    wait_stored(folder, 1 + round)
    time.sleep(0.003 * round)
    kill(p)
    stopped.set()
    for thread in threads:
        thread.join(DEADLINE)
    p = lasting(app)
    hits = 0
    for target in targets:
        got = get(p, target)
        assert got.status == 200 and got.body == pages.body(target), target
        hits += is_from_disk(got)
    assert hits >= 1
    assert os.listdir(os.path.join(folder, "new")) == [] or pages.seen


@pytest.mark.parametrize("place", ["body", "head", "key", "short"])
def test_a_damaged_file_is_a_miss(lasting, origin, folder, tmp_path, place):
    path = str(tmp_path / "admin.sock")
    pages = Pages()
    app = origin(pages)
    p = lasting(app)
    fill(p, pages, folder, "/a")
    kill(p)
    name, = files(folder)
    with open(name, "r+b") as file:
        if place == "short":
            file.truncate(LARGE)
        else:
            file.seek({"body": 4096 + LARGE // 2, "head": 130, "key": 97}[place])
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 4]))
    p = lasting(app, over={"admin": {"listen": "unix:" + path}})
    got = get(p, "/a")
    assert got.body == pages.body("/a") and "fwd=uri-miss" in got.get("cache-status")
    wait_stored(folder)
    assert is_from_disk(get(p, "/a"))
    assert len(pages.seen) == 2
    eventually(lambda: metric(path, "disk_damaged_total") == 1, "it is counted")


def metric(path, name):
    """The sum of a metric of the plugin."""
    c = Client(path)
    try:
        text = c.request(target="/v1/metrics").body.decode()
    finally:
        c.close()
    found = [line for line in text.splitlines()
             if line.startswith("sluice_plugin_cache_" + name + "{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


@pytest.fixture
def small_disk(folder):
    """A file system of 2 MiB, which only root can make."""
    os.mkdir(folder, 0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", folder],
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_stores_nothing(cached, origin, small_disk):
    pages = Pages()
    p = cached(origin(pages))
    for _ in range(2):
        assert get(p, "/a").body == pages.body("/a")
    p.wait_log("the disk tier stores nothing for now: cannot write a file: No space left on device")
    assert files(small_disk) == [] and len(pages.seen) == 2
    pages.size = 1000
    for _ in range(2):
        assert get(p, "/b").body == pages.body("/b")
    assert len(pages.seen) == 3


def test_the_size_is_kept(cached, origin, folder):
    pages = Pages(500_000)
    p = cached(origin(pages), size="4MiB")
    for number in range(30):
        assert get(p, "/%d" % number).body == pages.body("/%d" % number)
        used = sum(os.stat(name).st_blocks * 512 for name in files(folder))
        assert used <= 4 << 20
    assert len(files(folder)) >= 4


def test_the_folder_vanishes(cached, origin, folder):
    pages = Pages(5000)
    p = cached(origin(pages))
    fill(p, pages, folder, "/a")
    os.rename(folder, folder + ".old")
    for _ in range(3):
        assert get(p, "/a").body == pages.body("/a")
        assert get(p, "/b").body == pages.body("/b")


@pytest.mark.parametrize("make, text", [
    (lambda path: os.mkdir(path, 0o755), "others may enter it; its mode must be 0700"),
    (lambda path: open(path, "w").close(), "it is not a folder"),
    (lambda path: (os.mkdir(path, 0o700), open(path + "/x", "w").close()),
     "it has files that are not the cache's"),
    (lambda path: os.symlink("/nowhere/at/all", path), "cannot open the folder"),
])
def test_a_folder_that_is_refused(tmp_path, folder, make, text):
    make(folder)
    manifest = harness.manifest("127.0.0.1:1", chain=["cache"],
                                plugins={"cache": library(folder)})
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest))
    done = run("run", "--no-supervisor", "--manifest", str(path))
    assert done.returncode != 0
    assert "storage.disk.path: " in done.stderr and text in done.stderr, done


@pytest.mark.parametrize("config, text", [
    ({"memory": "2MiB", "storage": {"memory": "2MiB"}}, 'storage.memory: does not go with "memory"'),
    ({"storage": {"disk": {"size": "1GiB"}}}, "path"),
    ({"storage": {"disk": {"path": "/tmp/x"}}}, "size"),
    ({"storage": {"disk": {"path": "", "size": "1GiB"}}}, "storage.disk.path"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1023KiB"}}},
     "storage.disk.size: 1047552 bytes are not within 1048576 to"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1GiB", "sync": "yes"}}},
     "storage.disk.sync"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1GiB", "open_files": 0}}},
     "storage.disk.open_files"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1GiB"}}, "max_object": "300MiB"},
     "max_object: 314572800 bytes are not within 1024 to 268435456"),
])
def test_bad_configuration(tmp_path, config, text):
    manifest = harness.manifest("127.0.0.1:1", chain=["cache"],
                                plugins={"cache": {"library": "libCache.so", "config": config}})
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest))
    done = run("check", "--manifest", str(path))
    assert done.returncode != 0 and text in done.stderr + done.stdout, done


# ------------------------------------------------------------------ what is not in memory
def drop_from_memory(*names):
    """Has the kernel forget what it keeps of files."""
    for name in names:
        file = os.open(name, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_what_has_to_come_from_the_disk(sluice, origin, ca, leaf, folder, secure):
    pages = Pages()
    listener = {"listen": "127.0.0.1:0"}
    if secure:
        listener["tls"] = {"certificates": [leaf.entry]}
    p = sluice(origin(pages), chain=["cache"], plugins={"cache": library(folder)},
               listeners=[listener])
    p.wait_log("the disk tier stores")
    tls = {"tls": ca.client_context(), "server_name": "localhost"} if secure else {}
    c = Client(p.address, **tls)
    try:
        c.request(target="/a")
        wait_stored(folder)
        for _ in range(5):
            drop_from_memory(*files(folder))
            got = c.request(target="/a")
            assert got.body == pages.body("/a") and is_from_disk(got)
        # One who leaves in the middle.
        for _ in range(5):
            drop_from_memory(*files(folder))
            other = Client(p.address, **tls)
            other.send(request(target="/a"))
            other.read(10_000)
            other.close()
        assert c.request(target="/a").body == pages.body("/a")
    finally:
        c.close()
    assert len(pages.seen) == 1


def test_a_soft_purge_of_variants(lasting, origin, folder):
    pages = Pages(5000, fields=["Cache-Control: max-age=600, stale-if-error=600", "Vary: X-A"])
    app = origin(pages)
    p = lasting(app)
    for value in "ab":
        get(p, "/x", [("X-A", value)])
    wait_stored(folder, 3)
    kill(p)
    p = lasting(app)
    assert get(p, "/x", [("Sluice-Purge", "soft")], method="PURGE").status == 200
    pages.status = "503 Service Unavailable"
    for value in "ab":
        before = len(pages.seen)
        got = get(p, "/x", [("X-A", value)])
        assert got.status == 200 and got.body == pages.body("/x")
        assert len(pages.seen) == before + 1


def test_numbers(cached, origin, folder, tmp_path):
    path = str(tmp_path / "admin.sock")
    pages = Pages()
    p = cached(origin(pages), over={"admin": {"listen": "unix:" + path}})
    fill(p, pages, folder, "/a", "/b")
    for _ in range(3):
        get(p, "/a")
    assert metric(path, "disk_hits_total") == 3
    eventually(lambda: metric(path, "disk_stored_total") == 2, "what is stored is counted")
    eventually(lambda: metric(path, "disk_objects") == 2, "objects are counted")
    assert metric(path, "disk_bytes") == sum(
        (os.stat(name).st_size + 4095) // 4096 * 4096 for name in files(folder))
    assert metric(path, "disk_open_files") >= 1
    for name in ("disk_damaged_total", "disk_failures_total", "disk_evictions_total"):
        assert metric(path, name) == 0


def test_a_body_that_outgrows_memory_goes_on_to_the_disk(cached, origin, folder, client):
    """Of no known length: those who read along get all of it, and it is stored."""
    pages = Pages(12_000_000, chunked=True)
    pages.gate = threading.Event()
    p = cached(origin(pages), disk={"min_object": "1MiB"})
    first, second = client(p), client(p)
    first.send(request(target="/a"))
    first.until(b"\r\n\r\n")
    second.send(request(target="/a"))
    second.until(b"\r\n\r\n")
    pages.gate.set()
    for c in (first, second):
        rest = types.SimpleNamespace(trailers=[])
        c.chunked_body(rest)
        assert rest.body == pages.body("/a")
    wait_stored(folder)
    again = get(p, "/a")
    assert again.body == pages.body("/a") and is_from_disk(again)
    assert len(pages.seen) == 1
