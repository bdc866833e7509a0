"""Reads the SDK's C headers: the regular subset of C that they are written in, with its comments.

Whatever is not of that subset is an error with its file and line, so nothing is left out in
silence.
"""
import os
import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/)
  | (?P<line>^[ ]*\#(?:[^\n\\]|\\.|\\\n)*)
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9][0-9A-Za-z]*)
  | (?P<mark>[-+*/<>=(){}\[\],;:|&~])
  | (?P<space>\s+)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

SCALARS = {
    "void", "char", "double", "int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t",
    "int64_t", "uint64_t",
}


class Unreadable(Exception):
    """The headers have something that this reader does not know."""


@dataclass(frozen=True)
class Type:
    """A C type: a name, a pointer, an array or a function."""
    kind: str  # "name", "pointer", "array", "function"
    name: str = ""
    inner: "Type" = None  # what is pointed to, an element, or the result
    count: str = ""  # of an array
    parameters: tuple = ()  # (type, name) of a function
    is_const: bool = False

    def spell(self, name="", names=False):
        """The declaration of `name`; without a name the type alone. `names` keeps those of
        parameters."""
        const = "const " if self.is_const else ""
        if self.kind == "name":
            return const + self.name + ("" if name[:1] in ("", "[") else " ") + name
        if self.kind == "array":
            return self.inner.spell("%s[%s]" % (name, self.count), names)
        if self.kind == "function":
            inside = ", ".join(t.spell(n if names else "", names) for t, n in self.parameters)
            return self.inner.spell("%s(%s)" % (name, inside or "void"), names)
        star = "*" + (const if name else const.strip()) + name
        if self.inner.kind in ("array", "function"):
            star = "(%s)" % star
        return self.inner.spell(star, names)

    @property
    def is_function_pointer(self):
        return self.kind == "pointer" and self.inner.kind == "function"


@dataclass
class Entry:
    """A member of a struct or of an enum."""
    name: str
    type: Type = None
    value: str = ""
    doc: str = ""
    section: str = ""  # the title of the group that it begins


@dataclass
class Item:
    """A declaration. `kind`: struct, opaque, enum, type, function, define, macro."""
    kind: str
    name: str
    doc: str = ""
    type: Type = None
    value: str = ""
    entries: list = field(default_factory=list)


@dataclass
class Header:
    path: str  # as in "ext/shared.h"
    doc: str
    items: list


@dataclass
class Token:
    kind: str
    text: str
    line: int
    end: int  # the line that it ends on


def comment_text(text):
    """The words of a comment, with the line breaks of its paragraphs and drawings."""
    lines = text[2:-2].split("\n")
    lines = [re.sub(r"^\s*\* ?", "", line) if index else line for index, line in enumerate(lines)]
    if not text.startswith("/*\n"):
        lines = [lines[0]] + [line.strip() for line in lines[1:]]
    return "\n".join(line.rstrip() for line in lines).strip("\n").strip(" ")


