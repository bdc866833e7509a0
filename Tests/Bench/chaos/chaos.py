#!/usr/bin/python3
"""Load balancing while origins fail: what clients notice of it, beside HAProxy.

    Tests/Bench/chaos/chaos.py [--proxy sluice,haproxy] [--balancer RoundRobin,...] [--rate 500]

Eight origins behind the proxy, requests at a constant rate. In each phase something happens to one
or several origins, and some seconds later they are well again. A row of the table has

  requests, failed   of the whole phase; failed is what the client did not get, or got wrong
  p50, p99           milliseconds, while the origins were ill
  out                seconds until the proxy used none of them any more
  back               seconds from their recovery to the first request at each of them
  1st s, 2nd s       what they got in the first and second second after that, in percent of a fair
                     share; and the most in any quarter of a second of both

Ends with 1 when sluice failed a request, and says where it did worse than HAProxy. Times are those
of the machine: on a shared one only rows of the same run may be compared.
"""
import argparse
import asyncio
import gc
import os
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import chaos_origin  # noqa: E402
import chaos_proxies  # noqa: E402
from chaos_load import Load, Window  # noqa: E402
from chaos_origin import Origin  # noqa: E402

ORIGINS = 8
# Seconds between two looks at what the proxy says of its peers.
LOOK = 0.05


# ------------------------------------------------------------------------ faults
def mode(value):
    def begin(origin):
        origin.page.mode = value

    def end(origin):
        origin.page.mode = chaos_origin.FINE

    return begin, end


# Name: what happens, how it ends, and whether the origin counts what it is sent meanwhile.
FAULTS = {
    "killed": (Origin.kill, Origin.begin, False),
    "stopped": (Origin.stop, Origin.resume, False),
    "slow": (*mode(chaos_origin.SLOW), True),
    "resetting": (*mode(chaos_origin.RESET), True),
    "503": (*mode(chaos_origin.UNAVAILABLE), True),
}

# Name, and what happens to which origin.
PHASES = [
    ("one killed", {0: "killed"}),
    ("one stopped", {1: "stopped"}),
    ("one slow", {2: "slow"}),
    ("one resetting", {3: "resetting"}),
    ("one answers 503", {4: "503"}),
    ("two killed", {5: "killed", 6: "killed"}),
    ("one stopped, one resetting", {7: "stopped", 0: "resetting"}),
    ("one slow, one 503", {1: "slow", 2: "503"}),
    ("all but one killed", {n: "killed" for n in range(1, ORIGINS)}),
]


class Phase:
    """When a phase's events were, and what the proxy said meanwhile."""

    def __init__(self, name, faults):
        self.name, self.faults = name, faults
        self.begin = self.recovery = self.end = 0
        # (moment, addresses in use), when that changed.
        self.looks = []


class Row:
    """A row of the table."""

    def __init__(self, phase, results, origins):
        whole = Window(results, phase.begin, phase.end)
        ill = Window(results, phase.begin, phase.recovery)
        self.name, self.requests, self.failures = phase.name, whole.requests, whole.failures
        self.p50, self.p99 = ill.percentile(0.5), ill.percentile(0.99)
        ill = [(origins[number], FAULTS[fault][2]) for number, fault in phase.faults.items()]
        self.out = max(self.time_out(phase, *entry) for entry in ill)
        returns = [(o, o.page.first(phase.recovery, phase.end)) for o, _ in ill]
        self.back = max(moment - phase.recovery if moment else float("inf")
                        for _, moment in returns)
        known = [entry for entry in returns if entry[1]]
        self.first, self.second = (share(origins, known, at, 1) for at in (0, 1))
        self.peak = max((share(origins, [entry], at / 4, 0.25) for entry in known
                         for at in range(8)), default=float("nan"))

    def time_out(self, phase, origin, counts):
        # What a stopped origin was sent it sees when it goes on, and a dead one never.
        if counts:
            moment = origin.page.last(phase.begin, phase.recovery)
            return moment - phase.begin if moment else 0
        for moment, healthy in phase.looks:
            if origin.address not in healthy:
                return moment - phase.begin
        return float("inf")

    def cells(self):
        return ["%d" % self.requests, "%d" % len(self.failures), "%.1f" % self.p50,
                "%.1f" % self.p99, "%.2f" % self.out, "%.2f" % self.back, "%.0f" % self.first,
                "%.0f" % self.second, "%.0f" % self.peak]


def share(origins, returns, at, seconds):
    """Percent of a fair share that origins got some time after their first request."""
    got = fair = 0
    for origin, moment in returns:
        begin, end = moment + at, moment + at + seconds
        got += origin.page.count(begin, end)
        fair += sum(o.page.count(begin, end) for o in origins) / len(origins)
    return 100 * got / fair if fair else float("nan")


