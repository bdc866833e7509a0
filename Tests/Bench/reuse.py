#!/usr/bin/python3
"""How often requests find a connection to the origin that stands already, by the number of workers.

    Tests/Bench/reuse.py [--workers 1,2,4,8] [--before PATH]

Counts connections and no times, so it may run anywhere. Requests go through sluice, and, if they
are installed, nginx with `keepalive` and HAProxy with `http-reuse always`, all with as many workers
or threads. `--before` adds another build of sluice. The workloads:

  sparse      one request at a time, each on a new connection, to 20 peers in turn
  crowd       32 clients, each request on a new connection, one peer
  keep-alive  64 clients that keep their connection and pause up to 5 ms, one peer

A cell has the connections that the origins saw, the requests for each of them, and the share of
requests that came on a connection which had served one before.
"""
import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../EndToEnd"))
import harness  # noqa: E402
from harness import Origin, Sluice, eventually, manifest, serve  # noqa: E402
from wire import Client, reply  # noqa: E402

CLOSE = [("Connection", "close")]
# Requests beyond that the pools are kept large enough for every workload.
IDLE = 256


def sparse(address):
    for _ in range(1_000):
        ask_once(address)


def crowd(address):
    together(32, lambda _: [ask_once(address) for _ in range(100)])


def keep_alive(address):
    def run(number):
        pause = random.Random(number)
        client = Client(address)
        for _ in range(50):
            expect(client.request())
            time.sleep(pause.random() / 200)
        client.close()

    together(64, run)


# Name, origins, requests, function.
WORKLOADS = [("sparse", 20, 1_000, sparse), ("crowd", 1, 3_200, crowd),
             ("keep-alive", 1, 3_200, keep_alive)]


def expect(answer):
    assert answer.status == 200, answer.status


def ask_once(address):
    client = Client(address)
    expect(client.request(fields=CLOSE))
    client.close()


def together(count, run):
    failures = []

    def guarded(number):
        try:
            run(number)
        except Exception as error:  # noqa: B902  raised below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Other:
    """A proxy that is not sluice, on a free port."""

    def __init__(self, folder, make, origins, workers):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        path = os.path.join(folder, "config")
        text, argv = make(folder, self.address, [o.address for o in origins], workers)
        with open(path, "w") as file:
            file.write(text)
        self.process = subprocess.Popen([a.format(path) for a in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.listens, "it listens")

    def listens(self):
        assert self.process.poll() is None, "it did not start"
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def nginx(folder, address, origins, workers):
    servers = " ".join("server %s;" % o for o in origins)
    names = "client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path"
    temp = " ".join("%s %s/%s;" % (n, folder, n) for n in names.split())
    return """
worker_processes %d; daemon off; pid %s/pid; error_log stderr; %s
events { worker_connections 4096; }
http {
  access_log off; %s
  upstream o { %s keepalive %d; keepalive_requests 1000000000; }
  server {
    listen %s:%d reuseport;
    location / { proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
""" % (workers, folder, "user root;" if os.getuid() == 0 else "", temp, servers, IDLE,
       *address), ["nginx", "-p", folder, "-e", "stderr", "-c", "{}"]


def haproxy(_, address, origins, workers):
    servers = "\n".join("  server s%d %s" % entry for entry in enumerate(origins))
    return """
global
  nbthread %d
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind %s:%d
  default_backend b
backend b
  balance roundrobin
%s
""" % (workers, *address, servers), ["haproxy", "-db", "-f", "{}"]


def sluice(binary):
    def start(folder, origins, workers):
        harness.BINARY = binary
        return Sluice(folder, manifest(
            *origins, workers=workers, log={"level": "info"},
            plugin_dir=os.path.dirname(os.path.abspath(binary))))

    return start


def other(make):
    return lambda folder, origins, workers: Other(folder, make, origins, workers)


def measure(start, peers, requests, work, workers):
    origins = [Origin(serve(reply())) for _ in range(peers)]
    with tempfile.TemporaryDirectory() as folder:
        proxy = start(folder, origins, workers)
        try:
            work(proxy.address)
        finally:
            proxy.close()
    seen = sum(len(o.requests) for o in origins)
    assert seen == requests, "%d requests, and the origins saw %d" % (requests, seen)
    connections = sum(o.connections for o in origins)
    for origin in origins:
        origin.close()
    return "%d, %.1f, %.1f %%" % (
        connections, requests / connections, 100 * (1 - connections / requests))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--before", help="another build of sluice")
    arguments = parser.parse_args()
    proxies = [("sluice", sluice(harness.BINARY))]
    if arguments.before:
        proxies.append(("sluice before", sluice(arguments.before)))
    for name, make in (("nginx", nginx), ("haproxy", haproxy)):
        if shutil.which(name):
            proxies.append((name, other(make)))
        else:
            print("%s is not installed and left out" % name, file=sys.stderr)
    print("| workload | workers | %s |" % " | ".join(name for name, _ in proxies))
    print("|---|--:|%s" % ("--:|" * len(proxies)))
    for name, peers, requests, work in WORKLOADS:
        for workers in map(int, arguments.workers.split(",")):
            cells = [measure(start, peers, requests, work, workers) for _, start in proxies]
            print("| %s | %d | %s |" % (name, workers, " | ".join(cells)), flush=True)


if __name__ == "__main__":
    main()
