"""What came of a trial: counts, failures, times."""
from ledger import read_times


class Outcome:
    def __init__(self, client, origin, windows, folder, pressure):
        self.ledgers, self.late, self.origin = client["ledgers"], client["late"], origin
        self.windows, self.pressure = windows, pressure
        # Failures of the series itself, by what failed.
        self.more = {}
        self.times = {one["kind"]: read_times(folder, one["kind"]) for one in self.ledgers}

    @property
    def sent(self):
        return sum(one["sent"] for one in self.ledgers)

    @property
    def good(self):
        return sum(one["good"] for one in self.ledgers)

    def failures(self):
        """{"kind: reason": count} of all that must be zero."""
        out = {}
        for one in self.ledgers:
            for reason, count in one["failed"].items():
                out["%s: %s" % (one["kind"], reason)] = count
        for name in ("duplicates", "overtaken", "broken"):
            if self.origin[name]:
                out["origin: " + name] = self.origin[name]
        out.update(self.more)
        if self.late:
            out["lanes that did not end"] = self.late
        return out

    def failed(self, *words):
        """How many failures have one of these words in their reason; all, without words."""
        return sum(count for reason, count in self.failures().items()
                   if not words or any(word in reason for word in words))

    def latencies(self, kind, name):
        """Sorted seconds of the exchanges of a kind that ended in the windows of a name."""
        spans = [(begin, self.windows[i + 1][0] if i + 1 < len(self.windows) else float("inf"))
                 for i, (begin, other) in enumerate(self.windows) if other == name]
        ends, times = self.times[kind]
        return sorted(t for e, t in zip(ends, times) if any(b <= e < f for b, f in spans))

    # ------------------------------------------------------------------ report
    def report(self, names=("quiet", "during")):
        lines = ["%-8s %9s %9s %7s %s" % (
            "kind", "sent", "good", "failed", "".join("%28s" % (n + " p50/p99/max ms")
                                                      for n in names))]
        for one in self.ledgers:
            lines.append("%-8s %9d %9d %7d %s" % (
                one["kind"], one["sent"], one["good"], sum(one["failed"].values()),
                "".join("%28s" % spread(self.latencies(one["kind"], name)) for name in names)))
        for one in self.ledgers:
            allowed = ", ".join("%s %d" % pair for pair in sorted(one["allowed"].items()))
            if allowed:
                lines.append("allowed %s: %s" % (one["kind"], allowed))
        for reason, count in sorted(self.failures().items()):
            lines.append("FAILED %d: %s" % (count, reason))
        for one in self.ledgers:
            lines += ["   " + example for example in one["examples"][:5]]
        lines += ["   " + example for example in self.origin["examples"][:5]]
        for line in self.pressure.splitlines():
            if "requests in" in line or "errors" in line or "Non-2xx" in line:
                lines.append("wrk: " + line.strip())
        return "\n".join(lines)

    def ratios(self, quiet="quiet", during="during"):
        """{kind: p99 during over p99 quiet}."""
        out = {}
        for one in self.ledgers:
            before, after = (self.latencies(one["kind"], n) for n in (quiet, during))
            if before and after:
                out[one["kind"]] = percentile(after, 0.99) / percentile(before, 0.99)
        return out


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(ordered):
    if not ordered:
        return "-"
    return "%.1f/%.1f/%.1f" % (
        percentile(ordered, 0.5) * 1000, percentile(ordered, 0.99) * 1000, ordered[-1] * 1000)


def megabytes(count):
    return "%.1f MB" % (count / 1e6)
