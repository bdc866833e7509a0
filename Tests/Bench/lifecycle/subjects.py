"""The proxies that are tortured: how each is configured, started, reloaded and upgraded."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
SLUICE = os.environ.get("SLUICE_BIN") or os.path.normpath(
    os.path.join(HERE, "../../../.build/release/sluice"))
PLUGINS = os.path.dirname(os.path.abspath(SLUICE))
# Seconds until a proxy must listen, a change must be seen, an old process must be gone.
PATIENCE = 20
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Settings:
    """What changes from reload to reload."""

    version: int = 0
    extra_listener: bool = False
    extra_route: bool = False
    third_peer: bool = False
    second_leaf: bool = False
    third_worker: bool = False


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def adopt_orphans():
    """Processes whose parent ends become children of this one, so that they are found: a new
    master is a child of the one that it replaces."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processes():
    """{pid: (parent, state, name)} of the machine."""
    out = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as file:
                text = file.read()
        except OSError:
            continue
        rest = text[text.rindex(")") + 2:].split()
        out[int(name)] = (int(rest[1]), rest[0], text[text.index("(") + 1:text.rindex(")")])
    return out


class Subject:
    """A running proxy. `binary` names its processes."""

    def __init__(self, folder, origin, leaves):
        self.folder, self.origin, self.leaves = str(folder), origin, leaves
        os.makedirs(self.folder, exist_ok=True)
        self.h1, self.tls, self.h2c, self.extra = free_ports(4)
        self.process = None
        self.settings = Settings()

    # ------------------------------------------------------------------- files
    def file(self, name, text):
        """Replaces a file whole, as a careful operator does."""
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def workers(self, settings):
        return 2 + settings.third_worker

    def leaf(self, settings):
        return self.leaves[settings.second_leaf]

    def peers(self, settings):
        return self.origin["h1"][:3 if settings.third_peer else 2]

    # --------------------------------------------------------------- processes
    def launch(self, argv):
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait(lambda: all(self.listens(p) for p in (self.h1, self.tls, self.h2c)),
                  "%s listens" % self.name)

    def listens(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def wait(self, condition, what, seconds=PATIENCE):
        """Looks again until `condition()` holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit("never happened: %s; see %s" % (what, self.folder))
            time.sleep(0.005)

    def pids(self):
        """The proxy's living processes: those of its name below its root."""
        table = processes()
        mine = set()
        for pid, (parent, state, name) in table.items():
            chain = pid
            while chain in table and chain != self.root():
                chain = table[chain][0]
            if chain == self.root() and state != "Z" and name.startswith(self.name):
                mine.add(pid)
        return mine

    def root(self):
        """The process that all of the proxy's are below: masters change, so it is this one."""
        return os.getpid()

    def memory(self):
        """Bytes that its processes use together, shared pages once (PSS)."""
        total = 0
        for pid in self.pids():
            try:
                with open("/proc/%d/smaps_rollup" % pid) as file:
                    total += int(re.search(r"Pss:\s+(\d+)", file.read()).group(1)) * 1024
            except OSError:
                pass
        return total

    def kill(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process:
            self.process.wait()
            self.log.close()


class Nginx(Subject):
    """As a daemon: one that stays in the foreground ignores USR2."""

    name = "nginx"

    def write(self, settings):
        self.settings = settings
        say = "add_header x-version %d always;" % settings.version
        listen = "listen 127.0.0.1:%d backlog=4096;" % self.extra if settings.extra_listener else ""
        route = "location /extra { %s return 204; }" % say if settings.extra_route else ""
        leaf = self.leaf(settings)
        return self.file("nginx.conf", NGINX % dict(
            d=self.folder, h1=self.h1, tls=self.tls, h2c=self.h2c, extra=listen, route=route,
            workers=self.workers(settings), cert=leaf.certificate, key=leaf.key, say=say,
            user="user root;" if os.getuid() == 0 else "", ws=self.origin["ws"],
            grpc=self.origin["grpc"],
            peers="".join("server 127.0.0.1:%d; " % p for p in self.peers(settings))))

    def start(self):
        # By its path: the master executes what it was started as.
        self.launch([shutil.which("nginx"), "-p", self.folder, "-e", self.folder + "/error.log",
                     "-c", self.write(self.settings)])

    def master(self):
        with open(self.folder + "/nginx.pid") as file:
            return int(file.read())

    def reload(self):
        os.kill(self.master(), signal.SIGHUP)

    def upgrade(self):
        """USR2, and QUIT for the old one when the new one serves (nginx's "Upgrading Executable on
        the Fly")."""
        old = self.master()
        os.kill(old, signal.SIGUSR2)
        saved = self.folder + "/nginx.pid.oldbin"
        self.wait(lambda: os.path.exists(saved) and os.path.exists(self.folder + "/nginx.pid")
                  and self.master() != old, "a new master")
        new = self.master()
        wanted = self.workers(self.settings)
        self.wait(lambda: sum(p == new for p, _, _ in processes().values()) >= wanted,
                  "workers of the new master")
        os.kill(old, signal.SIGQUIT)
        self.wait(lambda: not os.path.exists(saved), "the old master goes", 120)


class HAProxy(Subject):
    name = "haproxy"

    def write(self, settings):
        self.settings = settings
        leaf = self.leaf(settings)
        pem = self.file("both.pem", open(leaf.certificate).read() + open(leaf.key).read())
        os.chmod(pem, 0o600)
        return self.file("haproxy.cfg", HAPROXY % dict(
            h1=self.h1, tls=self.tls, h2c=self.h2c, pem=pem, workers=self.workers(settings),
            extra="bind 127.0.0.1:%d backlog 4096" % self.extra if settings.extra_listener else "",
            route="http-request return status 204 if { path /extra }"
            if settings.extra_route else "",
            version=settings.version, ws=self.origin["ws"], grpc=self.origin["grpc"],
            peers="".join("\n  server s%d 127.0.0.1:%d" % (i, p)
                          for i, p in enumerate(self.peers(settings)))))

    def start(self):
        self.launch(["haproxy", "-W", "-db", "-S", self.folder + "/master.sock",
                     "-f", self.write(self.settings)])

    def reload(self):
        # A signal that comes while the master is not yet through with the last one is lost.
        self.wait(self.answers, "the master's socket answers")
        self.process.send_signal(signal.SIGUSR2)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as master:
            master.settimeout(1)
            try:
                master.connect(self.folder + "/master.sock")
                master.sendall(b"show proc\n")
                return b"master" in master.recv(4_096)
            except OSError:
                return False

    # The master executes itself anew at each reload, so this is an upgrade too.
    upgrade = reload


class Sluice(Subject):
    name = "sluice"
    binary = SLUICE

    def root(self):
        # The supervisor keeps its number over an upgrade. Other trials may have theirs beside it.
        return self.process.pid if self.process else -1

    def __init__(self, *arguments):
        super().__init__(*arguments)
        # More plugin instances, by name, which every request passes; more keys of the top, and of
        # each listener.
        self.plugins, self.more = {}, {}
        self.listen = {"backlog": 4096, "limits": {"requests": 1_000_000_000}}

    def manifest(self, settings):
        peers = ["127.0.0.1:%d" % p for p in self.peers(settings)]
        listen = self.listen
        listeners = [
            {"listen": "127.0.0.1:%d" % self.h1, **listen},
            {"listen": "127.0.0.1:%d" % self.tls, "protocols": ["h1", "h2"],
             "tls": {"certificates": [self.leaf(settings).entry]}, **listen},
            {"listen": "127.0.0.1:%d" % self.h2c, "protocols": ["h2c"], **listen}]
        if settings.extra_listener:
            listeners.append({"listen": "127.0.0.1:%d" % self.extra, **listen})
        routes = [{"match": {"path": "/ws"}, "upstream": "ws"},
                  {"match": {"path": "/test.Echo/*"}, "upstream": "grpc"},
                  {"match": {}, "upstream": "app"}]
        if settings.extra_route:
            routes.insert(0, {"match": {"path": "/extra"}, "chain": ["extra"]})
        version = {"response": {"set": [{"name": "x-version", "value": str(settings.version)}]},
                   "request_id": False, "forwarded": {"mode": "off"}}
        return {
            "version": 1, "workers": self.workers(settings), "plugin_dir": PLUGINS,
            "admin": {"listen": "unix:" + self.folder + "/admin.sock"},
            "log": {"level": "info"}, "listeners": listeners,
            "plugins": {
                "rr": {"library": "libRoundRobin.so"},
                "extra": {"library": "libRespond.so", "config": {"status": 204}},
                "version": {"library": "libHeaders.so", "config": version}, **self.plugins},
            "upstreams": {
                "app": {"peers": peers, "balancer": "rr"},
                "ws": {"peers": ["127.0.0.1:%d" % self.origin["ws"]]},
                "grpc": {"peers": ["127.0.0.1:%d" % self.origin["grpc"]], "protocol": "h2c"}},
            "chain": ["version", *self.plugins], "routes": routes, **self.more}

    def write(self, settings):
        self.settings = settings
        return self.file("sluice.json5", json.dumps(self.manifest(settings), indent=1))

    def start(self):
        self.path = self.write(self.settings)
        self.launch([self.binary, "run", "--manifest", self.path])

    def command(self, *arguments, fails=False):
        """Runs a command of the CLI to its end; its output. `fails`: it must refuse."""
        done = self.begin(*arguments)
        text = done.communicate(timeout=60)[0]
        if (done.returncode != 0) != fails:
            raise SystemExit("sluice %s: %d %s" % (" ".join(arguments), done.returncode, text))
        return text

    def post(self, path, body):
        """A request to the admin interface without a command of its own: a command is a process,
        which is felt on a machine with two CPUs."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(60)
            admin.connect(self.folder + "/admin.sock")
            text = json.dumps(body)
            admin.sendall((
                "POST %s HTTP/1.1\r\nHost: admin\r\nContent-Type: application/json\r\n"
                "Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (path, len(text), text)
            ).encode())
            answer = b"".join(iter(lambda: admin.recv(65_536), b""))
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit("%s: %s" % (path, answer.decode("utf-8", "replace")))

    def begin(self, *arguments):
        return subprocess.Popen(
            [self.binary, *arguments, "--manifest", self.path], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def serving(self):
        """Processes that the supervisor started, newest last."""
        return sorted(pid for pid, (parent, state, _) in processes().items()
                      if parent == self.process.pid and state != "Z")

    def reload(self):
        self.command("reload")

    def upgrade(self):
        self.command("upgrade")


SUBJECTS = {"nginx": Nginx, "haproxy": HAProxy, "sluice": Sluice}


def installed(name):
    return os.access(SLUICE, os.X_OK) if name == "sluice" else shutil.which(name) is not None


NGINX = """
worker_processes %(workers)d; pid %(d)s/nginx.pid; error_log %(d)s/error.log; %(user)s
worker_rlimit_nofile 20000; worker_shutdown_timeout 60s;
events { worker_connections 9000; }
http {
  access_log off; sendfile on; tcp_nodelay on; client_max_body_size 0;
  client_body_temp_path %(d)s/body; proxy_temp_path %(d)s/temp;
  fastcgi_temp_path %(d)s/f; uwsgi_temp_path %(d)s/u; scgi_temp_path %(d)s/s;
  keepalive_timeout 120; keepalive_requests 1000000000;
  upstream app { %(peers)s keepalive 64; keepalive_requests 1000000000; keepalive_timeout 600; }
  upstream rpc { server 127.0.0.1:%(grpc)d; keepalive 64; }
  %(say)s
  server {
    listen 127.0.0.1:%(h1)d backlog=4096;
    listen 127.0.0.1:%(tls)d ssl http2 backlog=4096;
    listen 127.0.0.1:%(h2c)d http2 backlog=4096;
    %(extra)s
    ssl_certificate %(cert)s; ssl_certificate_key %(key)s;
    proxy_http_version 1.1;
    location / { proxy_pass http://app; proxy_set_header Connection ""; }
    location /ws {
      proxy_pass http://127.0.0.1:%(ws)d;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }
    location /test.Echo/ { grpc_pass grpc://rpc; }
    %(route)s
  }
}
"""

# idle-close-on-response keeps idle connections of a process that leaves, until they are used once
# more: without it this client sees some of them closed under its requests.
HAPROXY = """
global
  nbthread %(workers)d
  no strict-limits
  maxconn 9000
  hard-stop-after 60s
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  timeout tunnel 1h
  timeout http-keep-alive 120s
  option idle-close-on-response
  http-reuse always
frontend f
  bind 127.0.0.1:%(h1)d backlog 4096
  bind 127.0.0.1:%(tls)d backlog 4096 ssl crt %(pem)s alpn h2,http/1.1
  bind 127.0.0.1:%(h2c)d backlog 4096 proto h2
  %(extra)s
  %(route)s
  http-response set-header x-version %(version)d
  use_backend ws if { path /ws }
  use_backend grpc if { path_beg /test.Echo/ }
  default_backend app
backend app
  balance roundrobin%(peers)s
backend ws
  server s 127.0.0.1:%(ws)d
backend grpc
  server s 127.0.0.1:%(grpc)d proto h2
"""
