#!/usr/bin/python3
"""Plays the cache's cases through Sluice and nginx and writes the numbers into
docs/cache-conformance.md.

    Tests/EndToEnd/cachetable.py                        # both, some seven minutes
    Tests/EndToEnd/cachetable.py SLUICE.json NGINX.json # from reports of --cache-report
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from cachereport import KINDS

FOLDER = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(FOLDER, "../../docs/cache-conformance.md")
BEGIN, END = "<!-- numbers: by make cache-conformance -->\n", "<!-- end of numbers -->\n"

TITLES = {
    "9110-4.2.3": "URIs that are the same", "9110-5.6.7": "dates",
    "9110-6.6.1": "Date", "9110-7.6.1": "fields for one connection",
    "9110-8.6": "Content-Length", "9110-8.8.3": "entity tags", "9110-9.2.1": "safe methods",
    "9110-9.3.1": "GET", "9110-9.3.2": "HEAD", "9110-9.3.3": "POST", "9110-9.3.7": "OPTIONS",
    "9110-13.1.2": "If-None-Match", "9110-13.1.3": "If-Modified-Since",
    "9110-13.1.5": "If-Range", "9110-13.2.1": "which responses conditions change",
    "9110-13.2.2": "the order of conditions", "9110-14.1.2": "a range of octets",
    "9110-14.2": "Range", "9110-14.6": "several ranges", "9110-15.2": "interim responses",
    "9110-15.3.5": "204", "9110-15.3.7": "206", "9110-15.3.7.2": "206 with several parts",
    "9110-15.4.5": "304", "9110-15.5.17": "416",
    "9111-1.2.2": "seconds that overflow", "9111-2": "keys", "9111-3": "what is stored",
    "9111-3.1": "which fields are stored", "9111-3.2": "which fields a 304 updates",
    "9111-3.3": "incomplete responses", "9111-3.5": "Authorization",
    "9111-4": "answers from the store", "9111-4.1": "Vary", "9111-4.2": "freshness",
    "9111-4.2.1": "lifetimes", "9111-4.2.2": "heuristics", "9111-4.2.3": "Age",
    "9111-4.2.4": "stale responses", "9111-4.3.1": "requests that validate",
    "9111-4.3.2": "conditions of clients", "9111-4.3.3": "answers to validation",
    "9111-4.3.4": "what a 304 freshens", "9111-4.3.5": "what HEAD freshens",
    "9111-4.4": "invalidation", "9111-5.1": "the field Age", "9111-5.2": "Cache-Control",
    "9111-5.2.1": "directives of requests", "9111-5.2.1.1": "max-age", "9111-5.2.1.2": "max-stale",
    "9111-5.2.1.3": "min-fresh", "9111-5.2.1.4": "no-cache", "9111-5.2.1.5": "no-store",
    "9111-5.2.1.7": "only-if-cached", "9111-5.2.2.2": "must-revalidate",
    "9111-5.2.2.3": "must-understand", "9111-5.2.2.4": "no-cache", "9111-5.2.2.5": "no-store",
    "9111-5.2.2.6": "no-transform", "9111-5.2.2.7": "private", "9111-5.2.2.8": "proxy-revalidate",
    "9111-5.2.2.10": "s-maxage", "9111-5.2.3": "unknown directives", "9111-5.3": "Expires",
    "9111-5.4": "Pragma", "9112-2.3": "HTTP/1.0", "9112-6.1": "chunks", "9112-6.3": "lengths",
    "9112-9.3": "persistent connections", "9112-9.6": "closed connections",
    "5861-3": "stale-while-revalidate", "5861-4": "stale-if-error",
    "9211-2": "Cache-Status", "9211-2.1": "hit", "9211-2.2": "fwd", "9211-2.3": "fwd-status",
    "9211-2.4": "ttl", "9211-2.5": "stored", "9213-2.2": "CDN-Cache-Control",
    "hostile": "hostile responses", "negative": "negative caching", "purge": "PURGE",
}


def order(section):
    rfc, _, number = section.partition("-")
    first = {"9111": 0, "9110": 1, "9112": 2, "5861": 3, "9211": 4, "9213": 5}.get(rfc, 6)
    return first, [int(n) for n in number.split(".") if n], section


def play(peer, folder):
    path = os.path.join(folder, peer + ".json")
    subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=no", "-r", "", "--cache-peer", peer,
                    "--cache-report", path, os.path.join(FOLDER, "test_cache_conformance.py")],
                   check=False)
    return path


def read(path):
    """Counts by section and kind: [all, good]."""
    with open(path) as file:
        report = json.load(file)
    counts = {}
    for section, kind, good in report["rows"]:
        entry = counts.setdefault((section, kind), [0, 0])
        entry[0] += 1
        entry[1] += good
    return counts


def table(sluice, nginx):
    lines = ["| section | about | required | Sluice | nginx | reuse | Sluice | nginx "
             "| ours | Sluice | nginx |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    sums = {kind: [0, 0, 0] for kind in KINDS}

    def row(name, about, numbers):
        cells = []
        for kind in KINDS:
            cells += numbers[kind] if numbers[kind][0] else ["", "", ""]
        lines.append("| %s | %s | %s |" % (name, about, " | ".join(map(str, cells))))

    for section in sorted({s for s, _ in {**sluice, **nginx}}, key=order):
        numbers = {}
        for kind in KINDS:
            ours, theirs = (c.get((section, kind), [0, 0]) for c in (sluice, nginx))
            numbers[kind] = [max(ours[0], theirs[0]), ours[1], theirs[1]]
            sums[kind] = [a + b for a, b in zip(sums[kind], numbers[kind])]
        name = re.sub(r"^(\d{4})-", r"RFC \1, ", section) if section[0].isdigit() else ""
        row(name, TITLES.get(section, ""), numbers)
    row("**all**", "", sums)
    return "\n".join(lines) + "\n"


def main():
    paths = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        if not paths:
            paths = [play(peer, folder) for peer in ("sluice", "nginx")]
        text = table(*map(read, paths))
    with open(PAGE) as file:
        page = file.read()
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    with open(PAGE, "w") as file:
        file.write(page[:start] + "\n" + text + "\n" + page[end:])


if __name__ == "__main__":
    main()
