"""Plugins in C, from the sources in plugins/."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def build(folder, name, *options, file=None):
    """Compiles plugins/NAME.c, with more options for the compiler; the path of the library, whose
    name is libNAME.so unless `file` is one."""
    path = os.path.join(str(folder), file or "lib%s.so" % name)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", *options,
         "-I", os.path.join(HERE, "../../SDK/Sources/CSluice/include"), "-o", path,
         os.path.join(HERE, "plugins", name + ".c"), "-lpthread"], check=True)
    return path
