#!/usr/bin/env python3
"""Reloads under load: every request must be answered, and every change must be seen.

    reloads.py --proxy sluice|nginx|haproxy [--count 200] [--every 0.25]

sluice gets `sluice reload`, or HUP with --by-signal; the others their signal. Each reload sets
another value of a field. Every 10th also adds or removes a listener, every 7th a route, every 13th
a peer; every 17th changes the certificate, every 40th the number of workers. Exits with 1 when a
request failed.
"""
import os
import signal

import series
import subjects


def next_settings(number, old):
    return subjects.Settings(
        version=number,
        extra_listener=old.extra_listener ^ (number % 10 == 0),
        extra_route=old.extra_route ^ (number % 7 == 0),
        third_peer=old.third_peer ^ (number % 13 == 0),
        second_leaf=old.second_leaf ^ (number % 17 == 0),
        third_worker=old.third_worker ^ (number % 40 == 0))


class Reloads(series.Series):
    by_signal = False

    def act(self, number):
        old = self.subject.settings
        new = next_settings(number, old)
        self.subject.write(new)
        if self.by_signal:
            os.kill(self.subject.process.pid, signal.SIGHUP)
        else:
            self.subject.reload()
        self.see(lambda: self.trial.version() == number, "version %d" % number)
        if new.extra_listener != old.extra_listener:
            self.see(lambda: self.subject.listens(self.subject.extra) == new.extra_listener,
                     "the listener of version %d" % number)
        if new.extra_route != old.extra_route:
            self.see(lambda: (self.trial.ask("/extra").status == 204) == new.extra_route,
                     "the route of version %d" % number)
        if new.third_peer != old.third_peer:
            self.see_peers(new.third_peer, number)
        if new.second_leaf != old.second_leaf:
            with open(self.subject.leaf(new).certificate) as file:
                wanted = file.read()
            self.see(lambda: self.trial.certificate() == wanted,
                     "the certificate of version %d" % number)

    def see_peers(self, third, number):
        """The third peer answers one of a few requests in turn, or none of them."""
        def answered():
            return {self.trial.ask().getheader("x-peer") for _ in range(6)}

        self.see(lambda: ("2" in answered()) == third, "the peers of version %d" % number)


def parser():
    out = series.add_proxy(series.parser(__doc__, 200, 0.25))
    out.add_argument("--by-signal", action="store_true", help="sluice by HUP")
    return out


if __name__ == "__main__":
    options = parser().parse_args()
    Reloads.by_signal = options.by_signal
    series.end(series.run(options, Reloads, "reloads"))
