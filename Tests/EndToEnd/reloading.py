"""Reloads: the manifest of a running proxy is changed, and HUP is sent."""
import json
import re
import signal
import socket

from wire import DEADLINE

# The last line of a reload.
OUTCOME = re.compile(r"reload: generation (\d+) serves|reload: nothing has changed"
                     r"|reload refused: (.*)")
GONE = re.compile(r"generation (\d+) is gone")


def manifest_of(proxy):
    """The manifest that the proxy was started or reloaded with last, to be changed."""
    with open(proxy.path) as file:
        return json.load(file)


def send(proxy, manifest=None):
    """Writes a manifest and sends HUP; where the log stood before."""
    if manifest is not None:
        proxy.save(manifest)
    mark = len(proxy.lines)
    proxy.process.send_signal(signal.SIGHUP)
    return mark


def outcome(proxy, mark, count=1):
    """The outcomes of so many reloads since a place of the log, as matches."""
    def found():
        return [m for m in map(OUTCOME.search, proxy.lines[mark:]) if m]

    with proxy.changed:
        assert proxy.changed.wait_for(lambda: len(found()) >= count, DEADLINE), proxy.log
        return found()


def reload(proxy, manifest=None):
    """Goes over to a manifest; the number of the new generation."""
    match = outcome(proxy, send(proxy, manifest))[0]
    assert match.group(1), match.group()
    return int(match.group(1))


def refused(proxy, manifest, *texts):
    """Tries to go over to a manifest; waits for lines against it, each with one of these texts."""
    mark = send(proxy, manifest)
    found = outcome(proxy, mark, len(texts))
    said = "\n".join(m.group(2) or "served after all" for m in found)
    assert len(found) == len(texts) and all(text in said for text in texts), said


def wait_gone(proxy, *numbers):
    """Waits until nothing is left of these generations."""
    for number in numbers:
        proxy.wait_log(r"generation %d is gone" % number)


def free_port():
    """An address of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


def refuses(address):
    with socket.socket() as s:
        return s.connect_ex(address) != 0
