"""The lives and the faults of the Cache plugin's disk tier: restarts, reloads, upgrades, kills in
the middle of writes, damage, full disks, and folders that are refused."""
import json
import os
import subprocess
import threading
import time

import pytest

import harness
from diskcache import (LARGE, Pages, cached, files, fill, folder, get, is_from_disk,  # noqa: F401
                       kill, lasting, library, metric, wait_stored)
from harness import eventually, run
from reloading import manifest_of, reload, wait_gone
from test_hand_over import gone, upgrade
from wire import DEADLINE, Truncated


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
    eventually(lambda: p.log.count("the disk tier stores ") == 2,
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
    ({"memory": "2MiB", "storage": {"memory": "2MiB"}},
     'storage.memory: does not go with "memory"'),
    ({"storage": {"disk": {"size": "1GiB"}}}, "path"),
    ({"storage": {"disk": {"path": "/tmp/x"}}}, "size"),
    ({"storage": {"disk": {"path": "", "size": "1GiB"}}}, "storage.disk.path"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1023KiB"}}},
     "storage.disk.size: 1047552 bytes are not within 1048576 to"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1GiB", "sync": "yes"}}},
     "storage.disk.sync"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1GiB", "open_files": 0}}},
     "storage.disk.open_files"),
    ({"storage": {"disk": {"path": "/tmp/x", "size": "1GiB", "min_object": "17MiB"}}},
     "storage.disk.min_object: 17825792 bytes are more than memory takes, which is 16777216"),
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
