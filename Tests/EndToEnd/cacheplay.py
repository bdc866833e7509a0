"""Plays cases of `cachecase` through a proxy: the origin that follows their answers, and the
clients."""
import re
import socket
import threading
import time

import h2wire
import harness
import wire
from cachecase import dates, expectations, fields, matches

# How long a peer that ignores Age is given to let a lifetime of a second pass. One that counts
# whole seconds takes up to two for it.
OUTLIVE = 3.1
# How long something in the background may take.
PATIENCE = 5.0


class Origin(harness.Origin):
    """Gives each request to the play that its path names."""

    def __init__(self):
        self.plays = {}
        super().__init__(self._serve_plays)

    def _serve_plays(self, connection):
        while True:
            head = connection.read_request()
            if head is None:
                return
            play = self.plays.get(head.target.split("?")[0].split("/")[2])
            if play is None or not play.serve(head, connection):
                return


class HTTP1(wire.Client):
    """A client's connection of HTTP/1."""

    def exchange(self, step, target, lines):
        """None when the response is not whole."""
        try:
            self.send(wire.request(step.method, target, lines, step.content, step.host,
                                   step.version))
            return self.response(step.method)
        except (wire.Truncated, ConnectionError):
            return None


class Answer2(wire.Message):
    """A response of HTTP/2, in the shape of one of HTTP/1."""

    closes = False

    def __init__(self, stream):
        self.status = stream.status
        self.fields = [f for f in stream.fields if not f[0].startswith(":")]
        self.body = bytes(stream.body)


class HTTP2(h2wire.H2):
    """A client's connection of HTTP/2, which holds the proxy to RFC 9113 in all that it sends."""

    def __init__(self, address):
        super().__init__(address)
        self.credits = True
        self.open()

    def exchange(self, step, target, lines):
        fields = h2wire.get(target, step.method, "http", step.host,
                            [(name.lower(), value) for name, value in lines])
        if step.content:
            fields.append(("content-length", "%d" % len(step.content)))
        stream = self.fetch(fields, step.content or None)
        return Answer2(stream) if stream.ended else None

    @staticmethod
    def plays(case):
        """Whether the case is one for this version: nothing of HTTP/1 in requests."""
        return not any(step.version != "1.1" or step.tls or line.startswith("Connection:")
                       for step in case.steps for line in (*step.lines, ""))


