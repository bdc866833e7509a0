"""The cache under clients that do anything at any time, for 5 seconds; `make cache-endurance` takes
10 minutes. Every body is compared with its version, octet for octet."""
import os
import random
import shutil
import time

import pytest

import cachestress
import harness

CLIENTS = 6
# In the second half of the time. Each leaves an image of the library in memory.
SWAPS_MAX = 20
ROOM = 24 << 20


@pytest.fixture
def swappable(tmp_path):
    """Two copies of the library, to swap between."""
    paths = []
    for name in ("one", "two"):
        paths.append(shutil.copy(os.path.join(harness.PLUGINS, "libCache.so"), tmp_path / name))
        with open(paths[-1], "ab") as file:
            file.write(name.encode())
    return paths


@pytest.mark.seconds(900)
def test_whatever_clients_do_each_body_is_that_of_its_version(
        sluice, tmp_path, swappable, request):
    seconds = float(request.config.getoption("--cache-stress"))
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print("SEED=%d" % seed)
    objects = cachestress.Objects(seed)
    source = cachestress.Origin(objects)
    proxy = sluice(
        source, workers=2, log={"level": "info"},
        admin={"listen": "unix:%s/admin" % tmp_path},
        plugins={"store": {"library": "libCache.so", "config": {
            "memory": "%dMiB" % (cachestress.STORE >> 20), "purge": {"allow": ["127.0.0.0/8"]}}}},
        routes=[{"match": {}, "chain": ["store"], "upstream": "app"}])
    try:
        started = proxy.rss()
        begin = time.monotonic()
        half, end = begin + seconds / 2, begin + seconds
        clients = [cachestress.Client(i, objects, proxy.address, end) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        swaps, grown = 0, None
        while time.monotonic() < end and not any(c.errors for c in clients):
            clients[0].join(seconds / 2 / SWAPS_MAX)
            if time.monotonic() < half:
                continue
            grown = grown or proxy.rss() - started
            if swaps < SWAPS_MAX and time.monotonic() < end:
                done = harness.run("plugin", "swap", "store", swappable[swaps % 2],
                                   "--manifest", proxy.path)
                assert done.returncode == 0, done.stderr
                swaps += 1
        for client in clients:
            client.join(harness.DEADLINE)
            assert not client.is_alive(), "a client hangs"
        totals = {}
        for client in clients:
            for what, count in client.counts.items():
                totals[what] = totals.get(what, 0) + count
        print("%s, %d swaps, %d broken off" % (totals, swaps, source.broken))
        errors = [e for c in clients for e in c.errors]
        assert not errors, "\n".join(errors[:5])
        # What would not have been tested otherwise.
        for what in ("GET 200", "GET 206", "GET 304", "HEAD 200", "PURGE 200"):
            assert totals.get(what), "no %s in %s" % (what, totals)
        # The store, with what allocators and two workers keep for themselves.
        assert grown < cachestress.STORE + ROOM, (started, grown)
        # An image of the library stays for each swap.
        images = swaps * os.path.getsize(swappable[0])
        assert proxy.rss() - started < 2 * cachestress.STORE + 2 * ROOM + images, (grown, swaps)
    finally:
        source.close()
