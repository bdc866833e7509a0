"""The admin interface: who is answered, what is refused, and the commands that use it."""
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading

import pytest

import harness
from harness import BINARY, Sluice, eventually, manifest, parse_address, run
from test_hostile import everything, rows
from wire import DEADLINE, Client, Response, reply, request

TOKEN = "0123456789abcdef-Secret"
ANSWERS = {"r": {"library": "libRespond.so", "config": {"status": 200, "body": "hello"}}}
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


def answering(**over):
    """A manifest that needs no origin."""
    return manifest(plugins=ANSWERS, routes=[{"match": {}, "chain": ["r"]}], **over)


class Proxy(Sluice):
    """One whose admin socket is in a folder that everybody can look into."""

    def __init__(self, folder, content, **options):
        self.folder = tempfile.mkdtemp(prefix="sluice-admin-")
        os.chmod(self.folder, 0o755)
        self.socket = os.path.join(self.folder, "a.sock")
        content.setdefault("admin", {"listen": "unix:" + self.socket})
        super().__init__(folder, content, **options)
        self.wait_log("admin interface on")

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(self.folder)

    def admin_descriptors(self):
        """Of the process that answers: the supervisor, if there is one."""
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


# Most must be the same whether the supervisor answers or the serving process itself.
BOTH = pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "alone"])


@pytest.fixture(scope="module", params=[True, False], ids=["supervised", "alone"])
def shared(request, tmp_path_factory):
    """One proxy for all that changes nothing."""
    proxy = Proxy(tmp_path_factory.mktemp("admin"), answering(), supervised=request.param)
    yield proxy
    proxy.close()


@pytest.fixture
def start(tmp_path):
    made = []

    def make(content=None, supervised=True):
        folder = tmp_path / ("admin%d" % len(made))
        folder.mkdir()
        made.append(Proxy(folder, content or answering(), supervised=supervised))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def curl(proxy, path, *arguments, prefix=()):
    """A real client: (status, fields, body), or curl's own exit code alone."""
    done = subprocess.run(
        [*prefix, "curl", "-sS", "-i", "--max-time", "20", "--unix-socket", proxy.socket,
         *arguments, "http://localhost" + path],
        capture_output=True, timeout=30)
    if done.returncode:
        return done.returncode
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    head = Response(head + b"\r\n\r\n")
    is_json = head.get("content-type") == "application/json"
    return head.status, head, json.loads(body) if is_json else body.decode()


def ask(proxy, bytes_):
    """The one answer to raw bytes, after which the connection ends."""
    c = Client(proxy.socket)
    try:
        c.send(bytes_)
        response = c.response()
        assert response.closes
        assert c.ended()
        return response
    finally:
        c.close()


# ------------------------------------------------------------------ endpoints
def test_status(shared):
    status, head, body = curl(shared, "/v1/status")
    assert status == 200
    assert head.closes and head.get("cache-control") == "no-store" and head.get("date")
    assert body["state"] == "serving"
    assert body["version"] in run("version").stdout
    assert body["workers"] == 1
    assert body["uptime_seconds"] >= 0
    assert os.path.realpath("/proc/%d/exe" % body["pid"]) == os.path.realpath(BINARY)
    assert body["pid"] == shared.serving and body["generation"] >= 1
    assert body["listeners"] == [
        {"address": "%s:%d" % shared.address, "protocols": ["h1"], "tls": False}]
    assert ("supervisor" in body) == shared.supervised
    (plugin,) = body["plugins"]
    digest = subprocess.run(["sha256sum", harness.PLUGINS + "/libRespond.so"],
                            capture_output=True, text=True, check=True).stdout.split()[0]
    assert plugin["name"] == "r" and plugin["id"] == "org.sluice.respond"
    assert plugin["sha256"] == digest and plugin["version"]
    assert body["manifest"] == shared.path


def test_metrics_are_text(shared):
    status, head, body = curl(shared, "/v1/metrics")
    assert status == 200
    assert head.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    for line in body.splitlines():
        assert re.match(r"# (HELP|TYPE) |[a-z0-9_]+(\{.*\})? \S+$", line), line


