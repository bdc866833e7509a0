"""RFC 9111, and what goes with it, case by case through the running proxy.

The cases are in `cache_cases`, one file for a part of the RFCs, in the language of `cachecase.py`.
All of them share one proxy and one origin. `--cache-peer nginx` plays them through nginx's
proxy_cache; [docs/cache-conformance.md] has the numbers of both.
"""
import pytest

import cache_cases
import cacheplay


@pytest.fixture(scope="session")
def stage(request, tmp_path_factory, ca, leaf):
    origin = cacheplay.Origin()
    peer = cacheplay.PEERS[request.config.getoption("--cache-peer")](
        tmp_path_factory.mktemp("cache"), origin, ca, leaf)
    yield peer, origin
    peer.close()
    origin.close()


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in cache_cases.ALL])
def test_case(stage, case, record_property):
    record_property("cache case", (case.section, case.level))
    cacheplay.Play(case, *stage).run()
