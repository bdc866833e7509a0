"""RFC 9111, and what goes with it, case by case through the running proxy.

The cases are in `cache_cases`, one file for a part of the RFCs, in the language of `cachecase.py`.
All of them share one proxy and one origin. `--cache-peer nginx` plays them through nginx's
proxy_cache; docs/cache-conformance.md has the numbers of both.
"""
import pytest

import cache_cases
import cachepeers
import cacheplay
from cache_cases import conditions, messages, ranges, storing


@pytest.fixture(scope="session")
def stage(request, tmp_path_factory, ca, leaf):
    origin = cacheplay.Origin()
    peer = cachepeers.PEERS[request.config.getoption("--cache-peer")](
        tmp_path_factory.mktemp("cache"), origin, ca, leaf)
    yield peer, origin
    peer.close()
    origin.close()


# What our cache does not do. The numbers count it as not passed.
KNOWN = {}


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in cache_cases.ALL])
def test_case(stage, case, record_property, request):
    peer, origin = stage
    if peer.name == "sluice" and case.id in KNOWN:
        request.applymarker(pytest.mark.xfail(strict=True, reason=KNOWN[case.id]))
    record_property("cache case", (case.section, case.level))
    cacheplay.Play(case, peer, origin).run()


# What comes from the store in other shapes than a plain 200.
OTHER_SHAPES = [case for file in (storing, conditions, ranges, messages) for case in file.CASES
                if cacheplay.HTTP2.plays(case)]


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in OTHER_SHAPES])
def test_case_over_http2(stage, case):
    peer, origin = stage
    if peer.name != "sluice":
        pytest.skip("the numbers of peers are of HTTP/1.1")
    cacheplay.Play(case, peer, origin, cacheplay.HTTP2).run()


# ------------------------------------------------------------------ the cases themselves
def test_what_is_known_is_a_case():
    assert set(KNOWN) <= {case.id for case in cache_cases.ALL}


def passed(cases, make, monkeypatch):
    """Those that pass, where all should fail."""
    monkeypatch.setattr(cacheplay, "PATIENCE", 0)
    origin = cacheplay.Origin()
    peer = make(origin)
    good = []
    try:
        for case in cases:
            try:
                cacheplay.Play(case, peer, origin).run()
                good.append(case.id)
            except AssertionError:
                pass
    finally:
        peer.close()
        origin.close()
    return good


def test_without_a_cache_no_reuse_passes(monkeypatch):
    cases = [c for c in cache_cases.ALL if c.level == "reuse"]
    assert len(cases) > 200
    assert passed(cases, cachepeers.NoPeer, monkeypatch) == []


def test_with_a_cache_that_keeps_all_nothing_passes_that_is_kept_out(monkeypatch):
    """Whatever asks twice for the same and must reach the origin both times."""
    cases = [c for c in cache_cases.ALL if c.level != "ours" and len(c.steps) > 1
             and all(s.kind == "miss" and s.method == "GET" and not s.path for s in c.steps)]
    assert len(cases) > 150
    assert passed(cases, cachepeers.HoarderPeer, monkeypatch) == []
