#!/usr/bin/env python3
"""Each step of a swap interrupted: the old build keeps serving, and says why the new one does not.

    steps.py [NAME ...]        all, or those whose name has one of these words
    steps.py --list

Steps: 1 copy the file, 2 read what it says and check the configuration, 3 try it in a process of
its own, 4 create, 5 import the state, 6 warm, 7 switch the workers, 8 let requests of the old end,
9 destroy the old. Every case runs under load, of which no request may fail; where the serving
process is killed, those may fail that it had, but no connection may be refused. Exits with 1 when a
case did not come out as it must.
"""
import argparse
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time

import builds
from trial import Trial

# A light load: what is proven is that nothing fails, not how fast it is.
LANES = {"h1": 4, "h1-idle": 10, "h1-new": 2, "tls": 2, "tls-new": 1, "h2": 4, "ws": 2, "grpc": 2}
# Seconds that a refusal may take: the probe's own limit and some more.
REFUSAL_SECONDS = 20


class Wrong(AssertionError):
    """A case came out otherwise than it must."""


def must(condition, what, *details):
    if not condition:
        raise Wrong("%s %s" % (what, " ".join(str(d).strip() for d in details)))


class Bench:
    """A proxy that serves build 1 of the plugin, under load."""

    def __init__(self, trial, **plugin):
        self.trial, self.subject = trial, trial.subject
        self.folder = trial.folder
        self.first = builds.counter(self.folder, 1)
        os.environ["LIFECYCLE_MARKER"] = self.marker = os.path.join(self.folder, "marker")
        self.subject.plugins["counter"] = {
            "library": self.first, "state": "require", "budgets": {"control": "4s"}, **plugin}

    def start(self):
        self.subject.start()
        self.trial.begin_load()
        return self

    def build(self):
        return self.trial.ask().getheader("x-build")

    def swap(self, file, *options, fails=False):
        return self.subject.command("plugin", "swap", "counter", file, *options, fails=fails)


# ---------------------------------------------------------------- what is refused
# Name, what makes the file (or options of the command), and what the answer must say.
REFUSED = {}


def refused(step, name, says):
    """A function of the bench that makes (file, options) which must be refused in this step."""
    def put(make):
        REFUSED["%d: %s" % (step, name)] = (make, says)
        return make

    return put


def patched(bench, name, old, new):
    """Build 2 with other bytes somewhere."""
    path = os.path.join(bench.folder, name)
    with open(builds.counter(bench.folder, 2), "rb") as file:
        data = file.read()
    must(old in data, "nothing to patch in", name)
    with open(path, "wb") as file:
        file.write(data.replace(old, new))
    os.chmod(path, 0o755)
    return path


@refused(1, "no such file", r"nowhere\.so")
def _(bench):
    return os.path.join(bench.folder, "nowhere.so"), []


@refused(1, "not ELF", r"text\.so: .*ELF")
def _(bench):
    return bench.subject.file("text.so", "#!/bin/sh\n"), []


@refused(1, "truncated", r"short\.so")
def _(bench):
    path = os.path.join(bench.folder, "short.so")
    with open(builds.counter(bench.folder, 2), "rb") as old, open(path, "wb") as new:
        new.write(old.read()[:9_000])
    return path, []


@refused(1, "another digest than was pinned", r"sha256")
def _(bench):
    return builds.counter(bench.folder, 2), ["--sha256", "0" * 64]


@refused(1, "everybody may write to it", r"open\.so.*writ")
def _(bench):
    path = builds.counter(bench.folder, 2, name="open")
    os.chmod(path, 0o777)
    return path, []


@refused(1, "everybody may write to its folder", r"writ")
def _(bench):
    folder = os.path.join(bench.folder, "everybody")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    return builds.counter(folder, 2), []


@refused(2, "another interface", r"(?i)abi|interface")
def _(bench):
    return patched(bench, "abi.so", b'"abi": "0.2"', b'"abi": "9.2"'), []


@refused(2, "a configuration that it refuses", r"says no")
def _(bench):
    return builds.counter(bench.folder, 2, "CHECK", "FAILS"), []


@refused(3, "a handshake that fails", r"counter2hellofails\.so|hello")
def _(bench):
    return builds.counter(bench.folder, 2, "HELLO", "FAILS"), []


