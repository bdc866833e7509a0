"""A real browser: headless Chromium loads a page through the proxy, over TLS and HTTP/2.

What the page has seen it sends to the origin (`/report`) when it is done. The certificate is one of
the tests' own, so Chromium is told the hash of its key.
"""
import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest

from certificates import openssl
from test_h2_websocket import GUID
from wire import DEADLINE, chunk, reply

RESOURCES, EVENTS = 60, 10

PAGE = """<!doctype html><title>page</title><script>
const found = {};
const report = () => fetch("/report", {method: "POST", body: JSON.stringify(found)});
const script = async () => { %s };
script().catch(error => { found.error = String(error); }).finally(report);
</script>"""


def origin_script(page, reports):
    """The origin: the page, its parts, an event stream and a socket that echoes."""
    seen = threading.Semaphore(0)

    def script(c):
        while head := c.read_head():
            path = head.target.partition("?")[0]
            if path == "/events":
                events(c, seen)
                return
            if path == "/socket":
                socket_echo(c, head)
                return
            c.read_body(head)
            if path == "/report":
                reports(json.loads(head.body))
                c.send(reply(b""))
            elif path == "/":
                c.send(reply((PAGE % page).encode(), fields=[("Content-Type", "text/html")]))
            elif path.startswith("/part/"):
                c.send(reply(path.encode() * 2_000, fields=[("Cache-Control", "no-store")]))
            elif path == "/seen":
                seen.release()
                c.send(reply(b""))
            elif path == "/upload":
                c.send(reply(hashlib.sha256(head.body).hexdigest().encode()))
            else:
                c.send(reply(b"", "404 Not Found"))

    return script


def events(c, seen):
    """The next goes out only when the page has said that it saw the last: one that is held back
    until there is more stops them all."""
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
           b"Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(EVENTS):
        c.send(chunk(b"data: %d\n\n" % number))
        assert seen.acquire(timeout=DEADLINE), "event %d did not arrive" % number
    c.rest()


def frame(opcode, payload):
    """A server's WebSocket frame of less than 64 KiB (RFC 6455 section 5.2)."""
    size = len(payload)
    return bytes([0x80 | opcode]) + (
        bytes([size]) if size < 126 else bytes([126]) + size.to_bytes(2, "big")) + payload


def socket_echo(c, head):
    accept = base64.b64encode(hashlib.sha1(head.get("sec-websocket-key").encode() + GUID).digest())
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        first, second = c.read(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(c.read(2), "big")
        mask = c.read(4)
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(c.read(size)))
        c.send(frame(first & 0xF, payload))
        if first & 0xF == 8:
            return


@pytest.fixture
def browse(https, origin, leaf, tmp_path):
    """Loads a page with this script; what it reported, and the origin."""
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert chromium, "chromium-headless-shell is needed: run `make test-deps`"
    key = openssl("x509", "-in", leaf.certificate, "-noout", "-pubkey").stdout
    der = openssl("pkey", "-pubin", "-outform", "der", stdin=key).stdout
    hash_ = base64.b64encode(hashlib.sha256(der).digest()).decode()

    def run(page, **listener):
        done, reports = threading.Event(), []
        app = origin(origin_script(page, lambda found: (reports.append(found), done.set())))
        proxy = https(app, listener={"protocols": ["h1", "h2"], **listener})
        said = open(tmp_path / "chromium.log", "w")
        process = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--disable-background-networking", "--disable-component-update", "--no-first-run",
             "--disable-quic", "--no-proxy-server", "--user-data-dir=%s" % (tmp_path / "profile"),
             "--ignore-certificate-errors-spki-list=" + hash_, "--remote-debugging-port=0",
             "--host-resolver-rules=MAP localhost 127.0.0.1",
             "https://localhost:%d/" % proxy.address[1]],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            start_new_session=True)
        try:
            assert done.wait(DEADLINE * 2), "no report; the proxy: %s\nChromium: %s" % (
                proxy.log, (tmp_path / "chromium.log").read_text())
        finally:
            # It has children, and Debian starts it by a shell.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            said.close()
        assert "error" not in reports[0], reports[0]
        return reports[0], app

    return run


