#!/usr/bin/env python3
"""Counts what one keep-alive request costs the proxy, and compares it with thresholds.json.

    counts.py               the table, and a line per threshold that is passed or not
    counts.py --top 20      also the functions with the most instructions per request

Counts repeat from run to run and from machine to machine where times do not, so they can be held
to a number. One worker, RoundRobin and Headers loaded, a 1 KB response, one client connection; each
request is answered before the next is sent; once with HTTP/1.1 on both sides, once with HTTP/2 in
the clear on both. Start and end are left out: what is counted while it runs is counted between two
moments, the rest is the difference of a run of N and one of 2 N requests.

  allocations      malloc, calloc, realloc and their aligned forms (allocations.c, preloaded)
  data_calls       system calls that move bytes (strace)
  waits            epoll_wait and its variants
  other_calls      every other system call
  instructions     in user space, the plugins' included (valgrind's callgrind)
  runtime_percent  the share of them in the Swift runtime and standard library

SLUICE_BIN names another binary than .build/release/sluice.
"""
import argparse
import collections
import json
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../EndToEnd"))
import h2origin  # noqa: E402
import harness  # noqa: E402
from h2wire import H2, get  # noqa: E402
from harness import BINARY, Origin, Sluice, eventually, manifest, serve  # noqa: E402
from wire import Client, reply, request  # noqa: E402

DATA = set("read readv pread64 recvfrom recvmsg recvmmsg write writev pwrite64 sendto sendmsg "
           "sendmmsg splice sendfile tee vmsplice".split())
WAITS = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
# `swift_retain`, `_swift_...`, C++ of the runtime, and what is mangled as of the module `Swift`:
# `$ss`, or `$sS` with the letter of a well-known type; `$sSo` and `$sSC` are C, and with the name of
# a module behind it comes what that one adds to the type.
RUNTIME = re.compile(
    r"^_?_?swift_|swift::|^\$s(s|S[^oC](?!4HTTP|5Proxy|3Sys|7Reactor|10PluginHost))")
ANSWER = reply(b"x" * 1023 + b"\n", fields=[
    ("Server", "origin"), ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("Content-Type", "text/plain"),
    ("Connection", "keep-alive"), ("X-Origin", "a")])
ASK = request(target="/1k", host="127.0.0.1:8080")
WARM = 100
# Of HTTP/2, for all that a run sends.
WINDOW = 1 << 30


class HTTP1:
    """One client and two origins of HTTP/1.1."""

    listener, upstream = {}, {}
    # Of the chain, in its order, but for the balancer.
    plugins = {"hdr": {"library": "libHeaders.so"}}

    answer = ANSWER

    def __init__(self):
        self.origins = [Origin(serve(self.answer)) for _ in range(2)]

    def connect(self, address):
        self.client = Client(address)

    def ask(self, count):
        for _ in range(count):
            self.client.send(ASK)
            answer = self.client.response()
            assert answer.status == 200 and len(answer.body) == 1024


class HTTP2:
    """The same of HTTP/2 in the clear."""

    listener, upstream = {"protocols": ["h1", "h2c"]}, {"protocol": "h2c"}
    plugins = HTTP1.plugins

    def __init__(self):
        def answer(connection, request):
            # In one call: what comes in two is read in one or in two, as the kernel has it.
            frames, send = [], connection.send
            connection.send = frames.append
            connection.answer(request.id, b"x" * 1024, fields=[
                ("server", "origin"), ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
                ("content-type", "text/plain"), ("x-origin", "a")])
            connection.send = send
            send(b"".join(frames))

        self.origins = [h2origin.H2Origin(h2origin.serve(answer)) for _ in range(2)]

    def connect(self, address):
        self.client = H2(address).open()
        self.client.credit(0, WINDOW)

    def ask(self, count):
        for _ in range(count):
            answer = self.client.fetch(get("/1k", authority="127.0.0.1:8080"))
            assert answer.status == 200 and len(answer.body) == 1024


class Operations(HTTP1):
    """HTTP/1.1 with what operators turn on first."""

    plugins = {
        "log": {"library": "libAccessLog.so", "config": {
            "format": "combined", "output": {"file": "access.log"}}},
        "numbers": {"library": "libMetrics.so"},
        "limit": {"library": "libRateLimit.so", "config": {
            "fields": "none", "rules": [{"name": "client", "limit": 1_000_000}]}},
        **HTTP1.plugins,
    }


