"""The proxies that cases of `cachecase` can be played through: Sluice, nginx, none, and one that
keeps everything."""
import os
import socket
import subprocess
import threading

import harness
import wire

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


class SluicePeer:
    """The proxy of this tree, with an instance of its cache for each entry of STORES."""

    name = "sluice"
    counts_age = True

    def config(self, folder, name, over):
        return {**BASE, **over}

    def __init__(self, folder, origin, ca, leaf):
        manifest = harness.manifest(
            origin,
            listeners=[{"listen": "127.0.0.1:0", "protocols": ["h1", "h2c"]},
                       {"listen": "127.0.0.1:0", "tls": {"certificates": [leaf.entry]}}],
            plugins={name: {"library": "libCache.so", "config": self.config(folder, name, over)}
                     for name, over in STORES.items()},
            routes=[{"match": {"path": "/%s/*" % name}, "chain": [name], "upstream": "app"}
                    for name in STORES])
        self.process = harness.Sluice(folder, manifest)
        self.address, self.tls_address = self.process.addresses
        self.tls = ca.client_context()

    def close(self):
        self.process.close()


class DiskPeer(SluicePeer):
    """The same, with a folder for each instance, and every body in it."""

    name = "sluice-disk"

    def config(self, folder, name, over):
        config = super().config(folder, name, over)
        disk = {"path": os.path.join(str(folder), name), "size": "64MiB", "min_object": "0KiB"}
        memory = config.pop("memory")
        return {**config, "storage": {"memory": memory, "disk": disk}}

    def __init__(self, folder, origin, ca, leaf):
        super().__init__(folder, origin, ca, leaf)
        harness.eventually(lambda: self.process.log.count("the disk tier stores") == len(STORES),
                           "all disks store")


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


PEERS = {peer.name: peer for peer in (SluicePeer, DiskPeer, NginxPeer)}
