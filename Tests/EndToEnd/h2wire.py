"""HTTP/2 as frames: a client that can send any octets, and that holds the server to RFC 9113.

It reads frames one by one and checks what every server must keep, whatever a test is about: sizes,
windows to the octet, contiguous header blocks, states of streams, HPACK. A server that breaks one
of these fails the test with a Violation. What the client sends is up to the test and may be wrong.
"""
import socket
import ssl
import struct
import time
from collections import namedtuple

import h2hpack
from wire import DEADLINE, Client, Truncated

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Frames (RFC 9113 section 6; RFC 9218 section 7.1).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10

END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

# Error codes (section 7).
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, \
    ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = range(14)

# Settings (section 6.5.2; RFC 8441 section 3; RFC 9218 section 2.1).
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
    MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 8, 9

WINDOW = 65_535
WINDOW_MAX = 2**31 - 1
FRAME = 16_384


class Violation(AssertionError):
    """The server broke a rule of RFC 9113 or RFC 7541."""


Frame = namedtuple("Frame", "type flags stream payload fields", defaults=(None,))


def frame(type_, flags=0, stream=0, payload=b"", length=None):
    """A frame's octets; `length` where the header is to lie about it."""
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", type_, flags, stream) + payload


def padded(payload, padding, said=None):
    """The payload of a frame with the PADDED flag; `said` where the length field is to lie."""
    return bytes([padding if said is None else said]) + payload + b"\0" * padding


def settings(*pairs):
    return b"".join(struct.pack(">HI", *pair) for pair in pairs)


def get(path="/", method="GET", scheme="http", authority="test", extra=()):
    """A request's fields."""
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path),
            *extra]


def post(path="/echo", extra=()):
    return get(path, "POST", extra=extra)


class Stream:
    """What came on one stream."""

    def __init__(self, window):
        self.window = window
        self.interim = []
        self.fields = None
        self.body = bytearray()
        self.trailers = None
        self.ended = False
        self.reset = None

    @property
    def status(self):
        return int(self.get(":status")) if self.fields else None

    def get(self, name):
        found = [v for n, v in self.fields or () if n == name]
        return ", ".join(found) if found else None

    @property
    def done(self):
        return self.ended or self.reset is not None


