"""HTTP/2 as frames: what both ends have in common.

An endpoint reads frames one by one and checks what every other end must keep, whatever a test is
about: sizes, windows to the octet, contiguous header blocks, states of streams, HPACK. An end that
breaks one of these fails the test with a Violation. What the endpoint itself sends is up to the
test and may be wrong.
"""
import socket
import struct
import time
from collections import namedtuple

import h2hpack
from wire import DEADLINE, Truncated

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
    """The other end broke a rule of RFC 9113 or RFC 7541."""


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
        # Frames of the longest header block, and names of fields that came as never indexed.
        self.header_frames = 0
        self.never = set()

    @property
    def status(self):
        return int(self.get(":status")) if self.fields else None

    def get(self, name):
        found = [v for n, v in self.fields or () if n == name]
        return ", ".join(found) if found else None

    @property
    def done(self):
        return self.ended or self.reset is not None


class Endpoint:
    """One end of a connection; the other base of a class is its wire."""

    # What the other end is called in violations.
    OTHER = "other end"

    def start(self):
        self.decoder = h2hpack.Decoder()
        self.streams = {}
        self.peer = {}
        # Payloads of the PINGs that were acknowledged.
        self.pings = []
        self.round_trips = 0
        self.acks = 0
        self.goaway = []
        # What we allow the other end to send, and the settings that it has not acknowledged yet.
        self.window, self.initial_window, self.frame_max = WINDOW, WINDOW, FRAME
        self.unacknowledged = []
        # What the other end allows us to send: its WINDOW_UPDATEs, without the initial windows.
        self.granted = {0: 0}
        # Octets of `upload` on this connection.
        self.uploaded = 0
        # Whether every DATA is credited at once, on its stream and on the connection.
        self.credits = False
        self.ended_by_peer = False

    # -------------------------------------------------------------- sending
    @property
    def peer_ready(self):
        return "seen" in self.peer

    def frame_out(self, type_, flags=0, stream=0, payload=b"", length=None):
        self.send(frame(type_, flags, stream, payload, length))

    def settings(self, *pairs):
        self.unacknowledged.append(pairs)
        self.frame_out(SETTINGS, 0, 0, settings(*pairs))

    def fields_out(self, stream, fields, end=True, flags=END_HEADERS):
        """A HEADERS frame, and CONTINUATION behind it for what is over a frame's size; `fields` may
        be the block's octets, which go out as one frame."""
        end_flag = END_STREAM if end else 0
        if isinstance(fields, bytes):
            self.frame_out(HEADERS, flags | end_flag, stream, fields)
            return
        data = h2hpack.block(fields)
        if len(data) <= FRAME:
            self.frame_out(HEADERS, flags | end_flag, stream, data)
            return
        self.frame_out(HEADERS, flags & ~END_HEADERS | end_flag, stream, data[:FRAME])
        for at in range(FRAME, len(data), FRAME):
            last = at + FRAME >= len(data)
            self.frame_out(CONTINUATION, END_HEADERS if last else 0, stream, data[at:at + FRAME])

    def data(self, stream, data=b"", end=False):
        self.frame_out(DATA, END_STREAM if end else 0, stream, data)

    def rst(self, stream, code=CANCEL):
        self.frame_out(RST_STREAM, 0, stream, struct.pack(">I", code))

    def goaway_out(self, last, code=NO_ERROR):
        self.frame_out(GOAWAY, 0, 0, struct.pack(">II", last, code))

    def credit(self, stream, octets):
        """A WINDOW_UPDATE."""
        if stream == 0:
            self.window += octets
        elif stream in self.streams:
            self.streams[stream].window += octets
        self.frame_out(WINDOW_UPDATE, 0, stream, struct.pack(">I", octets))

    def upload(self, stream, body, end=True):
        """Sends a body within the other end's windows; reads whatever comes meanwhile."""
        sent, view = 0, memoryview(body)
        while sent < len(body):
            room = min(WINDOW + self.granted[0] - self.uploaded, len(body) - sent, FRAME,
                       self.peer.get(INITIAL_WINDOW_SIZE, WINDOW) + self.granted.get(stream, 0)
                       - sent)
            if room <= 0:
                assert self.takes(stream), "the stream ended after %d bytes: reset %r, %r" % (
                    sent, self.streams[stream].reset, self.streams[stream].fields)
                self.next_frame()
                continue
            self.data(stream, bytes(view[sent:sent + room]), end and sent + room == len(body))
            sent += room
            self.uploaded += room

    def takes(self, stream):
        """Whether the other end may still want what we send on a stream."""
        return not self.streams[stream].done

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
        return getattr(self, handler)(got) or got

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
        self._check_settings()
        if not FRAME <= self.peer.get(MAX_FRAME_SIZE, FRAME) < 1 << 24 \
                or self.peer.get(INITIAL_WINDOW_SIZE, 0) > WINDOW_MAX:
            raise Violation("6.5.2: %r" % self.peer)
        self.peer["seen"] = True
        self.acknowledge()

    def acknowledge(self):
        self.frame_out(SETTINGS, ACK)

    def _take_effect(self, name, value):
        # The ACK is before every frame that is sent by the new values (section 6.5.3).
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
        """The stream of a frame that needs the other end's side to be open."""
        stream = self._stream(got)
        if stream.done:
            raise Violation("5.1: type %d on stream %d, which the %s had ended" % (
                got.type, got.stream, self.OTHER))
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
        flags, frames = got.flags, 1
        while not flags & END_HEADERS:
            more = self._raw()
            if (more.type, more.stream) != (CONTINUATION, got.stream):
                raise Violation("6.10: type %d inside a header block" % more.type)
            block, flags, frames = block + more.payload, more.flags, frames + 1
        stream.header_frames = max(stream.header_frames, frames)
        try:
            fields = self.decoder.decode(block)
        except h2hpack.BadBlock as error:
            raise Violation("RFC 7541: %s" % error) from None
        stream.never |= self.decoder.never
        for name, value in fields:
            if name != name.lower() or value != value.strip(" \t") or set(value) & set("\0\r\n"):
                raise Violation("8.2.1: the field %r: %r" % (name, value))
            if name in ("connection", "keep-alive", "proxy-connection", "transfer-encoding",
                        "upgrade"):
                raise Violation("8.2.2: the field %r" % name)
        self._check_fields(stream, fields, bool(got.flags & END_STREAM))
        stream.ended = bool(got.flags & END_STREAM)
        return got._replace(fields=fields)

    def _check_trailers(self, stream, fields, end):
        pseudo = [name for name, _ in fields if name.startswith(":")]
        if pseudo or not end:
            raise Violation("8.1: trailers with %r, end %s" % (pseudo, end))
        stream.trailers = fields

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
            self.pong(got.payload)

    def pong(self, payload):
        self.frame_out(PING, ACK, 0, payload)

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

    def _on_priority(self, got):
        pass

    # Nobody is sent PUSH_PROMISE: a client would have to ask for it, and only servers may.
    HANDLERS = {DATA: "_on_data", HEADERS: "_on_headers", RST_STREAM: "_on_reset",
                SETTINGS: "_on_settings", PING: "_on_ping", GOAWAY: "_on_goaway",
                WINDOW_UPDATE: "_on_window", PRIORITY: "_on_priority"}

    def until(self, condition, what):
        """Reads frames until `condition()`; Truncated when the connection ends before."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, "never came: " + what
            try:
                self.next_frame()
            except socket.timeout:
                raise AssertionError("never came: " + what) from None

    def ping(self, payload=None):
        """A round trip: everything that was sent before has been read by the other end."""
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
