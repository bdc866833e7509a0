"""What follows from the headers is what is checked in, and compilers agree with it."""
import os
import re
import shutil

import pytest

import layout
from tools import BARE, INCLUDE, ROOT, SCRIPT, SDK, STRICT, compile_text, run

with open(os.path.join(SDK, "ABI/layout_check.c")) as file:
    CHECKS = file.read()
with open(os.path.join(SDK, "ABI/layout.txt")) as file:
    LAYOUT = file.read()


def test_generated_files_are_as_checked_in():
    done = run([SCRIPT])
    assert done.returncode == 0, (
        "The binary interface is not the one that is checked in. A line below that says BREAKS "
        "PLUGINS must not be merged: plugins in the field would read garbage. Growth into reserved "
        "slots needs a new SLUICE_ABI_MINOR and a line in SDK/CHANGELOG.md (docs/stability.md).\n"
        + done.stderr)


@pytest.mark.parametrize("compiler,standard", [
    (compiler, standard)
    for compiler, standards in (("gcc", ["c11", "c17", "c2x"]), ("clang", ["c11", "c17", "c2x"]),
                                ("g++", ["c++11", "c++17", "c++23"]),
                                ("clang++", ["c++11", "c++17", "c++23"]))
    for standard in standards])
def test_compilers_agree(compiler, standard):
    for enums in ("-fno-short-enums", "-fshort-enums"):
        assert compile_text(compiler, CHECKS, *STRICT, "-std=" + standard, enums) == ""


@pytest.mark.parametrize("compiler", ["clang", "clang++"])
def test_arm_agrees(compiler):
    assert compile_text(compiler, CHECKS, *STRICT, "-target", "aarch64-linux-gnu", *BARE) == ""


@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang", "clang++"])
def test_packed_structs_are_noticed(compiler):
    assert "static assertion" in compile_text(compiler, CHECKS, "-fpack-struct=2").lower()


@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang", "clang++"])
@pytest.mark.parametrize("old,new", [
    ("STRUCT(sluice_slice, 16, 8)", "STRUCT(sluice_slice, 16, 4)"),
    ("MEMBER(sluice_slice, len, 8,", "MEMBER(sluice_slice, len, 0,"),
    ("MEMBER(sluice_slice, ptr, 0, const uint8_t *)", "MEMBER(sluice_slice, ptr, 0, uint8_t *)"),
    ("void (*)(sluice_slice, sluice_key *)", "int (*)(sluice_slice, sluice_key *)"),
    ("VALUE(SLUICE_EINVAL, -1)", "VALUE(SLUICE_EINVAL, -2)"),
    ("TEXT(SLUICE_CORE_ID, \"sluice.core/1\")", "TEXT(SLUICE_CORE_ID, \"sluice.core/10\")"),
    ("TYPE(sluice_task, void (*)(", "TYPE(sluice_task, int (*)("),
    ("FUNCTION(sluice_plugin_hello_v0, int32_t", "FUNCTION(sluice_plugin_hello_v0, uint32_t"),
])
def test_the_checks_can_fail(compiler, old, new):
    assert CHECKS.count(old) == 1
    assert "static assertion" in compile_text(compiler, CHECKS.replace(old, new)).lower()


# ------------------------------------------------------------------ the script
@pytest.fixture
def tree(tmp_path):
    """A copy of what the script reads and writes."""
    shutil.copytree(INCLUDE, tmp_path / "SDK/Sources/CSluice/include")
    for path in ("SDK/ABI", "SDK/Rust", "SDK/CHANGELOG.md", "docs/abi-reference.md"):
        to = tmp_path / path
        to.parent.mkdir(exist_ok=True)
        (shutil.copytree if os.path.isdir(os.path.join(ROOT, path)) else shutil.copy)(
            os.path.join(ROOT, path), to)
    return tmp_path


def edit(tree, header, *replacements):
    path = tree / "SDK/Sources/CSluice/include/sluice" / header
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def script(tree, *options):
    done = run([SCRIPT, "--root", str(tree), *options])
    return done.returncode, done.stderr


REPLY_END = "uint64_t reserved[4];\n} sluice_reply;"
BREAKS = [
    ("types.h", [("uint64_t sequence;", "int64_t sequence;")],
     "sluice_token: sequence was uint64_t at 8, is int64_t at 8"),
    ("types.h", [("    uint32_t slot;\n    uint32_t generation;",
                  "    uint32_t generation;\n    uint32_t slot;")],
     "sluice_token: slot was uint32_t at 0, is uint32_t at 4"),
    ("http.h", [(REPLY_END, "uint64_t reserved[4];\n    uint64_t more;\n} sluice_reply;")],
     "struct sluice_reply size 72 align 8 was: struct sluice_reply size 64 align 8"),
    ("http.h", [("SLUICE_MORE = 6", "SLUICE_MORE = 9")],
     "constant SLUICE_MORE = 9, was: constant SLUICE_MORE = 6"),
    ("http.h", [("SLUICE_MORE = 6", "SLUICE_REST = 6")], "gone: constant SLUICE_MORE = 6"),
    ("host.h", [("uint32_t (*log_level)(const sluice_host *host)",
                 "uint64_t (*log_level)(const sluice_host *host)")],
     "sluice_core: log_level was uint32_t (*)(const sluice_host *) at"),
    ("http.h", [("typedef uint32_t (*sluice_hook)(", "typedef int32_t (*sluice_hook)(")],
     "type sluice_hook = int32_t (*)("),
    ("hello.h", [('"sluice_plugin_hello_v0"', '"sluice_plugin_hello_v1"')],
     'text SLUICE_HELLO_SYMBOL = "sluice_plugin_hello_v1", was: '),
]