class H2(Client):
    """A client's connection. Nothing is sent before `open`."""

    def __init__(self, address, tls=None, server_name="test", **options):
        super().__init__(address, **options)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.decoder = h2hpack.Decoder()
        self.streams = {}
        self.last_stream = -1
        self.peer = {}
        # Payloads of the PINGs that were acknowledged.
        self.pings = []
        self.round_trips = 0
        self.acks = 0
        self.goaway = []
        # What we allow the server to send, and the settings that it has not acknowledged yet.
        self.window, self.initial_window, self.frame_max = WINDOW, WINDOW, FRAME
        self.unacknowledged = []
        # What the server allows us to send: its WINDOW_UPDATEs, without the initial windows.
        self.granted = {0: 0}
        # Octets of `upload` on this connection.
        self.uploaded = 0
        # Whether every DATA is credited at once, on its stream and on the connection.
        self.credits = False
        self.ended_by_peer = False

    # -------------------------------------------------------------- sending
    def send(self, data):
        try:
            super().send(data)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise ConnectionError(str(error)) from None

    def open(self, *pairs, wait=True):
        """The preface with these settings; then, unless told not to, both sides' SETTINGS are
        acknowledged."""
        self.send(PREFACE)
        self.settings(*pairs)
        if wait:
            self.until(lambda: self.peer_ready and not self.unacknowledged, "SETTINGS and ACK")
        return self

    @property
    def peer_ready(self):
        return "seen" in self.peer

    def frame_out(self, type_, flags=0, stream=0, payload=b"", length=None):
        self.send(frame(type_, flags, stream, payload, length))

    def settings(self, *pairs):
        self.unacknowledged.append(pairs)
        self.frame_out(SETTINGS, 0, 0, settings(*pairs))

    def opened(self, stream):
        """Says that the test opens this stream by octets of its own."""
        self.last_stream = max(self.last_stream, stream)
        return self.streams.setdefault(stream, Stream(self.initial_window))

    def headers(self, stream, fields, end=True, flags=END_HEADERS):
        """A HEADERS frame; `fields` may be the block's octets."""
        self.opened(stream)
        data = fields if isinstance(fields, bytes) else h2hpack.block(fields)
        self.frame_out(HEADERS, flags | (END_STREAM if end else 0), stream, data)
        return stream

    def request(self, fields=None, end=True):
        """Opens the next stream with these fields (a GET of "/" without); its id."""
        return self.headers(self.last_stream + 2, fields or get(), end)

    def data(self, stream, data=b"", end=False):
        self.frame_out(DATA, END_STREAM if end else 0, stream, data)

    def rst(self, stream, code=CANCEL):
        self.frame_out(RST_STREAM, 0, stream, struct.pack(">I", code))

    def credit(self, stream, octets):
        """A WINDOW_UPDATE."""
        if stream == 0:
            self.window += octets
        elif stream in self.streams:
            self.streams[stream].window += octets
        self.frame_out(WINDOW_UPDATE, 0, stream, struct.pack(">I", octets))

    def upload(self, stream, body, end=True):
        """Sends a body within the server's windows; reads whatever comes meanwhile."""
        initial, sent, view = self.peer.get(INITIAL_WINDOW_SIZE, WINDOW), 0, memoryview(body)
        while sent < len(body):
            room = min(WINDOW + self.granted[0] - self.uploaded, len(body) - sent, FRAME,
                       initial + self.granted.get(stream, 0) - sent)
            if room <= 0:
                assert not self.streams[stream].done, "the stream ended during the upload"
                self.next_frame()
                continue
            self.data(stream, bytes(view[sent:sent + room]), end and sent + room == len(body))
            sent += room
            self.uploaded += room

    # -------------------------------------------------------------- reading
    def _raw(self):
        head = self.read(9)
        length = int.from_bytes(head[:3], "big")
        type_, flags, stream = struct.unpack(">BBI", head[3:])
        if length > self.frame_max:
            raise Violation("4.2: a frame of %d octets, type %d" % (length, type_))
        return Frame(type_, flags, stream & WINDOW_MAX, self.read(length))

    def next_frame(self):
        """The next frame, its effects noted; Truncated at the end of the connection. A header block
        in several frames is one HEADERS frame with its fields."""
        try:
            got = self._raw()
        except ConnectionError as error:
            self.ended_by_peer = True
            raise Truncated(str(error)) from None
        except Truncated:
            self.ended_by_peer = True
            if self.buffer:
                raise Violation("the connection ended inside a frame") from None
            raise
        if not self.peer_ready and (got.type != SETTINGS or got.flags & ACK):
            raise Violation("3.4: the first frame is of type %d" % got.type)
        handler = self.HANDLERS.get(got.type)
        if not handler:
            raise Violation("5.5: a frame of type %d, which nobody asked for" % got.type)
        return handler(self, got) or got

    def _on_settings(self, got):
        if got.stream or len(got.payload) % 6 or (got.flags & ACK and got.payload):
            raise Violation("6.5: SETTINGS %r" % (got,))
        if got.flags & ACK:
            if not self.unacknowledged:
                raise Violation("6.5: an ACK without SETTINGS")
            self.acks += 1
            for name, value in self.unacknowledged.pop(0):
                self._take_effect(name, value)
            return
        for at in range(0, len(got.payload), 6):
            name, value = struct.unpack_from(">HI", got.payload, at)
            self.peer[name] = value
        if self.peer.get(ENABLE_PUSH):
            raise Violation("6.5.2: a server announces ENABLE_PUSH")
        if not FRAME <= self.peer.get(MAX_FRAME_SIZE, FRAME) < 1 << 24 \
                or self.peer.get(INITIAL_WINDOW_SIZE, 0) > WINDOW_MAX:
            raise Violation("6.5.2: %r" % self.peer)
        self.peer["seen"] = True
        self.frame_out(SETTINGS, ACK)

    def _take_effect(self, name, value):
        # The server's ACK is before every frame that it sends by the new values (section 6.5.3).
        if name == INITIAL_WINDOW_SIZE:
            for stream in self.streams.values():
                stream.window += value - self.initial_window
            self.initial_window = value
        elif name == MAX_FRAME_SIZE:
            self.frame_max = value
        elif name == HEADER_TABLE_SIZE:
            self.decoder.announce(value)

    def _stream(self, got):
        stream = self.streams.get(got.stream)
        if not stream:
            raise Violation("5.1: a frame on stream %d, which is idle: %r" % (got.stream, got[:2]))
        return stream

    def _sends(self, got):
        """The stream of a frame that needs the server's side to be open."""
        stream = self._stream(got)
        if stream.done:
            raise Violation("5.1: type %d on stream %d, which the server had ended" % (
                got.type, got.stream))
        return stream

    @staticmethod
    def _unpadded(got):
        if not got.flags & PADDED:
            return got.payload
        if got.payload[0] >= len(got.payload):
            raise Violation("6.1: padding of the whole frame")
        return got.payload[1:len(got.payload) - got.payload[0]]

    def _on_data(self, got):
        stream, size = self._sends(got), len(got.payload)
        self.window -= size
        stream.window -= size
        if size and (self.window < 0 or stream.window < 0):
            raise Violation("6.9.1: DATA beyond a window: stream %d, connection %d" % (
                stream.window, self.window))
        if stream.fields is None:
            raise Violation("8.1: DATA before HEADERS")
        stream.body += self._unpadded(got)
        stream.ended = bool(got.flags & END_STREAM)
        if self.credits and size:
            self.credit(0, size)
            if not stream.ended:
                self.credit(got.stream, size)

    def _on_headers(self, got):
        stream, block = self._sends(got), self._unpadded(got)
        if got.flags & HAS_PRIORITY:
            block = block[5:]
        flags = got.flags
        while not flags & END_HEADERS:
            more = self._raw()
            if (more.type, more.stream) != (CONTINUATION, got.stream):
                raise Violation("6.10: type %d inside a header block" % more.type)
            block, flags = block + more.payload, more.flags
        try:
            fields = self.decoder.decode(block)
        except h2hpack.BadBlock as error:
            raise Violation("RFC 7541: %s" % error) from None
        self._check_fields(stream, fields, bool(got.flags & END_STREAM))
        stream.ended = bool(got.flags & END_STREAM)
        return got._replace(fields=fields)

    @staticmethod
    def _check_fields(stream, fields, end):
        for name, value in fields:
            if name != name.lower() or value != value.strip(" \t") or set(value) & set("\0\r\n"):
                raise Violation("8.2.1: the field %r: %r" % (name, value))
            if name in ("connection", "keep-alive", "proxy-connection", "transfer-encoding",
                        "upgrade"):
                raise Violation("8.2.2: the field %r" % name)
        pseudo = [name for name, _ in fields if name.startswith(":")]
        if stream.fields is not None:
            if pseudo or not end:
                raise Violation("8.1: trailers with %r, end %s" % (pseudo, end))
            stream.trailers = fields
        elif pseudo != [":status"] or fields[0][0] != ":status":
            raise Violation("8.3.2: pseudo-fields %r" % pseudo)
        elif fields[0][1].startswith("1"):
            if end or fields[0][1] == "101":
                raise Violation("8.1: an interim response %s, end %s" % (fields[0][1], end))
            stream.interim.append(fields)
        else:
            stream.fields = fields

    def _on_reset(self, got):
        if len(got.payload) != 4:
            raise Violation("6.4: RST_STREAM of %d octets" % len(got.payload))
        self._stream(got).reset = struct.unpack(">I", got.payload)[0]

    def _on_ping(self, got):
        if got.stream or len(got.payload) != 8:
            raise Violation("6.7: PING %r" % (got,))
        if got.flags & ACK:
            self.pings.append(got.payload)
        else:
            self.frame_out(PING, ACK, 0, got.payload)

    def _on_goaway(self, got):
        if got.stream or len(got.payload) < 8:
            raise Violation("6.8: GOAWAY %r" % (got,))
        last, code = struct.unpack(">II", got.payload[:8])
        if self.goaway and last > self.goaway[-1][0]:
            raise Violation("6.8: the last stream grows from %d to %d" % (
                self.goaway[-1][0], last))
        self.goaway.append((last, code, got.payload[8:]))

    def _on_window(self, got):
        octets = struct.unpack(">I", got.payload)[0]
        if not 0 < octets <= WINDOW_MAX:
            raise Violation("6.9: a WINDOW_UPDATE of %d" % octets)
        if got.stream:
            self._stream(got)
        self.granted[got.stream] = self.granted.get(got.stream, 0) + octets

    # A client is never sent PUSH_PROMISE: it would need ENABLE_PUSH, and Sluice has no push.
    HANDLERS = {DATA: _on_data, HEADERS: _on_headers, RST_STREAM: _on_reset, SETTINGS: _on_settings,
                PING: _on_ping, GOAWAY: _on_goaway, WINDOW_UPDATE: _on_window,
                PRIORITY: lambda self, got: None}

    def until(self, condition, what):
        """Reads frames until `condition()`; Truncated when the connection ends before."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, "never came: " + what
            try:
                self.next_frame()
            except socket.timeout:
                raise AssertionError("never came: " + what) from None

    def response(self, stream):
        """The whole response on this stream, or its reset."""
        self.until(lambda: self.streams[stream].done, "the end of stream %d" % stream)
        return self.streams[stream]

    def fetch(self, fields=None, body=None):
        """One request and its response."""
        stream = self.request(fields, end=body is None)
        if body is not None:
            self.data(stream, body, end=True)
        return self.response(stream)

    def ping(self, payload=None):
        """A round trip: everything that was sent before has been read by the server."""
        self.round_trips += 1
        payload = payload or b"trip%04d" % self.round_trips
        self.frame_out(PING, 0, 0, payload)
        self.until(lambda: payload in self.pings, "the ACK of a PING")

    def drained(self):
        """Reads up to the end of the connection."""
        try:
            while True:
                self.next_frame()
        except Truncated:
            return self