def test_logs_can_be_reopened(shared):
    assert curl(shared, "/v1/reopen_logs", "-X", "POST")[0] == 200


@pytest.mark.parametrize("path", ["/v2", "/v1", "/v1/status/", "/v1/nothing", "/v1/%73tatus",
                                  "/v1/x/../status", "/v1/plugins//swap"])
def test_no_such_endpoint(shared, path):
    status, _, body = curl(shared, path, "--path-as-is")
    assert status == 404
    assert path in body["problems"][0]


@pytest.mark.parametrize("method, path, allow", [
    ("POST", "/v1/status", "GET"), ("DELETE", "/v1/status", "GET"), ("GET", "/v1/stop", "POST"),
    ("HEAD", "/v1/metrics", "GET"), ("get", "/v1/status", "GET"),
])
def test_no_such_method(shared, method, path, allow):
    c = Client(shared.socket)
    response = c.request(method, path)
    c.close()
    assert response.status == 405
    assert response.get("allow") == allow


# ------------------------------------------------------------------- hostile
JSON = [("Content-Type", "application/json")]


@pytest.mark.parametrize("fields, body, status, words", [
    (JSON, b"{", 400, "line 1, column 2"),
    (JSON, b'{"fast": true, "fast": false}', 400, "occurs twice"),
    (JSON, b"[true]", 400, "not an object"),
    (JSON, b'{"fast": "\xff"}', 400, "UTF-8"),
    (JSON, b"[" * 65, 400, "levels of nesting"),
    (JSON, b'{"fastt": true}', 422, 'unknown member "fastt"'),
    (JSON, b'{"fast": 1}', 422, "fast: expected true or false, found 1"),
    ([("Content-Type", "text/plain")], b"{}", 415, "application/json"),
    ([], b"{}", 415, "application/json"),
    (JSON + [("Content-Encoding", "gzip")], b"{}", 415, "Content-Encoding"),
])
def test_a_body_that_is_refused_stops_nothing(shared, fields, body, status, words):
    response = ask(shared, request("POST", "/v1/stop", fields, body))
    assert response.status == status
    assert words in json.loads(response.body)["problems"][0]
    assert curl(shared, "/v1/status")[2]["state"] == "serving"


def test_a_query_is_refused(shared):
    assert ask(shared, request("GET", "/v1/status?x")).status == 400


def test_bounds(shared):
    fill = lambda n: request("GET", "/v1/status", [("A", "a" * n)])  # noqa: E731
    most = 8192 - len(fill(0))
    assert ask(shared, fill(most)).status == 200
    assert ask(shared, fill(most + 1)).status == 431
    head = "POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    large = head + "Content-Length: %d\r\n\r\n"
    assert ask(shared, (large % 1048577).encode()).status == 413
    body = b'{"fastt": "' + b"a" * (1048576 - 13) + b'"}'
    assert len(body) == 1048576
    assert ask(shared, request("POST", "/v1/stop", JSON, body)).status == 422


def test_a_client_that_waits_for_100_is_told_to_go_on(shared):
    status, head, body = curl(shared, "/v1/stop", "-H", "Content-Type: application/json",
                              "-H", "Expect: 100-continue", "-d", '{"fastt": 1}')
    assert status == 422


@pytest.mark.parametrize("row", rows("request"))
def test_a_hostile_request(shared, row):
    """The table of the parsers: each is one refusal, and none is followed by another answer."""
    c = Client(shared.socket)
    try:
        c.send(row["raw"].encode("latin-1"))
        c.send(request("POST", "/v1/stop"))
        c.finish()
    except ConnectionError:
        pass
    answers = everything(c)
    c.close()
    statuses = [int(s) for s in re.findall(rb"^HTTP/1\.1 (\d+) ", answers, re.M)]
    # A sound request for "/" is answered with the page.
    is_page = row["expect"] == "ok" and b"<title>Sluice</title>" in answers
    assert all(s == 100 or s >= 400 or (is_page and s == 200) for s in statuses), answers
    assert len([s for s in statuses if s != 100]) <= 1, answers
    if row["expect"] != "ok":
        assert statuses, "nothing was said"
    assert curl(shared, "/v1/status")[2]["state"] == "serving"


