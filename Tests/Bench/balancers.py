#!/usr/bin/python3
"""How evenly each balancer spreads requests, and how often they find a connection that stands
already, by the number of workers.

    Tests/Bench/balancers.py [--workers 1,2,4,8] [--balancer RoundRobin,...] [--requests 20000]

64 clients keep their connections and send requests with different keys, to ten origins. A cell has
the connections that the origins saw, the share of requests that came on one which had served one
before, and what the least and the most loaded origin got, in percent of a tenth. Counts and no
times, so it may run anywhere.
"""
import argparse
import os
import random
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../EndToEnd"))
from harness import Origin, Sluice, manifest, serve  # noqa: E402
from reuse import expect, together  # noqa: E402
from wire import Client, reply  # noqa: E402

CLIENTS, PEERS = 64, 10
BALANCERS = {"RoundRobin": {}, "LeastConnections": {}, "Random": {},
             "Ketama": {"key": "header:x-key"}, "Maglev": {"key": "header:x-key"}}


class Counts:
    """What the origins saw of some requests."""

    def __init__(self, requests, connections, shares):
        self.connections, self.reused = connections, 1 - connections / requests
        fair = requests / len(shares)
        self.least, self.most = min(shares) / fair, max(shares) / fair

    def __str__(self):
        return "%d, %.1f %%, %.1f to %.1f" % (
            self.connections, 100 * self.reused, 100 * self.least, 100 * self.most)


def settings(balancer, origins, workers):
    return manifest(*origins, workers=workers, log={"level": "info"}, upstream={"balancer": "lb"},
                    listener={"limits": {"requests": 1_000_000}}, plugins={
                        "lb": {"library": "lib%s.so" % balancer, "config": BALANCERS[balancer]}})


def measure(balancer, workers, requests, clients=CLIENTS, peers=PEERS):
    """Counts of so many requests, which `clients` must divide."""
    origins = [Origin(serve(reply())) for _ in range(peers)]
    with tempfile.TemporaryDirectory() as folder:
        proxy = Sluice(folder, settings(balancer, origins, workers))
        try:
            together(clients, lambda number: run(proxy.address, number, requests // clients))
        finally:
            proxy.close()
    shares = [len(origin.requests) for origin in origins]
    assert sum(shares) == requests, "%d requests, and the origins saw %d" % (requests, sum(shares))
    counts = Counts(requests, sum(origin.connections for origin in origins), shares)
    for origin in origins:
        origin.close()
    return counts


def run(address, number, count):
    keys = random.Random(number)
    client = Client(address)
    for _ in range(count):
        expect(client.request(fields=[("x-key", "%016x" % keys.getrandbits(64))]))
    client.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--balancer", default=",".join(BALANCERS))
    parser.add_argument("--requests", type=int, default=20_000)
    arguments = parser.parse_args()
    workers = [int(word) for word in arguments.workers.split(",")]
    requests = arguments.requests // CLIENTS * CLIENTS
    print("| %d requests | %s |" % (requests, " | ".join("%d workers" % n for n in workers)))
    print("|---|%s" % ("--:|" * len(workers)))
    for balancer in arguments.balancer.split(","):
        cells = [str(measure(balancer, number, requests)) for number in workers]
        print("| %s | %s |" % (balancer, " | ".join(cells)), flush=True)


if __name__ == "__main__":
    main()
