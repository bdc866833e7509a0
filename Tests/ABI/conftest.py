"""What the tests need beside Python."""
import shutil
import sys

import pytest

sys.dont_write_bytecode = True

import tools  # noqa: E402


def pytest_sessionstart(session):
    missing = [name for name in ("gcc", "g++", "abidw", "abidiff", "rustc")
               if not shutil.which(name)]
    if not tools.CLANG:
        missing.append("clang")
    if missing:
        pytest.exit("not found: %s; run `make test-deps`" % ", ".join(missing), 2)
