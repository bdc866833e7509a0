"""What operators look at: `sluice top`, and the page of the admin interface."""
import fcntl
import http.client
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time

import pytest

from browser import Browser
from harness import BINARY, Sluice, manifest, parse_address, run, serve
from test_admin import TOKEN
from wire import DEADLINE, reply

PLUGINS = {
    "marks": {"library": "libHeaders.so", "config": {
        "response": {"set": [{"name": "x-by", "value": "sluice"}]}}},
    "hello": {
        "library": "libRespond.so", "config": {"status": 200, "body": "hello"}},
    "ring": {"library": "libRoundRobin.so"},
}


def interface(proxy):
    """Where it listens, as bound."""
    proxy.wait_log("admin interface on")
    return re.findall(r"admin interface on (\S+)", proxy.log)[-1]


class Watched:
    """A proxy with an interface over TCP, and one client that does not stop."""

    def __init__(self, folder, origin):
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n")
        self.token.chmod(0o600)
        dead = "127.0.0.1:1"
        self.proxy = Sluice(folder, manifest(
            admin={"listen": "127.0.0.1:0", "token_file": str(self.token)},
            plugins=PLUGINS, chain=["marks"],
            upstreams={"app": {"balancer": "ring", "peers": [
                {"address": origin.address}, {"address": dead}],
                "retries": {"attempts": 2}}},
            routes=[
                {"name": "static", "match": {"path": "/static/*"}, "chain": ["hello"]},
                {"name": "all", "match": {}, "upstream": "app"},
            ]))
        self.admin = interface(self.proxy)
        self.peer = origin.address
        self.stopping = threading.Event()
        self.client = threading.Thread(target=self._ask)
        self.client.start()

    def _ask(self):
        connection = http.client.HTTPConnection(*self.proxy.address, timeout=DEADLINE)
        while not self.stopping.is_set():
            for path in ("/static/a", "/b"):
                connection.request("GET", path)
                connection.getresponse().read()
        connection.close()

    def close(self):
        self.stopping.set()
        self.client.join()
        self.proxy.close()

    def command(self, *more):
        return ["top", "--admin", self.admin, "--token-file", str(self.token), *more]


@pytest.fixture
def watched(tmp_path, origin):
    made = Watched(tmp_path, origin(serve(reply(b"hello"))))
    yield made
    made.close()


# -- The command ------------------------------------------------------------------------------


def rate(text):
    return float(re.search(r"requests/s: ([0-9.]+)", text).group(1))


def test_views_one_below_the_other(watched):
    got = run(*watched.command("--count", "2", "--interval", "300ms"))
    assert got.returncode == 0, got.stderr
    first, second = got.stdout.rstrip("\n").split("\n\nsluice ", 1)
    for view in (first, second):
        assert rate(view) > 10
        assert "5xx/s: 0.00" in view
        assert re.search(r"p50: <?[0-9.]+ (us|ms)   p99: <?[0-9.]+ (us|ms|s)", view)
        routes = {row[0]: row for row in (
            line.split(None, 6) for line in view.splitlines() if " > " in line)}
        assert routes["static"][-1] == "marks > hello"
        assert routes["all"][-1] == "marks > app"
        assert float(routes["static"][1]) > 5 and float(routes["all"][1]) > 5
        assert re.search(r"app +%s +healthy" % re.escape(watched.peer), view)
        plugins = dict(re.findall(r"^  (marks|hello|ring) +org\.sluice\.\w+ +([0-9.]+)", view,
                                  re.MULTILINE))
        assert float(plugins["marks"]) > 10, "calls a second"


def test_one_view_for_a_pipe(watched):
    got = run(*watched.command("--interval", "100ms"))
    assert got.returncode == 0 and got.stdout.count("requests/s:") == 1


def test_a_terminal_is_drawn_on_and_given_back(watched):
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))
    before = termios.tcgetattr(end)
    process = subprocess.Popen(
        [BINARY, *watched.command("--interval", "100ms")], stdin=end, stdout=end, stderr=end)
    shown = read_until(main, rb"requests/s: [1-9]", b"")
    assert shown.startswith(b"\x1b[?1049h\x1b[?25l")
    assert not termios.tcgetattr(end)[3] & (termios.ECHO | termios.ICANON)
    frame = [part for part in shown.split(b"\x1b[H") if b"requests/s" in part][-1]
    lines = frame.split(b"\r\n")
    assert len(lines) <= 13 and all(
        len(re.sub(rb"\x1b\[[KJ]|\r", b"", line)) <= 40 for line in lines)
    os.write(main, b"x")
    assert process.poll() is None, "another key"
    os.write(main, b"q")
    rest = read_until(main, rb"\x1b\[\?1049l", b"")
    assert b"\x1b[?25h" in rest
    assert process.wait(DEADLINE) == 0
    assert termios.tcgetattr(end) == before
    os.close(main)
    os.close(end)