@pytest.mark.parametrize("header,replacements,message", BREAKS)
def test_a_break_is_called_one(tree, header, replacements, message):
    edit(tree, header, *replacements)
    code, errors = script(tree)
    assert code == 1
    assert "BREAKS PLUGINS: " in errors and message in errors
    assert "not what the headers say: SDK/ABI/layout.txt, SDK/ABI/layout_check.c" in errors
    # Writing the files anew does not hide it from the layout of a released version.
    script(tree, "--write")
    code, errors = script(tree)
    assert code == 1 and re.search(r"released/v0-minor-\d+\.txt: BREAKS PLUGINS", errors)


@pytest.mark.parametrize("header,replacements,message", [
    ("http.h", [(REPLY_END, "uint64_t more;\n    uint64_t reserved[3];\n} sluice_reply;")],
     "grows: sluice_reply: more takes a reserved slot at 32"),
    ("types.h", [("SLUICE_ECONFIG = -6,", "SLUICE_ECONFIG = -6,\n    SLUICE_ENEW = -7,")],
     "grows: new: constant SLUICE_ENEW = -7"),
    ("http.h", [("typedef struct sluice_req sluice_req;",
                 "typedef struct sluice_new { uint64_t word; } sluice_new;\n"
                 "typedef struct sluice_req sluice_req;")],
     "grows: new: struct sluice_new size 8 align 8"),
])
def test_growth_needs_a_new_minor_version_and_a_line(tree, header, replacements, message):
    minor = int(re.search(r"SLUICE_ABI_MINOR = (\d+)", LAYOUT).group(1))
    edit(tree, header, *replacements)
    code, errors = script(tree)
    assert code == 1 and message in errors and "BREAKS" not in errors
    code, errors = script(tree, "--write")
    assert code == 1
    assert "grew since, so SLUICE_ABI_MINOR must be more than %d" % minor in errors
    edit(tree, "version.h", ("SLUICE_ABI_MINOR %du" % minor, "SLUICE_ABI_MINOR %du" % (minor + 1)))
    code, errors = script(tree, "--write")
    assert code == 1 and "its ledger has no line '| v0 minor %d |'" % (minor + 1) in errors
    with open(tree / "SDK/CHANGELOG.md", "a") as file:
        file.write("| v0 minor %d | a test |\n" % (minor + 1))
    assert script(tree) == (0, "")


@pytest.mark.parametrize("header,old,new,message", [
    ("types.h", "uint32_t slot;", "uint32_t slot : 4;", "types.h:58: ';' expected"),
    ("types.h", "uint32_t slot;", "size_t slot;", "size_t is no type of the ABI"),
    ("types.h", "uint32_t slot;", "union { int32_t a; } slot;", "expected near"),
    ("types.h", "uint32_t generation;", "", "4 bytes of padding before sequence"),
    ("types.h", "#endif\n\n/* Bytes", "#endif\nextern int x;\n\n/* Bytes", "'\"C\"' expected"),
    ("sluice.h", '#include "ext/shared.h"\n', "", "sluice.h includes"),
])
def test_what_the_script_does_not_know_stops_it(tree, header, old, new, message):
    edit(tree, header, (old, new))
    code, errors = script(tree)
    assert code == 1 and message in errors


# ------------------------------------------------------------------ comparing
OLD = """\
struct s size 32 align 8
    0 size: uint32_t
    4 reserved0: uint32_t
    8 call: void (*)(void)
    16 reserved: void *[2]
constant A = 1
"""


@pytest.mark.parametrize("changes,breaks,growth", [
    ([], 0, 0),
    ([("16 reserved: void *[2]", "16 more: void (*)(int)\n    24 reserved: void *[1]")], 0, 1),
    ([("16 reserved: void *[2]", "16 more: void *\n    24 last: void *")], 0, 2),
    ([("4 reserved0: uint32_t", "4 flags: uint32_t")], 0, 1),
    ([("void (*)(void)", "void (*)(int)")], 1, 0),
    ([("8 call: void (*)(void)", "8 called: void (*)(void)")], 2, 0),
    ([("size 32", "size 40")], 1, 0),
    ([("16 reserved: void *[2]", "16 reserved: void *[2]\n    32 more: void *")], 1, 0),
    ([("A = 1", "A = 2")], 1, 0),
    ([("constant A = 1\n", "")], 1, 0),
    ([("constant A = 1\n", "constant A = 1\nconstant B = 2\n")], 0, 1),
])
def test_comparison(changes, breaks, growth):
    new = OLD
    for old, changed in changes:
        assert old in new
        new = new.replace(old, changed)
    found = layout.compare(OLD, new)
    assert (len(found[0]), len(found[1])) == (breaks, growth), found