class Reader:
    def __init__(self, path, text):
        self.path = path
        self.tokens = []
        self.at = 0
        self.doc = ""  # the comment that stands before what is read next
        line, place = 1, 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if not match:
                raise Unreadable("%s:%d: %r" % (path, line, text[place:place + 20]))
            end = line + match.group().count("\n")
            if match.lastgroup != "space":
                self.tokens.append(Token(match.lastgroup, match.group(), line, end))
            line, place = end, match.end()

    def fail(self, what):
        near = self.tokens[min(self.at, len(self.tokens) - 1)]
        raise Unreadable("%s:%d: %s near %r" % (self.path, near.line, what, near.text))

    # -- Tokens ------------------------------------------------------------------------------

    def trailing(self):
        """The comment on the line of what was just read."""
        if self.at == 0 or self.at == len(self.tokens):
            return ""
        before, token = self.tokens[self.at - 1], self.tokens[self.at]
        if token.kind != "comment" or token.line != before.end:
            return ""
        self.at += 1
        return comment_text(token.text)

    def comments(self):
        """Takes the comments here; the last of them is about what follows."""
        found = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "comment":
            found.append(comment_text(self.tokens[self.at].text))
            self.at += 1
        return found

    def peek(self):
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def take(self, expected=None):
        if self.at == len(self.tokens):
            self.fail("unexpected end")
        token = self.tokens[self.at]
        if expected is not None and token.text != expected:
            self.fail("%r expected" % expected)
        self.at += 1
        return token.text

    def accept(self, text):
        if self.peek() != text:
            return False
        self.at += 1
        return True

    def word(self):
        if self.at == len(self.tokens) or self.tokens[self.at].kind != "word":
            self.fail("a name expected")
        return self.take()

    # -- Types -------------------------------------------------------------------------------

    def base(self):
        is_const = self.accept("const")
        self.accept("struct")
        return Type("name", name=self.word(), is_const=is_const)

    def declaration(self):
        """A type and the name that it gives, which is empty for an unnamed parameter."""
        return self.declarator(self.base())

    def declarator(self, base):
        while self.accept("*"):
            base = Type("pointer", inner=base, is_const=self.accept("const"))
        if self.peek() == "(":
            self.take("(")
            self.take("*")
            is_const = self.accept("const")
            name = self.word() if self.tokens[self.at].kind == "word" else ""
            self.take(")")
            function = Type("function", inner=base, parameters=self.parameters())
            return Type("pointer", inner=function, is_const=is_const), name
        name = self.word() if self.tokens[self.at].kind == "word" else ""
        if self.accept("["):
            base = Type("array", inner=base, count=self.take())
            self.take("]")
        return base, name

    def parameters(self):
        self.take("(")
        if self.peek() == "void" and self.tokens[self.at + 1].text == ")":
            self.take()
        found = []
        while not self.accept(")"):
            if found:
                self.take(",")
            found.append(self.declaration())
        return tuple(found)

    # -- Declarations ------------------------------------------------------------------------

    def entries(self, read):
        """The members between braces. A comment before a member is about it, one behind it too;
        `-- Title ---` begins a group."""
        self.take("{")
        found = []
        while True:
            docs = self.comments()
            if self.accept("}"):
                return found
            section = ""
            if docs and docs[0].startswith("-- "):
                section = docs.pop(0).strip("- ")
            entry = read()
            entry.section = section
            entry.doc = docs[-1] if docs else ""
            behind = self.trailing()
            entry.doc = "\n".join(text for text in (entry.doc, behind) if text)
            found.append(entry)

    def member(self):
        kind, name = self.declaration()
        self.take(";")
        return Entry(name, type=kind)

    def enumerator(self):
        name = self.word()
        self.take("=")
        value = []
        while self.peek() not in (",", "}"):
            value.append(self.take())
        self.accept(",")
        return Entry(name, value=" ".join(value))

    def typedef(self):
        self.take("typedef")
        if self.accept("struct"):
            name = self.word()
            if self.peek() == "{":
                entries = self.entries(self.member)
                self.take(name)
                self.take(";")
                return Item("struct", name, entries=entries)
            self.take(name)
            self.take(";")
            return Item("opaque", name)
        kind, name = self.declaration()
        self.take(";")
        return Item("type", name, type=kind)

    def function(self):
        for text in ("__attribute__", "(", "(", "visibility", "(", '"default"', ")", ")", ")"):
            self.take(text)
        result = self.base()
        name = self.word()
        kind = Type("function", inner=result, parameters=self.parameters())
        self.take(";")
        return Item("function", name, type=kind)

    def directive(self):
        """A line of the preprocessor; an item when it defines something."""
        text = re.sub(r"\s*\\\n\s*", " ", self.take().strip())
        match = re.match(r"#define (\w+)(\([^)]*\))?(.*)$", text, re.DOTALL)
        if not match or match.group(1).endswith("_H"):
            return None
        value = re.sub(r"\s+", " ", match.group(3)).strip()
        if match.group(2):
            return Item("macro", match.group(1) + match.group(2), value=value)
        if re.match(r"[a-z, ]+$", value):
            return None  # attributes: a part of another macro
        if not re.match(r'"[^"]*"$|[0-9]+u?$|UINT32_MAX$', value):
            self.fail("a number or a text expected")
        return Item("define", match.group(1), value=value)

    def read(self):
        docs = self.comments()
        header = Header(self.path, docs[0] if docs else "", [])
        while self.at < len(self.tokens):
            docs = self.comments()
            if self.at == len(self.tokens):
                break
            token = self.tokens[self.at]
            if token.kind == "line":
                item = self.directive()
            elif token.text == "enum":
                self.take()
                item = Item("enum", "", entries=self.entries(self.enumerator))
                self.take(";")
            elif token.text == "typedef":
                item = self.typedef()
            elif token.text == "__attribute__":
                item = self.function()
            elif token.text == "extern":  # within #if defined(__cplusplus)
                self.take()
                self.take('"C"')
                item = None
            else:
                self.fail("a declaration expected")
            if item:
                behind = self.trailing()
                item.doc = "\n".join(text for text in (docs[-1] if docs else "", behind) if text)
                header.items.append(item)
            elif docs and token.text != "extern" and not token.text.startswith("#if defined"):
                header.doc = header.doc or docs[-1]
        return header


def read(folder):
    """The headers of a folder, in the order that sluice.h includes them."""
    with open(os.path.join(folder, "sluice.h")) as file:
        names = re.findall(r'^#include "(.+)"$', file.read(), re.MULTILINE)
    # What is below `testing` is for tests, and no part of the interface that plugins rely on.
    there = {
        os.path.relpath(os.path.join(at, name), folder)
        for at, _, found in os.walk(folder) for name in found
        if name.endswith(".h") and os.path.basename(at) != "testing"
    }
    if there != set(names) | {"sluice.h"}:
        raise Unreadable("sluice.h includes %s, the folder has %s" % (
            ", ".join(sorted(names)), ", ".join(sorted(there - {"sluice.h"}))))
    headers = []
    for name in names:
        with open(os.path.join(folder, name)) as file:
            headers.append(Reader(name, file.read()).read())
    check(headers)
    return headers


def check(headers):
    """Every type that is used is a scalar of the ABI or one that the headers declare."""
    known = set(SCALARS)
    for header in headers:
        known |= {item.name for item in header.items if item.kind in ("struct", "opaque", "type")}

    def walk(kind, where):
        if kind is None:
            return
        if kind.kind == "name" and kind.name not in known:
            raise Unreadable("%s: %s is no type of the ABI" % (where, kind.name))
        walk(kind.inner, where)
        for parameter, _ in kind.parameters:
            walk(parameter, where)

    for header in headers:
        for item in header.items:
            walk(item.type, item.name)
            for entry in item.entries:
                walk(entry.type, "%s.%s" % (item.name, entry.name))