class Cached(HTTP1):
    """HTTP/1.1 from memory: the origins are asked once."""

    plugins = {**HTTP1.plugins, "store": {"library": "libCache.so"}}
    # Without a date, by which it would be old.
    answer = reply(b"x" * 1023 + b"\n", fields=[
        ("Server", "origin"), ("Content-Type", "text/plain"), ("ETag", '"a"'),
        ("Cache-Control", "max-age=86400")])

    def ask(self, count):
        super().ask(count)
        assert sum(len(origin.requests) for origin in self.origins) == 1


VERSIONS = {"h1_1k": HTTP1, "h2_1k": HTTP2, "ops_1k": Operations, "cache_1k": Cached}


class Setting:
    """A proxy with both plugins between one client and two origins."""

    def __init__(self, version, **options):
        self.folder = tempfile.TemporaryDirectory()
        self.peers = VERSIONS[version]()
        self.ask, self.origins = self.peers.ask, self.peers.origins
        options["prefix"] = [a.format(folder=self.folder.name) for a in options.get("prefix", [])]
        # Without debug information, which valgrind can't read of every compiler.
        libraries = [plugin["library"] for plugin in self.peers.plugins.values()]
        for name in ["libRoundRobin.so", *libraries]:
            self.strip(os.path.join(harness.PLUGINS, name))
        options["binary"] = self.strip(BINARY)
        content = manifest(
            *self.origins, plugin_dir=self.folder.name, log={"level": "info"},
            plugins=self.peers.plugins, chain=list(self.peers.plugins),
            upstream=self.peers.upstream,
            listener={"limits": {"requests": 1_000_000_000}, **self.peers.listener})
        # strace and valgrind look at the process that serves.
        self.proxy = Sluice(self.folder.name, content, supervised=False, **options)
        self.peers.connect(self.proxy.address)
        self.ask(WARM)

    def strip(self, path):
        """A copy of a file with its symbols and no more; its path."""
        copy = os.path.join(self.folder.name, os.path.basename(path))
        subprocess.run(["strip", "--strip-debug", "-o", copy, path], check=True)
        return copy

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peers.client.close()
        self.proxy.close()
        for origin in self.origins:
            origin.close()
        self.folder.cleanup()


def allocations(version, count):
    """Per request, counted while it runs."""
    with tempfile.TemporaryDirectory() as folder:
        library, counter = folder + "/allocations.so", folder + "/count"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE + "/allocations.c"],
                       check=True)
        with open(counter, "wb") as file:
            file.write(bytes(8))
        with open(counter, "rb") as file:
            shared = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
        read = lambda: struct.unpack("=Q", shared[:8])[0]
        environment = {"LD_PRELOAD": library, "SLUICE_ALLOCATIONS": counter}
        with Setting(version, environment=environment) as setting:
            assert read() > 0, "the allocations of the proxy are not seen"
            before = read()
            setting.ask(count)
            return (read() - before) / count


def traced_calls(version, count):
    """System calls of a whole run by name."""
    # -D: strace is not the parent, so that signals reach the proxy itself.
    prefix = ["strace", "-D", "-f", "-q", "-o", "{folder}/trace"]
    with Setting(version, prefix=prefix) as setting:
        trace = setting.folder.name + "/trace"
        setting.ask(count)
        setting.proxy.stop()
        ended = lambda: re.search(
            r"^%d .*exited with" % setting.proxy.process.pid, open(trace).read(), re.M)
        eventually(ended, "strace wrote the end of its trace")
        # A call that another thread's line interrupts is written in two lines; only the first of
        # them has the name at its begin.
        return collections.Counter(re.findall(r"^\d+ +(\w+)\(", open(trace).read(), re.M))


def instructions(version, count):
    """Per request and function. The counters are set to zero after the start, whose instructions
    are so many that the difference of two runs would drown in their variation."""
    prefix = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file={folder}/calls"]
    # It runs some fifty times slower, and the start has libraries of megabytes to look at.
    with Setting(version, prefix=prefix, patience=120) as setting:
        control = lambda what: subprocess.run(
            ["callgrind_control", what, str(setting.proxy.process.pid)], check=True,
            capture_output=True)
        control("--zero")
        setting.ask(count)
        control("--dump")
        costs = instructions_by_function(setting.folder.name + "/calls.1")
        return {name: cost / count for name, cost in costs.items()}


