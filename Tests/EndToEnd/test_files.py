"""The files that are shipped: what they need at run time, and what they show."""
import glob
import os
import re
import subprocess

import pytest

from harness import BINARY, PLUGINS, ROOT

NAMES = sorted(os.path.basename(os.path.dirname(p))
               for p in glob.glob(ROOT + "/Plugins/*/Entry"))
ENGINE = "%s/libSluiceEngine.so" % PLUGINS
LIBRARIES = ["%s/lib%s.so" % (PLUGINS, name) for name in NAMES]


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_there_are_plugins():
    assert {"RoundRobin", "Headers", "Respond"} <= set(NAMES)


@pytest.mark.parametrize("path", [BINARY, ENGINE] + LIBRARIES,
                         ids=lambda p: os.path.basename(str(p)))
def test_nothing_needs_a_swift_runtime(path):
    needed = output("ldd", path)
    assert "libswift" not in needed and "Foundation" not in needed
    assert "not found" not in needed
    names = re.findall(r"^\s*(\S+)", needed, re.M)
    allowed = r"linux-vdso|libc\.|libm\.|libgcc_s|libstdc\+\+|libdl|libpthread|librt|libutil|/lib"
    if path in (BINARY, ENGINE):
        # TLS comes from the machine, so that its fixes reach the proxy without a new build.
        allowed += r"|libssl\.so\.3|libcrypto\.so\.3"
    assert [n for n in names if not re.match(allowed, n)] == []


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda p: os.path.basename(str(p)))
def test_a_plugin_exports_its_hello_and_nothing_else(path):
    symbols = [line.split()[-1] for line in
               output("nm", "--dynamic", "--defined-only", "--extern-only", path).splitlines()]
    assert symbols == ["sluice_plugin_hello_v0"]


def test_the_engine_exports_its_table_and_nothing_else():
    symbols = [line.split()[-1] for line in
               output("nm", "--dynamic", "--defined-only", "--extern-only", ENGINE).splitlines()]
    assert symbols == ["sluice_engine_v1"]


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda p: os.path.basename(str(p)))
def test_a_plugin_takes_nothing_from_the_host_by_name(path):
    """What is undefined in it comes from the C library; nothing is called sluice."""
    undefined = output("nm", "--dynamic", "--undefined-only", path)
    assert "sluice" not in undefined
    assert "$s" not in undefined and "swift_" not in undefined


def test_the_host_shows_nothing_that_a_plugin_could_meet():
    """Else a symbol of the host could take the place of a plugin's own."""
    shown = output("nm", "--dynamic", "--defined-only", "--extern-only", BINARY)
    assert "$s" not in shown and " T swift_" not in shown


def test_install_and_uninstall(tmp_path):
    root = tmp_path / "root"
    arguments = ["DESTDIR=%s" % root, "PREFIX=/opt/sluice"]
    if PLUGINS != ROOT + "/.build/release":
        pytest.skip("installs what `make build` made, and SLUICE_BIN names something else")
    subprocess.run(["make", "-C", ROOT, "install", *arguments], check=True, capture_output=True)
    base = root / "opt/sluice"
    assert output(str(base / "bin/sluice"), "version").startswith("sluice ")
    for name in NAMES:
        assert (base / "lib/sluice/plugins" / ("lib%s.so" % name)).exists()
    assert (base / "lib/sluice/libSluiceEngine.so").exists()
    assert (base / "include/sluice/sluice.h").exists()
    assert (base / "include/sluice/testing/engine.h").exists()
    assert (base / "share/sluice/SDK/Package.swift").exists()
    assert not (base / "share/sluice/SDK/.build").exists()
    described = (base / "lib/pkgconfig/sluice.pc").read_text()
    assert "plugindir=${prefix}/lib/sluice/plugins" in described
    # An installed binary finds the installed plugins without being told where they are.
    manifest = tmp_path / "m.json5"
    manifest.write_text("""{ version: 1, listeners: [{ listen: "127.0.0.1:0" }],
        plugins: { rr: { library: "libRoundRobin.so" } },
        upstreams: { a: { balancer: "rr", peers: ["127.0.0.1:1", "127.0.0.1:2"] } },
        routes: [{ upstream: "a" }] }""")
    subprocess.run([str(base / "bin/sluice"), "check", "--manifest", str(manifest)], check=True)
    subprocess.run(["make", "-C", ROOT, "uninstall", *arguments], check=True, capture_output=True)
    assert [str(p) for p in root.rglob("*") if p.is_file()] == []
