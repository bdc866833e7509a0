"""What a library says of itself in its descriptor, and what the host refuses because of it."""
import json
import shutil
import subprocess

import pytest

import harness
from harness import manifest, run

CC = ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I",
      harness.ROOT + "/SDK/Sources/CSluice/include"]

# Loading it is seen: its constructor writes the file that LOADED names.
SOURCE = """
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>
#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}

%(descriptor)s

__attribute__((constructor)) static void loaded(void) {
    FILE *file = fopen("%(mark)s", "w");
    if (file) fclose(file);
}

static const sluice_value *member(const sluice_value *config, const char *key) {
    for (uint32_t i = 0; i < config->count; i++) {
        const sluice_value *child = &config->children[i];
        if (child->key.len == strlen(key) && !memcmp(child->key.ptr, key, child->key.len))
            return child;
    }
    return NULL;
}

/* Repeats what it was given, as the line of a refusal. */
static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    const sluice_value *wait = member(args->config, "wait"), *room = member(args->config, "room");
    (void)out;
    if (wait && room)
        error->len = (uint32_t)snprintf(error->ptr, error->cap,
            "wait %%lld room %%lld folder %%.*s", (long long)wait->integer,
            (long long)room->integer, (int)args->folder.len, (const char *)args->folder.ptr);
    return wait ? SLUICE_ECONFIG : SLUICE_OK;
}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const sluice_factory factory = {.size = sizeof factory, .create = create};
    static const char *const required[] = {SLUICE_CORE_ID, NULL};
    (void)host, (void)member;
    out->abi_minor = 2;
    out->id = (sluice_slice)TEXT("test.described");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->factory = &factory;
    out->required = required;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS;
    return SLUICE_OK;
}
"""
FACTS = {"abi": "0.2", "id": "test.described", "version": "1.0.0", "hooks": ["request_headers"],
         "roles": [], "required": ["sluice.core/1"]}


class Library:
    def __init__(self, folder, name, descriptor, *flags):
        self.path, self.mark = str(folder / name), folder / (name + ".loaded")
        if isinstance(descriptor, dict):
            descriptor = json.dumps(descriptor)
        if not descriptor.startswith(("SLUICE", "#", "static", "//")):
            descriptor = "SLUICE_DESCRIPTOR(%s);" % descriptor
        source = folder / (name + ".c")
        source.write_text(SOURCE % {"descriptor": descriptor, "mark": self.mark})
        subprocess.run([*CC, *flags, "-o", self.path, str(source)], check=True)

    @property
    def was_loaded(self):
        return self.mark.exists()


@pytest.fixture
def library(tmp_path):
    def make(descriptor, *flags, name="libX.so"):
        return Library(tmp_path, name, descriptor, *flags)

    return make


def check(folder, command="check", **over):
    """The lines of stderr, without the manifest's name before them."""
    path = folder / "sluice.json5"
    path.write_text(json.dumps({**manifest("127.0.0.1:9001"), **over}))
    done = run(*command.split(), "--manifest", str(path))
    lines = done.stderr.splitlines()
    assert done.returncode == (78 if lines else 0), (done.returncode, lines)
    return [line.removeprefix("%s: " % path) for line in lines]


def plugin(made, **config):
    return {"plugins": {"x": {"library": made.path, "config": config}}, "chain": ["x"]}


def raw(text):
    """Bytes in the section that the macro would not make."""
    return ('static const char raw[] __attribute__((SLUICE_DESCRIPTOR_KEPT, '
            'section(SLUICE_DESCRIPTOR_SECTION))) = %s;' % json.dumps(text))


