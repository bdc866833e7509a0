"""What the tests of the binary interface share: the compilers, the headers, the scripts."""
import os
import shutil
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
SDK = os.path.join(ROOT, "SDK")
INCLUDE = os.path.join(SDK, "Sources/CSluice/include")
SCRIPT = os.path.join(ROOT, "scripts/abi-layout")

sys.path.insert(0, os.path.join(ROOT, "scripts/abi"))


def toolchain(name):
    """A program of the Swift toolchain, or of the PATH."""
    swift = shutil.which("swift")
    if swift:
        path = os.path.join(os.path.dirname(os.path.realpath(swift)), name)
        if os.access(path, os.X_OK):
            return path
    return shutil.which(name)


CLANG = toolchain("clang")
COMPILERS = {
    "gcc": ["gcc", "-x", "c"],
    "g++": ["g++", "-x", "c++"],
    "clang": [CLANG, "-x", "c"],
    "clang++": [CLANG, "-x", "c++"],
}
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wpadded", "-Werror"]
# On another machine's headers nothing can be counted on but the compiler's own.
BARE = ["-ffreestanding", "-nostdlibinc"]


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=120, **options)


def compile_text(compiler, text, *options):
    """Compiles a text without writing anything; the errors, or an empty text."""
    command = COMPILERS[compiler] + ["-fsyntax-only", "-I", INCLUDE, *options, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stderr or "failed"


def headers():
    """Every header as it is included: "sluice/ext/shared.h"."""
    found = []
    for at, _, names in os.walk(INCLUDE):
        found += [os.path.relpath(os.path.join(at, name), INCLUDE) for name in names
                  if name.endswith(".h")]
    return sorted(found)