def settled(proxy):
    """Descriptors once nobody is connected any more."""
    ask(proxy, request("GET", "/v1/status"))
    seen = []

    def same():
        seen.append(proxy.admin_descriptors())
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    eventually(same, "the number of descriptors is steady")
    return seen[-1]


def test_connections_are_bounded_and_given_back(shared):
    before = settled(shared)
    held = [Client(shared.socket) for _ in range(16)]
    for c in held:
        c.send(b"GET /v1/status HTTP/1.1\r\n")
    eventually(lambda: shared.admin_descriptors() >= before + 16, "all are accepted")
    late = Client(shared.socket)
    answer = late.response()
    assert answer.status == 503
    assert "16 connections" in json.loads(answer.body)["problems"][0]
    late.close()
    for c in held:
        c.send(b"Host: x\r\n\r\n")
        assert c.response().status == 200
        c.close()
    eventually(lambda: shared.admin_descriptors() <= before, "all are closed")
    # And the proxy's own clients never noticed.
    c = Client(shared.address)
    assert c.request().body == b"hello"
    c.close()


def test_many_requests_leave_nothing_behind(shared):
    before = settled(shared)
    for _ in range(200):
        assert ask(shared, request("GET", "/v1/status")).status == 200
    eventually(lambda: shared.admin_descriptors() <= before, "all are closed")


@pytest.mark.seconds(90)
def test_a_slow_request_is_refused(shared):
    c = Client(shared.socket)
    c.send(b"GET /v1/status HTTP/1.1\r\n")
    assert c.response().status == 408
    c.close()


# --------------------------------------------------------------------- access
def test_the_socket_is_for_its_user(shared):
    assert stat.S_IMODE(os.stat(shared.socket).st_mode) == 0o600


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


@needs_root
def test_another_user_is_kept_out(start):
    proxy = start()
    # 7: curl could not connect.
    assert curl(proxy, "/v1/status", prefix=NOBODY) == 7
    os.chmod(proxy.socket, 0o666)
    status, _, body = curl(proxy, "/v1/stop", "-X", "POST", prefix=NOBODY)
    assert status == 403
    assert body["problems"] == ["user 65534 is neither root nor the user of this process"]
    proxy.wait_log(r"warn admin 403: .*user 65534, process \d+")
    assert curl(proxy, "/v1/status")[2]["state"] == "serving"


