"""Counts of the cache's cases: a summary on the terminal, and a file that `cachetable.py` reads."""
import json

from cachecase import REQUIRED

KINDS = ("required", "reuse", "ours")


def kind(level):
    return "required" if level in REQUIRED else level


def summary(terminal, config):
    rows = []
    for outcome in ("passed", "failed"):
        for report in terminal.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", ()):
                if name == "cache case" and report.when == "call":
                    section, level = value
                    rows.append((section, kind(level), outcome == "passed"))
    if not rows:
        return
    peer = config.getoption("--cache-peer")
    terminal.section("cache cases with %s" % peer)
    for name in KINDS:
        mine = [good for _, level, good in rows if level == name]
        if mine:
            terminal.write_line("%-8s %d of %d" % (name, sum(mine), len(mine)))
    path = config.getoption("--cache-report")
    if path:
        with open(path, "w") as file:
            json.dump({"peer": peer, "rows": sorted(rows)}, file)
