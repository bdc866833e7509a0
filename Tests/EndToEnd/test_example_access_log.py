"""What `examples/access-log` holds does what its page says, with other addresses."""
import json
import os
import socket

import harness
from accesslog import wait_lines
from harness import serve
from wire import Client, reply

FOLDER = os.path.join(harness.ROOT, "examples/access-log")


def test_three_logs(origin, tmp_path):
    app = origin(serve(lambda head: reply(
        status="404 Not Found" if head.target == "/none" else "200 OK")))
    syslog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    syslog.bind(("127.0.0.1", 0))
    syslog.settimeout(15)
    with open(os.path.join(FOLDER, "sluice.json5")) as file:
        text = file.read()
    for old, new in {"version: 1,": "version: 1, plugin_dir: %r," % harness.PLUGINS,
                     '"127.0.0.1:8080"': '"127.0.0.1:0"',
                     '"127.0.0.1:3000"': '"%s"' % app.address,
                     "udp:127.0.0.1:514": "udp:127.0.0.1:%d" % syslog.getsockname()[1],
                     '"1s"': '"20ms"'}.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "example.json5"
    path.write_text(text)
    serving = 'exec "$0" run --manifest ' + str(path)
    proxy = harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving))
    try:
        client = Client(proxy.address)
        client.request(target="/?token=secret&page=2")
        client.request(target="/none")
        client.close()
        bad = Client(proxy.address)
        bad.send(b"GET /\0 HTTP/1.1\r\n\r\n")
        bad.response()
        bad.close()
        lines = [json.loads(line) for line in wait_lines(tmp_path / "access.log", 3)]
        # Of several workers no one knows whose lines come first.
        good, bad, none = sorted(lines, key=lambda one: one["status"])
        assert good["request_uri"] == "/?token=***&page=2" and good["route"] == "shop"
        assert (good["status"], bad["status"], none["status"]) == (200, 400, 404)
        refused, none = sorted(wait_lines(tmp_path / "errors.log", 2),
                               key=lambda line: b"/none" in line)
        assert b'"GET /none HTTP/1.1" 404' in none
        assert b"upstream=%s/404" % app.address.encode() in none
        assert b'"GET /\\x00 HTTP/1.1" 400' in refused and b"malformed" in refused
        # A sample of one in a hundred, and the malformed one in any case.
        packets = [syslog.recv(65536)]
        while b"x00" not in packets[-1]:
            packets.append(syslog.recv(65536))
        assert all(packet.startswith(b"<190>1 ") and b" shop " in packet for packet in packets)
    finally:
        proxy.close()
        syslog.close()
