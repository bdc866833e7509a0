"""Reads what the proxy counts, by the parsers of Prometheus's own library, which refuse what breaks
a format."""
import re

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser

from harness import eventually
from wire import Client, reply

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# The plugin, on a route of its own.
PLUGIN = {"m": {"library": "libMetrics.so"}}
ROUTE = {"name": "metrics", "match": {"path": "/metrics"}, "chain": ["m"]}
LABEL = r'[a-zA-Z_]\w*="(\\[\\"n]|[^"\\\n\x00-\x1f])*"'
SAMPLE = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{%s(,%s)*\})? \S+" % (LABEL, LABEL))


class Metrics:
    """One scrape: families by name, as the format has it, and the samples of all."""

    def __init__(self, text, is_open=False):
        self.text = text
        parse = open_parser if is_open else parser
        self.families = {}
        for family in parse.text_string_to_metric_families(text):
            assert family.name not in self.families, family.name + " twice"
            self.families[family.name] = family
        self.samples = {}
        for family in self.families.values():
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in self.samples, key
                self.samples[key] = sample.value
        for line in text.splitlines():
            assert line.startswith("# ") or SAMPLE.fullmatch(line), line

    def value(self, name, **labels):
        """The sum of all samples of a name that have these labels; 0 when there are none."""
        return sum(self.series(name, **labels).values())

    def series(self, name, **labels):
        return {key[1]: value for key, value in self.samples.items()
                if key[0] == name and labels.items() <= dict(key[1]).items()}


def scrape(proxy, accept=None, target="/metrics"):
    """What the plugin serves, checked."""
    wire = Client(getattr(proxy, "address", proxy))
    try:
        fields = [("Accept", accept)] if accept else []
        answer = wire.request(target=target, fields=fields)
    finally:
        wire.close()
    assert answer.status == 200, answer.body
    is_open = answer.get("content-type") == OPEN
    assert is_open or answer.get("content-type") == TEXT
    return Metrics(answer.body.decode(), is_open)


@pytest.fixture
def proxy(sluice):
    """A proxy with the plugin, whose routes are those of the test and then the plugin's own."""
    def make(*peers, routes=None, plugins=None, **options):
        routes = [{"name": "app", "match": {}, "upstream": "app"}] if routes is None else routes
        return sluice(*peers, plugins={**PLUGIN, **(plugins or {})}, routes=[ROUTE] + routes,
                      **options)

    return make


def says(head):
    """An origin that answers with the status in the path and as many bytes as it says."""
    parts = head.target.strip("/").split("/")
    status, count = (parts + ["200", "2"])[:2] if parts[0].isdigit() else ("200", "2")
    return reply(b"x" * int(count), status=status + " Some")


def settled(proxy, name, count, **labels):
    """A scrape in which something has this count: an answer is out before it is counted."""
    found = []
    eventually(lambda: found.append(scrape(proxy)) or found[-1].value(name, **labels) == count,
               "%s %s is %s" % (name, labels, count))
    return found[-1]