# --------------------------------------------------------------------------- run
class Run:
    """One proxy with one balancer, through all phases."""

    def __init__(self, proxy, balancer, rate=500, ill=3, well=5, phases=PHASES, warm=2):
        self.proxy_name, self.balancer, self.rate = proxy, balancer, rate
        self.ill, self.well, self.names, self.warm = ill, well, phases, warm
        self.folder = tempfile.mkdtemp(prefix="chaos-")
        self.origins, self.proxy, self.failed = [], None, True

    def __enter__(self):
        try:
            start = time.monotonic()
            for number in range(ORIGINS):
                self.origins.append(Origin(self.folder, "origin-%d" % number, start))
            self.proxy = chaos_proxies.PROXIES[self.proxy_name](
                self.folder, self.origins, self.balancer)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.proxy:
            self.proxy.close()
        for origin in self.origins:
            origin.kill()
        if self.failed:
            print("the folder of the run is kept: %s" % self.folder, file=sys.stderr)
        else:
            shutil.rmtree(self.folder)

    def rows(self):
        rows = asyncio.run(self.play())
        self.failed = any(row.failures for row in rows)
        return rows

    async def play(self):
        self.looks = []
        load = Load(self.proxy.address, self.rate)
        tasks = [asyncio.ensure_future(load.run()), asyncio.ensure_future(self.look())]
        await self.pause(self.warm)
        quiet = Phase("quiet", {})
        quiet.begin = time.monotonic()
        await self.pause(self.ill)
        quiet.end = time.monotonic()
        phases = [await self.phase(*entry) for entry in self.names]
        load.ends = True
        await tasks[0]
        if tasks[1].done():
            tasks[1].result()
        tasks[1].cancel()
        self.quiet = Window(load.results, quiet.begin, quiet.end)
        for phase in phases:
            phase.looks = [e for e in self.looks if phase.begin < e[0] < phase.recovery]
        return [Row(phase, load.results, self.origins) for phase in phases]

    async def pause(self, seconds):
        await asyncio.sleep(seconds)
        if self.proxy.process.poll() is not None:
            raise SystemExit("%s ended; see %s/log" % (self.proxy_name, self.folder))

    async def phase(self, name, faults):
        phase = Phase(name, faults)
        loop = asyncio.get_running_loop()
        phase.begin = time.monotonic()
        for number, fault in faults.items():
            FAULTS[fault][0](self.origins[number])
        await self.pause(self.ill)
        # Processes take their time to start: beside the load, and all of them together.
        await asyncio.gather(*[
            loop.run_in_executor(None, FAULTS[fault][1], self.origins[number])
            for number, fault in faults.items()])
        phase.recovery = time.monotonic()
        await self.pause(self.well)
        phase.end = time.monotonic()
        return phase

    async def look(self):
        while True:
            healthy = await self.proxy.healthy()
            self.looks.append((time.monotonic(), healthy))
            await asyncio.sleep(LOOK)


# ------------------------------------------------------------------------- tables
TITLES = ["requests", "failed", "p50", "p99", "out", "back", "1st s", "2nd s", "most"]


def table(rows):
    """{(phase, proxy): row} as Markdown."""
    print("| | | %s |" % " | ".join(TITLES))
    print("|---|---|%s" % ("--:|" * len(TITLES)))
    last = None
    for (name, proxy), row in rows.items():
        print("| %s | %s | %s |" % ("" if name == last else name, proxy, " | ".join(row.cells())))
        last = name
    print(flush=True)


def worse(ours, theirs):
    """Where the first is worse, beyond what is noise: a third, and some milliseconds or percent.

    With a slow start the first request comes by chance some tenths of a second after the peer is
    known to be well, unless a balancer pays no heed to it (as `leastconn` without much load)."""
    out = []
    for what, slack in (("p50", 2), ("p99", 20), ("out", 0.15), ("back", 0.5), ("peak", 30)):
        mine, other = getattr(ours, what), getattr(theirs, what)
        if mine > other * 4 / 3 + slack and (what != "peak" or mine > 130):
            out.append("%s: %s %.2f, %.2f with haproxy" % (ours.name, what, mine, other))
    if len(ours.failures) > len(theirs.failures):
        out.append("%s: failed %d, %d with haproxy" % (
            ours.name, len(ours.failures), len(theirs.failures)))
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", default="sluice,haproxy")
    parser.add_argument("--balancer", default=",".join(chaos_proxies.BALANCERS))
    parser.add_argument("--rate", type=int, default=500, help="requests per second")
    parser.add_argument("--ill", type=float, default=3, help="seconds that a fault lasts")
    parser.add_argument("--well", type=float, default=5, help="seconds until the next one")
    parser.add_argument("--slow-start", type=int, default=chaos_proxies.SLOW_START,
                        help="milliseconds, 0 for none")
    parser.add_argument("--phase", help="only phases with this in their name")
    arguments = parser.parse_args()
    chaos_proxies.Proxy.slow_start = arguments.slow_start
    phases = [p for p in PHASES if (arguments.phase or "") in p[0]]
    proxies = [name for name in arguments.proxy.split(",") if chaos_proxies.installed(name)]
    gc.disable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = 0
    for balancer in arguments.balancer.split(","):
        seen = {}
        quiet = []
        for proxy in proxies:
            with Run(proxy, balancer, arguments.rate, arguments.ill, arguments.well,
                     phases) as run:
                for row in run.rows():
                    seen[row.name, proxy] = row
                quiet.append("%s %.1f / %.1f ms" % (
                    proxy, run.quiet.percentile(0.5), run.quiet.percentile(0.99)))
            gc.collect()
        order = [(name, proxy) for name, _ in phases for proxy in proxies]
        print("%s, %d requests a second; quiet, p50 / p99: %s\n" % (
            balancer, arguments.rate, ", ".join(quiet)))
        table({key: seen[key] for key in order})
        failed += report(seen, phases)
    return 1 if failed else 0


def report(seen, phases):
    """Says what failed, and what is worse; the number of requests that sluice failed."""
    failed = 0
    for (name, proxy), row in seen.items():
        for why in sorted(set(row.failures)):
            print("%s, %s: %d times %s" % (proxy, name, row.failures.count(why), why))
        failed += len(row.failures) if proxy == "sluice" else 0
    for name, _ in phases:
        pair = [seen.get((name, proxy)) for proxy in ("sluice", "haproxy")]
        if all(pair):
            for line in worse(*pair):
                print("worse: " + line)
    print(flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
