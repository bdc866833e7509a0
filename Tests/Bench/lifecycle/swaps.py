#!/usr/bin/env python3
"""Swaps of plugins under load: every request must be answered, by one build or the other, and
no count may be lost.

    swaps.py [--count 1000] [--every 0.1] [--distinct] [--no-swift]

The plugins, one in C and one in Swift, count requests in a table of the host and in memory of their
own, which they hand over from instance to instance. In the end all counts must be what the origin
saw, and so they must be after an upgrade of the process. Each is swapped between two builds; with
--distinct every swap brings a file of its own digest, as an update does. Every fifth swap is that
of the plugin in Swift. Exits with 1 when a request failed or a count is off.
"""
import builds
import series
import subjects
from outcome import megabytes

# Every so many swaps it is the other plugin's turn.
SWIFT_TURN = 5


class Counter:
    """One of the two plugins."""

    def __init__(self, name, files, field, path):
        self.name, self.files, self.field, self.path = name, files, field, path
        # The build that serves, 1 or 2.
        self.build = 1

    def counts(self, trial):
        """What its table says, and its own memory."""
        return tuple(int(word) for word in trial.ask(self.path).body.split()[1:])


class Swaps(series.Series):
    direct, distinct, swift = False, False, True

    def prepare(self):
        files = [builds.counter(self.trial.folder, number) for number in (1, 2)]
        self.counters = [Counter("counter", files, "x-build", "/count")]
        if self.swift:
            files = [builds.swift_counter(number) for number in (1, 2)]
            self.counters.append(Counter("swift", files, "x-swift-build", "/swift-count"))
        for one in self.counters:
            self.subject.plugins[one.name] = {"library": one.files[0], "state": "require"}

    def act(self, number):
        one = self.counters[self.swift and number % SWIFT_TURN == 0]
        one.build = 3 - one.build
        file = one.files[one.build - 1]
        if self.distinct:
            file = builds.distinct(file, self.trial.folder, number)
        if self.direct:
            self.subject.post("/v1/plugins/%s/swap" % one.name, {"library": file})
        else:
            self.subject.command("plugin", "swap", one.name, file)
        self.see(lambda: self.trial.ask().getheader(one.field) == str(one.build),
                 "build %d of %s" % (one.build, one.name))

    def finish(self, outcome):
        lines, failures = [], {}
        self.compare("the last swap", outcome, lines, failures)
        self.subject.write(subjects.Settings(version=1))
        self.subject.upgrade()
        self.compare("an upgrade", outcome, lines, failures)
        if self.stale:
            failures["requests after a swap that the build before it answered"] = self.stale
        return lines, failures

    def compare(self, when, outcome, lines, failures):
        """What an old instance still counted comes when its last request has ended."""
        wanted = outcome.origin["exchanges"]
        for one in self.counters:
            def agree():
                return one.counts(self.trial) == (wanted, wanted)

            try:
                self.subject.wait(agree, "counts agree")
            except SystemExit:
                failures["counts of %s after %s" % (one.name, when)] = 1
            lines.append(
                "%s after %s: %d requests at the origin, %d in the table, %d handed over" % (
                    one.name, when, wanted, *one.counts(self.trial)))
        lines.append("memory after %s: %s" % (when, megabytes(self.subject.memory())))


def parser():
    out = series.parser(__doc__, 1000, 0.1)
    out.add_argument("--distinct", action="store_true", help="a file of its own for each swap")
    out.add_argument("--direct", action="store_true",
                     help="ask the admin interface without a process for each swap")
    out.add_argument("--no-swift", action="store_true", help="the plugin in C alone")
    return out


if __name__ == "__main__":
    options = parser().parse_args()
    Swaps.direct = options.direct
    Swaps.distinct, Swaps.swift = options.distinct, not options.no_swift
    series.end(series.run(options, Swaps, "swaps", "sluice"))
