"""A plugin that crashes or hangs: what the process leaves behind, and what becomes of others."""
import functools
import json
import os
import signal
import socket
import time

import pytest

import faults
import harness
from faults import CALLS, HOOKS, WAYS, Record
from harness import Sluice, manifest, run, serve
from wire import Client, reply, request

FAULT = [("x-fault", "1")]
UPSTREAMS = {"app": {"peers": ["127.0.0.1:1"]}}
ROUTES = [{"match": {}, "upstream": "app"}]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    @functools.cache
    def build(language):
        path = faults.build(tmp_path_factory.mktemp("faults"), language)
        return path or pytest.skip("no compiler of " + language)

    return build


@pytest.fixture
def crashing(tmp_path, origin):
    """A proxy of one process whose plugin `guilty` fails at a hook, in some way."""
    made = []

    def make(library, at, how, plugin=None, **over):
        app = origin(serve(reply(body=b"x" * 10)))
        content = manifest(
            app, upstream={"balancer": "guilty"}, chain=["guilty"],
            plugins={"guilty": {"library": library, "config": {"at": at, "how": how},
                                **(plugin or {})}}, **over)
        if at == "local_reply":
            content["routes"] = [{"match": {"path": "/none"}, "upstream": "app"}]
        made.append(Sluice(tmp_path, content, supervised=False))
        return made[-1]

    yield make
    for proxy in made:
        if proxy.process.poll() is None:
            proxy.process.kill()
        proxy.process.wait()


def die(proxy):
    """Sends the request that makes the plugin fail; the signal that ended the process, by name."""
    client = Client(proxy.address)
    client.send(request("POST", "/boom?secret=1", FAULT, b"some body"))
    status = proxy.process.wait(20)
    with proxy.changed:
        assert proxy.changed.wait_for(lambda: proxy.ended, 10)
    client.close()
    return signal.Signals(-status).name[3:]


def expect(proxy, path, hook, way):
    ended = die(proxy)
    record = Record(proxy.log)
    assert (record.plugin, record.hook, record.library, record.version, record.sha256) == (
        "guilty", hook, path, "1.2.3", faults.digest(path)), proxy.log
    assert ended == record.signal == way, proxy.log
    assert int(record.process) == proxy.process.pid
    if hook in HOOKS + ["pick"]:
        # The query may be a secret.
        assert (record.method, record.path) == ("POST", "/boom"), proxy.log
        assert int(record.request) > 0
    else:
        assert record.method is None
    assert "secret" not in proxy.log
    assert record.thread == ("blocking-1" if hook == "offload" else "worker-0")


@pytest.mark.seconds(120)
@pytest.mark.parametrize("hook", HOOKS + CALLS)
@pytest.mark.parametrize("language, how", [(l, h) for l in WAYS for h in WAYS[l]])
def test_a_crash_names_the_plugin(crashing, library, language, how, hook):
    path = library(language)
    expect(crashing(path, hook, how), path, hook, WAYS[language][how])


@pytest.mark.parametrize("language", WAYS)
@pytest.mark.parametrize("hook", HOOKS + ["pick", "timer", "task"])
def test_a_hang_is_a_crash(crashing, library, language, hook):
    path = library(language)
    proxy = crashing(path, hook, "loop", watchdog={"hang": "200ms"})
    assert die(proxy) == "ABRT"
    record = Record(proxy.log)
    assert (record.plugin, record.hook, record.thread) == ("guilty", hook, "worker-0"), proxy.log
    assert record.what.startswith("hang") and 200 <= int(record.time) < 5000
    assert record.sha256 == faults.digest(path)


def test_a_hang_in_worker_start(tmp_path, library):
    content = manifest(plugins={"guilty": {
        "library": library("C"), "config": {"at": "worker_start", "how": "loop"}}},
        upstreams=UPSTREAMS, routes=ROUTES, watchdog={"hang": "100ms"})
    record = Record(failing_start(tmp_path, content, "ABRT"))
    assert (record.plugin, record.hook) == ("guilty", "worker_start")


