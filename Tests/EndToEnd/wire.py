"""HTTP/1 as bytes: messages, connections that read them, and a client.

It reads by the framing that a message declares and keeps everything else as it came, so that a test
sees what a peer would see. It repairs nothing.
"""
import select
import socket
import ssl
import struct

# How long anybody waits for anything.
DEADLINE = 15.0

# Statuses whose responses have no body, whatever their fields say (RFC 9112 section 6.3).
BODILESS = (204, 304)


class Truncated(Exception):
    """The connection ended inside a message."""


class Malformed(Exception):
    """What came is not HTTP/1."""


class Message:
    """A request or response as it came. `fields` keep case and order."""

    def __init__(self, raw_head):
        self.raw_head = raw_head
        lines = raw_head[:-4].split(b"\r\n")
        self.start = lines[0]
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise Malformed(line)
            self.fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
        self.body = b""
        self.raw_body = b""
        self.trailers = []

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        return ", ".join(self.all(name)) if self.all(name) else None

    @property
    def chunked(self):
        return (self.get("transfer-encoding") or "").lower() == "chunked"


class Request(Message):
    def __init__(self, raw_head):
        super().__init__(raw_head)
        self.method, self.target, self.version = self.start.decode("latin-1").split(" ")


class Response(Message):
    def __init__(self, raw_head):
        super().__init__(raw_head)
        version, status, *reason = self.start.decode("latin-1").split(" ", 2)
        self.version, self.status = version, int(status)
        self.reason = reason[0] if reason else ""
        self.interim = []

    @property
    def closes(self):
        return "close" in (self.get("connection") or "").lower()


class Wire:
    """One end of a connection, with what was read beyond the last message."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def fill(self, count=65536):
        """Reads once; False at the end of the stream."""
        data = self.sock.recv(count)
        self.buffer += data
        return bool(data)

    def read(self, length):
        parts, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < length:
            data = self.sock.recv(min(1 << 20, max(65536, length - have)))
            if not data:
                self.buffer = b"".join(parts)
                raise Truncated("%d of %d bytes" % (have, length))
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[length:]
        return whole[:length]

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise Truncated(repr(self.buffer[:200]))
        end = self.buffer.index(mark) + len(mark)
        out, self.buffer = self.buffer[:end], self.buffer[end:]
        return out

    def rest(self):
        """Everything up to the end of the stream."""
        while self.fill(1 << 20):
            pass
        out, self.buffer = self.buffer, b""
        return out

    def chunked_body(self, message):
        parts, raw = [], []
        while True:
            line = self.until(b"\r\n")
            raw.append(line)
            try:
                size = int(line.split(b";")[0].strip(), 16)
            except ValueError:
                raise Malformed(line) from None
            if size == 0:
                break
            data = self.read(size + 2)
            raw.append(data)
            if data[-2:] != b"\r\n":
                raise Malformed(data[-10:])
            parts.append(data[:-2])
        while True:
            line = self.until(b"\r\n")
            raw.append(line)
            if line == b"\r\n":
                break
            name, _, value = line[:-2].partition(b":")
            message.trailers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        message.body, message.raw_body = b"".join(parts), b"".join(raw)

    def ended(self, deadline=DEADLINE):
        """Whether the other side closes, without another byte, before the deadline."""
        if self.buffer:
            return False
        self.sock.settimeout(deadline)
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False
        finally:
            self.sock.settimeout(DEADLINE)

    def quiet(self, seconds=0.2):
        """Whether nothing comes and nobody closes for this long: for what must not happen."""
        if self.buffer or isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not select.select([self.sock], [], [], seconds)[0]

    def finish(self):
        """Closes the sending side."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes by RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class Client(Wire):
    """A client's connection. `address`: (host, port) or the path of a Unix socket; `tls`: an
    `ssl.SSLContext`."""

    def __init__(self, address, source=None, receive_buffer=None, tls=None, server_name=None):
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(DEADLINE)
        sock.connect(address)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname=server_name,
                                   suppress_ragged_eofs=False)
        super().__init__(sock)

    def head(self):
        return Response(self.until(b"\r\n\r\n"))

    def response(self, method="GET"):
        """The next final response, its body read by its framing; 1xx before it in `interim`."""
        interim = []
        while True:
            response = self.head()
            if response.status // 100 != 1 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        if method == "HEAD" or response.status in BODILESS or response.status == 101:
            return response
        if response.get("transfer-encoding"):
            if not response.chunked:
                raise Malformed(response.raw_head)
            self.chunked_body(response)
        elif response.get("content-length") is not None:
            response.body = self.read(int(response.get("content-length")))
        else:
            response.body = self.rest()
        return response

    def request(self, method="GET", target="/", fields=(), body=b"", host="test", version="1.1"):
        """Sends one request and returns its response."""
        self.send(request(method, target, fields, body, host, version))
        return self.response(method)


def request(method="GET", target="/", fields=(), body=b"", host="test", version="1.1"):
    """A request's bytes. A body gets a Content-Length."""
    lines = ["%s %s HTTP/%s" % (method, target, version)]
    if host is not None:
        lines.append("Host: " + host)
    lines += ["%s: %s" % f for f in fields]
    if body:
        lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def reply(body=b"ok", status="200 OK", fields=()):
    """A response's bytes, with Content-Length."""
    head = ["HTTP/1.1 " + status] + ["%s: %s" % f for f in fields]
    head.append("Content-Length: %d" % len(body))
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body


def pattern(length, seed=0):
    """Bytes in which every position can be told from its neighbours; cheap to make and compare."""
    block = b"".join(struct.pack("<I", (i * 2654435761 + seed) & 0xFFFFFFFF) for i in range(16381))
    return (block * (length // len(block) + 1))[:length]
