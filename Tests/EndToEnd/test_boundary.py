"""Some seeds of the boundary's fuzz run (Tests/Fuzz/boundary.py): those that once found a fault,
and a few more."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../Fuzz"))
import boundary  # noqa: E402

with open(os.path.join(HERE, "../Fuzz/seeds.txt"), encoding="utf-8") as file:
    SEEDS = [int(line.split("#")[0]) for line in file if line.split("#")[0].strip()]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return boundary.compile_plugin(str(tmp_path_factory.mktemp("evil")))


@pytest.mark.parametrize("seed", SEEDS)
def test_plugins_may_do_what_they_like(library, seed):
    assert boundary.run(seed, library, requests=200) == []