def failing_start(folder, content, way):
    path = os.path.join(str(folder), "sluice.json")
    with open(path, "w") as file:
        file.write(harness.json.dumps(content))
    ended = run("run", "--no-supervisor", "--manifest", path)
    assert signal.Signals(-ended.returncode).name[3:] == way, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("language, how", [("C", "null"), ("Swift", "fatal_error"),
                                           ("Rust", "panic"), ("C", "stack"), ("Swift", "stack")])
@pytest.mark.parametrize("hook", ["create", "worker_start"])
def test_a_crash_before_any_request(tmp_path, library, hook, language, how):
    content = manifest(plugins={"guilty": {
        "library": library(language), "config": {"at": hook, "how": how}}},
        upstreams=UPSTREAMS, routes=ROUTES)
    record = Record(failing_start(tmp_path, content, WAYS[language][how]))
    assert (record.plugin, record.hook, record.method) == ("guilty", hook, None)
    assert record.sha256 == faults.digest(library(language))


def test_check_names_a_plugin_that_crashes(tmp_path, library):
    path = tmp_path / "sluice.json"
    path.write_text(harness.json.dumps(manifest(plugins={"guilty": {
        "library": library("C"), "config": {"at": "create", "how": "trap"}}},
        upstreams=UPSTREAMS, routes=ROUTES)))
    ended = run("check", "--manifest", str(path))
    assert ended.returncode == -getattr(signal, "SIG" + faults.TRAP)
    assert Record(ended.stderr).hook == "create"


def test_a_crash_outside_of_plugins(crashing, library):
    proxy = crashing(library("C"), "none", "none")
    proxy.process.send_signal(signal.SIGSEGV)
    assert -proxy.wait_end() == signal.SIGSEGV
    with proxy.changed:
        assert proxy.changed.wait_for(lambda: proxy.ended, 10)
    record = Record(proxy.log)
    assert (record.signal, record.plugin) == ("SEGV", None)


def test_the_swift_backtracer_takes_no_signal(tmp_path, library, origin):
    """Even where somebody asks for it: the record comes first, and the signal ends the process."""
    app = origin(serve(reply()))
    content = manifest(app, chain=["guilty"], plugins={"guilty": {
        "library": library("Swift"), "config": {"at": "request_headers", "how": "index"}}})
    proxy = Sluice(tmp_path, content, supervised=False,
                   environment={"SWIFT_BACKTRACE": "enable=yes,color=no"})
    assert die(proxy) == faults.TRAP
    assert Record(proxy.log).plugin == "guilty"


def test_a_long_call_is_no_hang(crashing, library):
    """Requests one after the other, all in the same hook: the worker moves."""
    proxy = crashing(library("C"), "request_headers", "slow", watchdog={"hang": "100ms"})
    client = Client(proxy.address)
    for _ in range(20):
        assert client.request(fields=FAULT).status == 200


# ------------------------------------------------------------ faults that are borne
def faulty(crashing, library, at, how, count=1, **over):
    proxy = crashing(library("C"), at, how, **over)
    client = Client(proxy.address)
    return proxy, [client.request(fields=FAULT).status for _ in range(count)]


CIRCUIT = {"circuit": {"faults": 3, "window": "10s", "retry": "1s"}}


@pytest.mark.parametrize("how", ["error", "verdict"])
def test_a_circuit_opens_and_is_tried_again(crashing, library, how):
    plugin = {"on_error": "closed:555", **CIRCUIT}
    proxy, statuses = faulty(crashing, library, "request_headers", how, 7, plugin=plugin)
    assert statuses == [555] * 7
    proxy.wait_log("plugin=guilty fails too often: worker 0 leaves it out")
    failures = proxy.log.count("failed in phase")
    # Out of requests: its hook is not called, also for those that it would have let pass.
    client = Client(proxy.address)
    assert client.request().status == 555
    assert proxy.log.count("failed in phase") == failures
    harness.eventually(lambda: client.request().status == 200, "a request that passes the plugin")
    proxy.wait_log("plugin=guilty works again on worker 0")
    assert client.request().status == 200


