#!/usr/bin/env python3
"""Upgrades of the process under load: every request must be answered, no connection refused.

    upgrades.py --proxy sluice|nginx|haproxy [--count 50] [--every 2]

nginx gets USR2, and its old master QUIT; HAProxy's master executes itself anew, as it does for each
reload; sluice gets `sluice upgrade`, or USR2 with --by-signal. Each goes with another value of a
field in the configuration, by which the new process is told from the old one. Exits with 1 when a
request failed.
"""
import os
import signal

import series
import subjects


class Upgrades(series.Series):
    by_signal = False

    def act(self, number):
        self.subject.write(subjects.Settings(version=number))
        if self.by_signal:
            # One that comes while the last is not through is refused, which a signal can't tell.
            self.subject.wait(lambda: len(self.subject.serving()) == 1, "the old one goes", 60)
            os.kill(self.subject.process.pid, signal.SIGUSR2)
        else:
            self.subject.upgrade()
        self.see(lambda: self.trial.version() == number, "version %d" % number)


def parser():
    out = series.add_proxy(series.parser(__doc__, 50, 2))
    out.add_argument("--by-signal", action="store_true", help="sluice by USR2")
    return out


if __name__ == "__main__":
    options = parser().parse_args()
    Upgrades.by_signal = options.by_signal
    series.end(series.run(options, Upgrades, "upgrades"))
