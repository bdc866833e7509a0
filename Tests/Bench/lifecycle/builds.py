"""Builds of the plugins that are swapped."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = os.path.normpath(os.path.join(HERE, "../../../SDK/Sources/CSluice/include"))


def counter(folder, number=1, step=None, does=None, name=None):
    """The path of a build of plugins/counter.c; `step` and `does` as its head tells."""
    name = name or "counter%d%s%s" % (number, step or "", does or "")
    path = os.path.join(str(folder), "lib%s.so" % name.lower())
    faults = ["-DSTEP=" + step, "-DDOES=" + does] if step else []
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-I", HEADERS,
         "-DBUILD=%d" % number, *faults, "-o", path, os.path.join(HERE, "plugins/counter.c")],
        check=True)
    return path


def distinct(path, folder, number):
    """The same library under another digest: a copy with a few bytes behind the end of its ELF
    sections, which nobody maps. To a host it is a build that it has never seen."""
    out = os.path.join(str(folder), "distinct-%d.so" % number)
    with open(path, "rb") as old, open(out, "wb") as new:
        new.write(old.read() + b"%16d" % number)
    os.chmod(out, 0o755)
    return out


def swift_counter(number):
    """The path of a build of plugins/swift-counter; it is made once and kept."""
    folder = os.path.join(HERE, "plugins/swift-counter")
    made = subprocess.run(
        ["swift", "build", "-c", "release", "--disable-build-manifest-caching", "--scratch-path",
         ".build-%d" % number], cwd=folder, capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SLUICE_EMBEDDED": "1", "BUILD": str(number)})
    if made.returncode != 0:
        raise SystemExit(made.stdout + made.stderr)
    return os.path.join(folder, ".build-%d/release/libSwiftCounter.so" % number)