@needs_root
def test_root_and_the_user_of_the_process_are_answered(tmp_path):
    folder = tempfile.mkdtemp(prefix="sluice-admin-")
    try:
        os.chown(folder, 65534, 65534)
        path = os.path.join(folder, "m.json")
        sock = os.path.join(folder, "a.sock")
        content = answering(admin={"listen": "unix:" + sock})
        with open(path, "w") as file:
            json.dump(content, file)
        process = subprocess.Popen([*NOBODY, BINARY, "run", "--no-supervisor", "--manifest", path],
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        log = []
        for line in process.stderr:
            log.append(line)
            if " ready" in line:
                break
        assert process.poll() is None, log
        assert os.stat(sock).st_uid == 65534
        for prefix in ([], NOBODY):
            done = subprocess.run([*prefix, BINARY, "status", "--admin", "unix:" + sock],
                                  capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
        process.terminate()
        process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
    finally:
        shutil.rmtree(folder)


def token_file(folder, mode=0o600, text=TOKEN + "\n"):
    path = str(folder / "token")
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def admin_address(proxy):
    return re.search(r"admin interface on (\S+)", proxy.log).group(1)


@BOTH
def test_tcp_needs_the_token(start, tmp_path, supervised):
    path = token_file(tmp_path)
    proxy = start(answering(admin={"listen": "127.0.0.1:0", "token_file": path}), supervised)
    address = admin_address(proxy)

    def get(*fields):
        c = Client(parse_address(address))
        try:
            return c.request("GET", "/v1/status", fields)
        finally:
            c.close()

    missing = get()
    assert missing.status == 401 and missing.get("www-authenticate") == "Bearer"
    for wrong in ("Bearer " + TOKEN[:-1] + "x", "Bearer " + TOKEN[:-1], "Bearer " + TOKEN + "x",
                  "Basic " + TOKEN, TOKEN, "Bearer"):
        answer = get(("Authorization", wrong))
        assert answer.status == 401, wrong
        assert answer.get("www-authenticate") == 'Bearer error="invalid_token"'
    twice = ("Authorization", "Bearer " + TOKEN)
    assert get(twice, twice).status == 401
    assert get(twice).status == 200
    assert run("status", "--manifest", proxy.path, "--admin", address).returncode == 1
    done = run("status", "--admin", address, "--token-file", path)
    assert done.returncode == 0, done.stderr
    proxy.wait_log(r"warn admin 401: GET /v1/status; client 127\.0\.0\.1:\d+; the token is wrong")
    assert TOKEN[:-1] not in proxy.log
    assert proxy.stop() == 0


@pytest.mark.parametrize("mode, text, words", [
    (0o640, TOKEN, "others have rights to it (mode 0640); chmod 600 it"),
    (0o604, TOKEN, "others have rights to it"),
    (0o600, "short", "a token has 16 to 512 bytes, not 5"),
    (0o600, "two words, or more", "a token is made of"),
    (None, None, "cannot be read: No such file"),
])
def test_a_token_file_that_is_not_safe_is_refused(tmp_path, mode, text, words):
    path = str(tmp_path / "token") if mode is None else token_file(tmp_path, mode, text)
    content = answering(admin={"listen": "127.0.0.1:0", "token_file": path})
    name = tmp_path / "m.json"
    name.write_text(json.dumps(content))
    for command in (["run"], ["check"], ["check", "--no-bind"]):
        done = run(*command, "--manifest", str(name))
        assert done.returncode == 78
        (line,) = done.stderr.splitlines()
        assert "admin.token_file" in line and words in line
        assert text is None or text not in line


# ----------------------------------------------------------------- the socket
@BOTH
def test_a_file_that_was_left_behind_is_replaced(start, tmp_path, supervised):
    path = str(tmp_path / "a.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    proxy = start(answering(admin={"listen": "unix:" + path}), supervised)
    proxy.socket = path
    assert curl(proxy, "/v1/status")[0] == 200
    assert proxy.stop() == 0
    assert not os.path.exists(path)


def test_a_live_socket_is_not_taken(shared, tmp_path):
    name = tmp_path / "m.json"
    name.write_text(json.dumps(answering(admin={"listen": "unix:" + shared.socket})))
    for command in (["run", "--no-supervisor"], ["check"]):
        done = run(*command, "--manifest", str(name))
        assert done.returncode == 78
        (line,) = done.stderr.splitlines()
        assert "admin.listen" in line and "in use" in line
    assert run("check", "--no-bind", "--manifest", str(name)).returncode == 0
    assert curl(shared, "/v1/status")[0] == 200


def test_a_supervisor_serves_on_without_the_address_and_says_so(shared, sluice):
    proxy = sluice(**answering(admin={"listen": "unix:" + shared.socket}))
    proxy.wait_log(r"error supervisor admin\.listen: .*a\.sock: Address already in use")
    c = Client(proxy.address)
    assert c.request().body == b"hello"
    c.close()
    assert proxy.stop() == 0
    assert curl(shared, "/v1/status")[0] == 200


def test_without_the_key_there_is_none(sluice, origin):
    proxy = sluice("127.0.0.1:1")
    assert "admin" not in proxy.log
    done = run("status", "--manifest", proxy.path)
    assert done.returncode == 1
    assert "has no admin interface" in done.stderr


# ------------------------------------------------------------------- commands
def test_the_status_command(shared):
    done = run("status", "--manifest", shared.path)
    assert done.returncode == 0 and done.stderr == ""
    assert re.match(r"sluice \S+, process \d+, serving, up .*, workers: 1", done.stdout)
    assert re.search(r"^  r +org\.sluice\.respond +\S+ +[0-9a-f]{12}  active  0$",
                     done.stdout, re.M)
    raw = run("status", "--admin", "unix:" + shared.socket, "--json")
    assert json.loads(raw.stdout)["plugins"][0]["name"] == "r"


def test_a_manifest_that_is_being_edited_does_not_hide_the_proxy(start):
    proxy = start()
    with open(proxy.path) as file:
        content = json.load(file)
    content["routes"] = "nowhere yet"
    with open(proxy.path, "w") as file:
        json.dump(content, file)
    assert run("status", "--manifest", proxy.path).returncode == 0
    with open(proxy.path, "w") as file:
        file.write("{")
    done = run("status", "--manifest", proxy.path)
    assert done.returncode == 1 and proxy.path in done.stderr


@pytest.mark.parametrize("arguments, status", [
    (["status", "--admin", "unix:/nowhere/a.sock"], 1), (["status", "--admin", "nonsense"], 1),
    (["status", "--admin", "127.0.0.1:1"], 1), (["stop", "--admin"], 2),
    (["plugin", "swap", "r"], 2), (["plugin", "swap", "r", "x", "--canary", "200%"], 2),
    (["plugin", "promote", "../x"], 2), (["status", "extra"], 2),
])
def test_a_command_that_cannot_be_done_is_one_line(arguments, status):
    done = run(*arguments)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_a_library_that_is_not_there_is_not_asked_for(shared):
    done = run("plugin", "swap", "r", "no-such.so", "--manifest", shared.path)
    assert done.returncode == 1
    assert 'there is no file "no-such.so"' in done.stderr


@pytest.fixture
def held(start, origin):
    """A proxy with a request in flight: the proxy, its client, and what lets the answer go."""
    release = threading.Event()

    def script(c):
        c.read_request()
        assert release.wait(DEADLINE)
        c.send(reply(b"late"))

    def make(supervised):
        app = origin(script)
        proxy = start(manifest(app), supervised)
        proxy.expected_end = True
        c = Client(proxy.address)
        c.send(request())
        app.wait_requests(1)
        return proxy, c, release

    yield make
    release.set()


@BOTH
def test_stop_drains(held, supervised):
    proxy, c, release = held(supervised)
    done = run("stop", "--manifest", proxy.path)
    assert (done.returncode, done.stdout) == (0, "stopping: yes\n")
    proxy.wait_log("draining")
    assert curl(proxy, "/v1/status")[2]["state"] == "draining"
    again = run("stop", "--manifest", proxy.path)
    assert again.returncode == 1 and "stopping already" in again.stderr
    release.set()
    assert c.response().body == b"late"
    c.close()
    assert proxy.wait_end() == 0
    assert not os.path.exists(proxy.socket)
    assert run("stop", "--manifest", proxy.path).returncode == 1


@BOTH
def test_stop_at_once(held, supervised):
    proxy, c, _ = held(supervised)
    done = run("stop", "--fast", "--json", "--manifest", proxy.path)
    assert done.returncode == 0 and json.loads(done.stdout) == {"stopping": True}
    assert proxy.wait_end() == 0
    c.close()


@BOTH
def test_fast_ends_a_drain(held, supervised):
    proxy, c, _ = held(supervised)
    assert run("stop", "--manifest", proxy.path).returncode == 0
    assert run("stop", "--fast", "--manifest", proxy.path).returncode == 0
    assert proxy.wait_end() == 0
    c.close()


@BOTH
def test_a_signal_after_stop_counts_as_the_second(held, supervised):
    proxy, c, _ = held(supervised)
    assert run("stop", "--manifest", proxy.path).returncode == 0
    proxy.wait_log("draining")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_end() == 0
    c.close()


# ------------------------------------------------------------- reload and swap
def body_of(proxy):
    c = Client(proxy.address)
    try:
        return c.request().body
    finally:
        c.close()


def saying(text, **over):
    content = answering(**over)
    content["plugins"] = {"r": {"library": "libRespond.so",
                                "config": {"status": 200, "body": text}}}
    return content


@BOTH
def test_reload(start, supervised):
    proxy = start(saying("one"), supervised)
    admin = {"listen": "unix:" + proxy.socket}
    proxy.save(saying("two", admin=admin))
    dry = run("reload", "--dry-run", "--manifest", proxy.path)
    assert dry.returncode == 0, dry.stderr
    assert "plugins.r" in dry.stdout and "switched: no" in dry.stdout
    assert body_of(proxy) == b"one"
    done = run("reload", "--manifest", proxy.path)
    assert done.returncode == 0, done.stderr
    assert "plugins.r" in done.stdout and "switched: yes" in done.stdout
    assert body_of(proxy) == b"two"
    assert curl(proxy, "/v1/status")[2]["generation"] == 2
    same = run("reload", "--manifest", proxy.path)
    assert "changes: none" in same.stdout
    broken = saying("three", admin=admin)
    broken["routes"] = []
    proxy.save(broken)
    refused = run("reload", "--manifest", proxy.path)
    assert refused.returncode == 1 and "routes" in refused.stderr
    assert body_of(proxy) == b"two"


@BOTH
def test_swap(start, tmp_path, supervised):
    proxy = start(saying("one"), supervised)
    other = str(tmp_path / "libOther.so")
    shutil.copy(os.path.join(harness.PLUGINS, "libRespond.so"), other)
    with open(other, "ab") as file:
        file.write(b"another digest")
    digest = subprocess.run(["sha256sum", other], capture_output=True, text=True,
                            check=True).stdout.split()[0]
    before = curl(proxy, "/v1/status")[2]["plugins"][0]
    wrong = run("plugin", "swap", "r", other, "--sha256", "0" * 64, "--manifest", proxy.path)
    assert wrong.returncode == 1 and "sha256" in wrong.stderr
    assert curl(proxy, "/v1/status")[2]["plugins"][0] == before
    nobody = run("plugin", "swap", "x", other, "--manifest", proxy.path)
    assert nobody.returncode == 1 and "plugins.x" in nobody.stderr
    done = run("plugin", "swap", "r", other, "--sha256", digest, "--manifest", proxy.path)
    assert done.returncode == 0, done.stderr
    after = curl(proxy, "/v1/status")[2]["plugins"][0]
    assert after["sha256"] == digest and after["library"] == other
    assert body_of(proxy) == b"one"


@BOTH
def test_a_canary_is_promoted_and_rolled_back(start, tmp_path, supervised):
    proxy = start(saying("one"), supervised)
    other = str(tmp_path / "libOther.so")
    shutil.copy(os.path.join(harness.PLUGINS, "libRespond.so"), other)
    with open(other, "ab") as file:
        file.write(b"another digest")
    on = ["--manifest", proxy.path]
    assert run("plugin", "promote", "r", *on).returncode == 1
    for word in ("rollback", "promote"):
        done = run("plugin", "swap", "r", other, "--canary", "5%", "--error-budget", "1%", *on)
        assert done.returncode == 0, done.stderr
        assert curl(proxy, "/v1/status")[2]["canary"]["plugin"] == "r"
        assert "canary of r: 5" in run("status", *on).stdout
        again = run("plugin", "swap", "r", other, *on)
        assert again.returncode == 1 and "canary" in again.stderr
        assert run("plugin", word, "r", *on).returncode == 0
        is_other = curl(proxy, "/v1/status")[2]["plugins"][0]["library"] == other
        assert is_other == (word == "promote")


def test_the_interface_moves_with_the_manifest(start):
    proxy = start(saying("one"))
    path = os.path.join(proxy.folder, "b.sock")
    proxy.save(saying("one", admin={"listen": "unix:" + path}))
    done = run("reload", "--admin", "unix:" + proxy.socket)
    assert done.returncode == 0, done.stderr
    eventually(lambda: not os.path.exists(proxy.socket), "the old socket is gone")
    assert run("status", "--manifest", proxy.path).returncode == 0


def test_alone_the_interface_stays_and_says_so(start):
    proxy = start(saying("one"), supervised=False)
    path = os.path.join(proxy.folder, "b.sock")
    proxy.save(saying("one", admin={"listen": "unix:" + path}))
    done = run("reload", "--admin", "unix:" + proxy.socket)
    assert done.returncode == 0 and "warning: admin: " in done.stdout
    assert run("status", "--admin", "unix:" + proxy.socket).returncode == 0