@refused(3, "a probe that crashes in the handshake", r"(?i)signal|SEGV|crash")
def _(bench):
    return builds.counter(bench.folder, 2, "HELLO", "CRASHES"), []


@refused(3, "a probe that crashes in create", r"(?i)signal|SEGV|crash")
def _(bench):
    return builds.counter(bench.folder, 2, "CREATE", "CRASHES"), []


@refused(3, "a probe that hangs in create", r"(?i)probe|time|hang")
def _(bench):
    return builds.counter(bench.folder, 2, "CREATE", "HANGS"), []


@refused(4, "create fails", r"says no")
def _(bench):
    return builds.counter(bench.folder, 2, "CREATE", "FAILS"), []


@refused(5, "a state that is not taken", r"says no")
def _(bench):
    return builds.counter(bench.folder, 2, "IMPORT", "FAILS"), []


@refused(6, "not ready", r"says no")
def _(bench):
    return builds.counter(bench.folder, 2, "WARM", "FAILS"), []


@refused(5, "a state that is never taken", r"import_state has not returned in 4000 ms")
def _(bench):
    return builds.counter(bench.folder, 2, "IMPORT", "HANGS"), []


@refused(6, "never ready", r"warm has not returned in 4000 ms")
def _(bench):
    return builds.counter(bench.folder, 2, "WARM", "HANGS"), []


def check_refused(bench, name):
    """The swap is refused with a reason, and nothing else has changed."""
    make, says = REFUSED[name]
    serving = bench.subject.serving()
    file, options = make(bench)
    began = time.monotonic()
    text = bench.swap(file, *options, fails=True)
    must(re.search(says, text), "the answer does not say %r:" % says, text)
    must(time.monotonic() - began < REFUSAL_SECONDS, "the answer came late")
    for _ in range(4):
        must(bench.build() == "1", "another build serves:", bench.build())
    must(bench.subject.serving() == serving, "another process serves")
    return text.strip().splitlines()[-1]


# ------------------------------------------------------------- what goes on meanwhile
def suspended(bench):
    """7: a request that waits keeps the build that it began with, and is answered."""
    answers = []
    asker = threading.Thread(target=lambda: answers.append(bench.trial.ask("/suspended")))
    asker.start()
    time.sleep(0.1)
    bench.swap(builds.counter(bench.folder, 2))
    must(bench.build() == "2", "the new build does not serve")
    asker.join()
    must(answers and answers[0].status == 200, "the waiting request was not answered")
    must(answers[0].getheader("x-build") == "1", "the waiting request changed its build")


def stuck(bench):
    """8, 9: a request that never ends holds the old instance until its own deadline, and nobody
    else."""
    answers = []
    asker = threading.Thread(target=lambda: answers.append(bench.trial.ask("/stuck")))
    asker.start()
    time.sleep(0.2)
    began = time.monotonic()
    bench.swap(builds.counter(bench.folder, 2))
    must(time.monotonic() - began < 5, "the swap waited for the stuck request")
    must(bench.build() == "2", "the new build does not serve")
    asker.join(STUCK_SECONDS + 10)
    must(answers, "the stuck request is still there")
    must(answers[0].status >= 500, "the stuck request was answered", answers[0].status)


# Of `stuck`: what bounds a request that waits, as the bench's manifest says.
STUCK_SECONDS = 2
LIVE = {"7: a request waits during the switch": suspended,
        "9: a request never ends": stuck}

# ------------------------------------------------------------------------- kill -9
# Where build 1 pauses, or build 2 does, while the process is killed.
KILLED = {
    "3: killed while the probe runs": (None, "CREATE"),
    "4: killed in create": (None, "CREATE"),
    "5: killed in export": ("EXPORT", None),
    "5: killed in import": (None, "IMPORT"),
    "6: killed in warm": (None, "WARM"),
    "7: killed at the switch": (None, "WORKER_START"),
    "8: killed while the old one hands over its rest": ("EXPORT_REST", None),
    "9: killed in destroy": ("DESTROY", None),
}
# Moments in milliseconds after the command began, for the steps that run no code of the plugin.
MOMENTS = (0, 2, 5, 10, 20, 40)


