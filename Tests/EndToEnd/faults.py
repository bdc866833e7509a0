"""Plugins that fail on purpose, from Tests/Fixtures/faults: one in C, one in Swift, one in Rust."""
import hashlib
import os
import platform
import re
import shutil
import subprocess

import harness

FOLDER = os.path.join(harness.ROOT, "Tests/Fixtures/faults")
EXPORTS = os.path.join(harness.ROOT, "Plugins/exports.map")
INCLUDE = os.path.join(harness.ROOT, "SDK/Sources/CSluice/include")

# A trap of the compilers here.
TRAP = "ILL" if platform.machine() == "x86_64" else "TRAP"
# How each language fails, and the signal that ends the process then.
WAYS = {
    "C": {"null": "SEGV", "trap": TRAP, "divide": "FPE", "abort": "ABRT", "stack": "SEGV"},
    "Swift": {"null": "SEGV", "index": TRAP, "overflow": TRAP, "fatal_error": TRAP,
              "unwrap": TRAP, "stack": "SEGV"},
    "Rust": {"null": "SEGV", "panic": "ABRT", "overflow": "ABRT", "abort": "ABRT",
             "stack": "SEGV"},
}
COMPILERS = {"C": "gcc", "Swift": "swiftc", "Rust": "rustc"}
# Where a request makes it fail, and the name of that call in a record.
HOOKS = ["request_headers", "request_body", "upstream_request", "upstream_result",
         "upstream_response", "upstream_body", "response_headers", "response_body", "local_reply",
         "request_end"]
CALLS = ["pick", "timer", "task", "offload"]


def build(folder, language):
    """The plugin of a language in a folder; the library's path, or None without its compiler."""
    if not shutil.which(COMPILERS[language]):
        return None
    path = os.path.join(str(folder), "libFaults%s.so" % language)
    run = lambda *argv: subprocess.run(argv, check=True, cwd=str(folder), capture_output=True)
    run("gcc", "-c", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I", INCLUDE, "-o",
        "faults.o", FOLDER + "/faults.c")
    if language == "C":
        run("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path,
            FOLDER + "/faultC.c", "faults.o", "-Wl,--version-script=" + EXPORTS)
    if language == "Rust":
        run("rustc", "--edition", "2024", "-O", "-C", "overflow-checks", "--crate-type",
            "staticlib", "-o", "libfault.a", FOLDER + "/fault.rs")
        run("gcc", "-shared", "-o", path, "faults.o", "libfault.a",
            "-Wl,--version-script=" + EXPORTS)
    if language == "Swift":
        run("swiftc", "-O", "-parse-as-library", "-emit-library", "-static-stdlib", "-module-name",
            "fault", "-o", path, FOLDER + "/fault.swift", "faults.o", "-Xlinker",
            "--version-script=" + EXPORTS, "-Xlinker", "-z", "-Xlinker", "nodelete")
    return path


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Record:
    """The line that a crash left in a log."""

    LINE = re.compile(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ error (?P<thread>\S+) (?P<what>crash: SIG"
        r"(?P<signal>\w+)|hang: no return for (?P<time>\d+) ms)[^;]*? in (?:"
        r"no call of a plugin|plugin (?P<plugin>\S*), (?:hook (?P<hook>\w+)|"
        r"in its code, but in no call of the host)"
        r"(?:, request (?P<request>\d+) (?P<method>\S+) (?P<path>\S+))?; library (?P<library>\S+), "
        r"version (?P<version>\S*), sha256 (?P<sha256>\w*)); process (?P<process>\d+)$", re.M)

    def __init__(self, log):
        found = self.LINE.findall(log)
        assert len(found) == 1, "%d records of a crash in:\n%s" % (len(found), log)
        self.__dict__ = self.LINE.search(log).groupdict()
