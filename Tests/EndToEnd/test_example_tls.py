"""What `examples/https`, `http2` and `failover` hold does what their pages say: the pages' commands
are run as they stand, with other ports, and must print what the pages show."""
import os
import re
import shlex
import shutil
import socket
import subprocess

import pytest

import harness
from wire import DEADLINE

PORT = re.compile(r"\b(3000|3001|3443|8080|8443)\b")


class Example:
    """A copy of an example's folder whose ports are free ones."""

    def __init__(self, name, folder):
        self.folder = folder / name
        shutil.copytree(os.path.join(harness.ROOT, "examples", name), self.folder,
                        ignore=shutil.ignore_patterns("*.key", "*.pem"))
        probes = {port: socket.socket() for port in ("3000", "3001", "3443", "8080", "8443")}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        self.ports = {port: str(probe.getsockname()[1]) for port, probe in probes.items()}
        for probe in probes.values():
            probe.close()
        for path in self.folder.iterdir():
            if path.is_file():
                path.write_text(PORT.sub(lambda m: self.ports[m.group(1)], path.read_text()))
        self.proxies = []

    def blocks(self):
        """The indented blocks of the page."""
        page = (self.folder / "README.md").read_text()
        return [re.sub("(?m)^    ", "", block.group(0))
                for block in re.finditer(r"(?m)(?:^    .*\n)+", page)]

    def run(self, command):
        return subprocess.run(["sh", "-c", command], cwd=self.folder, capture_output=True,
                              text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)

    def make_certificates(self):
        made = [b for b in self.blocks() if "openssl req" in b]
        assert len(made) == 1
        done = self.run("set -e\n" + made[0])
        assert done.returncode == 0, done.stderr

    def serve(self, name):
        manifest = str(self.folder / name)
        checked = harness.run("check", "--no-bind", "--manifest", manifest)
        assert checked.returncode == 0 and "warning" not in checked.stderr, checked.stderr
        serving = 'exec "$0" run --manifest ' + shlex.quote(manifest)
        self.proxies.append(harness.Sluice(self.folder, {}, prefix=("sh", "-c", serving)))
        return self.proxies[-1]

    def asked(self):
        """Commands of the page and the lines that it shows of each."""
        for block in self.blocks():
            for part in re.split(r"(?m)^\$ ", block)[1:]:
                command, _, shown = part.partition("\n")
                yield command, shown

    def close(self):
        for proxy in self.proxies:
            proxy.close()


@pytest.fixture
def example(tmp_path):
    made = []

    def make(name):
        made.append(Example(name, tmp_path))
        if name != "failover":
            made[-1].make_certificates()
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("name,count", [("https", 4), ("http2", 6), ("failover", 5)])
def test_the_page_shows_what_comes(example, name, count):
    one = example(name)
    served = [line.split()[-1] for block in one.blocks() for line in block.splitlines()
              if line.startswith("sluice run ")]
    assert served == ["origin.json5", "sluice.json5"]
    for manifest in served:
        one.serve(manifest)
    asked = list(one.asked())
    assert len(asked) == count
    for command, shown in asked:
        done = one.run(command.replace("curl ", "curl -sS ", 1))
        # curl goes on after its first line of an error.
        said = done.stdout + "".join(done.stderr.splitlines(True)[:1])
        assert said == shown, "%s\n%s" % (command, done.stderr)


def test_https_does_not_trust_an_application_that_it_was_not_told_of(example):
    one = example("https")
    path = one.folder / "sluice.json5"
    text = path.read_text()
    assert ', ca: "ca.pem"' in text
    path.write_text(text.replace(', ca: "ca.pem"', ""))
    one.serve("origin.json5")
    proxy = one.serve("sluice.json5")
    ask = next(command for command, _ in one.asked())
    done = one.run(ask.replace("curl ", "curl -sS -o /dev/null -w '%{http_code}' ", 1))
    assert (done.stdout, done.stderr) == ("502", "")
    proxy.wait_log("TLS handshake: .*certificate")


def test_http2_has_both_protocols_on_both_ports(example):
    one = example("http2")
    one.serve("origin.json5")
    proxy = one.serve("sluice.json5")
    done = one.run("nghttp -nv http://127.0.0.1:%s/a" % one.ports["8080"])
    assert ":status: 200" in done.stdout, done.stdout
    done = one.run("nghttp -nv https://127.0.0.1:%s/a" % one.ports["8443"])
    assert "The negotiated protocol: h2" in done.stdout, done.stdout
    assert "refused" not in proxy.log and "error" not in proxy.log