def read_until(descriptor, pattern, found):
    deadline = time.monotonic() + DEADLINE
    while not re.search(pattern, found):
        assert time.monotonic() < deadline, found
        if select.select([descriptor], [], [], 0.1)[0]:
            found += os.read(descriptor, 65536)
    return found


def test_nobody_to_ask(tmp_path):
    got = run("top", "--admin", "unix:%s/none" % tmp_path)
    assert got.returncode == 1 and "none" in got.stderr and got.stderr.count("\n") == 1


# -- The page ---------------------------------------------------------------------------------


def test_the_page(watched, tmp_path):
    """With a token that is typed: totals, chains as they are, peers, plugins; and a picture."""
    async def steps(page):
        await page.open("http://%s/" % watched.admin)
        await page.until("!document.getElementById('login').hidden")
        for token, hope in (("wrong-token-0123456", "token is wrong"), (TOKEN, None)):
            await page.value(
                "document.getElementById('token').value = %r;"
                "document.querySelector('#login button').click()" % token)
            if hope:
                await page.until(
                    "document.getElementById('problem').textContent.includes(%r)" % hope)
        await page.until("!document.getElementById('main').hidden")
        await page.until("!document.getElementById('login').offsetParent")
        await page.until(
            "Number(document.querySelector('#tiles b').textContent.replace(',', '')) > 10")
        found = {
            "routes": await page.value(
                "[...document.querySelectorAll('.route')].map(r => "
                "[...r.querySelectorAll('.box')].map(b => b.textContent))"),
            "health": await page.value(
                "[...document.querySelectorAll('#upstreams td:nth-child(3)')]"
                ".map(c => c.textContent)"),
            "plugins": await page.value(
                "[...document.querySelectorAll('#plugins td:first-child')]"
                ".map(c => c.textContent)"),
            "tiles": await page.value(
                "[...document.querySelectorAll('.tile')].map(t => "
                "[t.querySelector('span').textContent, t.querySelector('b').textContent,"
                " t.querySelector('polyline').points.length])"),
            "scripts": await page.value("document.scripts.length"),
            "asked": await page.value(
                "performance.getEntriesByType('resource').every("
                "e => e.name.startsWith(location.origin + '/v1/'))"),
        }
        image = await page.screenshot(tmp_path / "page.png")
        return found, image, page.said

    with Browser(tmp_path) as browser:
        found, image, said = browser.do(steps)
    assert found["routes"] == [["marks", "hello"], ["marks", "app"]]
    assert len(found["health"]) == 2 and "healthy" in found["health"]
    assert sorted(found["plugins"]) == ["hello", "marks", "ring"]
    titles = [title for title, _, _ in found["tiles"]]
    assert titles[:2] == ["Requests / s", "5xx / s"] and "99 % within" in titles
    requests = next(value for title, value, _ in found["tiles"] if title == "Requests / s")
    assert float(requests.replace(",", "")) > 10
    assert found["asked"] and found["scripts"] == 1
    assert image.startswith(b"\x89PNG") and len(image) > 10_000, "a picture of something"
    problems = [entry for entry in said if "401" not in str(entry)]
    assert not problems, problems


def test_the_page_is_for_this_machine_unless_asked_for(tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    answers = {}
    for name, listen, over in (
            ("near", "127.0.0.1:0", {}), ("near off", "127.0.0.1:0", {"page": "off"}),
            ("far", "0.0.0.0:0", {}), ("far on", "0.0.0.0:0", {"page": "on"})):
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        proxy = Sluice(folder, manifest(
            admin={"listen": listen, "token_file": str(token), **over},
            plugins={"r": {"library": "libRespond.so", "config": {"status": 200}}},
            routes=[{"match": {}, "chain": ["r"]}]))
        port = parse_address(interface(proxy))[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        connection.request("GET", "/")
        answers[name] = connection.getresponse().status
        connection.close()
        proxy.close()
    assert answers == {"near": 200, "near off": 401, "far": 401, "far on": 200}


def test_other_sites_may_not_ask(watched):
    host, port = parse_address(watched.admin)
    for fields, status in (
            ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Origin": "http://evil.example"}, 403),
            ({"Host": "evil.example", "Sec-Fetch-Site": "none"}, 403), ({}, 401)):
        connection = http.client.HTTPConnection(host, port, timeout=DEADLINE)
        connection.request("POST", "/v1/stop", headers=fields)
        assert connection.getresponse().status == status, fields
        connection.close()
