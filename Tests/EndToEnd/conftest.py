"""Fixtures. Each makes as many of its kind as a test asks for, and ends them all after it."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

import cachereport
import certificates
import harness
import h2origin as h2
import wire

# Seconds that a test may take, unless it carries `@pytest.mark.seconds(N)`.
SECONDS = 60


def pytest_addoption(parser):
    parser.addoption("--cache-peer", default="sluice", choices=("sluice", "sluice-disk", "nginx"),
                     help="the proxy that test_cache_conformance.py tries")
    parser.addoption("--cache-stress", default="5", metavar="SECONDS",
                     help="how long test_cache_stress.py goes on")
    parser.addoption("--cache-report", help="a file for its results, as JSON")


def pytest_terminal_summary(terminalreporter, config):
    cachereport.summary(terminalreporter, config)


def pytest_configure(config):
    for line in ("seconds(n): the most that this test may take",
                 "compiles: builds Swift packages on all cores; make e2e begins with them",
                 "alone: measures, or fills the machine; make e2e runs it when nothing else runs",
                 "long: the file takes a minute or more; with `-n` it begins first"):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config, items):
    """Between processes the longest files go first, so that none is left alone with one of them."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_sessionstart(session):
    if not os.access(harness.BINARY, os.X_OK):
        pytest.exit("no binary at %s: run `make build`, or set SLUICE_BIN" % harness.BINARY, 2)


@pytest.fixture(autouse=True)
def alarm(request):
    """Fails a test that hangs."""
    mark = request.node.get_closest_marker("seconds")
    seconds = mark.args[0] if mark else SECONDS

    def late(*_):
        raise TimeoutError("the test took longer than %d s" % seconds)

    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def close_all(things):
    """Closes every one, then raises the first error."""
    first = None
    for thing in things:
        try:
            thing.close()
        except Exception as error:  # noqa: B902  raised below
            first = first or error
    if first:
        raise first


@pytest.fixture
def origin():
    made = []

    def make(script, **options):
        made.append(harness.Origin(script, **options))
        return made[-1]

    yield make
    close_all(made)


@pytest.fixture
def h2origin():
    """As `origin`, of HTTP/2 as frames; a script, or what answers every request."""
    made = []

    def make(script=b"ok", **options):
        made.append(h2.H2Origin(script if callable(script) else h2.serve(script), **options))
        return made[-1]

    yield make
    close_all(made)


@pytest.fixture
def sluice(tmp_path, origin, h2origin):
    made = []

    def make(*peers, nofile=None, supervised=True, binary=harness.BINARY, **options):
        folder = tmp_path / ("sluice%d" % len(made))
        folder.mkdir()
        made.append(harness.Sluice(folder, harness.manifest(*peers, **options), nofile,
                                   supervised=supervised, binary=binary))
        return made[-1]

    yield make
    close_all(made)


@pytest.fixture
def client(sluice):
    """A connection to a proxy (its first listener) or to an address."""
    made = []

    def connect(to, **options):
        made.append(wire.Client(getattr(to, "address", to), **options))
        return made[-1]

    yield connect
    close_all(made)


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def leaf(ca):
    return ca.issue("localhost", "example.com", "IP:127.0.0.1")


@pytest.fixture
def https(sluice, leaf):
    """A proxy that speaks TLS to its clients."""
    def make(*peers, tls=None, listener=None, **options):
        block = {"tls": {"certificates": [leaf.entry], **(tls or {})}, **(listener or {})}
        return sluice(*peers, listener=block, **options)

    return make


@pytest.fixture
def connect(client, ca):
    def make(to, name="localhost", context=None, **options):
        return client(to, tls=context or ca.client_context(), server_name=name, **options)

    return make


class Nginx:
    """A real origin: static files, gzip off, uploads answered with their length."""

    def __init__(self, folder):
        with socket.socket() as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
            # Wants a PROXY header, and answers with what it says.
            self.proxied = "127.0.0.1:%d" % other.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        self.root = folder / "www"
        self.root.mkdir()
        config = folder / "nginx.conf"
        config.write_text("""
worker_processes 1; daemon off; pid %(d)s/pid; error_log stderr; %(user)s
events { worker_connections 4096; }
http {
  access_log off; default_type application/octet-stream; client_max_body_size 0;
  client_body_temp_path %(d)s/b; proxy_temp_path %(d)s/p; fastcgi_temp_path %(d)s/f;
  uwsgi_temp_path %(d)s/u; scgi_temp_path %(d)s/s;
  server {
    listen %(a)s; root %(d)s/www;
    location = /hello { default_type text/plain; return 200 "hello from nginx\\n"; }
    location = /missing { return 404; }
    location = /moved { return 301 /hello; }
  }
  server {
    listen %(p)s proxy_protocol;
    location / { return 200 "$proxy_protocol_addr $proxy_protocol_port \
$proxy_protocol_server_addr $proxy_protocol_server_port"; }
  }
}
""" % dict(d=folder, a=self.address, p=self.proxied,
           user="user root;" if os.getuid() == 0 else ""))
        self.process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.eventually(self._listens, "nginx listens")

    def _listens(self):
        assert self.process.poll() is None, "nginx did not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class HAProxy:
    """A real proxy. `sections`: its frontends and backends, with @PORT@ for its own port."""

    def __init__(self, folder, sections):
        assert shutil.which("haproxy"), "haproxy is needed: run `make test-deps`"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        config = folder / "haproxy.cfg"
        config.write_text("""
global
  nbthread 1
  maxconn 100
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
""" + sections.replace("@PORT@", str(self.address[1])))
        self.process = subprocess.Popen(
            ["haproxy", "-db", "-q", "-f", str(config)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.eventually(self._listens, "haproxy listens")

    def _listens(self):
        assert self.process.poll() is None, "haproxy did not start"
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def haproxy(tmp_path):
    made = []

    def make(sections):
        folder = tmp_path / ("haproxy%d" % len(made))
        folder.mkdir()
        made.append(HAProxy(folder, sections))
        return made[-1]

    yield make
    close_all(made)


@pytest.fixture
def nginx(tmp_path):
    assert shutil.which("nginx"), "nginx is needed: run `make test-deps`"
    folder = tmp_path / "nginx"
    folder.mkdir()
    server = Nginx(folder)
    yield server
    server.close()
