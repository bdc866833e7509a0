"""What the tests of the access log have in common."""
import json

from harness import eventually
from wire import Client


def logging(output, **config):
    config.setdefault("flush", "20ms")
    return {"plugins": {"log": {"library": "libAccessLog.so",
                                "config": {"output": output, **config}}},
            "chain": ["log"]}


def lines_of(path):
    try:
        with open(path, "rb") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def wait_lines(path, count):
    """Exactly so many lines, and none that is not whole."""
    eventually(lambda: len(lines_of(path)) >= count, "%d lines" % count)
    lines = lines_of(path)
    assert len(lines) == count, lines
    return lines


def objects(path, count):
    return [json.loads(line) for line in wait_lines(path, count)]


def ask(proxy, count=1, target="/", **options):
    one = Client(proxy.address)
    try:
        for _ in range(count):
            got = one.request(target=target, **options)
        return got
    finally:
        one.close()
