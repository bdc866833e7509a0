"""A client that python3-h2 drives: a state machine of HTTP/2 that is not ours, in the clear and
over TLS. It raises ProtocolError at whatever a server may not do."""
import socket
from types import SimpleNamespace

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

import h2server
from h2wire import CANCEL, NO_ERROR
from wire import DEADLINE, pattern

WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
FRAME = h2.settings.SettingCodes.MAX_FRAME_SIZE


class Client:
    """One connection. `credits`: whether data is acknowledged as it comes."""

    def __init__(self, address, tls, settings=None):
        self.sock = socket.create_connection(address, DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="test")
            assert self.sock.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.streams, self.credits = {}, True
        self.pongs, self.acks, self.goaway, self.ended = [], 0, None, False
        if settings:
            self.h2.local_settings.update(settings)
            for code in settings:
                self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.flush()
        self.until(lambda: self.acks)

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def request(self, path="/", method="GET", body=None, fields=(), **priority):
        """Opens a stream; with a body it stays open."""
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = SimpleNamespace(
            fields=None, body=bytearray(), trailers=None, ended=False, reset=None, unpaid=0)
        self.h2.send_headers(number, [
            (":method", method), (":scheme", "https"), (":authority", "test"), (":path", path),
            *fields], end_stream=body is None, **priority)
        self.flush()
        return number

    def upload(self, bodies):
        """Sends the bodies of several streams in turn, as far as the windows let it."""
        sent = dict.fromkeys(bodies, 0)
        while sent:
            moved = False
            for number in list(sent):
                at, body = sent[number], bodies[number]
                room = min(self.h2.local_flow_control_window(number),
                           self.h2.max_outbound_frame_size, len(body) - at)
                if room == 0 and at < len(body):
                    continue
                moved, sent[number] = True, at + room
                self.h2.send_data(number, body[at:at + room], end_stream=at + room == len(body))
                self.flush()
                if sent[number] == len(body):
                    del sent[number]
            if not moved:
                self.step()

    def until(self, condition):
        while not condition():
            assert not self.ended, "the connection ended, GOAWAY %s" % self.goaway
            self.step()

    def step(self):
        data = self.sock.recv(65536)
        self.ended = not data
        for event in self.h2.receive_data(data):
            self.take(event)
        self.flush()

    def take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.fields = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            stream.unpaid += event.flow_controlled_length
            if self.credits:
                self.pay(event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = event.error_code
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs.append(event.ping_data)
        elif isinstance(event, h2.events.SettingsAcknowledged):
            self.acks += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def pay(self, number):
        """Gives the windows back what came on this stream."""
        stream = self.streams[number]
        self.h2.acknowledge_received_data(stream.unpaid, number)
        stream.unpaid = 0

    def response(self, number):
        stream = self.streams[number]
        self.until(lambda: stream.ended or stream.reset is not None)
        return stream

    def ping(self, data):
        self.h2.ping(data)
        self.flush()
        self.until(lambda: data in self.pongs)


server, bench = h2server.fixture()


@pytest.fixture
def connect(bench):
    made = []

    def make(settings=None):
        made.append(Client(bench.address, bench.server.tls, settings))
        return made[-1]

    yield make
    for client in made:
        client.sock.close()


def test_parallel_streams(connect):
    c = connect()
    sizes = [0, 1, 16_384, 16_385, 65_535, 65_536, 300_000] * 14
    streams = [(c.request("/bytes/%d" % size), size) for size in sizes]
    for number, size in streams:
        answer = c.response(number)
        assert answer.fields[":status"] == "200" and bytes(answer.body) == pattern(size)
        assert answer.fields["content-length"] == str(size)


@pytest.mark.parametrize("window", [1, 100, 16_383, 1 << 20])
def test_windows(connect, window):
    """The state machine counts: one octet too many is a FlowControlError."""
    size = min(30_000, 200 * window)
    c = connect({WINDOW: window})
    for number in [c.request("/bytes/%d" % size) for _ in range(5)]:
        assert bytes(c.response(number).body) == pattern(size)


def test_a_window_that_is_given_piece_by_piece(connect):
    c = connect({WINDOW: 1_000})
    c.credits = False
    first, other = c.request("/bytes/5000"), c.request("/bytes/900")
    assert bytes(c.response(other).body) == pattern(900)
    stream = c.streams[first]
    for room in range(1_000, 5_000, 1_000):
        c.until(lambda: len(stream.body) == room)
        c.ping(b"%08d" % room)
        assert len(stream.body) == room
        c.h2.increment_flow_control_window(1_000, first)
        c.flush()
    assert bytes(c.response(first).body) == pattern(5_000)


def test_a_window_that_shrinks(connect):
    """Below what is already in flight; the state machine allows what was sent before the ACK."""
    c = connect({WINDOW: 50_000})
    c.credits = False
    number = c.request("/bytes/200000")
    c.until(lambda: len(c.streams[number].body) == 50_000)
    acks = c.acks
    c.h2.update_settings({WINDOW: 10})
    c.flush()
    c.until(lambda: c.acks > acks)
    c.credits = True
    c.pay(number)
    c.flush()
    # 40,000 of the window are owed, so this alone opens it by 10 octets.
    c.until(lambda: len(c.streams[number].body) > 50_000)
    c.ping(b"settled.")
    assert len(c.streams[number].body) < 50_100
    c.h2.increment_flow_control_window(150_000, number)
    c.flush()
    assert bytes(c.response(number).body) == pattern(200_000)


def test_large_frames(connect):
    c = connect({WINDOW: 1 << 24})
    c.h2.update_settings({FRAME: (1 << 24) - 1})
    c.flush()
    c.until(lambda: c.acks == 2)
    for number in [c.request("/bytes/3000000") for _ in range(3)]:
        assert bytes(c.response(number).body) == pattern(3_000_000)


def test_uploads_side_by_side(connect):
    c = connect()
    bodies = {}
    for seed, size in enumerate([1, 100_000, 1_000_000, 2_000_000]):
        bodies[c.request("/echo", "POST", body=True)] = pattern(size, seed)
    c.upload(bodies)
    for number, body in bodies.items():
        assert bytes(c.response(number).body) == body


def test_trailers_both_ways(connect, bench):
    c = connect()
    number = c.request("/trailers", "POST", body=True)
    c.h2.send_data(number, b"a body")
    c.h2.send_headers(number, [("x-checksum", "abc")], end_stream=True)
    c.flush()
    answer = c.response(number)
    assert bytes(answer.body) == b"body" and answer.trailers == {"x-sum": "42"}
    with bench.origin.changed:
        seen = bench.origin.requests[-1]
    assert (seen.body, seen.trailers) == (b"a body", [("x-checksum", "abc")])


def test_resets_disturb_nobody(connect, bench):
    c = connect()
    closed = bench.origin.closed
    slow = c.request("/bytes/3000000")
    held = [c.request("/hold/%d" % i) for i in range(20)]
    bench.origin.wait(lambda: len({r.target for r in bench.origin.requests
                                   if r.target.startswith("/hold/")}) == 20, "the requests")
    for number in held:
        c.h2.reset_stream(number, CANCEL)
    c.flush()
    assert bytes(c.response(slow).body) == pattern(3_000_000)
    bench.origin.wait_closed(closed + 20)
    assert bytes(c.response(c.request()).body) == b"ok" and c.goaway is None


def test_priorities(connect):
    """Those of RFC 7540 are taken and not obeyed; RFC 9218's decide who goes first."""
    c = connect({WINDOW: 1 << 20})
    c.credits = False
    size = 60_000
    late = [c.request("/bytes/%d" % size, fields=[("priority", "u=6")],
                      priority_weight=256, priority_depends_on=0) for _ in range(3)]
    c.until(lambda: sum(len(c.streams[n].body) for n in late) == 65_535)
    first = c.request("/bytes/%d" % size, fields=[("priority", "u=0")], priority_weight=1,
                      priority_depends_on=late[0], priority_exclusive=True)
    c.h2.prioritize(late[1], weight=256, depends_on=late[0])
    c.flush()
    # Its head needs no window: what follows finds the answer there.
    c.until(lambda: c.streams[first].fields)
    c.ping(b"arrived!")
    before = sum(len(c.streams[n].body) for n in late)
    c.h2.increment_flow_control_window(size)
    c.flush()
    c.until(lambda: c.streams[first].ended)
    assert sum(len(c.streams[n].body) for n in late) - before < 2 * 16_384
    c.h2.increment_flow_control_window(4 * size)
    c.flush()
    for number in [first, *late]:
        assert bytes(c.response(number).body) == pattern(size)


def test_methods_and_statuses(connect):
    c = connect()
    assert c.response(c.request(method="HEAD")).fields["content-length"] == "1000"
    for status in ("204", "304", "404", "503"):
        assert c.response(c.request("/status/" + status)).fields[":status"] == status


def test_the_clients_goaway(connect):
    """What it has asked for is served; then the connection ends, without an error."""
    c = connect()
    number = c.request("/bytes/1000000")
    c.until(lambda: c.streams[number].fields)
    # The state machine takes nothing more once it has said GOAWAY itself, so this is raw.
    c.sock.sendall(b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8)
    assert bytes(c.response(number).body) == pattern(1_000_000)
    while not c.ended:
        c.step()
    assert c.goaway in (None, NO_ERROR)
