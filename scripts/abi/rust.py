"""SDK/Rust/sluice.rs: the headers as Rust sees them."""
import re
import textwrap

from layout import is_text, items

SCALARS = {
    "char": "c_char", "void": "c_void", "double": "f64", "int8_t": "i8", "uint8_t": "u8",
    "int16_t": "i16", "uint16_t": "u16", "int32_t": "i32", "uint32_t": "u32", "int64_t": "i64",
    "uint64_t": "u64",
}

# Names of members and parameters that are words of the language.
KEYWORDS = {"type", "match", "move", "ref", "self", "use", "where", "loop", "in", "as", "fn"}

HEAD = """\
//! The Sluice plugin ABI for Rust, on the standard library alone.
//!
//! Written by `scripts/abi-layout --write` from the C headers, which explain every item. It needs
//! Rust 1.63 or later, and does not compile where the layout would differ from C's.
//!
//! A pointer that is not NULL-able in C is a plain function pointer only in types of functions; a
//! member of a table is an `Option`, and `None` means "not offered".
#![allow(non_camel_case_types, non_upper_case_globals, dead_code, clippy::all)]

pub use std::os::raw::{c_char, c_void};

"""

HELPERS = """\
// ---------------------------------------------------------------- conveniences

impl sluice_slice {
    /// A slice of text that lives for ever.
    pub const fn of(text: &'static str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() as u64 }
    }

    /// The bytes.
    ///
    /// # Safety
    /// They must be valid for `'a`, which the header says of each slice.
    pub unsafe fn bytes<'a>(&self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.ptr, self.len as usize)
    }
}

impl sluice_errbuf {
    /// Writes one line, cut to the room that there is.
    ///
    /// # Safety
    /// `ptr` must have room for `cap` bytes, as that of a call does.
    pub unsafe fn write(&mut self, line: &str) {
        let length = line.len().min(self.cap as usize);
        std::ptr::copy_nonoverlapping(line.as_ptr(), self.ptr as *mut u8, length);
        self.len = length as u32;
    }
}

impl sluice_value {
    /// The members of an object or the elements of an array.
    ///
    /// # Safety
    /// The value must be one that the host gave; it lives for the instance.
    pub unsafe fn members<'a>(&self) -> &'a [sluice_value] {
        if self.count == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.children, self.count as usize)
    }
}

impl sluice_edits {
    /// Asks for one more edit; false when there is no room, which makes the hook an error.
    ///
    /// # Safety
    /// The edits must be those of the running hook; `name` and `value` must live until it returns.
    pub unsafe fn push(&mut self, op: u32, name: sluice_slice, value: sluice_slice) -> bool {
        if self.count == self.capacity {
            return false;
        }
        *self.ops.add(self.count as usize) = sluice_edit { op, id: 0, name, value };
        self.count += 1;
        true
    }
}

/// Runs the body of a function that the host calls: a panic ends here, and `otherwise` is returned.
pub fn guard<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Puts the descriptor, a string literal, into the library: `sluice_descriptor!("{ ... }");`, once.
///
/// Linkers drop what nothing refers to, and compilers before 1.65 don't tell them to keep this: call
/// `keep_descriptor()` in the entry function.
#[macro_export]
macro_rules! sluice_descriptor {
    ($json:expr) => {
        #[used]
        #[link_section = "sluice_descriptor"]
        static SLUICE_DESCRIPTOR_JSON: [u8; $json.len()] = {
            let from = $json.as_bytes();
            let mut to = [0u8; $json.len()];
            let mut at = 0;
            while at < to.len() {
                to[at] = from[at];
                at += 1;
            }
            to
        };

        /// Refers to the descriptor, so that it stays in the library.
        fn keep_descriptor() {
            unsafe { std::ptr::read_volatile(&SLUICE_DESCRIPTOR_JSON[0]) };
        }
    };
}

"""

CHECK_HEAD = """\
// ---------------------------------------------------------------- layout, as C has it

/// Where a member ends that begins at `start`. No struct has padding, so that is where the next one
/// begins.
const fn end<S, F>(start: usize, _: for<'a> fn(&'a S) -> &'a F) -> usize {
    start + std::mem::size_of::<F>()
}

"""


def wrapped(line, indent=""):
    return "\n".join(textwrap.wrap(line, 100, initial_indent=indent,
                                   subsequent_indent=indent + "    ", break_long_words=False,
                                   break_on_hyphens=False))


def identifier(name):
    return name + "_" if name in KEYWORDS else name