def instructions_by_function(path):
    """Reads callgrind's file: after `fn=` come lines of position and cost; the line after `calls=`
    is what the callee cost and belongs to that one."""
    names, costs = {}, collections.Counter()
    function, is_callee = None, False
    with open(path, errors="replace") as file:
        for line in file:
            if line.startswith("fn="):
                number, _, name = line[3:].strip().partition(" ")
                function = names.setdefault(number, name or number)
            elif line.startswith(("cfn=", "cfi=", "cob=", "fl=", "fi=", "fe=", "ob=")):
                if line.startswith("cfn="):
                    number, _, name = line[4:].strip().partition(" ")
                    if name:
                        names.setdefault(number, name)
            elif line.startswith("calls="):
                is_callee = True
            elif line[:1] in "0123456789+-*":
                if is_callee:
                    is_callee = False
                else:
                    costs[function] += int(line.split()[1])
    return costs


def per_request(measure, version, count):
    """Difference of two runs, per request and key."""
    short, long = measure(version, count), measure(version, 2 * count)
    return {key: (long[key] - short[key]) / count for key in long if long[key] != short[key]}


def measure(version, count):
    """The counts of one request, its system calls, and the instructions of each function."""
    out = {"allocations": allocations(version, count)}
    by_name = per_request(traced_calls, version, count)
    out["data_calls"] = sum(v for n, v in by_name.items() if n in DATA)
    out["waits"] = sum(v for n, v in by_name.items() if n in WAITS)
    out["other_calls"] = sum(v for n, v in by_name.items() if n not in DATA | WAITS)
    by_function = instructions(version, count)
    out["instructions"] = sum(by_function.values())
    runtime = sum(v for n, v in by_function.items() if RUNTIME.search(n))
    out["runtime_percent"] = 100 * runtime / out["instructions"]
    return out, by_name, by_function


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--top", type=int, default=0, help="functions to list")
    parser.add_argument("--only", help="rows of thresholds.json to measure, with commas between")
    parser.add_argument("--requests", type=int, default=500, help="N of each measurement")
    arguments = parser.parse_args()
    missing = [tool for tool in ("cc", "strace", "valgrind") if not shutil.which(tool)]
    if not os.access(BINARY, os.X_OK):
        sys.exit("no binary at %s: run `make build`, or set SLUICE_BIN" % BINARY)
    if missing:
        sys.exit("missing: %s; run `make test-deps`" % ", ".join(missing))
    with open(HERE + "/thresholds.json") as file:
        thresholds = json.load(file)
    failed, passed = [], 0
    for version, limits in thresholds.items():
        if arguments.only and version not in arguments.only.split(","):
            continue
        wrong = report(version, limits, arguments)
        failed += wrong
        passed += len(limits) - len(wrong)
    for line in failed:
        print("counts: " + line, file=sys.stderr)
    print("%d passed, %d failed" % (passed, len(failed)))
    return 1 if failed else 0


def report(version, limits, arguments):
    """Measures and prints one table; a line for each threshold that is not kept."""
    counts, calls, functions = measure(version, arguments.requests)
    chain = [plugin["library"][3:-3] for plugin in VERSIONS[version].plugins.values()]
    print("One keep-alive request, 1 KB, with RoundRobin and %s, %s:\n" % (
        ", ".join(chain), version))
    print("| count | per request | threshold | |\n|---|--:|--:|---|")
    failed = []
    for name, limit in limits.items():
        ok, shown = counts[name] <= limit, "%.10g" % round(counts[name], 3)
        print("| %s | %s | %g | %s |" % (name, shown, limit, "pass" if ok else "FAIL"))
        if not ok:
            failed.append("%s: %s: %s per request, over the threshold of %g" % (
                version, name, shown, limit))
    print("\nsystem calls: " + ", ".join(
        "%s %.3g" % (n, v) for n, v in sorted(calls.items(), key=lambda item: -item[1])))
    if arguments.top:
        print("\n| instructions | function |\n|--:|---|")
        for name, cost in sorted(functions.items(), key=lambda item: -item[1])[:arguments.top]:
            print("| %.1f | %s |" % (cost, name[:110]))
    print()
    return failed


if __name__ == "__main__":
    sys.exit(main())
