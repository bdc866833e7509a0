"""Each step of a swap interrupted. Tests/Bench/lifecycle/steps.py has the cases."""
import os
import sys

import pytest

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "Tests/Bench/lifecycle"))

import steps  # noqa: E402
from trial import Trial  # noqa: E402


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def bench():
    """One process for all swaps that are refused: nothing of them may stay."""
    with Trial("sluice", lanes=steps.LANES) as trial:
        bench = steps.Bench(trial).start()
        yield bench
        outcome = trial.end_load()
        assert outcome.failed() == 0, outcome.report()
        assert outcome.good > 100


@pytest.mark.parametrize("name", steps.REFUSED)
def test_refused(bench, name):
    steps.check_refused(bench, name)


@pytest.mark.seconds(120)
@pytest.mark.parametrize("name, run", [pytest.param(n, r, id=n) for n, r in steps.cases()])
def test_interrupted(name, run):
    run()
