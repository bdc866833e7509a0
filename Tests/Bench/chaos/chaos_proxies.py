"""The proxies, configured to the same effect, and what they say of their peers."""
import asyncio
import json
import os
import shutil
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLUICE = os.environ.get("SLUICE_BIN") or os.path.normpath(
    os.path.join(HERE, "../../../.build/release/sluice"))

# What both are set to, in milliseconds.
CHECK_INTERVAL, CHECK_TIMEOUT, RISE, FALL = 200, 100, 2, 2
# Failed requests in a row that take a peer out.
ERRORS = 5
CONNECT, TRY = 100, 300
SLOW_START = 3_000
WORKERS = 2
START_SECONDS = 20

# Name: plugin and its configuration, and HAProxy's `balance`.
BALANCERS = {
    "RoundRobin": ({}, "balance roundrobin"),
    "LeastConnections": ({}, "balance leastconn"),
    "Ketama": ({"key": "header:x-key"}, "balance hdr(x-key)\n  hash-type consistent"),
}


class Proxy:
    """A running proxy at `address`; `admin` is a Unix socket."""

    # Milliseconds; 0 for none.
    slow_start = SLOW_START

    def __init__(self, folder, origins, balancer):
        self.folder, self.origins, self.balancer = folder, origins, balancer
        self.admin = os.path.join(folder, "admin.sock")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + START_SECONDS
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("%s does not start; see %s/log" % (self.name, folder))
            time.sleep(0.01)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0 and os.path.exists(self.admin)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    async def ask(self, question):
        """All that the admin socket answers."""
        reader, writer = await asyncio.open_unix_connection(self.admin)
        writer.write(question)
        answer = await reader.read()
        writer.close()
        return answer

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Sluice(Proxy):
    name = "sluice"

    def manifest(self):
        config, _ = BALANCERS[self.balancer]
        milliseconds = "{}ms".format
        return {
            "version": 1, "workers": WORKERS,
            "plugin_dir": os.path.dirname(os.path.abspath(SLUICE)),
            "admin": {"listen": "unix:" + self.admin}, "log": {"level": "info"},
            "listeners": [{"listen": "%s:%d" % self.address,
                           "limits": {"requests": 1_000_000_000}}],
            "plugins": {
                "balancer": {"library": "lib%s.so" % self.balancer, "config": {
                    **config, **({"slow_start": milliseconds(self.slow_start)}
                                 if self.slow_start else {})}},
                "health": {"library": "libHealthCheck.so", "config": {
                    "active": {"path": "/health", "interval": milliseconds(CHECK_INTERVAL),
                               "timeout": milliseconds(CHECK_TIMEOUT), "rise": RISE, "fall": FALL},
                    "passive": {"consecutive": ERRORS, "eject": "500ms", "ejected_max": 100}}}},
            "chain": ["health"],
            "upstreams": {"app": {
                "balancer": "balancer", "peers": [origin.address for origin in self.origins],
                "timeouts": {"connect": milliseconds(CONNECT)},
                "retries": {"attempts": len(self.origins),
                            "on": ["connect", "refused", "reset", "timeout", "503"],
                            "try_timeout": milliseconds(TRY),
                            "budget": {"percent": 100, "min": 1_000}}}},
            "routes": [{"upstream": "app"}]}

    def command(self):
        path = self.file("sluice.json5", json.dumps(self.manifest(), indent=1))
        return [SLUICE, "run", "--manifest", path]

    async def healthy(self):
        """Addresses of the peers that it uses."""
        text = await self.ask(
            b"GET /v1/upstreams HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        peers = json.loads(text.partition(b"\r\n\r\n")[2])["upstreams"][0]["peers"]
        return {peer["address"] for peer in peers if peer["health"] == "healthy"}


class HAProxy(Proxy):
    name = "haproxy"

    def command(self):
        _, balance = BALANCERS[self.balancer]
        servers = "\n".join("  server s%d %s" % (number, origin.address)
                            for number, origin in enumerate(self.origins))
        return ["haproxy", "-db", "-f", self.file("haproxy.cfg", HAPROXY % dict(
            workers=WORKERS, admin=self.admin, connect=CONNECT, attempt=TRY,
            check=CHECK_TIMEOUT, host=self.address[0], port=self.address[1], balance=balance,
            retries=len(self.origins) - 1, interval=CHECK_INTERVAL, fall=FALL, rise=RISE,
            errors=ERRORS, slow_start=self.slow_start, servers=servers))]

    async def healthy(self):
        lines = (await self.ask(b"show stat b 4 -1\n")).decode().strip().split("\n")
        keys = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(keys, line.split(","))) for line in lines[1:] if line]
        return {row["addr"] for row in rows if row["status"].startswith("UP")}


PROXIES = {"sluice": Sluice, "haproxy": HAProxy}


def installed(name):
    return os.access(SLUICE, os.X_OK) if name == "sluice" else shutil.which(name) is not None


# redispatch 1: another server at each retry. A server that `observe` took out is back as soon as
# `rise` checks have succeeded.
HAPROXY = """
global
  nbthread %(workers)d
  no strict-limits
  stats socket %(admin)s mode 600 level admin
  stats timeout 1h
defaults
  mode http
  timeout connect %(connect)dms
  timeout server %(attempt)dms
  timeout client 60s
  timeout check %(check)dms
  http-reuse always
frontend f
  bind %(host)s:%(port)d
  default_backend b
backend b
  %(balance)s
  option httpchk GET /health
  option redispatch 1
  retries %(retries)d
  retry-on conn-failure empty-response response-timeout 503
  default-server check inter %(interval)dms fall %(fall)d rise %(rise)d slowstart %(slow_start)dms
  default-server observe layer7 error-limit %(errors)d on-error mark-down
%(servers)s
"""
