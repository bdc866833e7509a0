"""The Cache plugin's disk tier in the real proxy: what is served from files, what is stale, what
orders leave of it. Its lives and its faults are in test_cache_disk_lives.py."""
import os
import threading
import types

import pytest

from diskcache import (LARGE, Pages, cached, files, fill, folder, get, is_from_disk,  # noqa: F401
                       kill, lasting, library, metric, wait_stored)
from harness import eventually, run
from keeper import fetch_h2
from wire import Client, request


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
