"""The Rust bindings compile with the oldest compiler that they promise, and only where the layout
is C's."""
import os
import shutil

import pytest

from tools import SDK, run

BINDINGS = os.path.join(SDK, "Rust/sluice.rs")
# Debian's, and another one where there is one.
RUSTC = sorted({path for path in ("/usr/bin/rustc", shutil.which("rustc"))
                if path and os.access(path, os.X_OK)})


def compile_bindings(rustc, text, folder):
    source = folder / "sluice.rs"
    source.write_text(text)
    return run([rustc, "--edition", "2021", "--crate-type", "lib", "--emit", "metadata",
                "-D", "warnings", "-o", str(folder / "sluice.rmeta"), str(source)])


def bindings():
    with open(BINDINGS) as file:
        return file.read()


@pytest.mark.parametrize("rustc", RUSTC)
def test_bindings_compile(rustc, tmp_path):
    done = compile_bindings(rustc, bindings(), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rustc", RUSTC)
@pytest.mark.parametrize("old,new", [
    ("    pub slot: u32,\n    pub generation: u32,",
     "    pub slot: u32,\n    pub generation: u64,"),
    ("    pub sequence: u64,\n", "    pub sequence: u64,\n    pub more: u64,\n"),
    ("#[repr(C)]\n#[derive(Clone, Copy)]\npub struct sluice_field {",
     "#[repr(C, packed(2))]\n#[derive(Clone, Copy)]\npub struct sluice_field {"),
])
def test_another_layout_does_not_compile(rustc, tmp_path, old, new):
    text = bindings()
    assert text.count(old) == 1
    done = compile_bindings(rustc, text.replace(old, new), tmp_path)
    assert done.returncode != 0
