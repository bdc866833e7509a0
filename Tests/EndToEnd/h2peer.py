"""A small origin that speaks HTTP/2, for tests that are not about frames: it answers each stream
by a function, one after the other."""
import struct

import h2hpack
from h2wire import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PING, \
    PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, settings


class Exchange:
    """One stream: what was asked, and how it is answered."""

    def __init__(self, connection, stream, fields):
        self.connection, self.stream = connection, stream
        self.fields, self.body, self.trailers = fields, b"", []

    def get(self, name):
        return ", ".join(v for n, v in self.fields if n == name) or None

    @property
    def path(self):
        return self.get(":path")

    def _send(self, kind, payload, flags):
        self.connection.send(frame(kind, flags, self.stream, payload))

    def head(self, status=200, fields=(), end=False):
        """A head, final or interim; with `end` it is all of the response."""
        block = h2hpack.block([(":status", str(status)), *fields])
        self._send(HEADERS, block, END_HEADERS | (END_STREAM if end else 0))

    def data(self, data, end=False):
        self._send(DATA, data, END_STREAM if end else 0)

    def end(self, trailers):
        self._send(HEADERS, h2hpack.block(trailers), END_HEADERS | END_STREAM)

    def reset(self, code):
        self._send(RST_STREAM, struct.pack(">I", code), 0)


def script(answer):
    """A script for `harness.Origin`: `answer(exchange)` is called when a request is whole."""

    def run(c):
        assert c.read(len(PREFACE)) == PREFACE
        c.send(frame(SETTINGS, 0, 0, settings((INITIAL_WINDOW_SIZE, 1 << 20))))
        decoder, streams = h2hpack.Decoder(), {}
        while True:
            if not c.buffer and not c.fill():
                return
            header = c.read(9)
            kind, flags, stream = struct.unpack(">BBI", header[3:])
            payload = c.read(int.from_bytes(header[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                c.send(frame(SETTINGS, ACK))
            elif kind == PING and not flags & ACK:
                c.send(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY:
                return
            elif kind == HEADERS:
                assert flags & END_HEADERS, "this origin takes blocks of one frame"
                fields = decoder.decode(payload)
                if stream in streams:
                    streams[stream].trailers = fields
                else:
                    streams[stream] = Exchange(c, stream, fields)
            elif kind == DATA and payload:
                streams[stream].body += payload
                for credited in (0, stream):
                    if not (credited and flags & END_STREAM):
                        c.send(frame(WINDOW_UPDATE, 0, credited, struct.pack(">I", len(payload))))
            elif kind == RST_STREAM:
                streams.pop(stream, None)
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                answer(streams.pop(stream))

    return run
