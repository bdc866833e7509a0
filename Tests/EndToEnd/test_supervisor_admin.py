"""The admin interface in front of the supervisor: what it answers itself, and what it passes on."""
import http.client
import json
import os
import re
import signal
import socket

import pytest

import harness
from harness import eventually, serve
from wire import DEADLINE, reply


class Admin(http.client.HTTPConnection):
    """A client of the interface that is not ours."""

    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


@pytest.fixture
def proxy(sluice, origin, tmp_path):
    path = str(tmp_path / "a.sock")
    made = sluice(origin(serve(reply(b"ok"))), admin={"listen": "unix:" + path},
                  upgrade={"timeout": "20s"}, restarts={"crashes": 1, "wait": "1500ms"})
    made.admin = path
    # The supervisor listens there once the serving process has told it to.
    made.wait_log("admin interface on")
    return made


def ask(proxy, method, path, body=None):
    """The status and the body of an answer."""
    connection = Admin(proxy.admin)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    is_json = answer.headers["Content-Type"].startswith("application/json")
    return answer.status, json.loads(data) if is_json else data


def test_the_status_tells_of_both_processes(proxy):
    status, body = ask(proxy, "GET", "/v1/status")
    assert status == 200 and body["pid"] == proxy.serving
    supervisor = body["supervisor"]
    assert supervisor["pid"] == proxy.process.pid and supervisor["serving_pid"] == proxy.serving
    assert (supervisor["state"], supervisor["restarts"]) == ("serving", 0)
    assert supervisor["last_crash"] is None


def test_what_it_does_not_know_is_answered_by_the_serving_process(proxy):
    status, text = ask(proxy, "GET", "/v1/metrics")
    assert status == 200 and b"# TYPE" in text
    assert ask(proxy, "GET", "/v1/none")[0] == 404
    assert ask(proxy, "POST", "/v1/reload", {"dry_run": True})[0] == 200


def test_an_upgrade_is_answered_when_it_is_done(proxy, client):
    for number in (1, 2, 3):
        old = proxy.serving
        status, body = ask(proxy, "POST", "/v1/upgrade")
        assert status == 200 and body["serving_pid"] not in (old, proxy.process.pid)
        eventually(lambda: proxy.processes == [body["serving_pid"]], "the old process ends")
        # The program that took the place of the supervisor has the interface, and the history.
        status, told = ask(proxy, "GET", "/v1/status")
        assert status == 200 and told["supervisor"]["serving_pid"] == body["serving_pid"]
        assert told["supervisor"]["pid"] == proxy.process.pid
        # A kept connection would stay with the process that drains.
        assert client(proxy).request(fields=[("Connection", "close")]).status == 200
    assert os.stat(proxy.admin).st_mode & 0o777 == 0o600
    assert proxy.stop() == 0
    assert not os.path.exists(proxy.admin)


@pytest.mark.parametrize("binary, status, line", [
    ("/no/such/program", 422, "No such file or directory"),
    ("/bin/false", 422, "the new process ended with status 1"),
    ("sluice", 422, "binary: "),
    (7, 422, "binary: "),
])
def test_an_upgrade_that_fails_says_why(proxy, client, binary, status, line):
    old = proxy.serving
    told, body = ask(proxy, "POST", "/v1/upgrade", {"binary": binary})
    assert told == status and line in body["problems"][0]
    assert client(proxy).request().status == 200
    assert proxy.processes == [old]


def test_an_upgrade_to_a_manifest_that_fails_has_its_lines(proxy):
    with open(proxy.path, "w") as file:
        file.write('{"version": 1}')
    status, body = ask(proxy, "POST", "/v1/upgrade")
    assert status == 422
    assert [re.sub(".*: ", "", line) for line in body["problems"]] == ["this key is missing"] * 2


def test_while_nothing_serves_the_reason_is_told(proxy, client):
    proxy.expected_crash = True
    number = proxy.serving
    os.kill(number, signal.SIGKILL)
    proxy.wait_log("restart in 1500 ms")
    for path in ("/v1/status", "/v1/metrics"):
        status, body = ask(proxy, "GET", path)
        assert status == 503
        assert "process %d ended by SIGKILL" % number in body["problems"][0]
    assert client(proxy).request().status == 200
    # Requests are served a moment before the supervisor is told.
    eventually(lambda: ask(proxy, "GET", "/v1/status")[0] == 200, "the status is told again")
    _, body = ask(proxy, "GET", "/v1/status")
    assert body["supervisor"]["restarts"] == 1
    assert "SIGKILL" in body["supervisor"]["last_crash"]


@pytest.mark.parametrize("fast", [False, True])
def test_a_request_to_stop_is_answered(proxy, fast):
    proxy.expected_end = True
    status, _ = ask(proxy, "POST", "/v1/stop", {"fast": fast})
    assert 200 <= status < 300
    assert proxy.wait_end() == 0
    assert not os.path.exists(proxy.admin)


def test_the_commands_say_the_same(proxy):
    done = harness.run("upgrade", "--manifest", proxy.path)
    assert (done.returncode, done.stderr) == (0, "")
    done = harness.run("upgrade", "--binary", "/bin/false", "--manifest", proxy.path)
    assert done.returncode == 1 and "ended with status 1" in done.stderr
    proxy.expected_end = True
    assert harness.run("stop", "--manifest", proxy.path).returncode == 0
    assert proxy.wait_end() == 0