def test_a_trial_that_fails_keeps_it_open(crashing, library):
    plugin = {"on_error": "closed:555", **CIRCUIT}
    proxy, _ = faulty(crashing, library, "request_headers", "error", 7, plugin=plugin)
    proxy.wait_log("fails too often")
    failures = proxy.log.count("failed in phase")
    client = Client(proxy.address)

    def tried():
        assert client.request(fields=FAULT).status == 555
        return proxy.log.count("failed in phase") == failures + 1

    harness.eventually(tried, "a request that tries the plugin")
    assert client.request().status == 555


def test_an_open_circuit_lets_requests_pass(crashing, library):
    plugin = {"on_error": "open", **CIRCUIT}
    proxy, statuses = faulty(crashing, library, "request_headers", "error", 12, plugin=plugin)
    assert statuses == [200] * 12
    proxy.wait_log("fails too often")
    assert proxy.log.count("failed in phase") == 3 + 1 + 3


def test_a_few_faults_among_many_requests_open_nothing(crashing, library):
    plugin = {"on_error": "closed:555", **CIRCUIT}
    proxy = crashing(library("C"), "request_headers", "error", plugin=plugin)
    client = Client(proxy.address)
    for number in range(60):
        bad = number % 5 == 0
        assert client.request(fields=FAULT if bad else []).status == (555 if bad else 200)
    assert "too often" not in proxy.log


def test_a_hook_over_its_budget_is_told(crashing, library):
    plugin = {"budgets": {"hook": "20ms"}, "on_error": "open", **CIRCUIT}
    proxy, statuses = faulty(crashing, library, "upstream_request", "slow", 8, plugin=plugin)
    assert statuses == [200] * 8
    proxy.wait_log(r"plugin=guilty upstream_request took \d{5} us, its budget is 20000 us")
    proxy.wait_log("fails too often")


# ------------------------------------------------------------ with the supervisor
@pytest.fixture
def supervised(sluice, origin, library):
    """A proxy whose plugin `guilty` crashes at requests that ask for it; two more to keep."""
    def make(at="request_headers", how="null", language="C", plugin=None, **over):
        app = origin(serve(reply()))
        proxy = sluice(
            app, upstream={"balancer": "guilty"} if at == "pick" else {}, chain=["guilty"],
            plugins={"guilty": {"library": library(language), "config": {"at": at, "how": how},
                                **(plugin or {})}}, **over)
        proxy.expected_crash = True
        return proxy

    return make


def crash(proxy):
    """Sends what crashes it, then asks until it is answered; the answer and the milliseconds."""
    client = Client(proxy.address)
    client.send(request(fields=FAULT))
    assert client.ended(), "an answer, where a crash was asked for"
    client.close()
    begin = time.monotonic()
    # The listener is there all the time, so this waits and is not refused.
    client = Client(proxy.address)
    answer = client.request()
    client.close()
    return answer, (time.monotonic() - begin) * 1000


@pytest.mark.parametrize("language, how", [
    ("C", "null"), ("Swift", "fatal_error"), ("Swift", "overflow"), ("Rust", "panic"),
    ("C", "abort"), ("Swift", "stack")])
def test_requests_are_served_after_a_crash(supervised, language, how):
    proxy = supervised(how=how, language=language)
    answer, milliseconds = crash(proxy)
    assert answer.status == 200
    print("%s %s: %.0f ms from the crash to the next answer" % (language, how, milliseconds))
    record = Record(proxy.log)
    assert (record.plugin, record.hook) == ("guilty", "request_headers")
    proxy.wait_log("in plugin guilty, hook request_headers")


def test_a_hang_is_followed_by_another_process(supervised):
    proxy = supervised(how="loop", watchdog={"hang": "200ms"})
    answer, _ = crash(proxy)
    assert answer.status == 200
    assert Record(proxy.log).what.startswith("hang")


