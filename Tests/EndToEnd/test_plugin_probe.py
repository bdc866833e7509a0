"""The first load of a library in a process of its own (`plugin_probe`)."""
import os
import re
import subprocess

import pytest

import harness
from harness import manifest

SOURCE = os.path.join(os.path.dirname(__file__), "plugins/first_load.c")
INCLUDE = os.path.join(harness.ROOT, "SDK/Sources/CSluice/include")


@pytest.fixture
def build(tmp_path):
    def make(at="NOWHERE", act="", *options, name="lib.so"):
        path = str(tmp_path / name)
        built = subprocess.run(
            ["gcc", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-I", INCLUDE,
             "-DAT=" + at, "-DACT=" + act, *options, "-o", path, SOURCE],
            capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        return path

    return make


@pytest.fixture
def check(tmp_path):
    """`sluice check` of a manifest with these plugins: (status, lines, processes that loaded)."""
    def run(plugins, probe="always", environment=None, prefix=(), **over):
        path, ran = str(tmp_path / "sluice.json"), str(tmp_path / "ran")
        entries = {name: {"library": p} if isinstance(p, str) else p
                   for name, p in plugins.items()}
        with open(path, "w") as file:
            file.write(harness.json.dumps(manifest(
                "127.0.0.1:9", plugins=entries, plugin_probe=probe, **over)))
        if os.path.exists(ran):
            os.remove(ran)
        done = subprocess.run(
            [*prefix, harness.BINARY, "check", "--no-bind", "--manifest", path],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
            env={**os.environ, "RAN": ran, **(environment or {})})
        lines = [line.replace(path + ": ", "") for line in done.stderr.splitlines()]
        loads = open(ran).read().split() if os.path.exists(ran) else []
        return done.returncode, lines, loads

    return run


def test_a_good_library_is_loaded_twice(check, build):
    status, lines, loads = check({"a": build()})
    assert (status, lines) == (0, [])
    assert len(loads) == 2 and loads[0] != loads[1]
    # Without it, and before the process serves, once.
    for probe in ("off", "changes"):
        assert len(check({"a": build()}, probe=probe)[2]) == 1


@pytest.mark.parametrize("at,step", [
    ("LOAD", "load"), ("HELLO", "hello"), ("CHECK", "check_config"), ("CREATE", "create"),
    ("DESTROY", "destroy")])
@pytest.mark.parametrize("act,how", [
    ("abort()", "ended by SIGABRT"),
    ("*(volatile int *)8 = 1", "ended by SIGSEGV"),
    ("__builtin_trap()", "ended by SIGILL"),
    ("exit(0)", "ended with status 0"),
    ("_exit(7)", "ended with status 7"),
])
def test_a_library_that_ends_the_process(check, build, at, step, act, how):
    path = build(at, act)
    status, lines, loads = check({"a": path})
    assert (status, lines) == (78, [
        "plugins.a: %s: its first load, in a process of its own, %s; at: %s" % (path, how, step)])
    assert len(loads) == 1


def test_the_words_of_its_end(check, build):
    path = build("CREATE", r'fprintf(stderr,"one\ntwo Fatal error: \x1b[1m%0300d\n",7),abort()')
    lines = check({"a": path})[1]
    assert "(two Fatal error:  [1m000" in lines[0] and "\x1b" not in lines[0]
    assert len(lines[0].partition(" (")[2]) == 201


@pytest.mark.parametrize("at,step", [("LOAD", "load"), ("CREATE", "create")])
@pytest.mark.parametrize("act", [
    "for(;;)pause()", "for(;;);", "close(3);for(;;)pause()",
    r'for(;;)(void)!write(3,"step x\n",7)', 'for(;;)(void)!write(3,"xxxxxxx",7)'])
def test_a_library_that_hangs(check, build, at, step, act):
    path = build(at, act)
    status, lines, loads = check({"a": path}, probe_timeout="300ms")
    assert status == 78 and len(lines) == 1
    where = "plugins.a: %s: its first load, in a process of its own, " % path
    if "close" in act:
        assert lines[0] == where + "ended by SIGKILL; at: " + step
    elif "xxx" in act:
        assert lines[0].startswith(where + "hung for 300 ms; at: " + step)
    elif "step" in act:
        assert lines[0] == where + "hung for 300 ms; at: x"
    else:
        assert lines[0] == where + "hung for 300 ms; at: " + step
    for pid in loads:
        assert not os.path.exists("/proc/" + pid)


def test_a_refusal_is_the_plugins_own(check, build):
    path = build("NOWHERE", "", '-DWORDS="key x is missing"')
    status, lines, loads = check({"a": path})
    assert (status, lines) == (78, ["plugins.a.config: key x is missing"])
    assert len(loads) == 1


def test_what_failed_is_tried_again(check, build, tmp_path):
    """A cause that has gone away does not count for ever, and what passed passes at once."""
    path = build("CREATE", 'once(getenv("MARK"))')
    environment = {"MARK": str(tmp_path / "mark")}
    # Both instances have the same library and configuration, but their names.
    status, lines, loads = check({"a": path, "b": path}, environment=environment)
    assert status == 78 and len(lines) == 1 and lines[0].startswith("plugins.a: ")
    assert len(loads) == 3
    status, lines, loads = check({"a": path}, environment=environment)
    assert (status, lines, len(loads)) == (0, [], 2)


def test_the_child_has_no_descriptor_of_the_proxy(check, build):
    lines = check({"a": build("CREATE", "descriptors()")})[1]
    found = re.search(r"\(descriptors ([\d ]+)\)", lines[0])
    assert sorted(found.group(1).split()) == ["0", "1", "2", "3"]


def test_signals_are_as_usual_in_the_child(check, build):
    """Not blocked or ignored, whatever the parent has done to its own."""
    act = ("sigset_t s;sigprocmask(0,0,&s);fprintf(stderr,\"%d %d %d\\n\","
           "sigismember(&s,SIGTERM),signal(SIGPIPE,SIG_DFL)==SIG_IGN,"
           "signal(SIGINT,SIG_DFL)==SIG_IGN),abort()")
    lines = check({"a": build("CREATE", act)}, prefix=["env", "--ignore-signal=INT"])[1]
    assert "(0 0 0)" in lines[0]


def test_configurations_reach_the_child_as_they_are(check, tmp_path):
    """Each of the shipped plugins, whose schemas give texts a meaning and fill in defaults."""
    plugins = {
        "headers": {"library": "libHeaders.so", "config": {
            "request": {"set": [{"name": "X-A", "value": "\u00e4{{\"\\ {path}"}],
                        "remove": ["X-B"]}}},
        "respond": {"library": "libRespond.so", "config": {"body": "\u0001\u2028x\n"}},
        "rr": {"library": "libRoundRobin.so"},
        "ketama": {"library": "libKetama.so"},
        "maglev": {"library": "libMaglev.so"},
    }
    assert check(plugins)[:2] == (0, [])
    plugins["headers"]["config"]["request"]["set"][0]["value"] = "{nope}"
    status, lines, _ = check(plugins)
    assert status == 78 and lines[0].startswith(
        "plugins.headers.config: request.set[0].value: unknown placeholder {nope}")


def test_by_hand(tmp_path):
    """The internal command is of no use to anybody else."""
    done = subprocess.run([harness.BINARY, "plugin-probe"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=10)
    assert done.returncode == 2