class Play:
    """One case, played once. `peer` is the proxy between, `http` the client's kind."""

    count = 0

    def __init__(self, case, peer, origin, http=HTTP1):
        self.case, self.peer, self.origin, self.http = case, peer, origin, http
        Play.count += 1
        self.number = "%d" % Play.count
        self.now = int(time.time())
        self.changed = threading.Condition()
        self.requests = []
        self.bodies = []
        self.statuses = []
        # What the steps have accounted for.
        self.seen = 0
        self.last = b""
        self.waits = False
        self.client = None
        self.log = []
        origin.plays[self.number] = self

    # -------------------------------------------------------------- the origin
    def serve(self, head, connection):
        """Answers a request; False when the connection is to be closed."""
        with self.changed:
            number = len(self.requests)
            answer = self.case.answers[min(number, len(self.case.answers) - 1)]
            body = answer.body
            if body is None:
                body = b"answer %d of case %s" % (number + 1, self.number.encode())
            self.requests.append(head)
            self.bodies.append(body)
            self.statuses.append(int(answer.status.split()[0]))
            self.log.append("origin <- %s %s %s" % (head.method, head.target, head.fields))
            self.log.append("origin -> %s %s %s" % (answer.status, answer.framing, answer.lines))
            self.changed.notify_all()
        if answer.delay:
            time.sleep(answer.delay)
        if answer.framing == "drop":
            return False
        connection.send(self.bytes(answer, body, head.method))
        return answer.framing in ("length", "chunked", "none") and answer.version == "1.1"

    def fields(self, lines):
        path = "/%s/%s" % (self.case.store, self.number)
        return [(name, value.replace("{path}", path)) for name, value in fields(lines, self.now)]

    def bytes(self, answer, body, method):
        lines = self.fields(answer.lines)
        names = {name.lower() for name, _ in lines}
        if answer.aged and self.peer.counts_age:
            lines.append(("Age", "%d" % answer.aged))
        elif answer.aged:
            lines = [(n, re.sub(r"\b(s-maxage|max-age)=\d+", r"\1=1", v)) for n, v in lines]
            self.waits = True
        if "date" not in names:
            lines.append(("Date", dates("{now}", self.now)))
        lines = [(n, v) for n, v in lines if v != "none"]
        if answer.framing == "length":
            lines.append(("Content-Length", "%d" % len(body)))
        elif answer.framing == "short":
            lines.append(("Content-Length", "%d" % (len(body) + 1000)))
        elif answer.framing in ("chunked", "cut"):
            lines.append(("Transfer-Encoding", "chunked"))
            body = b"".join(wire.chunk(part) for part in (body[:5], body[5:]) if part)
            if answer.framing == "chunked":
                trailers = "".join("%s: %s\r\n" % f for f in self.fields(answer.trailers))
                body += b"0\r\n" + trailers.encode() + b"\r\n"
        if answer.framing == "none" or method == "HEAD":
            body = b""
        heads = [(answer.status, lines)]
        if answer.interim:
            heads.insert(0, (answer.interim[0], self.fields(answer.interim[1:])))
        return "".join(
            "HTTP/%s %s\r\n%s\r\n" % (answer.version, status,
                                      "".join("%s: %s\r\n" % line for line in head))
            for status, head in heads).encode("latin-1") + body

    # -------------------------------------------------------------- the client
    def run(self):
        try:
            for number, step in enumerate(self.case.steps, 1):
                try:
                    self.step(step)
                except (AssertionError, OSError, wire.Malformed) as error:
                    raise AssertionError("%s\nstep %d, %s: %s\n%s" % (
                        self.case.id, number, step.kind, error, "\n".join(self.log))) from None
        finally:
            if self.client:
                self.client.close()
            del self.origin.plays[self.number]

    def step(self, step):
        if step.kind == "together":
            self.together(step)
        elif step.kind == "during":
            self.during(step)
        elif step.kind == "leave":
            client = self.http(self.peer.address)
            thread = self.until_asked(lambda: self.ask(step, client))
            client.sock.shutdown(socket.SHUT_RDWR)
            thread.join()
            client.close()
        elif step.eventually:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    self.exchange(step)
                    break
                except AssertionError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)
        else:
            self.exchange(step)
        if self.waits:
            time.sleep(OUTLIVE)
            self.waits = False

    def ask(self, step, client):
        target = "/%s/%s%s" % (self.case.store, self.number, step.path)
        response = client.exchange(step, target, self.fields(step.lines))
        self.log.append("client -> %s %s %s" % (step.method, target, step.lines))
        self.log.append("client <- %s" % (response and "%d %s %r" % (
            response.status, response.fields, response.body[:100])))
        return response

    def exchange(self, step):
        if step.tls or not self.client:
            client = (HTTP1(self.peer.tls_address, tls=self.peer.tls, server_name="localhost")
                      if step.tls else self.http(self.peer.address))
        else:
            client = self.client
        response = self.ask(step, client)
        if step.tls:
            client.close()
        elif response is None or response.closes or step.version == "1.0":
            client.close()
            self.client = None
        else:
            self.client = client
        if step.kind == "cut":
            assert response is None or response.status == 502, "the client took it for whole"
            self.seen = len(self.requests)
            return
        assert response is not None, "the response was cut"
        if step.kind != "either":
            asked = {"miss": 1, "validated": 1, "asks": 1, "hit": 0, "local": 0}[step.kind]
            self.account(asked + step.then, PATIENCE if step.then else 0)
        self.check(step, response)

    def account(self, asked, patience=0):
        """Compares how often the origin was asked since the step before."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.requests) >= self.seen + asked, patience)
            count, self.seen = len(self.requests) - self.seen, len(self.requests)
        assert count == asked, "the origin was asked %d times instead of %d" % (count, asked)

    def check(self, step, response):
        if step.kind == "either":
            self.seen = len(self.requests)
        status = step.status
        # A 304 answers the proxy's condition, not the client's.
        if status is None and step.kind in ("miss", "either") and self.statuses[-1] != 304:
            status = self.statuses[-1]
        status = 200 if status is None else status
        allowed = status if isinstance(status, tuple) else (status,)
        assert response.status in allowed, "status %d" % response.status
        self.check_fields(response, step.has, step.lacks, "the response")
        if step.asked or step.unasked or step.kind == "validated":
            self.check_fields(self.requests[-1], step.asked, step.unasked, "the origin's request")
        if step.kind == "validated":
            last = self.requests[-1]
            assert last.get("if-none-match") or last.get("if-modified-since"), \
                "the origin was asked without a condition"
            assert self.statuses[-1] == 304, "the case lacks a 304"
        self.check_body(step, response)

    def check_body(self, step, response):
        wanted = step.body
        if step.of:
            wanted = self.bodies[step.of - 1]
        elif wanted is None and step.kind == "miss":
            wanted = b"" if response.status in wire.BODILESS else self.bodies[-1]
        elif wanted is None and not step.parts and step.kind in ("hit", "validated"):
            wanted = self.last if response.status not in (304, 416) else None
        if step.method == "HEAD":
            assert response.body == b""
            return
        if wanted is not None:
            allowed = wanted if isinstance(wanted, tuple) else (wanted,)
            assert response.body in allowed, "the body is %r instead of %r" % (
                response.body[:100], allowed[0][:100])
        if step.parts:
            self.check_parts(step, response)
        if step.kind != "local" and response.status not in (206, 304, 416):
            self.last = response.body

    @staticmethod
    def check_parts(step, response):
        """Compares the parts of multipart/byteranges, and that nothing is between them."""
        assert response.status == 206, "status %d" % response.status
        kind = re.fullmatch(r'multipart/byteranges; *boundary="?([^";]+)"?',
                            response.get("content-type") or "", re.I)
        assert kind, "Content-Type is %s" % response.get("content-type")
        mark = b"--" + kind[1].encode()
        pieces = (b"\r\n" + response.body).split(b"\r\n" + mark)
        assert pieces[0] == b"" and pieces[-1].rstrip(b"\r\n") == b"--", "broken boundaries"
        found = []
        for piece in pieces[1:-1]:
            head, _, body = piece.partition(b"\r\n\r\n")
            where = re.search(rb"(?im)^content-range: *bytes ([0-9/-]+)\r?$", head)
            assert where, "a part without Content-Range"
            found.append((where[1].decode(), body))
        assert found == list(step.parts), "the parts are %r" % found

    def check_fields(self, message, has, lacks, whose):
        for line in expectations(has):
            name, _, value = line.partition(": ")
            have = message.get(name)
            assert have is not None, "%s has no %s" % (whose, name)
            if value:
                value = dates(value, self.now)
                assert matches(value, have), "%s has %s: %s instead of %s" % (
                    whose, name, have, value)
        for name in expectations(lacks):
            assert message.get(name) is None, "%s has %s: %s" % (whose, name, message.get(name))

    def until_asked(self, request):
        """Runs it in a thread until the origin has got one request more; that thread."""
        thread = threading.Thread(target=request, daemon=True)
        thread.start()
        self.account(1, PATIENCE)
        return thread

    def during(self, step):
        out = []
        client = self.http(self.peer.address)
        thread = self.until_asked(lambda: out.append(self.ask(step, client)))
        body = self.bodies[-1]
        for other in step.meanwhile:
            self.step(other)
        thread.join()
        client.close()
        assert out and out[0] is not None, "the response was cut"
        assert out[0].body == body, "the body is %r" % out[0].body[:100]
        self.last = body

    def together(self, step):
        out = [None] * step.clients

        def one(index):
            client = self.http(self.peer.address)
            try:
                out[index] = self.ask(step, client)
            finally:
                client.close()

        threads = [threading.Thread(target=one, args=(i,)) for i in range(step.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.account(step.reach)
        for response in out:
            assert response is not None, "a response was cut"
            allowed = {self.statuses[-1]} if step.status is None else {step.status}
            assert response.status in allowed, "status %d" % response.status
            assert response.body in self.bodies, "a body that nobody sent: %r" % response.body
        bodies = {response.body for response in out}
        assert len(bodies) == min(step.reach, step.clients), "%d different bodies" % len(bodies)
        self.last = out[0].body
