"""Plugins in C, from the sources in plugins/."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def build(folder, name):
    """Compiles plugins/NAME.c; the library's path."""
    path = os.path.join(str(folder), "lib%s.so" % name)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
         "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins", name + ".c"), "-lpthread"], check=True)
    return path
