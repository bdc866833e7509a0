"""What a compiler makes of the headers: sizes, offsets and values as text, checks of them in C, and
the comparison of two such texts."""
import os
import re
import subprocess
import tempfile
import textwrap

TITLE = """\
# The binary interface, one fact a line. Written by `scripts/abi-layout --write` from the headers.
# A change of a line that is here already breaks plugins, unless a reserved slot is put to use:
# docs/stability.md.
"""


def compile_and_run(source, include, compiler="cc"):
    """The output of a C program."""
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, "probe")
        subprocess.run([compiler, "-x", "c", "-std=c11", "-I", include, "-o", binary, "-"],
                       input=source, text=True, check=True)
        return subprocess.run([binary], capture_output=True, text=True, check=True).stdout


def items(headers, *kinds):
    return [item for header in headers for item in header.items if item.kind in kinds]


def is_text(item):
    return item.value.startswith('"')


def constants(headers):
    """Names of everything that has a number."""
    found = []
    for item in items(headers, "enum", "define"):
        if item.kind == "enum":
            found += [entry.name for entry in item.entries]
        elif not is_text(item):
            found.append(item.name)
    return found


def probe(headers, include):
    """What the compiler says: {"sluice_slice": (16, 8), "sluice_slice.len": 8, "SLUICE_OK": 0}."""
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <sluice/sluice.h>",
             "int main(void) {"]
    for struct in items(headers, "struct"):
        lines.append('    printf("%s %%zu %%zu\\n", sizeof(%s), _Alignof(%s));'
                     % (struct.name, struct.name, struct.name))
        for member in struct.entries:
            lines.append('    printf("%s.%s %%zu %%zu\\n", offsetof(%s, %s), '
                         'sizeof(((%s *)0)->%s));' % (
                             struct.name, member.name, struct.name, member.name, struct.name,
                             member.name))
    for name in constants(headers):
        lines.append('    printf("%s %%lld 0\\n", (long long)(%s));' % (name, name))
    lines += ["    return 0;", "}", ""]
    facts = {}
    for line in compile_and_run("\n".join(lines), include).splitlines():
        name, first, second = line.split()
        facts[name] = (int(first), int(second))
    return facts


def check_padding(headers, facts):
    """Members follow one another without a gap: so says the first rule of `version.h`, and other
    languages' bindings rely on it."""
    for struct in items(headers, "struct"):
        at = 0
        for member in struct.entries:
            offset, size = facts["%s.%s" % (struct.name, member.name)]
            if offset != at:
                raise SystemExit("%s: %d bytes of padding before %s"
                                 % (struct.name, offset - at, member.name))
            at += size
        if at != facts[struct.name][0]:
            raise SystemExit("%s: padding at its end" % struct.name)


def text(headers, facts):
    """SDK/ABI/layout.txt."""
    lines = [TITLE]
    for header in headers:
        lines.append("# sluice/" + header.path)
        for item in header.items:
            if item.kind == "struct":
                lines.append("struct %s size %d align %d" % (item.name, *facts[item.name]))
                for member in item.entries:
                    lines.append("    %d %s: %s" % (
                        facts["%s.%s" % (item.name, member.name)][0], member.name,
                        member.type.spell()))
            elif item.kind == "opaque":
                lines.append("opaque %s" % item.name)
            elif item.kind == "enum":
                lines += ["constant %s = %d" % (entry.name, facts[entry.name][0])
                          for entry in item.entries]
            elif item.kind in ("type", "function"):
                lines.append("%s %s = %s" % (item.kind, item.name, item.type.spell()))
            elif item.kind == "macro":
                lines.append("macro %s" % item.name)
            elif is_text(item):
                lines.append("text %s = %s" % (item.name, item.value))
            else:
                lines.append("constant %s = %d" % (item.name, facts[item.name][0]))
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


# ------------------------------------------------------------------ layout_check.c

CHECKS = """\
/*
 * Checks of the binary interface, for the compiler to do: it compiles, or the interface is broken.
 * Written by `scripts/abi-layout --write` from the headers; compile as C11 or C++11, or later.
 */
#include <stddef.h>
#include <sluice/sluice.h>

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#define ALIGN(type) alignof(type)
#define SAME(a, ...) __is_same(a, __VA_ARGS__)
#define TYPE_OF(value) decltype(value)
#else
#define CHECK(what) _Static_assert(what, #what)
#define ALIGN(type) _Alignof(type)
#define SAME(a, ...) __builtin_types_compatible_p(a, __VA_ARGS__)
#define TYPE_OF(value) __typeof__(value)
#endif

#define VALUE(name, value) CHECK((long long)(name) == (value))
#define TEXT(name, text) CHECK(sizeof(name) == sizeof(text))
#define STRUCT(type, size, align) CHECK(sizeof(type) == (size) && ALIGN(type) == (align))
#define MEMBER(type, member, offset, ...) \\
    CHECK(offsetof(type, member) == (offset) \\
        && SAME(TYPE_OF(((type *)0)->member), __VA_ARGS__))
#define TYPE(type, ...) CHECK(SAME(type, __VA_ARGS__))
#define FUNCTION(name, ...) CHECK(SAME(TYPE_OF(&name), __VA_ARGS__))
"""