class Writer:
    def __init__(self, headers, facts):
        self.headers = headers
        self.facts = facts
        # What the headers declare as pointers to functions.
        self.function_types = {
            item.name for item in items(headers, "type") if item.type.is_function_pointer}

    def function(self, kind):
        """The type of a pointer to a function, without Option."""
        inside = ", ".join(
            (identifier(name) + ": " if name else "") + self.spell(parameter)
            for parameter, name in kind.parameters)
        result = "" if kind.inner.spell() == "void" else " -> " + self.spell(kind.inner)
        return 'unsafe extern "C" fn(%s)%s' % (inside, result)

    def spell(self, kind):
        if kind.kind == "name":
            if kind.name in self.function_types:
                return "Option<%s>" % kind.name
            return SCALARS.get(kind.name, kind.name)
        if kind.kind == "array":
            count = kind.count if kind.count.isdigit() else "%s as usize" % kind.count
            return "[%s; %s]" % (self.spell(kind.inner), count)
        if kind.is_function_pointer:
            return "Option<%s>" % self.function(kind.inner)
        return "*%s %s" % ("const" if kind.inner.is_const else "mut", self.spell(kind.inner))

    def zero(self, kind):
        """The value of a member that is all zeroes."""
        if kind.kind == "array":
            return "[%s; %s]" % (self.zero(kind.inner), self.spell(kind).rpartition("; ")[2][:-1])
        if kind.is_function_pointer or kind.name in self.function_types:
            return "None"
        if kind.kind == "pointer":
            return "std::ptr::null%s()" % ("" if kind.inner.is_const else "_mut")
        if kind.name in SCALARS:
            return "0.0" if kind.name == "double" else "0"
        return kind.name + "::INIT"

    def is_table(self, struct):
        """Whether a plugin may have it as a `static`: it holds functions and nothing else."""
        inside = [m.type for m in struct.entries
                  if m.name not in ("size", "flags", "reserved0") and m.name != "reserved"]
        return bool(inside) and all(
            kind.is_function_pointer or kind.name in self.function_types for kind in inside)

    def doc(self, item):
        lines = item.doc.split("\n\n")[0].split("\n") if item.doc else []
        text = " ".join(line.strip() for line in lines)
        text = re.sub(r"\[([^\]]*)\]", r"\\[\1\\]", text)
        return textwrap.wrap(text, 94, initial_indent="/// ", subsequent_indent="/// ")

    def struct(self, item):
        lines = self.doc(item)
        lines += ["#[repr(C)]", "#[derive(Clone, Copy)]", "pub struct %s {" % item.name]
        for member in item.entries:
            lines.append(wrapped("pub %s: %s," % (
                identifier(member.name), self.spell(member.type)), "    "))
        lines += ["}", "", "impl %s {" % item.name]
        sized = item.entries[0].name == "size"
        lines.append("    /// All zeroes%s." % (", with `size` set" if sized else ""))
        lines += ["    pub const INIT: Self = Self {"]
        for member in item.entries:
            value = self.zero(member.type)
            if member.name == "size":
                value = "std::mem::size_of::<Self>() as u32"
            lines.append("        %s: %s," % (identifier(member.name), value))
        lines += ["    };", "}", ""]
        if self.is_table(item):
            lines += ["// Safe: a table of functions, and reserved words that are zero.",
                      "unsafe impl Sync for %s {}" % item.name, ""]
        return lines

    def constant(self, name, doc=""):
        value = self.facts[name][0]
        kind = "i32" if value < 0 or name == "SLUICE_OK" else "u32"
        lines = textwrap.wrap(" ".join(doc.split()), 94, initial_indent="/// ",
                              subsequent_indent="/// ")
        return lines + ["pub const %s: %s = %d;" % (name, kind, value)]

    def item(self, item):
        if item.kind == "struct":
            return self.struct(item)
        if item.kind == "opaque":
            return self.doc(item) + ["#[repr(C)]", "pub struct %s {" % item.name,
                                     "    _private: [u8; 0],", "}", ""]
        if item.kind == "enum":
            lines = []
            for entry in item.entries:
                lines += self.constant(entry.name, entry.doc)
            return lines + [""]
        if item.kind == "type":
            return self.doc(item) + [
                wrapped("pub type %s = %s;" % (item.name, self.function(item.type.inner))), ""]
        if item.kind == "define" and is_text(item):
            return self.doc(item) + ["pub const %s: &str = %s;" % (item.name, item.value),
                                     "/// The same with a NUL, as C passes it.",
                                     'pub const %s_C: &str = concat!(%s, "\\0");'
                                     % (item.name, item.value), ""]
        if item.kind == "define":
            return self.constant(item.name, item.doc) + [""]
        return []  # the plugin defines the entry point; the macro is among the conveniences

    def checks(self, struct):
        size, align = self.facts[struct.name]
        lines = ["const _: () = {", "    type S = %s;" % struct.name,
                 "    assert!(std::mem::size_of::<S>() == %d);" % size,
                 "    assert!(std::mem::align_of::<S>() == %d);" % align]
        at = 0
        for member in struct.entries:
            offset, width = self.facts["%s.%s" % (struct.name, member.name)]
            assert offset == at
            at += width
            lines.append("    assert!(end(%d, |s: &S| &s.%s) == %d);" % (
                offset, identifier(member.name), at))
        return lines + ["};", ""]

    def text(self):
        lines = [HEAD.rstrip("\n"), ""]
        for header in self.headers:
            lines += ["// " + "-" * 64 + " sluice/" + header.path, ""]
            for item in header.items:
                lines += self.item(item)
        lines += [HELPERS.rstrip("\n"), "", CHECK_HEAD.rstrip("\n"), ""]
        for struct in items(self.headers, "struct"):
            lines += self.checks(struct)
        return "\n".join(lines).rstrip("\n") + "\n"


def text(headers, facts):
    return Writer(headers, facts).text()