def test_sixty_resources(browse):
    """In parallel, all on one connection, all over HTTP/2."""
    found, app = browse("""
        const parts = await Promise.all([...Array(%d).keys()].map(
            async n => (await fetch("/part/" + n)).text()));
        found.whole = parts.every((text, n) => text === ("/part/" + n).repeat(2000));
        const big = new Uint8Array(2000000).map((_, n) => n * 7);
        found.digest = await (await fetch("/upload", {method: "POST", body: big})).text();
        found.protocols = performance.getEntriesByType("resource").map(r => r.nextHopProtocol);
        found.page = performance.getEntriesByType("navigation")[0].nextHopProtocol;
        // A resource that came on a connection that stood has no time of connecting.
        found.connects = performance.getEntriesByType("resource").filter(
            r => r.connectEnd > r.connectStart).length;
    """ % RESOURCES)
    assert found["whole"] and found["page"] == "h2"
    assert found["protocols"] == ["h2"] * (RESOURCES + 1) and found["connects"] == 0
    assert found["digest"] == hashlib.sha256(bytes(n * 7 & 0xFF for n in range(2_000_000))
                                             ).hexdigest()
    asked = [r.target for r in app.requests]
    assert {"/part/%d" % n for n in range(RESOURCES)} <= set(asked)


def test_over_http1_too(browse):
    """The same page where the proxy has no HTTP/2: Chromium opens six connections."""
    found, _ = browse("""
        const parts = await Promise.all([...Array(20).keys()].map(
            async n => (await fetch("/part/" + n)).text()));
        found.whole = parts.every((text, n) => text === ("/part/" + n).repeat(2000));
        found.protocols = performance.getEntriesByType("resource").map(r => r.nextHopProtocol);
    """, protocols=["h1"])
    assert found["whole"] and found["protocols"] == ["http/1.1"] * 20


SOCKET = """
        const socket = new WebSocket("wss://" + location.host + "/socket");
        const next = () => new Promise((done, fail) => {
            socket.onmessage = event => done(event.data);
            socket.onerror = socket.onclose = event => fail(event.type);
        });
        await new Promise((done, fail) => { socket.onopen = done; socket.onerror = fail; });
        found.echoes = [];
        for (const text of ["hello", "x".repeat(125), "y".repeat(126), "z".repeat(60000)]) {
            const echo = next();
            socket.send(text);
            found.echoes.push((await echo) === text);
        }
        found.code = await new Promise(done => {
            socket.onclose = event => done(event.code);
            socket.close(4000, "enough");
        });
"""


@pytest.mark.parametrize("protocols", [["h2"], ["h1"]], ids=["HTTP/2", "HTTP/1.1"])
def test_a_websocket(browse, protocols):
    """Over HTTP/2 by extended CONNECT (RFC 8441): there the listener speaks nothing else."""
    found, app = browse(SOCKET, protocols=protocols)
    assert found["echoes"] == [True] * 4 and found["code"] == 4000
    seen = next(r for r in app.requests if r.target == "/socket")
    assert (seen.method, seen.get("upgrade").lower()) == ("GET", "websocket")


def test_events_come_one_by_one(browse):
    """Each when the origin has sent it; most take milliseconds."""
    found, _ = browse("""
        const source = new EventSource("/events");
        found.events = await new Promise((done, fail) => {
            const events = [];
            source.onmessage = event => {
                events.push([Number(event.data), performance.now()]);
                if (events.length === %d) done(events); else fetch("/seen");
            };
            source.onerror = () => fail("the stream of events ended");
        });
        source.close();
        found.protocols = performance.getEntriesByType("resource").map(r => r.nextHopProtocol);
    """ % EVENTS)
    assert set(found["protocols"]) == {"h2"}
    numbers, times = zip(*found["events"])
    assert numbers == tuple(range(EVENTS))
    assert sorted(b - a for a, b in zip(times, times[1:]))[EVENTS // 2] < 500, times