def call(name, *arguments):
    """A macro's call, broken at commas to 100 columns."""
    line = "%s(%s);" % (name, ", ".join(arguments))
    return "\n".join(textwrap.wrap(line, 100, subsequent_indent="    ", break_long_words=False,
                                   break_on_hyphens=False))


def checks(headers, facts):
    """SDK/ABI/layout_check.c."""
    lines = [CHECKS]
    for header in headers:
        lines.append("/* sluice/%s */" % header.path)
        for item in header.items:
            if item.kind == "struct":
                lines.append(call("STRUCT", item.name, *map(str, facts[item.name])))
                lines += [call("MEMBER", item.name, member.name,
                               str(facts["%s.%s" % (item.name, member.name)][0]),
                               member.type.spell()) for member in item.entries]
            elif item.kind == "enum":
                lines += [call("VALUE", entry.name, str(facts[entry.name][0]))
                          for entry in item.entries]
            elif item.kind == "type":
                lines.append(call("TYPE", item.name, item.type.spell()))
            elif item.kind == "function":
                lines.append(call("FUNCTION", item.name, item.type.spell("(*)")))
            elif item.kind == "define" and is_text(item):
                lines.append(call("TEXT", item.name, item.value))
            elif item.kind == "define":
                lines.append(call("VALUE", item.name, str(facts[item.name][0])))
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


# ------------------------------------------------------------------ anchor.c

ANCHOR = """\
/*
 * A library whose symbols lead to every type of the interface, for `abidiff` to walk.
 * Written by `scripts/abi-layout --write` from the headers.
 */
#include <sluice/sluice.h>

"""


def anchor(headers, _facts):
    """SDK/ABI/anchor.c."""
    lines = [ANCHOR.rstrip("\n"), ""]
    lines += ["%s *anchor_%s;" % (item.name, item.name)
              for item in items(headers, "struct", "opaque", "type")]
    for item in items(headers, "function"):
        names = [name for _, name in item.type.parameters]
        lines += ["", item.type.inner.spell() + " " + item.name + "(",
                  "    " + ", ".join(kind.spell(name) for kind, name in item.type.parameters)
                  + ") {", "    " + ", ".join("(void)" + name for name in names) + ";",
                  "    return 0;", "}"]
    return "\n".join(lines) + "\n"


def dump(sdk, path):
    """Writes what abidw says of the compiled anchor. Names of folders stay out of it."""
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "libanchor.so")
        subprocess.run(["gcc", "-std=c11", "-g", "-O0", "-shared", "-fPIC",
                        "-fdebug-prefix-map=%s=." % sdk, "-I", "Sources/CSluice/include",
                        "-o", library, "ABI/anchor.c"], cwd=sdk, check=True)
        subprocess.run(["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs",
                        "--no-elf-needed", "--drop-undefined-syms", "--out-file", path, library],
                       check=True)


# ------------------------------------------------------------------ comparing

def parse(layout):
    """{name: (header line, {member: (offset, type)})} of a layout.txt."""
    found = {}
    last = None
    for line in layout.splitlines():
        if line.startswith("#") or not line:
            continue
        member = re.match(r"    (\d+) (\w+): (.*)$", line)
        if member:
            found[last][1][member.group(2)] = (int(member.group(1)), member.group(3))
            continue
        last = " ".join(line.split()[:2])
        found[last] = (line, {})
    return found


def size_of(line):
    return int(line.split()[3])


def is_reserved(name):
    return name.startswith("reserved")


def compare_struct(name, old, new):
    """What changed in a struct that both have: (breaks, growth)."""
    breaks, growth = [], []
    if old[0] != new[0]:
        breaks.append("%s was: %s" % (new[0], old[0]))
    ordered = sorted(old[1].items(), key=lambda member: member[1][0])
    ends = [member[1][0] for member in ordered[1:]] + [size_of(old[0])]
    free = []
    for (member, (offset, kind)), end in zip(ordered, ends):
        if is_reserved(member):
            free.append((offset, end))
        elif member not in new[1]:
            breaks.append("%s: %s is gone" % (name, member))
        elif new[1][member] != (offset, kind):
            breaks.append("%s: %s was %s at %d, is %s at %d" % (
                name, member, kind, offset, new[1][member][1], new[1][member][0]))
    for member, (offset, kind) in new[1].items():
        if member in old[1] and not is_reserved(member):
            continue
        if not any(start <= offset < end for start, end in free):
            breaks.append("%s: %s at %d is not in a slot that was reserved" % (
                name, member, offset))
        elif not is_reserved(member):
            growth.append("%s: %s takes a reserved slot at %d" % (name, member, offset))
    return breaks, growth


def compare(old, new):
    """What changed from one layout.txt to another: (breaks, growth), each a list of lines."""
    before, after = parse(old), parse(new)
    breaks, growth = [], []
    for name, (line, members) in before.items():
        if name not in after:
            breaks.append("gone: " + line)
        elif name.startswith("struct "):
            found = compare_struct(name[7:], before[name], after[name])
            breaks += found[0]
            growth += found[1]
        elif line != after[name][0]:
            is_minor = name == "constant SLUICE_ABI_MINOR"
            (growth if is_minor else breaks).append("%s, was: %s" % (after[name][0], line))
    growth += ["new: " + after[name][0] for name in after if name not in before]
    return breaks, growth
