"""An origin that speaks HTTP/2 as frames, and holds the proxy as a client to RFC 9113.

A script gets each connection, after the preface. It may use `serve`, or send whatever octets it
likes. What the proxy does wrong is a Violation, which fails the test at its end.
"""
import harness
from h2frames import (
    CANCEL, ENABLE_PUSH, END_HEADERS, Endpoint, MAX_CONCURRENT_STREAMS, NO_ERROR, PREFACE, Stream,
    Violation)
from wire import Truncated


class Request(Stream):
    """What came on one stream, and whether we have ended our side of it."""

    def __init__(self, id_, window):
        super().__init__(window)
        self.id = id_
        self.answered = False
        # `serve` has given it to its function.
        self.taken = False
        # We have reset it: what is under way from the proxy is no violation.
        self.abandoned = False

    method = property(lambda self: self.get(":method"))
    path = property(lambda self: self.get(":path"))
    authority = property(lambda self: self.get(":authority"))

    @property
    def is_open(self):
        return not (self.reset is not None or self.abandoned or self.ended and self.answered)


class H2Peer(Endpoint, harness.OriginConnection):
    """A connection that the proxy made."""

    OTHER = "proxy"

    def __init__(self, sock, origin, number):
        harness.OriginConnection.__init__(self, sock, origin, number)
        self.start()
        self.last_stream = 0
        # Streams that the proxy may have open at a time, as far as it has acknowledged.
        self.streams_max = None
        self.most_streams = 0
        # Ids of the requests that are whole, in the order of their ends, and of those that no
        # `next_head` has returned.
        self.whole, self.heads = [], []

    # -------------------------------------------------------------- beginning
    def open(self, *pairs, wait=True):
        """Reads the preface and sends SETTINGS with these pairs."""
        self.preface()
        self.settings(*pairs)
        if wait:
            self.until(lambda: self.peer_ready, "SETTINGS")
        return self

    def preface(self):
        got = self.read(len(PREFACE))
        if got != PREFACE:
            raise Violation("3.4: the connection begins with %r" % got)

    def _check_settings(self):
        if self.peer.get(ENABLE_PUSH) != 0:
            raise Violation("the proxy takes pushes: %r" % self.peer)

    def _take_effect(self, name, value):
        super()._take_effect(name, value)
        if name == MAX_CONCURRENT_STREAMS:
            # Streams that were opened before are not closed by it.
            self.streams_max = value

    # -------------------------------------------------------------- reading
    def _on_headers(self, got):
        if got.stream not in self.streams:
            if got.stream % 2 == 0 or got.stream <= self.last_stream:
                raise Violation("5.1.1: stream %d behind %d" % (got.stream, self.last_stream))
            self.last_stream = got.stream
            self.heads.append(got.stream)
            self.streams[got.stream] = Request(got.stream, self.initial_window)
            count = sum(s.is_open for s in self.streams.values())
            self.most_streams = max(self.most_streams, count)
            if self.streams_max is not None and count > self.streams_max:
                raise Violation("5.1.2: %d streams of %d" % (count, self.streams_max))
        result = super()._on_headers(got)
        self._ended(self.streams[got.stream])
        return result

    def _on_data(self, got):
        super()._on_data(got)
        self._ended(self.streams[got.stream])

    def _ended(self, request):
        if not request.ended or request.id in self.whole:
            return
        length = request.get("content-length")
        if length is not None and int(length) != len(request.body):
            raise Violation("8.1.1: content of %d octets, said %s" % (len(request.body), length))
        self.whole.append(request.id)

    def _on_reset(self, got):
        super()._on_reset(got)
        with self.origin.changed:
            self.origin.resets.append((self.number, got.stream, self.streams[got.stream].reset))
            self.origin.changed.notify_all()

    def _on_goaway(self, got):
        super()._on_goaway(got)
        with self.origin.changed:
            self.origin.goaways.append((self.number,) + self.goaway[-1][:2])
            self.origin.changed.notify_all()

    PSEUDO = (":method", ":scheme", ":path", ":authority")

    def _check_fields(self, stream, fields, end):
        if stream.fields is not None:
            self._check_trailers(stream, fields, end)
            return
        names = [name for name, _ in fields]
        pseudo = [name for name in names if name.startswith(":")]
        if names[:len(pseudo)] != pseudo:
            raise Violation("8.3: a pseudo-field behind others: %r" % names)
        if sorted(pseudo) != sorted(self.PSEUDO):
            raise Violation("8.3.1: pseudo-fields %r" % pseudo)
        if "host" in names:
            raise Violation("8.3.1: Host beside :authority")
        for name in ("cookie", "content-length"):
            if name == "content-length" and names.count(name) > 1:
                raise Violation("more than one %s" % name)
        if dict(fields).get("te", "trailers") != "trailers":
            raise Violation("8.2.2: te is %r" % dict(fields)["te"])
        scheme = "https" if self.origin.tls else "http"
        if dict(fields)[":scheme"] != scheme:
            raise Violation(":scheme is %r" % dict(fields)[":scheme"])
        stream.fields = fields
        self.origin.note(stream)

    # -------------------------------------------------------------- answering
    def takes(self, stream):
        return self.streams[stream].reset is None

    def next_head(self):
        """The next request whose head has come; None at the end of the connection."""
        return self._next(lambda: self.heads, lambda: self.heads.pop(0))

    def next_request(self):
        """The next request that is whole and was not answered; None at the end of the
        connection."""
        def first():
            return next((i for i in self.whole if not self.streams[i].answered
                         and not self.streams[i].taken and self.streams[i].reset is None), None)

        return self._next(first, first)

    def _next(self, condition, choose):
        try:
            while not condition():
                self.next_frame()
        except Truncated:
            return None
        return self.streams[choose()]

    def headers(self, stream, fields, end=False, flags=END_HEADERS):
        self.fields_out(stream, fields, end, flags)
        if end:
            self.streams[stream].answered = True

    def data(self, stream, data=b"", end=False):
        super().data(stream, data, end)
        if end and stream in self.streams:
            self.streams[stream].answered = True

    def rst(self, stream, code=CANCEL):
        super().rst(stream, code)
        if stream in self.streams:
            self.streams[stream].abandoned = True

    def answer(self, stream, body=b"ok", status="200", fields=(), trailers=None, length=True):
        """A whole response; `length`: whether it says Content-Length."""
        head = [(":status", status), *fields]
        if length and body is not None:
            head.append(("content-length", str(len(body))))
        whole = not body and trailers is None
        self.headers(stream, head, end=whole)
        if body:
            self.upload(stream, body, end=trailers is None)
        if trailers is not None:
            self.headers(stream, trailers, end=True)

    def serve(self, answer):
        """Answers requests until the connection ends: with this body, or as a function of the
        connection and the request does it."""
        self.credits = True
        while True:
            request = self.next_request()
            if request is None:
                return
            request.taken = True
            if callable(answer):
                answer(self, request)
            else:
                self.answer(request.id, answer)


class H2Origin(harness.Origin):
    """An origin of `H2Peer`s. `settings`: what each begins with, as pairs; None for a script that
    begins by itself."""

    connection = H2Peer

    def __init__(self, script, *, settings=(), **options):
        self.resets = []
        self.goaways = []

        def begin(connection):
            if settings is not None:
                connection.open(*settings)
            script(connection)

        super().__init__(begin, **options)

    def wait_reset(self, code, count=1):
        """Waits until the proxy has reset so many streams with this code."""
        self.wait(lambda: sum(c == code for _, _, c in self.resets) >= count,
                  "RST_STREAM with code %d; came: %r" % (code, self.resets))

    def wait_goaway(self, code=NO_ERROR):
        self.wait(lambda: any(c == code for _, _, c in self.goaways),
                  "GOAWAY with code %d; came: %r" % (code, self.goaways))


def serve(answer=b"ok"):
    """A script that answers every request."""
    return lambda connection: connection.serve(answer)
