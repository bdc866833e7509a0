"""docs/abi-reference.md: the headers as a page."""
import re

from layout import is_text

HEAD = """\
# Reference of the plugin ABI

Every declaration of the C headers, in the order in which `sluice.h` includes them, with the offset
of each member in bytes. [stability.md](stability.md) says what may change;
[plugin-guide.md](plugin-guide.md) shows how to write a plugin.

This page is written from the headers by `scripts/abi-layout --write`; a test compares them.

"""


def cell(text):
    """Text in one line, for a table."""
    parts = re.sub(r"\s+", " ", text).replace("|", "\\|").split("`")
    # Outside of code, an asterisk or a bracket would be markup.
    parts[::2] = [re.sub(r"([*<])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def prose(text):
    """The paragraphs of a comment; those that are indented are drawings or lists."""
    out = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        marks = [line for line in lines if line.startswith(" ")]
        if marks and not lines[0].startswith(" "):
            first = next(i for i, line in enumerate(lines) if line.startswith(" "))
            out += [" ".join(lines[:first]), "```\n%s\n```" % "\n".join(lines[first:])]
        elif marks:
            out.append("```\n%s\n```" % "\n".join(lines))
        else:
            out.append(" ".join(lines))
    return "\n\n".join(part for part in out if part).replace("```\n\n```\n", "\n")


def struct(item, facts):
    lines = ["### %s" % item.name, "",
             "`struct`, %d bytes, aligned to %d. %s" % (*facts[item.name], prose(item.doc)), "",
             "| At | Member | |", "| ---: | --- | --- |"]
    for member in item.entries:
        if member.section:
            lines.append("| | **%s** | |" % member.section)
        lines.append("| %d | `%s` | %s |" % (
            facts["%s.%s" % (item.name, member.name)][0],
            cell(member.type.spell(member.name, names=True)), cell(member.doc)))
    return lines + [""]


def enum(item, facts):
    lines = [prose(item.doc), ""] if item.doc else []
    lines += ["| Constant | Value | |", "| --- | ---: | --- |"]
    for entry in item.entries:
        lines.append("| `%s` | %d | %s |" % (entry.name, facts[entry.name][0], cell(entry.doc)))
    return lines + [""]


def other(item, facts):
    if item.kind == "opaque":
        return ["### %s" % item.name, "", "Opaque. %s" % prose(item.doc), ""]
    if item.kind in ("type", "function"):
        declaration = item.type.spell(item.name, names=True)
        keyword = "typedef " if item.kind == "type" else ""
        return ["### %s" % item.name, "", "```c\n%s%s;\n```" % (keyword, declaration), "",
                prose(item.doc), ""]
    if item.kind == "macro":
        return ["### %s" % item.name, "", prose(item.doc), ""]
    value = item.value if is_text(item) else "%d" % facts[item.name][0]
    return ["`%s` is `%s`. %s" % (item.name, value, prose(item.doc)), ""]


def text(headers, facts):
    lines = [HEAD.rstrip("\n"), ""]
    for header in headers:
        lines += ["## sluice/%s" % header.path, "", prose(header.doc), ""]
        for item in header.items:
            if item.kind == "struct":
                lines += struct(item, facts)
            elif item.kind == "enum":
                lines += enum(item, facts)
            else:
                lines += other(item, facts)
    page = "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", page).rstrip("\n") + "\n"
