#!/usr/bin/python3
"""Drives the proxy with plugins that do whatever a random number says.

    Tests/Fuzz/boundary.py --seconds 60            # new seeds, printed
    Tests/Fuzz/boundary.py --seed 7 --requests 500 # one of them again

Three instances of evil.c stand in the chain, clients and origins behave and misbehave at random.
What must hold whatever the plugins do: the process lives and ends with 0 when it is told to, a
client gets well-formed HTTP or a cut connection, and each request that a plugin saw ended for it
exactly once. SLUICE_BIN names another binary than .build/release/sluice, such as one that was built
with a sanitizer; what that writes is a failure.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../EndToEnd"))
import harness  # noqa: E402
from harness import Origin, Sluice, manifest  # noqa: E402
from wire import Client, Malformed, Truncated, chunk, reply, request  # noqa: E402

GONE = (Truncated, ConnectionError, TimeoutError, OSError)


def compile_plugin(folder):
    path = os.path.join(folder, "libevil.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-g", "-Wall", "-Werror",
                    "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
                    os.path.join(HERE, "evil.c"), "-lpthread"], check=True)
    return path


def origin(seed):
    dice = random.Random(seed)

    def script(connection):
        while True:
            try:
                head = connection.read_request()
            except (Malformed, AssertionError) as error:
                problems.append("the origin got %r" % error)
                return
            if head is None:
                return
            body = dice.randbytes(dice.choice([0, 1, 10, 5_000, 90_000, 300_000]))
            kind = dice.randrange(10)
            if head.method == "HEAD":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            elif kind < 5:
                connection.send(reply(body, fields=[("ETag", "x"), ("Content-Type", "text/plain")]))
            elif kind < 8:
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                at = 0
                while at < len(body):
                    size = dice.randrange(1, 40_000)
                    connection.send(chunk(body[at:at + size]))
                    at += size
                connection.send(b"0\r\nX-Trailer: 1\r\n\r\n" if kind == 7 else b"0\r\n\r\n")
            elif kind == 8:
                connection.send(reply(body)[:dice.randrange(1, 60)])
                return
            else:
                connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    problems = []
    made = Origin(script)
    made.problems = problems
    return made


def ask(dice, client):
    """One request with all that may go wrong on the client's side; false when it is over."""
    method = dice.choice(["GET", "GET", "POST", "PUT", "HEAD"])
    body = b""
    if method in ("POST", "PUT"):
        body = dice.randbytes(dice.choice([1, 100, 70_000, 250_000]))
    fields = [("X-Number", str(dice.randrange(100)))]
    kind = dice.randrange(20)
    if kind == 0:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n")
    elif kind < 4 and body:
        client.send(request(method, "/", fields + [("Transfer-Encoding", "chunked")]))
        for at in range(0, len(body), 30_000):
            client.send(chunk(body[at:at + 30_000]))
        client.send(b"0\r\nX-Last: 1\r\n\r\n")
    else:
        raw = request(method, "/", fields, body)
        if kind == 4:
            client.send(raw[:dice.randrange(1, len(raw))])
            client.reset()
            return False
        client.send(raw)
    if kind == 5:
        client.reset()
        return False
    client.seen.append((method, kind))
    answer = client.response(method)
    client.seen[-1] += (answer.status, answer.fields, answer.body[:20])
    return not answer.closes


def client_of(seed, address, count, problems):
    dice = random.Random(seed)
    connection = None
    for _ in range(count):
        try:
            if connection is None:
                connection = Client(address)
                connection.seen = []
            if not ask(dice, connection):
                connection.close()
                connection = None
        except GONE:
            if connection:
                connection.close()
            connection = None
        except (Malformed, ValueError) as error:
            problems.append("a client got %r after %r" % (error, connection.seen[-3:]))
            connection.close()
            connection = None
    if connection:
        connection.close()


def run(seed, library, requests, clients=4):
    """One proxy under one seed; the problems found."""
    dice = random.Random(seed)
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        origins = [origin(seed * 10 + n) for n in range(2)]
        names = ["evil%d" % n for n in range(3)]
        plugins = {}
        for n, name in enumerate(names):
            plugins[name] = {
                "library": library,
                "on_error": dice.choice(["open", "closed:503"]),
                "config": {"seed": seed * 3 + n,
                           "hooks": dice.choice([4095, 4095, dice.randrange(4096)])},
            }
        proxy = Sluice(folder, manifest(
            *origins, plugins=plugins, chain=names[:2], log={"level": "info"},
            routes=[{"match": {}, "upstream": "app", "chain": names[2:]}],
            workers=2, listener={"timeouts": {"suspend": "1s"}, "limits": {"body_buffer": "64KiB"}},
            upstream={"timeouts": {"read": "2s", "first_byte": "2s"}}))
        threads = [threading.Thread(target=client_of, args=(
            seed * 100 + n, proxy.address, requests // clients, problems)) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        proxy.signal(15)
        try:
            status = proxy.wait_end()
        except subprocess.TimeoutExpired:
            status = "no end: " + proxy.log[-3000:]
        if status != 0:
            problems.append("the proxy ended with %r" % status)
        for n, begun, ended in re.findall(r"evil (\d+) begun (\d+) ended (\d+)", proxy.log):
            if begun != ended:
                problems.append("evil %s: %s requests begun, %s ended" % (n, begun, ended))
        if len(re.findall(r"evil \d+ begun", proxy.log)) != 3 and status == 0:
            problems.append("not all instances were destroyed")
        if re.search(r"Sanitizer|runtime error", proxy.log):
            problems.append(proxy.log[-6000:])
        proxy.close()
        for made in origins:
            problems += made.problems
            made.close()
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, help="run this one")
    parser.add_argument("--seconds", type=int, default=60, help="of new seeds (60)")
    parser.add_argument("--requests", type=int, default=400, help="for each seed (400)")
    options = parser.parse_args()
    found = False
    with tempfile.TemporaryDirectory() as folder:
        library = compile_plugin(folder)
        end = time.monotonic() + options.seconds
        seed = options.seed if options.seed is not None else random.randrange(1 << 20)
        while True:
            problems = run(seed, library, options.requests)
            print("seed %d: %s" % (seed, "; ".join(problems) or "good"), flush=True)
            found = found or bool(problems)
            if options.seed is not None or time.monotonic() > end:
                break
            seed += 1
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
