"""A series of the same change under load, and its report."""
import argparse
import sys
import time

import subjects
from outcome import megabytes
from trial import Trial


class Series:
    """What a script makes of it: `act(number)` changes something and returns when it is seen."""

    def __init__(self, trial):
        self.trial, self.subject = trial, trial.subject
        # Looks, made after the command had returned, that still saw what was before.
        self.stale = 0

    def prepare(self):
        """Before the proxy starts."""

    def act(self, number):
        raise NotImplementedError

    def finish(self, outcome):
        """After the load: more lines of the report, and {what failed: count}."""
        return [], {}

    def see(self, condition, what):
        def look():
            seen = condition()
            self.stale += not seen
            return seen

        self.subject.wait(look, what)


def parser(doc, count, every):
    out = argparse.ArgumentParser(description=doc.split("\n\n")[0])
    out.add_argument("--count", type=int, default=count)
    out.add_argument("--every", type=float, default=every, help="seconds from one to the next")
    out.add_argument("--warm", type=float, default=3, help="seconds before anything is timed")
    out.add_argument("--quiet", type=float, default=15, help="seconds of load without changes")
    out.add_argument("--settle", type=float, default=12, help="seconds of load after the last")
    out.add_argument("--wrk", type=int, default=0, help="connections of wrk beside it")
    out.add_argument("--think", type=float, default=1, help="factor of pauses between requests")
    out.add_argument("--ratio", type=float, help="most that p99 during may be of p99 quiet")
    out.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    return out


def run(options, make, what, proxy=None, lanes=None):
    """Runs a series and prints its report; the outcome, with `more` failures of the series."""
    proxy = proxy or options.proxy
    with Trial(proxy, pressure=options.wrk, think=options.think, lanes=lanes) as trial:
        subject = trial.subject
        series = make(trial)
        series.prepare()
        subject.start()
        trial.begin_load()
        time.sleep(options.warm)
        before = subject.memory()
        trial.window("quiet", options.quiet)
        trial.window("during")
        took = []
        for number in range(1, options.count + 1):
            began = time.monotonic()
            series.act(number)
            took.append(time.monotonic() - began)
            time.sleep(max(0, began + options.every - time.monotonic()))
        trial.window("after", options.settle)
        after = subject.memory()
        outcome = trial.end_load()
        lines, outcome.more = series.finish(outcome)
        trial.keep = options.keep or outcome.failed() > 0
        print("%s: %d %s" % (subject.name, options.count, what))
        print(outcome.report())
        print("until seen: median %.0f ms, most %.0f ms; %d looks saw the old one" % (
            sorted(took)[len(took) // 2] * 1000, max(took) * 1000, series.stale))
        print("memory: %s before, %s after, %.1f KB for each; processes left: %d" % (
            megabytes(before), megabytes(after), (after - before) / options.count / 1000,
            len(subject.pids())))
        for line in lines:
            print(line)
        judge(outcome, options.ratio)
        return outcome


def judge(outcome, ratio):
    """Adds to `more` the kinds whose p99 grew too much, and prints the line that counts."""
    ratios = outcome.ratios()
    print("p99 during / quiet: " + ", ".join("%s %.2f" % pair for pair in ratios.items()))
    for kind, value in ratios.items():
        if ratio and value > ratio:
            outcome.more["%s: p99 grew" % kind] = 1
    print("sent %d, good %d, failed %d (refused %d, reset %d)" % (
        outcome.sent, outcome.good, outcome.failed(), outcome.failed("refused"),
        outcome.failed("reset")))


def end(outcome):
    sys.exit(outcome.failed() > 0)


def add_proxy(out):
    out.add_argument("--proxy", choices=subjects.SUBJECTS, default="sluice")
    return out
