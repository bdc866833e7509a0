"""The headers compile without a warning, each alone, wherever a plugin may be built; and nowhere
else."""
import pytest

from tools import BARE, STRICT, compile_text, headers

STANDARDS = {
    "gcc": ["c99", "c11", "c17", "c2x", "gnu11"],
    "clang": ["c99", "c11", "c17", "c2x", "gnu11"],
    "g++": ["c++11", "c++14", "c++17", "c++20", "c++23"],
    "clang++": ["c++11", "c++14", "c++17", "c++20", "c++23"],
}
CASES = [(compiler, standard) for compiler, found in STANDARDS.items() for standard in found]


def test_there_are_headers():
    assert {"sluice/sluice.h", "sluice/ext/shared.h"} <= set(headers())


@pytest.mark.parametrize("enums", ["-fno-short-enums", "-fshort-enums"])
@pytest.mark.parametrize("compiler,standard", CASES)
def test_each_header_compiles_alone(compiler, standard, enums):
    for header in headers():
        errors = compile_text(compiler, "#include <%s>\nint used;\n" % header, *STRICT,
                              "-std=" + standard, enums)
        assert errors == "", header


@pytest.mark.parametrize("compiler", list(STANDARDS))
def test_headers_can_be_included_twice_and_in_any_order(compiler):
    names = headers()
    text = "".join("#include <%s>\n" % name for name in names[::-1] + names)
    assert compile_text(compiler, text + "int used;\n", *STRICT) == ""


def test_headers_need_no_system_on_arm():
    for header in headers():
        assert compile_text("clang", "#include <%s>\n" % header, "-target", "aarch64-linux-gnu",
                            *BARE) == "", header


@pytest.mark.parametrize("target", [
    "i386-linux-gnu", "armv7-linux-gnueabihf", "x86_64-linux-gnux32", "aarch64_be-linux-gnu"])
def test_other_machines_are_refused_by_name(target):
    errors = compile_text("clang", "#include <sluice/sluice.h>\n", "-target", target, *BARE)
    assert "the Sluice ABI is defined for 64-bit little-endian targets" in errors
