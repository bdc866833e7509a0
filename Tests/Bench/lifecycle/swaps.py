#!/usr/bin/env python3
"""Swaps of a plugin under load: every request must be answered, by one build or the other, and
no count may be lost.

    swaps.py [--count 1000] [--every 0.1] [--distinct]

The plugin counts requests in a table of the host and in memory of its own, which it hands over from
instance to instance. In the end both must be what the origin saw, and so they must be after an
upgrade of the process. It is swapped between two builds; with --distinct every swap brings a file
of its own digest, as an update does. Exits with 1 when a request failed or a count is off.
"""
import os

import builds
import series
import subjects
from outcome import megabytes


class Swaps(series.Series):
    distinct = False

    def prepare(self):
        folder = self.trial.folder
        self.files = [builds.counter(folder, number) for number in (1, 2)]
        self.subject.plugins["counter"] = {"library": self.files[0], "state": "require"}

    def act(self, number):
        file = self.files[number % 2]
        if self.distinct:
            file = builds.distinct(file, number)
        self.subject.command("plugin", "swap", "counter", file)
        self.see(lambda: self.trial.ask().getheader("x-build") == str(number % 2 + 1),
                 "build %d" % (number % 2 + 1))
        if self.distinct:
            os.unlink(file)

    def counts(self):
        """(build, the table's count, the instance's own)."""
        return tuple(int(word) for word in self.trial.ask("/count").body.split())

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
        """What the old instance still counted comes when its last request has ended."""
        wanted = outcome.origin["exchanges"]

        def agree():
            return self.counts()[1:] == (wanted, wanted)

        try:
            self.subject.wait(agree, "counts agree after " + when)
        except SystemExit:
            failures["counts after " + when] = 1
        lines.append(
            "after %s: %d requests at the origin, %d in the table, %d handed over; memory %s" % (
                when, wanted, *self.counts()[1:], megabytes(self.subject.memory())))


def parser():
    out = series.parser(__doc__, 1000, 0.1)
    out.add_argument("--distinct", action="store_true", help="a file of its own for each swap")
    return out


if __name__ == "__main__":
    options = parser().parse_args()
    Swaps.distinct = options.distinct
    series.end(series.run(options, Swaps, "swaps", "sluice"))
