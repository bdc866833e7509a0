"""HTTP/2 as frames: a client that can send any octets, and that holds the server to RFC 9113."""
import ssl

from h2frames import *  # noqa: F401,F403  tests of clients import all from here
from h2frames import ENABLE_PUSH, END_HEADERS, Endpoint, PREFACE, Stream, Violation
from wire import Client


def get(path="/", method="GET", scheme="http", authority="test", extra=()):
    """A request's fields."""
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path),
            *extra]


def post(path="/echo", extra=()):
    return get(path, "POST", extra=extra)


class H2(Endpoint, Client):
    """A client's connection. Nothing is sent before `open`."""

    OTHER = "server"

    def __init__(self, address, tls=None, server_name="test", **options):
        Client.__init__(self, address, **options)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.start()
        self.last_stream = -1

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

    def opened(self, stream):
        """Says that the test opens this stream by octets of its own."""
        self.last_stream = max(self.last_stream, stream)
        return self.streams.setdefault(stream, Stream(self.initial_window))

    def headers(self, stream, fields, end=True, flags=END_HEADERS):
        """A HEADERS frame; `fields` may be the block's octets."""
        self.opened(stream)
        self.fields_out(stream, fields, end, flags)
        return stream

    def request(self, fields=None, end=True):
        """Opens the next stream with these fields (a GET of "/" without); its id."""
        return self.headers(self.last_stream + 2, fields or get(), end)

    # -------------------------------------------------------------- reading
    def _check_settings(self):
        if self.peer.get(ENABLE_PUSH):
            raise Violation("6.5.2: a server announces ENABLE_PUSH")

    def _check_fields(self, stream, fields, end):
        if stream.fields is not None:
            self._check_trailers(stream, fields, end)
            return
        pseudo = [name for name, _ in fields if name.startswith(":")]
        if pseudo != [":status"] or fields[0][0] != ":status":
            raise Violation("8.3.2: pseudo-fields %r" % pseudo)
        if fields[0][1].startswith("1"):
            if end or fields[0][1] == "101":
                raise Violation("8.1: an interim response %s, end %s" % (fields[0][1], end))
            stream.interim.append(fields)
        else:
            stream.fields = fields

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
