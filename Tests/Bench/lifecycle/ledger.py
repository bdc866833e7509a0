"""What became of the requests of one kind of traffic."""
import array
import time
from collections import Counter

# Failures that are kept with their time, of each kind.
EXAMPLES = 20


class Ledger:
    """`failed` counts by reason what a client would call an error. `allowed` counts what a server
    may do: close a connection between two requests, say `Connection: close`, send away a stream
    that it did not process (RFC 9113 §6.8, §8.7), which is sent again elsewhere."""

    def __init__(self, kind):
        self.kind = kind
        self.sent = self.good = 0
        self.failed, self.allowed = Counter(), Counter()
        self.examples = []
        # Seconds by the monotonic clock at the end of each good exchange, and how long it took.
        self.ends, self.times = array.array("d"), array.array("d")

    def ok(self, began=None):
        """A good exchange. Without `began` its time is not counted: it was asked to be slow."""
        self.good += 1
        if began is not None:
            now = time.monotonic()
            self.ends.append(now)
            self.times.append(now - began)

    def fail(self, reason, detail=""):
        self.failed[reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append("%.3f %s %s" % (time.monotonic(), reason, detail))

    def summary(self, folder):
        """As JSON; times go to two files in `folder`."""
        for name, values in (("ends", self.ends), ("times", self.times)):
            with open("%s/%s.%s" % (folder, self.kind, name), "wb") as file:
                values.tofile(file)
        return {"kind": self.kind, "sent": self.sent, "good": self.good,
                "failed": dict(self.failed), "allowed": dict(self.allowed),
                "examples": self.examples}


def read_times(folder, kind):
    """Pairs of arrays as `summary` left them: ends, times."""
    out = []
    for name in ("ends", "times"):
        values = array.array("d")
        with open("%s/%s.%s" % (folder, kind, name), "rb") as file:
            values.frombytes(file.read())
        out.append(values)
    return out
