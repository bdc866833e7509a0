"""A Redis server for one test: it can be killed, stopped, and started again on its port."""
import os
import shutil
import signal
import socket
import subprocess

import harness

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")


class Redis:
    def __init__(self, folder, password=None):
        self.folder = str(folder)
        self.password = password
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        self.process = None
        self.start()

    def start(self):
        path = os.path.join(self.folder, "redis.conf")
        with open(path, "w") as file:
            file.write("bind 127.0.0.1\nport %d\nsave \"\"\nappendonly no\ndir %s\n"
                       % (self.port, self.folder))
            if self.password:
                file.write("requirepass %s\n" % self.password)
        self.process = subprocess.Popen(
            [PROGRAM, path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "the server did not start"
            try:
                return self.ask("PING") == b"+PONG"
            except OSError:
                return False

        harness.eventually(answers, "the server answers")

    def ask(self, *words):
        """The first line of the reply to a command, and of a list all that came with it."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            if self.password:
                sock.sendall(("AUTH %s\r\n" % self.password).encode())
                assert sock.recv(100) == b"+OK\r\n"
            sock.sendall((" ".join(words) + "\r\n").encode())
            data = sock.recv(65536)
        return data.rstrip(b"\r\n")

    def keys(self):
        return [line for line in self.ask("KEYS", "*").split(b"\r\n")
                if line and line[:1] not in b"*$"]

    def freeze(self):
        """Takes connections and commands, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.thaw()
            self.kill()
