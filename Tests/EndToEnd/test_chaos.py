"""Origins that are killed, stopped, slow, resetting or busy, under load, in short: not one request
may fail while one of them is well. Tests/Bench/chaos is the whole of it, beside HAProxy.
"""
import os
import sys

import pytest

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "Tests/Bench/chaos"))

import chaos  # noqa: E402
import chaos_load  # noqa: E402
import chaos_proxies  # noqa: E402

pytestmark = pytest.mark.alone
RATE, ILL, WELL = 150, 1, 1.5
PHASES = [
    ("two killed", {0: "killed", 1: "killed"}),
    ("one stopped, one resetting", {2: "stopped", 3: "resetting"}),
    ("one slow, one 503", {4: "slow", 5: "503"}),
    ("all but one killed", {n: "killed" for n in range(1, chaos.ORIGINS)}),
]


@pytest.mark.seconds(120)
@pytest.mark.parametrize("balancer", ["RoundRobin", "Ketama"])
def test_no_request_fails_while_one_origin_is_well(monkeypatch, balancer):
    monkeypatch.setattr(chaos_proxies, "SLUICE", harness.BINARY)
    with chaos.Run("sluice", balancer, RATE, ILL, WELL, PHASES, warm=0.5) as run:
        rows = run.rows()
    for row in rows:
        assert row.failures == [], row.name
        # All of what was due was asked; and the ill ones were taken out, and came back.
        assert row.requests >= RATE * (ILL + WELL) * 0.9, row.name
        assert row.out < ILL and row.back < WELL, (row.name, row.cells())


@pytest.mark.seconds(60)
def test_the_client_notices_what_fails(monkeypatch):
    """With a proxy that tries nothing again, so the zeros above mean something."""
    class Careless(chaos_proxies.Sluice):
        def manifest(self):
            manifest = super().manifest()
            manifest["upstreams"]["app"]["retries"] = {"attempts": 1}
            manifest["chain"] = []
            return manifest

    monkeypatch.setattr(chaos_proxies, "SLUICE", harness.BINARY)
    monkeypatch.setitem(chaos_proxies.PROXIES, "careless", Careless)
    with chaos.Run("careless", "RoundRobin", RATE, 0.5, 0.5, [
            ("one resetting", {0: "resetting"}), ("one answers 503", {1: "503"})], 0.5) as run:
        rows = run.rows()
        run.failed = False
    assert set(rows[0].failures) == {"HTTP/1.1 502"}
    assert set(rows[1].failures) == {"HTTP/1.1 503"}


def test_percentiles_and_windows():
    window = chaos_load.Window([(n, n / 1000, None) for n in range(100)] + [(50, 9, "x")], 0, 100)
    assert window.requests == 101 and window.failures == ["x"]
    assert (window.percentile(0.5), window.percentile(0.99)) == (50, 99)
