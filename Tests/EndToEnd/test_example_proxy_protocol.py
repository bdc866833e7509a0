"""What `examples/proxy-protocol` holds does what its page says, with other ports."""
import os
import re
import shlex
import socket
import subprocess

import pytest

import harness
from wire import request

FOLDER = os.path.join(harness.ROOT, "examples/proxy-protocol")


@pytest.fixture
def example(tmp_path):
    """The text of a file of the example, its ports replaced by free ones."""
    probes = {port: socket.socket() for port in ("8000", "8080", "8081", "3000")}
    for probe in probes.values():
        probe.bind(("127.0.0.1", 0))
    ports = {port: probe.getsockname()[1] for port, probe in probes.items()}
    for probe in probes.values():
        probe.close()

    def write(name, old="", new=""):
        with open(os.path.join(FOLDER, name)) as file:
            text = file.read()
        assert old in text
        path = tmp_path / name
        path.write_text(re.sub(
            r"127\.0\.0\.1:(\d+)", lambda m: "127.0.0.1:%d" % ports[m.group(1)],
            text.replace(old, new)))
        return str(path)

    write.ports = ports
    return write


@pytest.fixture
def programs(tmp_path):
    running = []

    def start(port, *argv):
        running.append(subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def listens():
            assert running[-1].poll() is None, "%s did not start" % argv[0]
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        harness.eventually(listens, "%s listens" % argv[0])

    yield start
    for one in running:
        one.terminate()
        one.wait(10)


@pytest.fixture
def proxy(tmp_path, example):
    manifest = example(
        "sluice.json5", "version: 1,", "version: 1, plugin_dir: %r," % harness.PLUGINS)
    serving = 'exec "$0" run --manifest ' + shlex.quote(manifest)
    made = harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving))
    yield made
    made.close()


def test_the_client_arrives_at_the_last_proxy(example, programs, proxy, client, tmp_path):
    temporary = "".join(
        "  %s_temp_path %s;\n" % (kind, tmp_path)
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    programs(
        example.ports["3000"], "nginx", "-p", str(tmp_path), "-e", "stderr",
        "-c", example("nginx.conf", "http {\n", "http {\n" + temporary),
        "-g", "daemon off; pid %s/nginx.pid;" % tmp_path)
    programs(example.ports["8000"], "haproxy", "-db", "-q", "-f", example("haproxy.cfg"))
    for source in ("127.0.0.5", "127.0.0.6"):
        c = client(("127.0.0.1", example.ports["8000"]), source=source)
        expected = "client %s, forwarded for %s\n" % (source, source)
        for _ in range(2):
            assert c.request().body.decode() == expected
    assert "refused" not in proxy.log
    plain = client(("127.0.0.1", example.ports["8081"]), source="127.0.0.7")
    assert plain.request().body == b"client 127.0.0.7, forwarded for 127.0.0.7\n"
    bare = client(("127.0.0.1", example.ports["8080"]))
    bare.send(request())
    assert bare.ended()
    proxy.wait_log("PROXY header: the connection does not begin with one; client 127")
