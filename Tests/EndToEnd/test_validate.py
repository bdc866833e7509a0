"""`sluice plugin validate` and `sluice plugin bench`: good plugins pass, and each kind of bad one
fails at the check that is made for it."""
import os
import re
import subprocess

import pytest

from harness import BINARY, PLUGINS, ROOT

pytestmark = pytest.mark.long
SOURCES = os.path.join(ROOT, "Tests/EndToEnd/plugins")
INCLUDE = os.path.join(ROOT, "SDK/Sources/CSluice/include")
CHECKS = ["file", "tables", "life", "workers", "config", "exchanges", "views", "bodies", "leaving",
          "waits", "neighbours", "state"]


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validate")

    def make(name, fault="NOTHING", source=None):
        path = str(folder / ("%s-%s.so" % (name, fault.lower())))
        subprocess.run(
            ["gcc", "-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
             "-fvisibility=hidden", "-DFAULT=" + fault, "-I", INCLUDE, "-o", path,
             source or os.path.join(SOURCES, name + ".c"), "-lpthread"], check=True)
        return path

    return make


def run(*arguments):
    done = subprocess.run([BINARY, "plugin", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=170)
    return done.returncode, done.stdout, done.stderr


def validate(path, *options):
    """Exit code, and what each check says: {name: (outcome, text)}."""
    status, out, err = run("validate", path, "--seed", "1", "--iterations", "200", *options)
    assert err == "", err
    found = {}
    for outcome, name, text in re.findall(r"^(ok|FAIL|skip) +(\w+) +(.*)$", out, re.M):
        found[name] = (outcome, text)
    assert list(found) == CHECKS, out
    return status, found


def failed(found):
    return {name: text for name, (outcome, text) in found.items() if outcome == "FAIL"}


# -------------------------------------------------------------------- good
@pytest.mark.seconds(180)
@pytest.mark.parametrize("name,config", [
    ("Headers", "{}"),
    ("Headers", '{ request: { set: [{ name: "x-a", value: "b" }] }, via: "me" }'),
    ("Respond", "{}"),
    ("RoundRobin", "{}"),
    ("Ketama", '{ key: ["client_ip", "header:x-user"], max_load: 1.25 }'),
    ("LeastConnections", '{ choices: "all", measure: "latency" }'),
    ("HealthCheck", '{ active: { interval: "100ms" }, passive: { consecutive: 3 } }'),
    ("RateLimit", '{ rules: [{ name: "a", limit: 3 }], fields: "both" }'),
    ("RateLimit", '{ rules: [{ name: "a", algorithm: "concurrency", limit: 1, delay: "1s" }] }'),
    ("AccessLog", '{ output: { file: "/dev/null" } }'),
    ("AccessLog", """{ output: { syslog: "udp:127.0.0.1:9" }, format: "template",
        template: "$request $upstream_addr $sent_http_server", sample: 2 }"""),
    ("RateLimit", """{ rules: [
        { name: "a", algorithm: "token_bucket", limit: 10, burst: 1, delay: "1s" }] }"""),
    ("Tracing", '{ collector: "app", response: ["traceresponse"], batch: { delay: "50ms" } }'),
    ("Tracing", '{ collector: "app", encoding: "json", sampling: { ratio: 0 }, b3: true }'),
    ("Metrics", '{ path: "/", allow: ["192.0.2.0/24"] }'),
    ("Cache", "{}"),
    ("Cache", '{ memory: "1MiB", key: { headers: ["x-a"] }, purge: { allow: ["0.0.0.0/0"] } }'),
])
def test_shipped_plugins_pass(name, config):
    status, found = validate("%s/lib%s.so" % (PLUGINS, name), "--config", config)
    assert failed(found) == {} and status == 0


@pytest.mark.seconds(180)
def test_a_plugin_that_does_everything_passes(build):
    """Body hooks, waits, state: no check is skipped."""
    status, found = validate(build("misbehaving"))
    assert {name: text for name, (outcome, text) in found.items() if outcome != "ok"} == {}
    assert status == 0


@pytest.mark.seconds(180)
def test_the_example_in_c_passes(build):
    source = os.path.join(ROOT, "examples/hello-plugin-c/hello.c")
    status, found = validate(build("hello", source=source))
    assert failed(found) == {} and status == 0


# --------------------------------------------------------------------- bad
@pytest.mark.seconds(180)
@pytest.mark.parametrize("fault,check,text", [
    ("LEAKS_MEMORY", "life", "bytes of memory behind"),
    ("LEAKS_DESCRIPTOR", "life", "descriptors are left of"),
    ("LEAKS_THREAD", "life", "threads are left of"),
    ("RESUMES_TWICE", "waits", "ends by SIGABRT; at: a GET: somebody else ends it first"),
    ("KEEPS_VIEW", "views", "ends by SIGSEGV; at: a GET; last hook: response_headers"),
    ("CHANGES_BY_CHUNK", "bodies", "comes out as"),
    ("TRUSTS_STATE", "state", "ends by SIGABRT; at: import_state of nothing"),
    ("TRUSTS_REST", "state", "ends by SIGABRT; at: import_rest of random bytes"),
    ("TAKES_ANY_REST", "state", "import_rest takes every one of 200 random texts"),
    ("REFUSES_REST_LATE", "state", "refuses random bytes, and changes the state all the same"),
    ("REST_OF_NOTHING", "state", "that has seen no request adds something"),
    ("WARMS_ONCE", "state", "warm: result"),
    ("HIDES_HANDOVER", "state", "roles disagree on sluice.handover/1"),
    ("HAS_ANY_TABLE", "tables", 'get_extension("") is not NULL'),
    ("HIDES_HOOK", "file", "has the hook request_headers, which the handshake leaves out"),
    ("STOPS_IN_ORDER", "workers", "ends by SIGABRT; at: worker_stop("),
    ("TRUSTS_CONFIG", "config", "ends by SIGSEGV; at: check_config in round"),
    ("MISSES_CLIENT", "leaving", "ends by SIGABRT; at: a GET: the client leaves after"),
    ("MISSES_NEIGHBOUR", "neighbours", "ends by SIGABRT; at: a GET: the neighbours fail in"),
])
def test_each_fault_fails_at_its_check(build, fault, check, text):
    status, found = validate(build("misbehaving", fault))
    # Some faults show elsewhere too, where a request happens to go the same way.
    others = {"RESUMES_TWICE", "MISSES_CLIENT"}
    assert check in failed(found) if fault in others else list(failed(found)) == [check], found
    assert text in found[check][1]
    assert status == 1


@pytest.mark.seconds(180)
@pytest.mark.parametrize("fault,text", [
    ("CRASHES", "ends by SIGSEGV; at: a GET; last hook: request_headers"),
    ("EXITS", "ends the process with status 7; at: a GET; last hook: request_headers"),
    ("HANGS", "hangs; at: a GET; last hook: request_headers"),
])
def test_a_hook_that_does_not_return_is_named(build, fault, text):
    status, found = validate(build("misbehaving", fault), "--timeout", "2")
    assert found["exchanges"] == ("FAIL", text)
    # What needs no request is still checked.
    assert all(found[name][0] == "ok" for name in ["file", "tables", "config", "state"])
    assert status == 1


def test_the_same_seed_gives_the_same_report(build):
    path = build("misbehaving", "TRUSTS_CONFIG")
    assert validate(path)[1]["config"] == validate(path)[1]["config"]


# ------------------------------------------------------------ command line
def test_what_is_no_plugin_or_no_configuration_is_said_at_once(tmp_path):
    missing = str(tmp_path / "none.so")
    status, out, err = run("validate", missing)
    assert status == 1 and out == "" and missing in err
    library = "%s/libRespond.so" % PLUGINS
    status, out, err = run("validate", library, "--config", "{ statsu: 200 }")
    assert status == 1 and out == "" and "--config" in err and "statsu" in err
    status, out, err = run("validate", library, "--config", "{")
    assert status == 1 and out == "" and err.startswith("--config:")


@pytest.mark.parametrize("option,value,least,most", [
    ("--iterations", "0", 1, 1_000_000), ("--iterations", "1000001", 1, 1_000_000),
    ("--iterations", "many", 1, 1_000_000), ("--timeout", "0", 1, 3_600),
    ("--timeout", "3601", 1, 3_600), ("--seed", "-1", 0, 2**64 - 1)])
def test_numbers_have_bounds(option, value, least, most):
    status, _, err = run("validate", "x.so", option, value)
    assert status == 2
    assert 'option "%s" needs a number from %d to %d' % (option, least, most) in err


def test_help():
    for command in ["validate", "bench"]:
        status, out, _ = run(command, "--help")
        assert status == 0 and "usage: sluice plugin %s FILE.so" % command in out
        assert "--config JSON" in out
    assert "validate" in run("--help")[1] and "bench" in run("--help")[1]


def test_bench_shows_a_row_for_each_hook(build):
    status, out, err = run("bench", build("misbehaving", "LEAKS_MEMORY"))
    assert status == 0, err
    rows = re.findall(r"^(\S.*?) {2,}(\d+\.\d) +(\d+)$", out, re.M)
    assert [row[0] for row in rows] == [
        "empty hook", "and the host's work", "view of the request", "8 fields read",
        "edit of a field", "request_headers", "response_headers", "request_end",
        "response_body, 4 KiB"]
    # Differences of two runs may come out as nothing on a busy machine; calls can't.
    assert all(float(row[1]) > 0 and int(row[2]) > 1000 for row in rows[:2] + rows[5:])


def test_bench_shows_what_a_balancer_needs():
    status, out, err = run("bench", PLUGINS + "/libRoundRobin.so")
    assert status == 0, err
    rows = re.findall(r"^table of (\d+) peers +\d+\.\d +\d+ +(\d+)\.\d bytes for each$", out, re.M)
    assert [count for count, _ in rows] == ["10000"]
    # What docs/load-balancing.md says: 32 bytes, and 4 for a turn, beside what a table has once.
    assert 36 <= int(rows[0][1]) <= 48
    for kind in ("pick", "table"):
        found = re.findall(r"^%s of (\d+) peers " % kind, out, re.M)
        assert found == ["2", "10", "100", "10000"]