# ------------------------------------------------------- before it is loaded
BROKEN = {
    "no JSON": (raw("{nothing"), "descriptor: byte 8: expected \":\" after the key \"nothing\","
                " found the end of the text"),
    "an unknown key": ({**FACTS, "hook": []}, "descriptor: hook: unknown key; did you mean"
                       " \"hooks\"?"),
    "a missing key": ({"abi": "0.2", "id": "a"}, "descriptor: version: this key is missing"),
    "an unknown hook": ({**FACTS, "hooks": ["request_head"]}, "descriptor: hooks[0]: there is no"
                        " hook \"request_head\"; did you mean \"request_end\"?"),
    "a keyword beyond the subset": (
        {**FACTS, "config": {"properties": {"a": {"pattern": "b"}}}},
        "descriptor: config.properties.a.pattern: schemas of sluice do not have the keyword"
        " \"pattern\""),
    "an empty section": (raw(""), "the section sluice_descriptor is empty"),
    "a newer ABI": ({**FACTS, "abi": "0.99"}, "needs plugin ABI 0.99, this host has 0.2"),
    "another major ABI": ({**FACTS, "abi": "1.0"}, "needs plugin ABI 1.0, this host has 0.2"),
    "the draft's ABI": ({**FACTS, "abi": "0.1"},
                        "is made for plugin ABI 0.1, a draft; this host has 0.2"),
    "a table that is not offered": (
        {**FACTS, "required": ["sluice.core/1", "sluice.dream/1"]},
        "needs sluice.dream/1, which this host does not offer"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_library_that_does_not_fit_is_refused_unloaded(library, tmp_path, kind):
    descriptor, line = BROKEN[kind]
    made = library(descriptor)
    for command in ("check", "run", "plugin list"):
        assert check(tmp_path, command, **plugin(made)) == [
            "plugins.x: %s: %s" % (made.path, line)]
    assert not made.was_loaded


def test_two_descriptors_are_refused(library, tmp_path):
    made = library("SLUICE_DESCRIPTOR({});\n%s" % raw("{}"))
    assert check(tmp_path, **plugin(made)) == [
        "plugins.x: %s: more than one descriptor; declare it once in a library" % made.path]
    assert not made.was_loaded


@pytest.mark.parametrize("size", [65_536, 65_537])
def test_the_bound_of_a_descriptor(library, tmp_path, size):
    text = json.dumps(FACTS)
    made = library(raw(text + " " * (size - len(text))))
    lines = check(tmp_path, **plugin(made))
    assert lines == ([] if size == 65_536 else [
        "plugins.x: %s: a descriptor of 65537 bytes; at most 65536 are read" % made.path])


def test_a_broken_table_of_sections_is_refused(library, tmp_path):
    made = library(FACTS)
    data = bytearray(open(made.path, "rb").read())
    data[0x28:0x30] = (1 << 40).to_bytes(8, "little")
    open(made.path, "wb").write(data)
    assert check(tmp_path, **plugin(made)) == [
        "plugins.x: %s: the section table is outside of the file" % made.path]
    assert not made.was_loaded


# ----------------------------------------------------------- configurations
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["rate"],
    "properties": {
        "rate": {"type": "integer", "minimum": 1},
        "per": {"type": "string", "format": "duration", "default": "1s"},
        "key": {"enum": ["client_ip", "path"], "default": "client_ip"},
        "hosts": {"type": "array", "items": {"type": "string", "format": "address"}},
    },
}


def test_all_problems_of_a_configuration_are_told_unloaded(library, tmp_path):
    made = library({**FACTS, "config": SCHEMA})
    config = {"rate": 0, "prr": "1s", "key": "ip", "hosts": ["a:1", "b"]}
    for command in ("check", "run"):
        assert check(tmp_path, command, **plugin(made, **config)) == [
            "plugins.x.config.hosts[1]: expected an address such as \"192.0.2.1:80\", found \"b\"",
            "plugins.x.config.key: expected one of \"client_ip\", \"path\", found \"ip\"",
            "plugins.x.config.prr: unknown key; did you mean \"per\"?",
            "plugins.x.config.rate: must be at least 1, is 0",
        ]
    assert check(tmp_path, **plugin(made)) == ["plugins.x.config.rate: this key is missing"]
    assert not made.was_loaded
    assert check(tmp_path, **plugin(made, rate=1)) == []
    assert made.was_loaded


def test_the_plugin_gets_defaults_meanings_and_the_folder(library, tmp_path):
    made = library({**FACTS, "config": {"properties": {
        "wait": {"type": "string", "format": "duration"},
        "room": {"type": "string", "format": "size", "default": "64KiB"}}}})
    assert check(tmp_path, **plugin(made, wait="250ms")) == [
        "plugins.x.config: wait 250000000 room 65536 folder %s" % tmp_path]


def test_a_library_without_a_descriptor_is_loaded(library, tmp_path):
    made = library("// none")
    assert check(tmp_path, **plugin(made, anything=[1])) == []
    assert made.was_loaded


# ---------------------------------------------------------------- handshake
DIFFERENT = {
    "id": ("test.other", "id is \"test.other\" in the descriptor, but \"test.described\" in the"
           " handshake"),
    "version": ("2.0", "version is \"2.0\" in the descriptor, but \"1.0.0\" in the handshake"),
    "hooks": (["request_end", "request_headers"],
              "hooks: request_end, request_headers in the descriptor, but request_headers in the"
              " handshake"),
    "roles": (["sluice.lb/1"], "roles: sluice.lb/1 in the descriptor, but none in the handshake"),
    "required": ([], "required: none in the descriptor, but sluice.core/1 in the handshake"),
}


@pytest.mark.parametrize("key", DIFFERENT)
def test_a_handshake_that_says_something_else_is_refused(library, tmp_path, key):
    said, line = DIFFERENT[key]
    made = library({**FACTS, key: said})
    line = "%s: %s" % (made.path, line)
    assert check(tmp_path, **plugin(made)) == ["plugins.x: " + line]
    done = run("plugin", "inspect", "--load", made.path)
    assert (done.returncode, done.stderr.splitlines()) == (1, [line])


# --------------------------------------------------------------- attributes
def test_a_consumer_comes_behind_its_producer(library, tmp_path):
    auth = library({**FACTS, "attributes": {"produces": ["test.user"]}}, name="libAuth.so")
    limit = library({**FACTS, "attributes": {"consumes": ["test.user"]}}, name="libLimit.so")
    plugins = {"auth": {"library": auth.path}, "limit": {"library": limit.path}}

    def lines(chain, route):
        return check(tmp_path, plugins=plugins, chain=chain, routes=[
            {"name": "api", "match": {}, "chain": route, "upstream": "app"}])

    what = "plugin \"limit\" consumes the attribute \"test.user\","
    assert lines(["auth", "limit"], []) == []
    assert lines(["auth"], ["limit"]) == []
    assert lines(["limit", "auth"], []) == [
        "chain[0]: %s but \"auth\", which produces it, comes later" % what]
    assert lines([], ["limit"]) == [
        "routes[0].chain[0]: %s but \"auth\", which produces it, is not on the chain"
        " on route \"api\"" % what]
    del plugins["auth"]
    assert lines(["limit"], []) == ["chain[0]: %s which no plugin produces" % what]


# ------------------------------------------------------------------ inspect
def test_inspect_reads_and_does_not_load(library):
    made = library({**FACTS, "description": "For a test.", "optional": ["sluice.waitset/1"],
                    "attributes": {"produces": ["test.a"], "consumes": ["test.b"]},
                    "config": SCHEMA})
    done = run("plugin", "inspect", made.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not made.was_loaded
    lines = done.stdout.splitlines()
    assert lines[0] == "file:        " + made.path
    assert lines[2:] == [
        "permissions: good",
        "unloading:   may be unmapped when nobody uses it",
        "id:          test.described",
        "version:     1.0.0",
        "description: For a test.",
        "plugin ABI:  0.2",
        "roles:       none",
        "requires:    sluice.core/1",
        "optional:    sluice.waitset/1",
        "hooks:       request_headers",
        "produces:    test.a",
        "consumes:    test.b",
        "config keys: rate, per, key, hosts",
    ]
    loaded = run("plugin", "inspect", made.path, "--load")
    assert loaded.stdout.splitlines() == lines + ["handshake:   the same"]
    assert made.was_loaded


def test_inspect_of_a_library_without_a_descriptor(library):
    made = library("// none")
    done = run("plugin", "inspect", made.path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        made.path + ": there is no descriptor in it; with --load the library is asked itself"]
    assert not made.was_loaded
    done = run("plugin", "inspect", "--load", made.path)
    assert done.returncode == 0
    assert "id:          test.described" in done.stdout.splitlines()


def test_list_reads_and_does_not_load(library, tmp_path):
    made = library(FACTS)
    (tmp_path / "m.json").write_text(json.dumps({**manifest("127.0.0.1:1"), **plugin(made)}))
    done = run("plugin", "list", "--manifest", str(tmp_path / "m.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "x\ttest.described 1.0.0\t%s\n" % made.path in done.stdout
    assert not made.was_loaded


# ------------------------------------------------------- compilers, linkers
def described(path):
    done = run("plugin", "inspect", path)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("flags", [
    [], ["-O2", "-s", "-Wl,--gc-sections"], ["-flto", "-O2", "-Wl,--gc-sections"],
    ["-ffunction-sections", "-fdata-sections", "-fvisibility=hidden", "-Wl,--gc-sections"],
], ids=" ".join)
def test_the_section_survives_compiler_linker_and_strip(library, flags):
    made = library(FACTS, *flags)
    assert "id:          test.described" in described(made.path)
    subprocess.run(["strip", "--strip-unneeded", made.path], check=True)
    assert "id:          test.described" in described(made.path)


@pytest.mark.parametrize("name", harness.SHIPPED)
def test_the_section_survives_in_stripped_swift(tmp_path, name):
    path = str(tmp_path / "libX.so")
    subprocess.run(["strip", "--strip-unneeded", "-o", path, "%s/lib%s.so" % (
        harness.PLUGINS, name)], check=True)
    assert "org.sluice." in described(path)
    done = run("plugin", "inspect", "--load", path)
    assert done.stdout.splitlines()[-1] == "handshake:   the same"


@pytest.mark.skipif(not shutil.which("rustc"), reason="there is no rustc")
def test_a_descriptor_in_rust(tmp_path):
    (tmp_path / "descriptor.json").write_text(json.dumps(FACTS))
    (tmp_path / "x.rs").write_text("""
#![no_std]
#[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[used]
#[unsafe(link_section = "sluice_descriptor")]
static DESCRIPTOR: [u8; include_bytes!("descriptor.json").len()] =
    *include_bytes!("descriptor.json");
#[unsafe(no_mangle)] pub extern "C" fn sluice_plugin_hello_v0() -> i32 { -1 }
""")
    path = str(tmp_path / "libX.so")
    subprocess.run(["rustc", "--edition", "2024", "-C", "panic=abort", "-O", "--crate-type",
                    "cdylib", "-o", path, str(tmp_path / "x.rs")], check=True)
    subprocess.run(["strip", "--strip-unneeded", path], check=True)
    assert "id:          test.described" in described(path)


# ------------------------------------------------------------ the plugins here
@pytest.mark.parametrize("name, config, line", [
    ("RoundRobin", {"weight": 1},
     ".weight: unknown key; there are candidates, slow_start, zone, sticky"),
    ("Respond", {"sttus": 200}, ".sttus: unknown key; did you mean \"status\"?"),
    ("Respond", {"status": 199}, ".status: must be at least 200, is 199"),
    ("Respond", {"status": "200"}, ".status: expected a whole number, found a string"),
    ("Respond", {"body": "a", "body_file": "b"}, ": \"body\" and \"body_file\" exclude each other"),
    ("Respond", {"methods": []}, ".methods: must have at least 1 entry, has 0"),
    ("Respond", {"headers": {"a": 1}}, ".headers.a: expected a string, found a number"),
    ("Respond", {"headers": [{"name": "a"}]}, ".headers[0].value: this key is missing"),
    ("Respond", {"headers": "a"}, ".headers: expected a list or an object, found a string"),
    # What a schema can't say stays with the plugin.
    ("Respond", {"status": 204, "body": "x"}, ": body: an answer with status 204 has no body"),
    ("Headers", {"headers": {}},
     ".headers: unknown key; there are request, response, forwarded, request_id, via"),
    ("Headers", {"request": {"sett": []}}, ".request.sett: unknown key; did you mean \"set\"?"),
    ("Headers", {"request": {"set": [{"name": "a b", "value": ""}]}},
     ".request.set[0].name: expected the name of a field such as \"x-request-id\", found \"a b\""),
    ("Headers", {"response": {"add": [{"name": "a", "vlaue": "", "value": ""}]}},
     ".response.add[0].vlaue: unknown key; did you mean \"value\"?"),
    ("Headers", {"forwarded": {"mod": "off"}}, ".forwarded.mod: unknown key; did you mean"
     " \"mode\"?"),
    ("Headers", {"forwarded": {"mode": "on"}}, ".forwarded.mode: expected one of \"x-forwarded\","
     " \"rfc7239\", \"both\", \"off\", found \"on\""),
    ("Headers", {"forwarded": {"trusted_proxies": ["10/8"]}}, ".forwarded.trusted_proxies[0]:"
     " expected a block of addresses such as \"10.0.0.0/8\" or an IP address such as \"192.0.2.1\""
     " or \"unix:\", found \"10/8\""),
    ("Headers", {"request_id": "yes"}, ".request_id: expected true or false or an object, found a"
     " string"),
])
def test_the_schemas_of_the_plugins_here(tmp_path, name, config, line):
    plugins = {"x": {"library": "lib%s.so" % name, "config": config}}
    assert check(tmp_path, plugins=plugins) == ["plugins.x.config" + line]


def test_a_file_of_respond_is_beside_the_manifest(tmp_path):
    plugins = {"x": {"library": "libRespond.so", "config": {"body_file": "page.html"}}}
    assert check(tmp_path, plugins=plugins) == [
        "plugins.x.config: body_file: %s/page.html: No such file or directory" % tmp_path]
    (tmp_path / "page.html").write_text("hello")
    assert check(tmp_path, plugins=plugins) == []
