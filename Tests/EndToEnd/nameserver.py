"""Name servers for tests: one that follows a script, and dnsmasq."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading

from harness import eventually

A, SOA, AAAA, SRV = 1, 6, 28, 33
NXDOMAIN, SERVFAIL = 3, 2
# Debian has it where only root looks.
DNSMASQ = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wire_name(text):
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def a(address):
    return A, socket.inet_aton(address)


def aaaa(address):
    return AAAA, socket.inet_pton(socket.AF_INET6, address)


def srv(priority, weight, port, target):
    return SRV, struct.pack("!HHH", priority, weight, port) + wire_name(target)


def soa(minimum):
    return SOA, b"\0\0" + struct.pack("!IIIII", 1, 60, 60, 60, minimum)


def record(name, kind, data, ttl):
    return wire_name(name) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


class Question:
    """A question as it came, and answers to it."""

    def __init__(self, packet, is_stream):
        self.packet, self.is_stream = packet, is_stream
        self.id, self.flags, _, _, _, self.extra = struct.unpack("!HHHHHH", packet[:12])
        labels, place = [], 12
        while packet[place]:
            labels.append(packet[place + 1:place + 1 + packet[place]].decode())
            place += packet[place] + 1
        self.name = ".".join(labels)
        self.kind = struct.unpack("!H", packet[place + 1:place + 3])[0]
        self.section = packet[12:place + 5]

    def answer(self, records=(), code=0, ttl=1, authority=(), additional=(), truncated=False,
               number=None, section=None):
        """`records` are of the name that was asked for, or have a name before them."""
        def entries(pieces):
            whole = [piece if len(piece) == 3 else (self.name, *piece) for piece in pieces]
            return b"".join(record(name, kind, data, ttl) for name, kind, data in whole)

        flags = 0x8180 | code | (0x200 if truncated else 0)
        header = struct.pack("!HHHHHH", self.id if number is None else number, flags, 1,
                             len(records), len(authority), len(additional))
        return header + (section or self.section) + entries(records) + entries(authority) \
            + entries(additional)


class Nameserver:
    """Calls `script(question)` for each question, by UDP and by TCP on the same port, and sends
    what it returns: bytes, a list of packets, or nothing."""

    def __init__(self, script, host="127.0.0.1"):
        self.script = script
        self.questions = []
        self.changed = threading.Condition()
        self.stream = socket.create_server((host, 0), backlog=64)
        self.port = self.stream.getsockname()[1]
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind((host, self.port))
        self.address = "%s:%d" % (host, self.port)
        for loop in (self._datagrams, self._streams):
            threading.Thread(target=loop, daemon=True).start()

    def _answers(self, packet, is_stream):
        question = Question(packet, is_stream)
        with self.changed:
            self.questions.append(question)
            self.changed.notify_all()
        answers = self.script(question)
        return [answers] if isinstance(answers, bytes) else answers or []

    def _datagrams(self):
        try:
            while True:
                packet, sender = self.datagrams.recvfrom(4096)
                if not packet:
                    return
                for answer in self._answers(packet, False):
                    self.datagrams.sendto(answer, sender)
        except OSError:
            return

    def _streams(self):
        try:
            while True:
                connection, _ = self.stream.accept()
                threading.Thread(target=self._stream, args=(connection,), daemon=True).start()
        except OSError:
            return

    def _stream(self, connection):
        with connection, connection.makefile("rb") as file:
            length = file.read(2)
            if len(length) == 2:
                packet = file.read(struct.unpack("!H", length)[0])
                for answer in self._answers(packet, True):
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.questions), 10), \
                "never asked: " + what

    def close(self):
        for sock in (self.datagrams, self.stream):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


class Dnsmasq:
    """Serves the names of a file of hosts, and services; `hosts` can be changed at any time."""

    def __init__(self, folder, port, hosts=(), services=(), ttl=1):
        self.path = os.path.join(str(folder), "hosts")
        self.arguments = [
            DNSMASQ, "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--addn-hosts=" + self.path, "--listen-address=127.0.0.1", "--bind-interfaces",
            "--port=%d" % port, "--local=/example/", "--local-ttl=%d" % ttl, "--user=root",
            "--pid-file"] + ["--srv-host=" + service for service in services]
        self.port = port
        self.address = "127.0.0.1:%d" % port
        self.process = None
        self.write(hosts)
        self.start()

    def write(self, hosts):
        """Pairs of an address and a name."""
        with open(self.path, "w") as file:
            file.writelines("%s %s\n" % pair for pair in hosts)

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "dnsmasq did not start"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.settimeout(0.2)
                question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + wire_name("x.example")
                try:
                    probe.connect(("127.0.0.1", self.port))
                    probe.send(question + struct.pack("!HH", A, 1))
                    return bool(probe.recv(512))
                except OSError:
                    return False

        eventually(answers, "dnsmasq answers")

    def change(self, hosts):
        self.write(hosts)
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    close = kill
