"""Outputs of the access log besides files: standard output, sockets, syslog by RFC 5424, a reader
that stands still. Lines that were written and those that were dropped are all there were."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import harness
from accesslog import ask, lines_of, logging, wait_lines
from harness import eventually, serve
from wire import Client, reply

# RFC 5424 section 6, as strict as it is written; the message is UTF-8 or ASCII.
HEADER = re.compile(
    rb"<(0|[1-9]\d?|1[0-8]\d|19[01])>1 "
    rb"\d{4}-(?:0\d|1[0-2])-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{1,6}(?:Z|[+-][0-2]\d:[0-5]\d) "
    rb"([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) - (.*)")


def message(packet):
    found = HEADER.fullmatch(packet)
    assert found, packet
    return found.groups()


def metric(admin, name, **labels):
    done = subprocess.run(["curl", "-sS", "--unix-socket", admin, "http://a/v1/metrics"],
                          capture_output=True, text=True, timeout=30, check=True)
    total = 0
    for line in done.stdout.splitlines():
        if line.startswith("sluice_plugin_" + name) and all(
                '%s="%s"' % pair in line for pair in labels.items()):
            total += int(float(line.rsplit(" ", 1)[1]))
    return total


def lines_counted(admin):
    return {result: metric(admin, "access_log_lines_total", result=result)
            for result in ("written", "dropped", "skipped")}


class Receiver:
    """Takes what comes on a socket, whole, until it is closed."""

    def __init__(self, family, kind, address):
        self.sock = socket.socket(family, kind)
        self.sock.bind(address)
        self.kind = kind
        self.packets, self.bytes = [], b""
        self.connections = []
        if kind == socket.SOCK_STREAM:
            self.sock.listen(8)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                if self.kind == socket.SOCK_DGRAM:
                    self.packets.append(self.sock.recv(65536))
                    continue
                one, _ = self.sock.accept()
                self.connections.append(one)
                while True:
                    data = one.recv(65536)
                    if not data:
                        break
                    self.bytes += data
                one.close()
        except OSError:
            pass

    def counted(self):
        """Messages with their lengths before them (RFC 6587 section 3.4.1)."""
        rest, found = self.bytes, []
        while rest:
            number, _, rest = rest.partition(b" ")
            assert re.fullmatch(rb"[1-9]\d*", number), number
            if len(rest) < int(number):
                break
            found.append(rest[:int(number)])
            rest = rest[int(number):]
        return found

    def close(self):
        for one in self.connections:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def test_standard_output(origin, tmp_path):
    app = origin(serve(reply()))
    path = tmp_path / "sluice.json"
    path.write_text(json.dumps(harness.manifest(
        app, **logging("stdout", format="template", template="$request_uri $status"))))
    process = subprocess.Popen(
        [harness.BINARY, "run", "--no-supervisor", "--manifest", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        seen = b""
        while b" ready" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
        port = int(re.search(rb"listening on 127.0.0.1:(\d+)", seen).group(1))
        client = Client(("127.0.0.1", port))
        for number in range(50):
            client.request(target="/%d" % number)
        client.close()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert out.splitlines() == [b"/%d 200" % number for number in range(50)]
    finally:
        process.kill()


@pytest.mark.parametrize("kind", ["unix", "unix-stream", "udp", "tcp"])
def test_syslog_by_rfc_5424(sluice, origin, tmp_path, kind):
    path = str(tmp_path / "log.sock")
    stream = kind in ("unix-stream", "tcp")
    type = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    if kind.startswith("unix"):
        receiver = Receiver(socket.AF_UNIX, type, path)
        target = "%s:%s" % (kind, path)
    else:
        receiver = Receiver(socket.AF_INET, type, ("127.0.0.1", 0))
        target = "%s:127.0.0.1:%d" % (kind, receiver.sock.getsockname()[1])
    proxy = sluice(origin(serve(reply())), **logging(
        {"syslog": target, "facility": "daemon", "severity": "notice", "app_name": "edge",
         "hostname": "host.example"}, fields=["uri", "http_user_agent", "pid"]))
    client = Client(proxy.address)
    for number in range(100):
        client.request(target="/%d" % number, fields=[
            ("User-Agent", ("\u20ac" * number).encode().decode("latin-1"))])
    client.close()

    def got():
        return receiver.counted() if stream else receiver.packets

    eventually(lambda: len(got()) >= 100, "100 messages")
    messages = got()
    assert len(messages) == 100
    for number, packet in enumerate(messages):
        priority, host, app, pid, name, text = message(packet)
        assert (int(priority), host, app, name) == (3 * 8 + 5, b"host.example", b"edge", b"access")
        one = json.loads(text)
        assert (one["uri"], one["pid"]) == ("/%d" % number, int(pid))
        assert one["http_user_agent"] == ("\u20ac" * number or None)
    receiver.close()


@pytest.mark.skipif(not shutil.which("rsyslogd"), reason="rsyslog is not installed")
@pytest.mark.parametrize("kind", ["unix", "udp", "tcp"])
def test_rsyslog_takes_it(sluice, origin, tmp_path, kind):
    out, port, path = tmp_path / "out", 0, str(tmp_path / "log.sock")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inputs = {
        "unix": 'module(load="imuxsock" SysSock.Use="off")\n'
                'input(type="imuxsock" Socket="%s" UseSpecialParser="off" ParseHostname="on" '
                'RateLimit.Interval="0")' % path,
        "udp": 'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="%d")' % port,
        "tcp": 'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="%d")' % port,
    }
    (tmp_path / "rsyslog.conf").write_text(
        'global(workDirectory="%s")\n%s\n'
        'template(name="t" type="string" string="%%pri%%|%%hostname%%|%%app-name%%|%%procid%%|'
        '%%msgid%%|%%msg%%\\n")\n'
        'action(type="omfile" file="%s" template="t")\n' % (tmp_path, inputs[kind], out))
    daemon = subprocess.Popen(
        ["rsyslogd", "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(lambda: (tmp_path / "pid").exists(), "rsyslogd")
        if kind == "unix":
            eventually(lambda: os.path.exists(path), "its socket")
        elif kind == "tcp":
            eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "its port")
        else:
            eventually(lambda: ":%04X " % port in open("/proc/net/udp").read(), "its port")
        target = "unix:" + path if kind == "unix" else "%s:127.0.0.1:%d" % (kind, port)
        proxy = sluice(origin(serve(reply())), **logging(
            {"syslog": target, "hostname": "edge1"}, format="template",
            template='"$request" $status'))
        ask(proxy, 50, target="/a")
        lines = wait_lines(out, 50)
        assert set(re.sub(rb"\|\d+\|", b"|N|", line) for line in lines) == {
            b'190|edge1|sluice|N|access|"GET /a HTTP/1.1" 200'}
    finally:
        daemon.terminate()
        daemon.wait(30)


def test_a_receiver_that_comes_late_and_begins_anew(sluice, origin, tmp_path):
    path = str(tmp_path / "log.sock")
    proxy = sluice(origin(serve(reply())), **logging(
        {"unix": path}, format="template", template="$request_uri"))
    ask(proxy, target="/early")
    proxy.wait_log("No such file or directory|Connection refused")
    first = Receiver(socket.AF_UNIX, socket.SOCK_STREAM, path)
    eventually(lambda: first.bytes == b"/early\n", "the line from before")
    first.close()
    os.remove(path)
    second = Receiver(socket.AF_UNIX, socket.SOCK_STREAM, path)
    ask(proxy, target="/late")
    eventually(lambda: second.bytes == b"/late\n", "the line after that")
    second.close()


READER = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1]); server.listen(1)
print("listening", flush=True)
one, _ = server.accept()
out = open(sys.argv[2], "wb")
while True:
    data = one.recv(65536)
    if not data: break
    out.write(data); out.flush()
"""