@pytest.mark.parametrize("on_error, status", [("open", 200), ("closed:503", 503)])
def test_a_plugin_in_quarantine(supervised, on_error, status):
    proxy = supervised(plugin={"on_crash": "quarantine", "on_error": on_error})
    answer, _ = crash(proxy)
    assert answer.status == status
    proxy.wait_log("plugin guilty is in quarantine after a crash and is not loaded")
    # It is not there to crash once more.
    client = Client(proxy.address)
    assert client.request(fields=FAULT).status == status


@pytest.mark.parametrize("on_error, status", [("open", 200), ("closed:503", 503)])
def test_a_balancer_in_quarantine(supervised, on_error, status):
    """Peers in turn, or an answer: its hooks come before it would pick."""
    proxy = supervised(at="pick", plugin={"on_crash": "quarantine", "on_error": on_error})
    answer, _ = crash(proxy)
    assert answer.status == status


def test_a_crash_that_halts(tmp_path, origin, library):
    app = origin(serve(reply()))
    proxy = Sluice(tmp_path, manifest(app, chain=["guilty"], plugins={"guilty": {
        "library": library("C"), "on_crash": "halt",
        "config": {"at": "request_headers", "how": "null"}}}))
    client = Client(proxy.address)
    client.send(request(fields=FAULT))
    assert proxy.wait_end() == 1
    proxy.wait_log("plugin guilty: on_crash is halt: stopping")


# ------------------------------------------------------------ what operators see and do
def series(proxy):
    """The metrics of plugins, by name with labels."""
    text = http("GET", proxy.admin, "/v1/metrics").decode()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines() if line and not line.startswith("#")}


def http(method, socket_path, target):
    s = socket.socket(socket.AF_UNIX)
    s.connect(socket_path)
    head = "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % (method, target)
    s.sendall(head.encode())
    answer = b"".join(iter(lambda: s.recv(65536), b""))
    s.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return body


def test_faults_are_counted_by_kind(supervised, tmp_path):
    path = str(tmp_path / "admin")
    proxy = supervised(how="error", plugin={"on_error": "open", **CIRCUIT},
                       admin={"listen": "unix:" + path})
    proxy.admin = path
    proxy.wait_log("admin interface on")
    name = 'sluice_plugin_faults_total{plugin="guilty",kind="%s"}'
    before = series(proxy)
    assert {before[name % kind] for kind in
            ("error", "edit", "verdict", "overrun", "misuse", "leak")} == {0}
    client = Client(proxy.address)
    for _ in range(12):
        assert client.request(fields=FAULT).status == 200
    after = series(proxy)
    assert after[name % "error"] == 7 and after[name % "verdict"] == 0
    assert after['sluice_plugin_skipped_total{plugin="guilty"}'] == 5
    assert after['sluice_plugin_circuits_open{plugin="guilty"}'] == 1
    faults = json.loads(http("GET", path, "/v1/faults"))["plugins"][0]
    assert (faults["faults"]["error"], faults["skipped"], faults["open_circuits"]) == (7, 5, 1)
    proxy.expected_crash = False


def test_a_quarantine_is_lifted(supervised, tmp_path):
    """By command, and for all processes to come."""
    path = str(tmp_path / "admin")
    proxy = supervised(plugin={"on_crash": "quarantine", "on_error": "closed:503"},
                       admin={"listen": "unix:" + path})
    answer, _ = crash(proxy)
    assert answer.status == 503
    assert "quarantined" in run("status", "--manifest", proxy.path).stdout
    nobody = run("plugin", "reset", "x", "--manifest", proxy.path)
    assert nobody.returncode == 1 and "plugins.x" in nobody.stderr
    done = run("plugin", "reset", "guilty", "--manifest", proxy.path)
    assert done.returncode == 0, done.stderr
    client = Client(proxy.address)
    assert client.request().status == 200
    assert json.loads(http("GET", path, "/v1/faults"))["quarantine"] == []
    # It is loaded, and so it may crash again; then it is left out again.
    answer, _ = crash(proxy)
    assert answer.status == 503