def check_killed(bench, name):
    """The serving process is killed while build 1 or 2 is in the step."""
    new = builds.counter(bench.folder, 2, KILLED[name][1], "PAUSES" if KILLED[name][1] else None)
    command = bench.subject.begin("plugin", "swap", "counter", new)
    serving = bench.subject.serving()[0]

    def is_there():
        """The process that serves is in the step, or the one that it tries the library in."""
        if not os.path.exists(bench.marker):
            return False
        with open(bench.marker) as file:
            pids = file.read().split()
        return bool(pids) and (name.startswith("3") or str(serving) in pids)

    bench.subject.wait(is_there, "the step")
    kill(bench)
    command.communicate(timeout=30)


def check_moment(bench, milliseconds):
    """The serving process is killed so long after the command began."""
    command = bench.subject.begin(
        "plugin", "swap", "counter", builds.counter(bench.folder, 2))
    time.sleep(milliseconds / 1000)
    kill(bench)
    command.communicate(timeout=30)


def kill(bench):
    """kill -9, and until the next process answers."""
    serving = bench.subject.serving()
    must(serving, "nobody serves")
    os.kill(serving[0], signal.SIGKILL)
    began = time.monotonic()

    def answers():
        try:
            return bench.build() in ("1", "2")
        except ConnectionRefusedError:
            raise Wrong("a connection was refused after the kill") from None
        except (OSError, http.client.HTTPException):
            return False

    bench.subject.wait(answers, "an answer after the kill")
    bench.restarted = time.monotonic() - began


def run_killed(check, what, old=None):
    """One process, one death. The count of refused connections must be 0."""
    with Trial("sluice", lanes=LANES) as trial:
        bench = Bench(trial)
        if old:
            bench.subject.plugins["counter"]["library"] = builds.counter(
                bench.folder, 1, old, "PAUSES")
        bench.start()
        check(bench, what)
        time.sleep(0.5)
        outcome = trial.end_load()
        must(outcome.failed("refused") == 0, "refused:", outcome.failures())
        must(outcome.origin["duplicates"] == 0, "requests came twice:", outcome.failures())
        return "answered again after %.0f ms, %d requests died" % (
            bench.restarted * 1000, outcome.failed())


# ---------------------------------------------------------------------------- run
def cases():
    """(name, function without arguments that raises Wrong, or returns a line)."""
    for name in KILLED:
        yield name, lambda name=name: run_killed(check_killed, name, KILLED[name][0])
    for moment in MOMENTS:
        yield ("1-9: killed after %d ms" % moment,
               lambda moment=moment: run_killed(check_moment, moment))
    for name, check in LIVE.items():
        yield name, lambda check=check: run_live(check)


def run_live(check):
    with Trial("sluice", lanes=LANES) as trial:
        bench = Bench(trial)
        bench.subject.listen["timeouts"] = {"suspend": "%ds" % STUCK_SECONDS}
        bench.start()
        check(bench)
        outcome = trial.end_load()
        must(outcome.failed() == 0, "requests failed:", outcome.failures())
        return "%d requests, none failed" % outcome.good


def run_refused(names, show):
    """All of them one after the other on one process."""
    with Trial("sluice", lanes=LANES) as trial:
        bench = Bench(trial).start()
        wrong = 0
        for name in names:
            wrong += not show(name, lambda: check_refused(bench, name))
        outcome = trial.end_load()
        must(outcome.failed() == 0, "requests failed:", outcome.failures())
        print("%d requests meanwhile, none failed" % outcome.good)
        return wrong


def show(name, run):
    """Prints what came of a case; whether it came out well."""
    try:
        line = run()
    except (Wrong, SystemExit, subprocess.TimeoutExpired) as error:
        print("WRONG %s: %s" % (name, error), flush=True)
        return False
    print("ok    %s: %s" % (name, line), flush=True)
    return True


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("words", nargs="*")
    options.add_argument("--list", action="store_true")
    options = options.parse_args()

    def wanted(name):
        return not options.words or any(word in name for word in options.words)

    if options.list:
        print("\n".join(sorted([*REFUSED, *(name for name, _ in cases())])))
        return 0
    refusals = [name for name in REFUSED if wanted(name)]
    wrong = run_refused(refusals, show) if refusals else 0
    for name, run in cases():
        wrong += wanted(name) and not show(name, run)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
