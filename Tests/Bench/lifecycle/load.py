#!/usr/bin/env python3
"""The checking client, as a process: lanes of every kind against one proxy.

    load.py SETTINGS FOLDER

SETTINGS is JSON: ports (`h1`, `tls`, `h2c`), `ca` (a file), and how many lanes of each kind in
`lanes`. It says "running" when all lanes are under way, runs until its standard input ends, lets
what is under way end, writes times to FOLDER and prints what came of all of it as JSON.
"""
import asyncio
import json
import logging
import os
import resource
import ssl
import sys
import traceback

from ledger import Ledger
from load_h1 import H1Lane
from load_h2 import H2Lane, Pool
from load_streams import GrpcLane, WebSocketLane

# Lanes when nothing else is said: about 1,500 requests a second in all on one core.
LANES = {"h1": 12, "h1-idle": 40, "h1-new": 4, "tls": 6, "tls-new": 2, "h2": 16, "ws": 6, "grpc": 6}
# Streams that share a connection of HTTP/2.
H2_SHARE = 8
# Mean pauses, in seconds. Connections that are made anew for each request pause longer, so that
# the machine does not run out of ports.
THINK = {"h1": 0.02, "h1-idle": 1.5, "h1-new": 0.03, "tls": 0.02, "tls-new": 0.1, "h2": 0.03,
         "ws": 0.03, "grpc": 0.04}
# The most that lanes may take for what is under way when they are told to end.
END_SECONDS = 30


def tls_context(ca, protocols):
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(protocols)
    return context


def make_lanes(settings):
    """(ledgers, lanes)."""
    counts = {**LANES, **settings.get("lanes", {})}
    ledgers = {kind: Ledger(kind) for kind in counts if counts[kind]}
    h1, h2 = (tls_context(settings["ca"], [p]) for p in ("http/1.1", "h2"))
    lanes, pools = [], []
    for kind, ledger in ledgers.items():
        think = THINK[kind] * settings.get("think", 1)
        for index in range(counts[kind]):
            name = "%s-%d" % (kind, index)
            if kind == "h1":
                # Some never leave their connection, some now and then.
                lane = H1Lane(name, ledger, settings["h1"], None, index % 3 * 40, think)
            elif kind == "h1-idle":
                lane = H1Lane(name, ledger, settings["h1"], None, 0, think)
            elif kind == "h1-new":
                lane = H1Lane(name, ledger, settings["h1"], None, 1, think)
            elif kind == "tls":
                lane = H1Lane(name, ledger, settings["tls"], h1, index % 3 * 40, think)
            elif kind == "tls-new":
                lane = H1Lane(name, ledger, settings["tls"], h1, 1, think)
            elif kind == "h2":
                if index % H2_SHARE == 0:
                    pools.append(Pool(ledger, settings["tls"], h2))
                lane = H2Lane(name, ledger, pools[-1], think)
            elif kind == "ws":
                lane = WebSocketLane(name, ledger, settings["h1"], think=think)
            else:
                lane = GrpcLane(name, ledger, settings["h2c"], think=think)
            lanes.append(lane)
    return ledgers, lanes


async def main(settings, folder):
    ledgers, lanes = make_lanes(settings)
    stop = asyncio.Event()
    tasks = [asyncio.create_task(lane.run(stop)) for lane in lanes]
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print("running", flush=True)
    # A lane that ends by itself has a bug, which must be seen at once.
    await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
    stop.set()
    done, late = await asyncio.wait(tasks, timeout=END_SECONDS)
    for task in done:
        task.result()
    out = {"ledgers": [ledger.summary(folder) for ledger in ledgers.values()],
           "late": len(late)}
    print(json.dumps(out), flush=True)
    os._exit(0)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    # It warns of writes to connections that are closed, which lanes see by themselves.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
    except BaseException:
        # Not by way of the loop, which would wait for the thread that reads standard input.
        traceback.print_exc()
        os._exit(1)
