"""Servers for the suites of HTTP/2: Sluice, or another proxy to try the suites themselves on.

    SLUICE_H2_SERVER=haproxy /usr/bin/python3 -m pytest Tests/EndToEnd/test_h2_frames.py

Others (nginx, h2o, haproxy, nghttpx) differ in the codes of their errors and in whether they refuse
a stream or the connection. For them a case that must fail may fail in any way; for Sluice it must
fail as the case says.
"""
import functools
import json
import os
import select
import socket
import subprocess

import pytest

import certificates
import harness
import h2wire
import wire
from h2wire import H2
from wire import DEADLINE, Truncated, chunk, reply

KIND = os.environ.get("SLUICE_H2_SERVER", "sluice")

# Octets of the fields of the origin's answer to /fields: more than one frame holds.
FIELD_OCTETS = 24_000


def hold(c):
    """Reads nothing and says nothing until the other side closes."""
    poll = select.poll()
    poll.register(c.sock, select.POLLRDHUP | select.POLLHUP)
    poll.poll()


@functools.lru_cache(4)
def octets(count):
    """The origin's answer with a body of so many. Made once: a hundred streams ask for it."""
    return reply(wire.pattern(count))


def script(c):
    """The origin of the suites; the path says what it does."""
    while True:
        head = c.read_head()
        if head is None:
            return
        path = head.target.split("?")[0]
        if path.startswith("/hold"):
            hold(c)
            return
        if path.startswith("/early"):
            c.send(reply(b"early"))
            c.rest()
            return
        c.read_body(head)
        if path.startswith("/bytes/"):
            c.send(octets(int(path.split("/")[2])))
        elif path.startswith("/echo"):
            c.send(reply(head.body))
        elif path.startswith("/fields"):
            fields = [("x-%02d" % i, "v" * 800) for i in range(FIELD_OCTETS // 800)]
            c.send(reply(b"many", fields=fields))
        elif path.startswith("/trailers"):
            c.send(b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + chunk(b"body") + b"0\r\nx-sum: 42\r\n\r\n")
        elif path.startswith("/status/"):
            number = path.split("/")[2]
            c.send(b"HTTP/1.1 %s x\r\n%s\r\n" % (
                number.encode(), b"" if number in ("204", "304") else b"Content-Length: 0\r\n"))
        elif head.method == "HEAD":
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        else:
            c.send(reply(b"ok"))


H2C = {"protocols": ["h1", "h2c"]}

# Of Sluice alone: a path that it answers itself, so that no origin's time counts.
HEALTH = "/health"


def refusal(folder, listener):
    """The line in which `sluice check` refuses this listener, or None."""
    path = os.path.join(str(folder), "check.json")
    with open(path, "w") as file:
        json.dump(harness.manifest("127.0.0.1:9", listener=listener), file)
    done = harness.run("check", "--no-bind", "--manifest", path)
    return done.stderr.strip() if done.returncode else None


def need(folder, listener=None):
    """Skips the test as long as the binary does not speak HTTP/2."""
    line = refusal(folder, listener or H2C)
    if line:
        pytest.skip("this binary serves no HTTP/2: " + line.replace(str(folder), ""))


class SluiceServer:
    strict, probed = True, HEALTH

    def __init__(self, folder, origin, listener=None, over="h2c", **options):
        how, self.tls, self.ca = H2C, None, None
        if over == "TLS":
            ca = certificates.Authority(folder)
            how = {"protocols": ["h1", "h2"],
                   "tls": {"certificates": [ca.issue("test").entry]}}
            self.tls, self.ca = ca.client_context(alpn=["h2"]), ca.path
        need(folder, how)
        self.proxy = harness.Sluice(folder, harness.manifest(
            origin, listener={**how, **(listener or {})},
            plugins={"health": {"library": "libRespond.so", "config": {"body": "ok"}}},
            routes=[{"match": {"path": HEALTH}, "chain": ["health"]},
                    {"match": {}, "upstream": "app"}], **options))
        self.address, self.close = self.proxy.address, self.proxy.close


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CONFIGURATIONS = {
    "nginx": (["nginx", "-p", "%(folder)s", "-e", "stderr", "-c", "%(file)s"], """
worker_processes 1; daemon off; pid %(folder)s/pid; error_log stderr; user root;
events { worker_connections 1024; }
http { access_log off; client_max_body_size 0; keepalive_requests 1000000;
  client_body_temp_path %(folder)s/b; proxy_temp_path %(folder)s/p;
  fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  proxy_buffer_size 64k; proxy_buffers 8 64k;
  server { listen 127.0.0.1:%(port)d http2;
    location / { proxy_http_version 1.1; proxy_pass http://%(origin)s;
                 proxy_request_buffering off; } } }
"""),
    "h2o": (["h2o", "-c", "%(file)s"], """
listen: {host: 127.0.0.1, port: %(port)d}
num-threads: 1
hosts:
  default:
    paths:
      /: {proxy.reverse.url: "http://%(origin)s", proxy.preserve-host: ON}
"""),
    "haproxy": (["haproxy", "-db", "-f", "%(file)s"], """
global
  maxconn 1000
  tune.bufsize 65536
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:%(port)d proto h2
  default_backend b
backend b
  server s %(origin)s
"""),
    "nghttpx": (["nghttpx", "--conf=%(file)s"], """
frontend=127.0.0.1,%(port)d;no-tls
backend=%(host)s,%(origin_port)d
workers=1
accesslog-file=/dev/null
errorlog-file=/dev/null
"""),
}


class OtherServer:
    strict, probed, tls, ca = False, "/", None, None

    def __init__(self, folder, origin, kind=KIND, over="h2c", **_):
        if over != "h2c":
            pytest.skip("others are tried in the clear")
        argv, text = CONFIGURATIONS[kind]
        port, file = free_port(), os.path.join(str(folder), "server.conf")
        host, _, origin_port = origin.address.rpartition(":")
        values = dict(folder=folder, file=file, port=port, origin=origin.address, host=host,
                      origin_port=int(origin_port))
        with open(file, "w") as out:
            out.write(text % values)
        self.address = ("127.0.0.1", port)
        self.process = subprocess.Popen([a % values for a in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.eventually(self._listens, "%s listens" % kind)

    def _listens(self):
        assert self.process.poll() is None, "the server did not start"
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            # Some wait for their clients.
            self.process.kill()
            self.process.wait(DEADLINE)


class Bench:
    """One server and one origin for all cases of a file: a case must not spoil the next."""

    def __init__(self, folder, **options):
        self.origin = harness.Origin(script)
        kind = SluiceServer if KIND == "sluice" else OtherServer
        try:
            self.server = kind(folder, self.origin, **options)
        except BaseException:
            self.origin.close()
            raise
        self.address, self.strict = self.server.address, self.server.strict
        self.made = []

    def connect(self, *settings, wait=True, **options):
        """A client that has exchanged SETTINGS."""
        return self.raw(**options).open(*settings, wait=wait)

    def raw(self, **options):
        """A client that has sent nothing."""
        self.made.append(H2(self.address, tls=self.server.tls, **options))
        return self.made[-1]

    def targets(self):
        with self.origin.changed:
            return [r.target for r in self.origin.requests]

    def end_case(self):
        for client in self.made:
            client.close()
        self.made = []

    def close(self):
        self.end_case()
        try:
            self.server.close()
        finally:
            self.origin.close()

    # -------------------------------------------------------- what may come
    def serves(self, c):
        """Nothing is wrong: the connection still answers a PING and a request."""
        c.ping()
        answer = c.fetch()
        assert (answer.status, bytes(answer.body)) == (200, b"ok"), vars(answer)
        assert not c.goaway

    def connection_error(self, c, *codes):
        """GOAWAY with one of these codes, then the end of the connection (section 5.4.1)."""
        try:
            c.drained()
        except socket.timeout:
            raise AssertionError("the connection stays open, GOAWAY: %r" % c.goaway) from None
        if not self.strict:
            return
        assert c.goaway, "the connection ended without GOAWAY"
        last, code, _ = c.goaway[-1]
        assert code in codes, "GOAWAY with code %d" % code
        assert last <= max(c.last_stream, 0), "GOAWAY names stream %d" % last

    def stream_error(self, c, stream, *codes):
        """RST_STREAM with one of these codes, and nothing else is disturbed (section 5.4.2)."""
        if not self.strict:
            self.refused(c, stream)
            return
        self._reset(c, stream)
        assert c.streams[stream].reset in codes, "RST_STREAM with code %r" % c.streams[stream].reset
        self.serves(c)

    def _reset(self, c, stream):
        c.until(lambda: c.streams[stream].reset is not None, "RST_STREAM on stream %d" % stream)

    def either_error(self, c, stream, *codes):
        """A stream error, or a connection error where an endpoint may choose one (5.4.2)."""
        if not self.strict:
            self.refused(c, stream)
            return
        try:
            self._reset(c, stream)
        except Truncated:
            self.connection_error(c, *codes)
            return
        self.stream_error(c, stream, *codes)

    def malformed(self, c, stream, path=None):
        """Section 8.1.1: 400 or another refusal, or RST_STREAM with PROTOCOL_ERROR; other streams
        go on; the origin sees nothing of it."""
        if not self.strict:
            self.refused(c, stream)
            return
        answer = c.response(stream)
        if answer.status is None:
            assert answer.reset == h2wire.PROTOCOL_ERROR, "RST_STREAM with code %d" % answer.reset
        else:
            assert answer.status in (400, 405, 414, 501), answer.status
        self.serves(c)
        assert path is None or path not in self.targets(), "the origin got the request"

    def refused(self, c, stream):
        """In whatever way."""
        was = c.streams[stream].status
        try:
            answer = c.response(stream)
            if was:
                c.ping()
            assert answer.reset is not None or c.goaway or answer.status >= 400, answer.status
        except Truncated:
            pass


def fixture(over=("h2c", "TLS"), **options):
    """A `bench` for a module, all of whose cases run `over` each of these; `options` go into
    Sluice's manifest."""

    @pytest.fixture(scope="module", params=over)
    def server(tmp_path_factory, request):
        made = Bench(tmp_path_factory.mktemp("h2"), over=request.param, **options)
        yield made
        made.close()

    @pytest.fixture
    def bench(server):
        yield server
        server.end_case()

    return server, bench
