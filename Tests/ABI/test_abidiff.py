"""abidiff compares what the debug information of a compiled library says of the interface with the
released versions; layout.txt must explain every difference that it finds."""
import glob
import os
import shutil

import pytest

import layout
from tools import INCLUDE, SDK, run

RELEASED = sorted(glob.glob(os.path.join(SDK, "ABI/released/*.xml")))
# The exit status's bits: an error of the tool or its use; else there is a difference.
FAILED = 1 | 2


def build(folder, include=INCLUDE):
    library = str(folder / "libanchor.so")
    built = run(["gcc", "-std=c11", "-g", "-O0", "-shared", "-fPIC", "-I", include, "-o", library,
                 os.path.join(SDK, "ABI/anchor.c")])
    assert built.returncode == 0, built.stderr
    return library


def text(path):
    with open(path) as file:
        return file.read()


def test_there_is_a_released_version():
    assert RELEASED
    assert [path[:-4] for path in RELEASED] == sorted(
        path[:-4] for path in glob.glob(os.path.join(SDK, "ABI/released/*.txt")))


@pytest.mark.parametrize("released", RELEASED, ids=os.path.basename)
def test_every_difference_is_explained(tmp_path, released):
    compared = run(["abidiff", released, build(tmp_path)])
    print(compared.stdout)
    assert not compared.returncode & FAILED, compared.stdout + compared.stderr
    breaks, growth = layout.compare(text(released[:-4] + ".txt"),
                                    text(os.path.join(SDK, "ABI/layout.txt")))
    assert breaks == []
    assert compared.returncode == 0 or growth, (
        "abidiff finds a difference that layout.txt does not show:\n" + compared.stdout)


@pytest.mark.parametrize("old,new", [
    ("uint32_t generation;", "int32_t generation;"),
    ("    uint32_t slot;\n    uint32_t generation;",
     "    uint32_t generation;\n    uint32_t slot;"),
    ("uint64_t reserved[2];\n} sluice_sink;", "uint64_t reserved[3];\n} sluice_sink;"),
    ("(*write)(void *context, sluice_slice bytes)", "(*write)(void *context, sluice_slice *bytes)"),
])
def test_abidiff_sees_changes(tmp_path, old, new):
    include = tmp_path / "include"
    shutil.copytree(INCLUDE, include)
    header = include / "sluice/types.h"
    assert header.read_text().count(old) == 1
    header.write_text(header.read_text().replace(old, new))
    compared = run(["abidiff", RELEASED[-1], build(tmp_path, str(include))])
    assert compared.returncode and not compared.returncode & FAILED