@pytest.mark.seconds(120)
def test_a_reader_that_stands_still_slows_nothing(sluice, origin, tmp_path):
    path, out = str(tmp_path / "log.sock"), str(tmp_path / "out")
    admin = str(tmp_path / "admin.sock")
    reader = subprocess.Popen([sys.executable, "-c", READER, path, out], stdout=subprocess.PIPE)
    try:
        assert reader.stdout.readline()
        proxy = sluice(origin(serve(reply())), admin={"listen": "unix:" + admin}, **logging(
            {"unix": path}, buffer="64KiB", fields=["uri", "http_user_agent"]))
        agent = [("User-Agent", "a" * 1000)]
        ask(proxy, 100, fields=agent)
        eventually(lambda: lines_counted(admin)["written"] == 100, "100 lines")
        begin = time.monotonic()
        ask(proxy, 900, fields=agent)
        usual = time.monotonic() - begin
        reader.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        ask(proxy, 900, fields=agent)
        # More than enough for a machine that does other things, and far less than one wait of a
        # job for each batch would take.
        assert time.monotonic() - begin < 4 * usual + 1
        eventually(lambda: lines_counted(admin)["dropped"] > 0, "drops")
        proxy.wait_log("lines were dropped")
        reader.send_signal(signal.SIGCONT)
        eventually(lambda: sum(lines_counted(admin).values()) == 1900, "all lines accounted for")
        counted = lines_counted(admin)
        assert proxy.stop() == 0
        reader.wait(30)
        lines = lines_of(out)
        assert len(lines) == counted["written"]
        assert all(json.loads(line)["uri"] == "/" for line in lines)
    finally:
        reader.kill()
        reader.wait()


def test_an_end_with_nobody_there_is_not_kept_up_for_ever(sluice, origin, tmp_path):
    proxy = sluice(origin(serve(reply())), **logging({"unix": str(tmp_path / "none")}))
    ask(proxy, 10)
    begin = time.monotonic()
    assert proxy.stop() == 0
    assert time.monotonic() - begin < 10
    proxy.wait_log("10 lines were not written")
