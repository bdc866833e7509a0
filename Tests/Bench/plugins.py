#!/usr/bin/python3
"""What plugins cost that do nothing: CPU per request by their number, by a wait, by a body hook.

    Tests/Bench/plugins.py [--seconds 4] [--repeat 3]

One worker on CPU 0, wrk and the origin (sluice with Respond) on CPU 1. The settings are run in turn,
`repeat` times, and the least shown: the CPU time of the proxy over its requests, and what that is
of the first line's. Only ratios of one run mean something.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../EndToEnd"))
from harness import Sluice, manifest  # noqa: E402

HEADS = ["request_headers", "response_headers"]
SMALL, LARGE = 1024, 1 << 20
# Name, configurations of the plugins in the chain, bytes of a response, connections.
SETTINGS = [
    ("no plugin", [], SMALL),
    ("1 no-op plugin", [{"hooks": HEADS}], SMALL),
    ("5 no-op plugins", [{"hooks": HEADS}] * 5, SMALL),
    ("10 no-op plugins", [{"hooks": HEADS}] * 10, SMALL),
    ("10 with every head hook and the end", [{"hooks": HEADS + [
        "upstream_request", "upstream_result", "upstream_response", "request_end"]}] * 10, SMALL),
    ("a wait in request_headers", [{"waits": ["request_headers"]}], SMALL),
    ("1 MiB, no body hook (spliced)", [], LARGE),
    ("1 MiB, 1 body hook", [{"hooks": ["response_body"]}], LARGE),
    ("1 MiB, 5 body hooks", [{"hooks": ["response_body"]}] * 5, LARGE),
]


def ticks(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(library, origin, configurations, size, seconds):
    """CPU seconds per request."""
    names = ["noop%d" % n for n in range(len(configurations))]
    plugins = {n: {"library": library, "config": c} for n, c in zip(names, configurations)}
    with tempfile.TemporaryDirectory() as folder:
        address = "%s:%d" % origin if isinstance(origin, tuple) else origin
        proxy = Sluice(folder, manifest(
            address, plugins=plugins, chain=names, log={"level": "info"},
            listener={"limits": {"requests": 1_000_000_000}}), prefix=["taskset", "-c", "0"])
        target = "http://%s:%d/" % proxy.address[:2]
        load = ["taskset", "-c", "1", "wrk", "-t1", "-c32"]
        subprocess.run(load + ["-d1s", target], check=True, stdout=subprocess.DEVNULL)
        before = ticks(proxy.serving)
        out = subprocess.run(load + ["-d%ds" % seconds, target], check=True, text=True,
                             capture_output=True).stdout
        used = ticks(proxy.serving) - before
        proxy.close()
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return used / int(re.search(r"(\d+) requests in", out).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    found = {name: [] for name, _, _ in SETTINGS}
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "libnoop.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror",
                        "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", library,
                        os.path.join(HERE, "noop.c")], check=True)
        origins = {}
        for size in (SMALL, LARGE):
            inner = os.path.join(folder, str(size))
            os.mkdir(inner)
            origins[size] = Sluice(inner, manifest(
                plugins={"say": {"library": "libRespond.so", "config": {"body": "x" * size}}},
                listener={"limits": {"requests": 1_000_000_000}}, log={"level": "info"},
                routes=[{"match": {}, "chain": ["say"]}]), prefix=["taskset", "-c", "1"])
        for _ in range(options.repeat):
            for name, configurations, size in SETTINGS:
                found[name].append(measure(
                    library, origins[size].address, configurations, size, options.seconds))
                time.sleep(0.2)
        for origin in origins.values():
            origin.close()
    print("| | CPU µs per request | ratio |\n|---|--:|--:|")
    for name, _, size in SETTINGS:
        first = min(found[SETTINGS[0][0] if size == SMALL else SETTINGS[6][0]])
        value = min(found[name])
        rate = "" if size == SMALL else ", %.1f GB per CPU second" % (size / value / 1e9)
        print("| %s%s | %.2f | %.3f |" % (name, rate, value * 1e6, value / first))


if __name__ == "__main__":
    main()
