"""The command line: checking a manifest, what is said of its errors, and the demo."""
import json
import re
import socket
import subprocess

import pytest

import harness
from harness import BINARY, manifest, run
from wire import Client

CC = ["cc", "-shared", "-fPIC", "-I", harness.ROOT + "/SDK/Sources/CSluice/include"]


@pytest.fixture
def check(tmp_path):
    """Runs a command on a manifest: a dict, or its text. Returns (status, lines of stderr)."""
    def go(content, command="check"):
        path = tmp_path / "sluice.json5"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        done = run(command, "--manifest", str(path))
        return done.returncode, done.stderr.splitlines()

    return go


def one_line(lines, *words):
    """The lines are one, and it has all these words."""
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0], lines[0]


GOOD = manifest("127.0.0.1:9001")


def test_version():
    done = run("version")
    assert done.returncode == 0
    assert re.match(r"sluice \d+\.\d+\.\d+", done.stdout)


def test_help_names_every_command():
    done = run("--help")
    assert done.returncode == 0
    for command in ("run", "check", "version", "demo", "plugin"):
        assert command in done.stdout


@pytest.mark.parametrize("arguments", [
    ["rum"], ["run", "--manifst", "x"], ["check", "--manifest"], ["plugin"], ["plugin", "inspect"],
])
def test_a_wrong_command_line_is_one_line_and_2(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    one_line(done.stderr.splitlines())


def test_a_good_manifest(check):
    assert check(GOOD) == (0, [])


def test_json5(check):
    assert check("""
        // comments, bare keys, single quotes and trailing commas
        { version: 1, workers: 'auto', plugin_dir: %s,
          listeners: [{ listen: '127.0.0.1:8080', }],
          upstreams: { app: { peers: ['127.0.0.1:9001'], timeouts: { connect: '1500ms' }, }, },
          routes: [{ match: {}, upstream: 'app' }], /* all of it */ }
    """ % json.dumps(harness.PLUGINS)) == (0, [])


@pytest.mark.parametrize("change, words", [
    ({"listners": []}, ["listners", "listeners"]),
    ({"workers": "many"}, ["workers"]),
    ({"workers": 0}, ["workers"]),
    ({"version": 2}, ["version"]),
    ({"listeners": [{"listen": "127.0.0.1:99999"}]}, ["listeners[0].listen", "99999"]),
    ({"listeners": [{"listen": "127.0.0.1:80", "timeouts": {"idle": "60"}}]},
     ["listeners[0].timeouts.idle"]),
    ({"listeners": [{"listen": "127.0.0.1:80", "limits": {"head": "1GiB"}}]},
     ["listeners[0].limits.head"]),
    ({"upstreams": {"app": {"peers": []}}}, ["upstreams.app.peers"]),
    ({"upstreams": {"app": {"peers": ["127.0.0.1:1", "127.0.0.1:2"]}}}, ["upstreams.app.balancer"]),
    ({"upstreams": {"app": {"peers": ["127.0.0.1:1"], "balancer": "none"}}},
     ["upstreams.app.balancer", "none"]),
    ({"routes": [{"match": {}, "upstream": "other"}]}, ["routes[0].upstream", "other"]),
    ({"chain": ["missing"]}, ["chain[0]", "missing"]),
    ({"plugins": {"x": {"library": "libNothing.so"}}}, ["plugins.x.library", "libNothing.so"]),
], ids=lambda value: "-".join(value) if isinstance(value, list) else "")
def test_each_error_is_one_line_that_names_the_key(check, change, words):
    status, lines = check({**GOOD, **change})
    assert status == 78
    one_line(lines, *words)
    assert check({**GOOD, **change}, "run")[0] == 78


def test_errors_are_collected(check):
    status, lines = check({**GOOD, "wrkers": 1, "log": {"level": "loud"},
                           "routes": [{"match": {"pth": "/"}, "upstream": "nowhere"}]})
    assert status == 78
    assert len(lines) == 4
    for word in ("wrkers", "log.level", "routes[0].match.pth", "routes[0].upstream"):
        assert any(word in line for line in lines), word


def test_an_error_says_where_in_the_file(check):
    status, lines = check('{\n  "version": 1,\n  "lissteners": []\n}')
    assert status == 78
    assert any(re.search(r"sluice\.json5:3:\d+: ", line) for line in lines)


@pytest.mark.parametrize("text", ["", "{", '{"version": 1,,}', "[1, 2]", "{version: 1} x", "\0"])
def test_a_broken_text_is_one_line(check, text):
    status, lines = check(text)
    assert status == 78
    assert lines and "sluice.json5" in lines[0]


def test_a_missing_manifest(tmp_path):
    for command in ("check", "run"):
        done = run(command, "--manifest", str(tmp_path / "none.json5"))
        assert done.returncode == 78
        one_line(done.stderr.splitlines(), "none.json5")


def test_a_port_in_use(check):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        status, lines = check({**GOOD, "listeners": [{"listen": address}]}, "run")
    assert status == 78
    assert any(address in line and "in use" in line.lower() for line in lines), lines


# ------------------------------------------------------------ plugin files
def library(folder, name, source):
    path = folder / name
    (folder / "source.c").write_text(source)
    subprocess.run([*CC, "-o", str(path), str(folder / "source.c")], check=True)
    return str(path)


HELLO = """
#include <sluice/sluice.h>
int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const sluice_factory factory = { .size = sizeof factory };
    (void)host; %s
    out->factory = &factory;
    return %s;
}
"""
REFUSED = {
    "not a library": lambda d: (d / "libX.so").write_text("hello") and str(d / "libX.so"),
    "not a plugin": lambda d: library(d, "libX.so", "int other(void) { return 1; }"),
    "an ABI of another major": lambda d: library(
        d, "libX.so", "int sluice_plugin_hello_v99(void *a, void *b) { return 0; }"),
    "a minor that is too new": lambda d: library(
        d, "libX.so", HELLO % ("out->abi_minor = 999;", "SLUICE_OK")),
    "a table of another size": lambda d: library(
        d, "libX.so", HELLO % ("out->size = 8;", "SLUICE_OK")),
    "a hello that fails": lambda d: library(d, "libX.so", HELLO % ("", "SLUICE_ENOTSUP")),
    "unresolved symbols": lambda d: library(
        d, "libX.so", "int nowhere(void); int sluice_plugin_hello_v0(void *a, void *b)"
        " { return nowhere(); }"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_plugin_is_refused_in_one_line(check, tmp_path, kind):
    path = REFUSED[kind](tmp_path)
    content = {**GOOD, "plugins": {"x": {"library": path}}, "chain": ["x"]}
    for command in ("check", "run"):
        status, lines = check(content, command)
        assert status == 78
        one_line(lines, "plugins.x", "libX.so")


def test_a_plugin_without_the_role_cannot_balance(check):
    content = manifest("127.0.0.1:1", "127.0.0.1:2")
    content["plugins"]["rr"]["library"] = "libHeaders.so"
    status, lines = check(content)
    assert status == 78
    one_line(lines, "balancer", "rr")


def test_a_configuration_that_the_plugin_refuses(check):
    content = {**GOOD, "plugins": {"x": {"library": "libRespond.so", "config": {"sttus": 200}}},
               "chain": ["x"]}
    status, lines = check(content)
    assert status == 78
    one_line(lines, "plugins.x", "sttus")


def test_a_digest_is_compared(check):
    digest = subprocess.run(["sha256sum", harness.PLUGINS + "/libRoundRobin.so"],
                            capture_output=True, text=True, check=True).stdout.split()[0]
    content = {**GOOD, "plugins": {"x": {"library": "libRoundRobin.so", "sha256": digest}}}
    assert check(content)[0] == 0
    content["plugins"]["x"]["sha256"] = "0" * 64
    status, lines = check(content)
    assert status == 78
    one_line(lines, "plugins.x", "sha256")


def test_errors_of_plugins_are_collected_too(check):
    content = {**GOOD, "plugins": {
        "a": {"library": "libRespond.so", "config": {"sttus": 200}},
        "b": {"library": "libNothing.so"}}, "chain": ["a", "b"]}
    status, lines = check(content)
    assert status == 78
    assert any("plugins.b" in line for line in lines)


# --------------------------------------------------------- plugins and demo
def test_plugin_list(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest("127.0.0.1:1", "127.0.0.1:2")))
    done = run("plugin", "list", "--manifest", str(path))
    assert done.returncode == 0
    assert re.search(r"^rr\b.*RoundRobin", done.stdout, re.M)


@pytest.mark.parametrize("name", harness.SHIPPED)
def test_plugin_inspect(name):
    done = run("plugin", "inspect", "%s/lib%s.so" % (harness.PLUGINS, name))
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", done.stdout)
    if name in ("RoundRobin", "Ketama", "Maglev", "Random", "LeastConnections"):
        assert "sluice.lb/1" in done.stdout


def test_plugin_inspect_of_something_else():
    done = run("plugin", "inspect", BINARY)
    assert done.returncode in (1, 78)
    one_line(done.stderr.splitlines(), "sluice")


def test_demo():
    """It needs port 8080 of the loopback address; where another program has it, it must say so."""
    with socket.socket() as probe:
        free = probe.connect_ex(("127.0.0.1", 8080)) != 0
    demo = subprocess.Popen([BINARY, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL, text=True)
    try:
        said = []
        if not free:
            said = demo.communicate(timeout=30)[0]
            assert demo.returncode != 0 and "8080" in said
            return
        for line in demo.stdout:
            said.append(line)
            if re.search(r"\bready\b", line):
                break
        assert demo.poll() is None, "".join(said)
        c = Client(("127.0.0.1", 8080))
        answers = [c.request(host="127.0.0.1:8080") for _ in range(4)]
        assert [a.status for a in answers] == [200] * 4
        assert answers[0].body == answers[2].body != answers[1].body == answers[3].body
        demo.terminate()
        rest, _ = demo.communicate(timeout=30)
        assert demo.returncode == 0
        assert "curl" in "".join(said) + rest
        assert c.ended()
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.communicate()
