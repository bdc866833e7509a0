#!/usr/bin/python3
"""What an object in the cache takes beside its body.

    Tests/Bench/cache_memory.py [--objects 20000]

Fills a cache with objects of one size and says, for each of them, beyond the bytes of their bodies:

  counted   what the plugin counts against `memory`: keys, fields, the head
  resident  by how much the process grew (VmRSS): the same with what allocators lose

Each response has Date, Content-Type, ETag and Cache-Control; an address has some 20 characters.
Bytes, no times, so it may run anywhere.
"""
import argparse
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../EndToEnd"))
import harness  # noqa: E402
from harness import Origin, Sluice, eventually, manifest, serve  # noqa: E402
from wire import Client, reply  # noqa: E402

FIELDS = [("Date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("Content-Type", "text/plain"),
          ("ETag", '"0123456789abcdef"'), ("Cache-Control", "max-age=86400")]


def resident(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024


def metric(address, name):
    client = Client(address)
    text = client.request(target="/v1/metrics").body.decode()
    client.close()
    found = re.findall(r"^sluice_plugin_cache_%s\{[^}]*\} (\S+)" % name, text, re.M)
    return sum(float(number) for number in found)


def measure(size, count):
    origin = Origin(serve(reply(b"x" * size, fields=FIELDS)))
    with tempfile.TemporaryDirectory() as folder:
        admin = os.path.join(folder, "admin.sock")
        proxy = Sluice(folder, manifest(
            origin, chain=["cache"], admin={"listen": "unix:" + admin},
            listener={"limits": {"requests": 1_000_000_000}},
            plugins={"cache": {"library": "libCache.so", "config": {
                "memory": "1GiB", "max_object": "16MiB"}}}), supervised=False)
        try:
            eventually(lambda: os.path.exists(admin), "the admin socket is there")
            client = Client(proxy.address)

            def fill(name, objects):
                for number in range(objects):
                    assert client.request(target="/%s/%08d" % (name, number)).status == 200

            # What is made with the first of them belongs to none.
            fill("first", 100)
            pid = proxy.process.pid
            eventually(lambda: metric(admin, "stored_objects") == 100, "the first are counted")
            before, tables = resident(pid), metric(admin, "stored_bytes")
            fill("object", count)
            grown = resident(pid) - before
            eventually(lambda: metric(admin, "stored_objects") == count + 100, "all are counted")
            counted = metric(admin, "stored_bytes") - tables
            client.close()
        finally:
            proxy.stop()
            origin.close()
    return counted / count - size, grown / count - size


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=20_000)
    arguments = parser.parse_args()
    harness.PATIENCE = 30
    print("| Body | Counted | Resident |\n|--:|--:|--:|")
    for size, share in ((100, 1), (1024, 1), (10_240, 4), (102_400, 20)):
        counted, grown = measure(size, arguments.objects // share)
        print("| %d | %d | %d |" % (size, counted, grown))


if __name__ == "__main__":
    main()
