"""Plays cases of `cachecase` through a proxy: the origin that follows their answers, the client,
and the proxies that can stand between."""
import os
import re
import socket
import subprocess
import threading
import time

import harness
import wire
from cachecase import dates, expectations, fields, matches

# How long a peer that ignores Age is given to let a lifetime of a second pass. One that counts
# whole seconds takes up to two for it.
OUTLIVE = 3.1
# How long something in the background may take.
PATIENCE = 5.0

# The instances of the plugin, by the first part of a case's path.
BASE = {"memory": "16MiB", "purge": {"allow": ["127.0.0.0/8"]}, "status_field": "Sluice"}
STORES = {
    "plain": {},
    "negative": {"negative": {"404": "60s", "503": "60s"}},
    "cookies": {"set_cookie": "store"},
    "stale": {"stale": {"while_revalidate": "10m", "if_error": "10m"}},
    "small": {"memory": "2MiB", "max_object": "64KiB"},
    "ranges": {"ranges": {"max": 2}},
    "guarded": {"purge": {"allow": ["192.0.2.0/24"]}},
    "silent": {"status_field": ""},
}


class Origin(harness.Origin):
    """Gives each request to the play that its path names."""

    def __init__(self):
        self.plays = {}
        super().__init__(self._serve_plays)

    def _serve_plays(self, connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            play = self.plays.get(head.target.split("?")[0].split("/")[2])
            if play is None or not play.serve(head, connection):
                return


class Play:
    """One case, played once. `peer` is the proxy between."""

    count = 0

    def __init__(self, case, peer, origin):
        self.case, self.peer, self.origin = case, peer, origin
        Play.count += 1
        self.number = "%d" % Play.count
        self.now = int(time.time())
        self.changed = threading.Condition()
        self.requests = []
        self.bodies = []
        self.statuses = []
        # What the steps have accounted for.
        self.seen = 0
        self.last = b""
        self.waits = False
        self.client = None
        self.log = []
        origin.plays[self.number] = self

    # -------------------------------------------------------------- the origin
    def serve(self, head, connection):
        """Answers a request; False when the connection is to be closed."""
        with self.changed:
            number = len(self.requests)
            answer = self.case.answers[min(number, len(self.case.answers) - 1)]
            body = answer.body
            if body is None:
                body = b"answer %d of case %s" % (number + 1, self.number.encode())
            self.requests.append(head)
            self.bodies.append(body)
            self.statuses.append(int(answer.status.split()[0]))
            self.log.append("origin <- %s %s %s" % (head.method, head.target, head.fields))
            self.log.append("origin -> %s %s %s" % (answer.status, answer.framing, answer.lines))
            self.changed.notify_all()
        if answer.delay:
            time.sleep(answer.delay)
        if answer.framing == "drop":
            return False
        connection.send(self.bytes(answer, body, head.method))
        return answer.framing in ("length", "chunked", "none") and answer.version == "1.1"

    def fields(self, lines):
        path = "/%s/%s" % (self.case.store, self.number)
        return [(name, value.replace("{path}", path)) for name, value in fields(lines, self.now)]

    def bytes(self, answer, body, method):
        lines = self.fields(answer.lines)
        names = {name.lower() for name, _ in lines}
        if answer.aged and self.peer.counts_age:
            lines.append(("Age", "%d" % answer.aged))
        elif answer.aged:
            lines = [(n, re.sub(r"\b(s-maxage|max-age)=\d+", r"\1=1", v)) for n, v in lines]
            self.waits = True
        if "date" not in names:
            lines.append(("Date", dates("{now}", self.now)))
        lines = [(n, v) for n, v in lines if v != "none"]
        if answer.framing == "length":
            lines.append(("Content-Length", "%d" % len(body)))
        elif answer.framing == "short":
            lines.append(("Content-Length", "%d" % (len(body) + 1000)))
        elif answer.framing in ("chunked", "cut"):
            lines.append(("Transfer-Encoding", "chunked"))
            body = wire.chunk(body[:5]) + wire.chunk(body[5:])
            if answer.framing == "chunked":
                trailers = "".join("%s: %s\r\n" % f for f in self.fields(answer.trailers))
                body += b"0\r\n" + trailers.encode() + b"\r\n"
        if answer.framing == "none" or method == "HEAD":
            body = b""
        heads = [(answer.status, lines)]
        if answer.interim:
            heads.insert(0, (answer.interim[0], self.fields(answer.interim[1:])))
        return "".join(
            "HTTP/%s %s\r\n%s\r\n" % (answer.version, status,
                                      "".join("%s: %s\r\n" % line for line in head))
            for status, head in heads).encode("latin-1") + body

    # -------------------------------------------------------------- the client
    def run(self):
        try:
            for number, step in enumerate(self.case.steps, 1):
                try:
                    self.step(step)
                except (AssertionError, OSError, wire.Malformed) as error:
                    raise AssertionError("%s\nstep %d, %s: %s\n%s" % (
                        self.case.id, number, step.kind, error, "\n".join(self.log))) from None
        finally:
            if self.client:
                self.client.close()
            del self.origin.plays[self.number]

    def step(self, step):
        if step.kind == "pause":
            time.sleep(step.seconds)
            return
        if step.kind == "together":
            self.together(step)
        elif step.eventually:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    self.exchange(step)
                    break
                except AssertionError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)
        else:
            self.exchange(step)
        if self.waits:
            time.sleep(OUTLIVE)
            self.waits = False

    def ask(self, step, client):
        target = "/%s/%s%s" % (self.case.store, self.number, step.path)
        client.send(wire.request(step.method, target, self.fields(step.lines), step.content,
                                 step.host, step.version))
        try:
            response = client.response(step.method)
        except (wire.Truncated, ConnectionError):
            response = None
        self.log.append("client -> %s %s %s" % (step.method, target, step.lines))
        self.log.append("client <- %s" % (response and "%d %s %r" % (
            response.status, response.fields, response.body[:100])))
        return response

    def exchange(self, step):
        if step.tls or not self.client:
            client = wire.Client(self.peer.tls_address if step.tls else self.peer.address,
                                 tls=self.peer.tls if step.tls else None,
                                 server_name="localhost" if step.tls else None)
        else:
            client = self.client
        response = self.ask(step, client)
        if step.tls:
            client.close()
        elif response is None or response.closes or step.version == "1.0":
            client.close()
            self.client = None
        else:
            self.client = client
        if step.kind == "cut":
            assert response is None or response.status == 502, "the client took it for whole"
            self.account(len(self.requests) - self.seen, step)
            return
        assert response is not None, "the response was cut"
        if step.kind != "either":
            self.account({"miss": 1, "validated": 1, "asks": 1, "hit": 0, "local": 0}[step.kind],
                         step)
        self.check(step, response)

    def account(self, asked, step):
        """Compares how often the origin was asked since the step before."""
        with self.changed:
            wanted = self.seen + asked + step.then
            self.changed.wait_for(lambda: len(self.requests) >= wanted,
                                  PATIENCE if step.then else 0)
            count, self.seen = len(self.requests) - self.seen, len(self.requests)
        assert count == asked + step.then, "the origin was asked %d times instead of %d" % (
            count, asked + step.then)

    def check(self, step, response):
        if step.kind == "either":
            self.seen = len(self.requests)
        status = step.status
        # A 304 answers the proxy's condition, not the client's.
        if status is None and step.kind in ("miss", "either") and self.statuses[-1] != 304:
            status = self.statuses[-1]
        status = 200 if status is None else status
        allowed = status if isinstance(status, tuple) else (status,)
        assert response.status in allowed, "status %d" % response.status
        self.check_fields(response, step.has, step.lacks, "the response")
        if step.asked or step.unasked or step.kind == "validated":
            self.check_fields(self.requests[-1], step.asked, step.unasked, "the origin's request")
        if step.kind == "validated":
            last = self.requests[-1]
            assert last.get("if-none-match") or last.get("if-modified-since"), \
                "the origin was asked without a condition"
            assert self.statuses[-1] == 304, "the case lacks a 304"
        self.check_body(step, response)

    def check_body(self, step, response):
        wanted = step.body
        if step.of:
            wanted = self.bodies[step.of - 1]
        elif wanted is None and step.kind == "miss":
            wanted = b"" if response.status in wire.BODILESS else self.bodies[-1]
        elif wanted is None and not step.parts and step.kind in ("hit", "validated"):
            wanted = self.last if response.status not in (304, 416) else None
        if step.method == "HEAD":
            assert response.body == b""
            return
        if wanted is not None:
            allowed = wanted if isinstance(wanted, tuple) else (wanted,)
            assert response.body in allowed, "the body is %r instead of %r" % (
                response.body[:100], allowed[0][:100])
        if step.parts:
            self.check_parts(step, response)
        if step.kind != "local" and response.status not in (206, 304, 416):
            self.last = response.body

    @staticmethod
    def check_parts(step, response):
        """Compares the parts of multipart/byteranges, and that nothing is between them."""
        assert response.status == 206, "status %d" % response.status
        kind = re.fullmatch(r'multipart/byteranges; *boundary="?([^";]+)"?',
                            response.get("content-type") or "", re.I)
        assert kind, "Content-Type is %s" % response.get("content-type")
        mark = b"--" + kind[1].encode()
        pieces = (b"\r\n" + response.body).split(b"\r\n" + mark)
        assert pieces[0] == b"" and pieces[-1].rstrip(b"\r\n") == b"--", "broken boundaries"
        found = []
        for piece in pieces[1:-1]:
            head, _, body = piece.partition(b"\r\n\r\n")
            where = re.search(rb"(?im)^content-range: *bytes ([0-9/-]+)\r?$", head)
            assert where, "a part without Content-Range"
            found.append((where[1].decode(), body))
        assert found == list(step.parts), "the parts are %r" % found

    def check_fields(self, message, has, lacks, whose):
        for line in expectations(has):
            name, _, value = line.partition(": ")
            have = message.get(name)
            assert have is not None, "%s has no %s" % (whose, name)
            if value:
                value = dates(value, self.now)
                assert matches(value, have), "%s has %s: %s instead of %s" % (
                    whose, name, have, value)
        for name in expectations(lacks):
            assert message.get(name) is None, "%s has %s: %s" % (whose, name, message.get(name))

    def together(self, step):
        out = [None] * step.clients

        def one(index):
            client = wire.Client(self.peer.address)
            try:
                out[index] = self.ask(step, client)
            finally:
                client.close()

        threads = [threading.Thread(target=one, args=(i,)) for i in range(step.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.account(step.reach, step)
        for response in out:
            assert response is not None, "a response was cut"
            allowed = {self.statuses[-1]} if step.status is None else {step.status}
            assert response.status in allowed, "status %d" % response.status
            assert response.body in self.bodies, "a body that nobody sent: %r" % response.body
        bodies = {response.body for response in out}
        assert len(bodies) == min(step.reach, step.clients), "%d different bodies" % len(bodies)
        self.last = out[0].body


# ------------------------------------------------------------------ proxies
class SluicePeer:
    """The proxy of this tree, with an instance of its cache for each entry of STORES."""

    name = "sluice"
    counts_age = True

    def __init__(self, folder, origin, ca, leaf):
        manifest = harness.manifest(
            origin,
            listeners=[{"listen": "127.0.0.1:0"},
                       {"listen": "127.0.0.1:0", "tls": {"certificates": [leaf.entry]}}],
            plugins={name: {"library": "libCache.so", "config": {**BASE, **over}}
                     for name, over in STORES.items()},
            routes=[{"match": {"path": "/%s/*" % name}, "chain": [name], "upstream": "app"}
                    for name in STORES])
        self.process = harness.Sluice(folder, manifest)
        self.address, self.tls_address = self.process.addresses
        self.tls = ca.client_context()

    def close(self):
        self.process.close()


NGINX = """
worker_processes 1; daemon off; pid %(d)s/pid; error_log stderr; %(user)s
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path %(d)s/b; proxy_temp_path %(d)s/p;
  fastcgi_temp_path %(d)s/f; uwsgi_temp_path %(d)s/u; scgi_temp_path %(d)s/s;
  proxy_cache_path %(d)s/cache keys_zone=all:1m use_temp_path=off;
  proxy_cache_key $scheme$http_host$request_uri; proxy_cache all; proxy_cache_revalidate on;
  proxy_cache_background_update on; proxy_cache_lock on; proxy_http_version 1.1;
  proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_pass_header Server;
  proxy_pass_header Date; proxy_force_ranges on; if_modified_since before;
  proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
  large_client_header_buffers 4 64k; client_header_buffer_size 16k;
  server {
    listen %(a)s; listen %(t)s ssl; ssl_certificate %(c)s; ssl_certificate_key %(k)s;
    location / { proxy_pass http://%(o)s; }
    location /negative/ { proxy_pass http://%(o)s; proxy_cache_valid 404 503 60s; }
    location /cookies/ { proxy_pass http://%(o)s; proxy_ignore_headers Set-Cookie; }
    location /stale/ { proxy_pass http://%(o)s;
      proxy_cache_use_stale updating error timeout http_500 http_502 http_503 http_504; }
  }
}
"""


class NginxPeer:
    """nginx with proxy_cache, to tell wrong cases from a wrong proxy."""

    name = "nginx"
    # Lifetimes count from when it got a response.
    counts_age = False

    def __init__(self, folder, origin, ca, leaf):
        ports = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname())
        self.address, self.tls_address = ports
        self.tls = ca.client_context()
        config = os.path.join(str(folder), "nginx.conf")
        with open(config, "w") as file:
            file.write(NGINX % {
                "d": folder, "a": "%s:%d" % ports[0], "t": "%s:%d" % ports[1],
                "c": leaf.certificate, "k": leaf.key, "o": origin.address,
                "user": "user root;" if os.getuid() == 0 else ""})
        self.process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-e", "stderr", "-c", config],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.eventually(self._listens, "nginx listens")

    def _listens(self):
        assert self.process.poll() is None, "nginx did not start"
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class NoPeer:
    """No proxy at all: what a case takes for a hit must fail."""

    counts_age = True

    def __init__(self, origin):
        self.address = self.tls_address = ("127.0.0.1", origin.port)
        self.tls = None

    def close(self):
        pass


class HoarderPeer:
    """A cache that keeps all that it gets and asks never again, by path and query alone: what a
    case keeps from the store must fail."""

    counts_age = True

    def __init__(self, origin):
        self.origin = origin
        self.stored = {}
        self.lock = threading.Lock()
        self.listener = harness.Origin(self.serve)
        self.address = self.tls_address = ("127.0.0.1", self.listener.port)
        self.tls = None

    def serve(self, connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            with self.lock:
                if head.target not in self.stored:
                    self.stored[head.target] = self.fetch(head)
                answer = self.stored[head.target]
            if head.method == "HEAD":
                answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            connection.send(answer)

    def fetch(self, head):
        upstream = wire.Client(("127.0.0.1", self.origin.port))
        try:
            upstream.send(wire.request("GET", head.target, host=head.get("host")))
            response = upstream.response()
        except (wire.Truncated, ConnectionError):
            return wire.reply(b"", "502 Bad Gateway")
        finally:
            upstream.close()
        lines = [f for f in response.fields
                 if f[0].lower() not in ("content-length", "transfer-encoding", "connection")]
        return wire.reply(response.body, response.start.decode().partition(" ")[2], lines)

    def close(self):
        self.listener.close()


PEERS = {peer.name: peer for peer in (SluicePeer, NginxPeer)}
