"""Libraries that are no plugins, or broken ones: each is refused with one line that says what is
wrong. What the file's headers show is refused before any of its code has run."""
import os
import shutil
import subprocess

import pytest

import harness
from harness import ROOT, manifest

SOURCE = os.path.join(ROOT, "Tests/EndToEnd/malformed/plugin.c")
INCLUDE = os.path.join(ROOT, "SDK/Sources/CSluice/include")
MACHINE = os.uname().machine


def abi(name):
    """A value of the ABI, as the layout that is checked in has it."""
    with open(os.path.join(ROOT, "SDK/ABI/layout.txt")) as file:
        for line in file:
            words = line.split()
            if words[:2] == ["struct", name]:
                return int(words[3])
            if words[:2] == ["constant", name]:
                return int(words[3])
    raise KeyError(name)


MINOR = abi("SLUICE_ABI_MINOR")


def build(folder, *options, source=SOURCE):
    path = str(folder / "bad.so")
    built = subprocess.run(
        ["gcc", "-std=c11", "-O1", "-Wall", "-I", INCLUDE, "-fPIC", "-fvisibility=hidden",
         "-shared", "-o", path, source, *options], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return path


def checked(folder, library, *prefix):
    """What `sluice check` says of a manifest with this library: (status, lines, whether any of its
    code ran)."""
    path = str(folder / "sluice.json")
    ran = str(folder / "ran")
    with open(path, "w") as file:
        file.write(harness.json.dumps(manifest(
            "127.0.0.1:9", plugins={"bad": {"library": str(library)}})))
    done = subprocess.run(
        [*prefix, harness.BINARY, "check", "--no-bind", "--manifest", path], capture_output=True,
        text=True, timeout=30, stdin=subprocess.DEVNULL, env={**os.environ, "RAN": ran})
    start = path + ": plugins.bad"
    lines = [line[len(start):] if line.startswith(start) else line
             for line in done.stderr.splitlines()]
    return done.returncode, lines, os.path.exists(ran)


def refused(folder, library, reason, *prefix):
    """Refused by the file, before any code of it ran."""
    status, lines, ran = checked(folder, library, *prefix)
    assert (status, lines) == (78, [": %s: %s" % (library, reason)])
    assert not ran


def test_the_source_without_a_fault_is_a_plugin(tmp_path):
    assert checked(tmp_path, build(tmp_path)) == (0, [], True)


# ------------------------------------------------------------------ files
@pytest.mark.parametrize("content,reason", [
    (b"", "not a shared library (no ELF header)"),
    (b"\x7fEL", "not a shared library (no ELF header)"),
    (b"#!/bin/sh\nexit 0\n", "not a shared library (no ELF header)"),
    (b"\x7fELF", "cut short: it has 4 bytes, its headers speak of 5"),
])
def test_not_a_library(tmp_path, content, reason):
    path = tmp_path / "bad.so"
    path.write_bytes(content)
    refused(tmp_path, path, reason)


@pytest.mark.parametrize("bytes_", [17, 64, 100, 1000, 8192])
def test_a_truncated_library(tmp_path, bytes_):
    path = build(tmp_path)
    assert os.path.getsize(path) > bytes_
    os.truncate(path, bytes_)
    status, lines, ran = checked(tmp_path, path)
    assert status == 78 and not ran
    assert len(lines) == 1
    assert lines[0].startswith(": %s: cut short: it has %d bytes, its headers speak of " % (
        path, bytes_))


def test_a_library_that_is_cut_behind_what_is_mapped(tmp_path):
    path = build(tmp_path)
    os.truncate(path, os.path.getsize(path) - 1)
    refused(tmp_path, path, "the section table is outside of the file")


@pytest.mark.parametrize("make,reason", [
    (lambda path: None, 'there is no file "%s"'),
    (os.mkdir, '"%s" is a folder, not a library'),
    (os.mkfifo, '"%s" is not a file that can be read'),
])
def test_no_file(tmp_path, make, reason):
    path = str(tmp_path / "bad.so")
    make(path)
    status, lines, _ = checked(tmp_path, path)
    assert status == 78 and len(lines) == 1
    assert lines[0].endswith(": plugins.bad.library: " + reason % path)
    inspected = harness.run("plugin", "inspect", path)
    assert inspected.returncode == 1 and inspected.stderr.startswith(path + ": ")


def test_an_unreadable_file(tmp_path):
    path = build(tmp_path)
    os.chmod(path, 0)
    # Root may read everything, unless this capability is gone.
    prefix = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    refused(tmp_path, path, "can't be read: Permission denied", *prefix)


# ------------------------------------------------------------------ ELF headers
@pytest.mark.parametrize("target,reason", [
    ("i386-linux-gnu", "a 32-bit library, not a 64-bit one"),
    ("riscv64-linux-gnu", "built for riscv64, this host is %s" % MACHINE),
    ("aarch64-linux-gnu" if MACHINE == "x86_64" else "x86_64-linux-gnu",
     "built for %s, this host is %s" % (
         "aarch64" if MACHINE == "x86_64" else "x86_64", MACHINE)),
])
def test_another_machine(tmp_path, target, reason):
    swift = shutil.which("swift")
    clang = os.path.join(os.path.dirname(os.path.realpath(swift)), "clang")
    source = tmp_path / "other.c"
    source.write_text("int sluice_plugin_hello_v0(void) { return 0; }\n")
    path = str(tmp_path / "bad.so")
    built = subprocess.run([clang, "-target", target, "-nostdlib", "-fuse-ld=lld", "-shared",
                            "-fPIC", "-o", path, str(source)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    refused(tmp_path, path, reason)


def test_an_executable(tmp_path):
    refused(tmp_path, "/usr/bin/env", "an executable, not a shared library")


def test_an_object_file(tmp_path):
    path = str(tmp_path / "bad.so")
    subprocess.run(["gcc", "-I", INCLUDE, "-c", "-o", path, SOURCE], check=True)
    refused(tmp_path, path, "an object file, not a shared library")


def test_an_executable_stack(tmp_path):
    refused(tmp_path, build(tmp_path, "-Wl,-z,execstack"),
            "wants an executable stack; link it with -z noexecstack")


def test_relocations_in_code(tmp_path):
    refused(tmp_path, build(tmp_path, "-DTEXTREL", "-Wl,-z,notext"),
            "has relocations in its code (TEXTREL); compile all of it with -fPIC")


def test_a_shared_swift_runtime(tmp_path):
    stub = tmp_path / "stub.c"
    stub.write_text("int swift_runtime;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(tmp_path / "libswiftCore.so"), str(stub)],
                   check=True)
    library = build(tmp_path, "-DNEEDS_RUNTIME", "-L", str(tmp_path), "-lswiftCore",
                    "-Wl,-rpath," + str(tmp_path))
    refused(tmp_path, library, "needs libswiftCore.so, a Swift runtime that plugins would share; "
            "link it with -static-stdlib")


@pytest.mark.parametrize("option,reason", [
    ("-DSYMBOL=something_else", "not a plugin: it has no symbol sluice_plugin_hello_v0"),
    ("-DSYMBOL=sluice_plugin_hello_v9",
     "made for plugin ABI v9 (it exports sluice_plugin_hello_v9), this host has v0"),
    ("-DSURPLUS", "exports 2 other symbols beside sluice_plugin_hello_v0, such as surplus_one; "
     "hide what is not the entry (-fvisibility=hidden or a version script)"),
])
def test_symbols(tmp_path, option, reason):
    refused(tmp_path, build(tmp_path, option), reason)


def test_a_stripped_library_is_no_worse(tmp_path):
    path = build(tmp_path, "-s")
    assert checked(tmp_path, path) == (0, [], True)
    # Without a table of sections, which the linker does not need.
    subprocess.run(["objcopy", "--strip-section-headers", path], capture_output=True)
    assert checked(tmp_path, path)[0] == 0


# ------------------------------------------------------------------ handshake
HELLO = abi("sluice_plugin_hello")
HOST = "this host has 0.%d" % MINOR


@pytest.mark.parametrize("options,reason", [
    (["-DHELLO_SIZE=0"], "size of sluice_plugin_hello is 0, this host has %d" % HELLO),
    (["-DHELLO_SIZE=%d" % (HELLO - 8)],
     "size of sluice_plugin_hello is %d, this host has %d" % (HELLO - 8, HELLO)),
    (["-DHELLO_SIZE=UINT32_MAX"],
     "size of sluice_plugin_hello is 4294967295, this host has %d" % HELLO),
    (["-DHELLO_RESULT=SLUICE_ENOTSUP"], "the plugin refused this host (result -4)"),
    (["-DHELLO_RESULT=7"], "the plugin refused this host (result 7)"),
    (["-DABI_MINOR=%d" % (MINOR + 1)], "needs plugin ABI 0.%d, %s" % (MINOR + 1, HOST)),
    (["-DABI_MINOR=UINT32_MAX"], "needs plugin ABI 0.4294967295, " + HOST),
    (["-DABI_MINOR=1"], "is made for plugin ABI 0.1, a draft; " + HOST),
    (["-DABI_MINOR=0"], "is made for plugin ABI 0.0, a draft; " + HOST),
    (["-DREQUIRES=\"sluice.core/9\""], "needs sluice.core/9, which this host does not offer"),
    (["-DREQUIRES=\"\""], "needs , which this host does not offer"),
    (["-DNO_FACTORY"], "no usable sluice_factory"),
    (["-DNO_CREATE"], "no usable sluice_factory"),
    (["-DFACTORY_SIZE=0"], "no usable sluice_factory"),
])
def test_handshake(tmp_path, options, reason):
    library = build(tmp_path, *options)
    assert checked(tmp_path, library) == (78, [": %s: %s" % (library, reason)], True)


# ------------------------------------------------------------------ instances
@pytest.mark.parametrize("options,reason", [
    (["-DCHECK=SLUICE_ECONFIG", '-DWORDS="rate: too high"'], ".config: rate: too high"),
    (["-DCHECK=SLUICE_ECONFIG"], ".config: result -6"),
    (["-DCREATE=SLUICE_ECONFIG", '-DWORDS="key: no such file"'], ".config: key: no such file"),
    (["-DCREATE=SLUICE_ENOMEM"], ".config: result -2"),
    (["-DCREATE=5"], ".config: result 5"),
    (["-DINSTANCE_SIZE=8"],
     ": size of sluice_instance is 8, this host has %d" % abi("sluice_instance")),
    (["-DHOOKS_SIZE=UINT32_MAX"],
     ": size of sluice_http_hooks is 4294967295, this host has %d" % abi("sluice_http_hooks")),
    (["-DHOOKS_SIZE=0"],
     ": size of sluice_http_hooks is 0, this host has %d" % abi("sluice_http_hooks")),
    (["-DLB_SIZE=8"], ": size of sluice_lb is 8, this host has %d" % abi("sluice_lb")),
    (["-DCONTEXT_SIZE=4097"],
     ": asks for 4097 bytes of request context, at most 4096 are given"),
])
def test_instances(tmp_path, options, reason):
    assert checked(tmp_path, build(tmp_path, *options)) == (78, [reason], True)


def test_a_refused_plugin_stops_the_start(tmp_path):
    path = tmp_path / "sluice.json"
    library = build(tmp_path, "-DSURPLUS")
    path.write_text(harness.json.dumps(manifest(
        "127.0.0.1:9", plugins={"bad": {"library": library}})))
    for arguments in (("run", "--manifest", str(path)), ("plugin", "inspect", library)):
        done = harness.run(*arguments)
        assert done.returncode == (78 if arguments[0] == "run" else 1)
        assert "exports 2 other symbols" in done.stderr and done.stdout == ""
