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


def distinct(path, number):
    """The same library under another digest: a copy with a few bytes behind the end of its ELF
    sections, which nobody maps. To a host it is a build that it has never seen."""
    out = "%s-%d.so" % (path[:-3], number)
    with open(path, "rb") as old, open(out, "wb") as new:
        new.write(old.read() + b"%16d" % number)
    os.chmod(out, 0o755)
    return out
