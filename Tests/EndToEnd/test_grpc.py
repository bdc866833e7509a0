"""gRPC from end to end: a real client and a real service, with the proxy between them."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import grpcpeer
import harness
from certificates import Authority
from grpcpeer import Asker, Server, Service, method
from wire import DEADLINE, pattern

# What the client speaks, and what the peers speak.
WAYS = [("h2c", "h2c"), ("h2", "h2"), ("h2", "h2c"), ("h2c", "h2")]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("grpc-ca"))
    made.leaf = made.issue("localhost", "IP:127.0.0.1")
    return made


class Way:
    """A client's channel through a proxy to services."""

    def __init__(self, folder, authority, front="h2c", back="h2c", servers=None, options=(),
                 listener=None, upstream=None, **over):
        leaf = authority.leaf
        self.servers = servers or [Server(leaf=leaf if back != "h2c" else None)]
        self.service = self.servers[0].service
        listen = {"protocols": [front]}
        if front == "h2":
            listen["tls"] = {"certificates": [leaf.entry]}
        peers = {"protocol": back}
        if back != "h2c":
            peers["tls"] = {"ca": authority.path}
        self.proxy = harness.Sluice(folder, harness.manifest(
            *[s.address for s in self.servers], listener={**listen, **(listener or {})},
            upstream={**peers, **(upstream or {})}, **over))
        self.ca = authority.path if front == "h2" else None
        self.channels = []
        self.channel = self.connect(options)

    def connect(self, options=(), **more):
        self.channels.append(grpcpeer.channel(self.proxy.address, self.ca, options, **more))
        return self.channels[-1]

    def method(self, name, kind="unary_unary"):
        return method(self.channel, name, kind)

    def close(self):
        for one in self.channels:
            one.close()
        try:
            self.proxy.close()
        finally:
            for server in self.servers:
                server.close()


@pytest.fixture
def way(tmp_path, authority):
    made = []

    def make(*ends, **options):
        folder = tmp_path / ("way%d" % len(made))
        folder.mkdir()
        made.append(Way(folder, authority, *ends, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def chat(way, asker, **more):
    """Begins a Chat; returns the call and a function that asks and gets the answer."""
    call = way.method("Chat", "stream_stream")(asker, timeout=DEADLINE, **more)

    def ask(message):
        asker.put(message)
        assert next(call) == b"re: " + message

    return call, ask


def status_of(call, *arguments, **more):
    """How a call fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=more.pop("timeout", DEADLINE), **more)
    return caught.value


# --------------------------------------------------------------- every kind of call, every way
@pytest.mark.parametrize("front,back", [*WAYS, ("h2", "auto")])
def test_every_kind_of_call(way, front, back):
    w = way(front, back)
    assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"
    assert w.method("Unary")(b"", timeout=DEADLINE) == b""
    sizes = [0, 1, 100_000, 5]
    asked = iter([b"x" * size for size in sizes])
    assert w.method("Size", "stream_unary")(asked, timeout=DEADLINE) == b"4 100006"
    assert w.method("Size", "stream_unary")(iter([]), timeout=DEADLINE) == b"0 0"
    counted = w.method("Count", "unary_stream")(b"500", timeout=DEADLINE)
    assert list(counted) == [b"%d" % i for i in range(500)]
    assert list(w.method("Count", "unary_stream")(b"0", timeout=DEADLINE)) == []
    asker = Asker()
    call, ask = chat(w, asker)
    for i in range(20):
        ask(b"question %d" % i)
    asker.end()
    assert list(call) == []
    assert call.code() == grpc.StatusCode.OK
    assert w.proxy.log.count(" error ") == 0, w.proxy.log


@pytest.mark.parametrize("front,back", WAYS[:2])
def test_metadata_goes_both_ways(way, front, back):
    w = way(front, back)
    raw = bytes(range(256))
    sent = [("x-one", "1"), ("x-raw-bin", raw), ("x-long", "v" * 4_000), ("x-long-bin", raw * 8)]
    answer, call = w.method("Unary").with_call(b"m", metadata=sent, timeout=DEADLINE)
    assert answer == b"m"
    _, seen = w.service.calls[0]
    back_again = dict(call.initial_metadata())
    for name, value in sent:
        assert seen[name] == value and back_again[name] == value, name
    assert dict(call.trailing_metadata()) == {"t-served-by": "a", "t-raw-bin": raw}


def test_the_same_name_twice(way):
    w = way()
    metadata = [("x-twice", "a"), ("x-twice", "b"), ("x-twice-bin", b"\1"), ("x-twice-bin", b"\2")]
    seen = []

    def unary(message, context):
        seen.extend(context.invocation_metadata())
        return message

    handler = grpc.method_handlers_generic_handler(
        "test.More", {"Unary": grpc.unary_unary_rpc_method_handler(unary)})
    w.servers[0].server.add_generic_rpc_handlers((handler,))
    w.channel.unary_unary("/test.More/Unary")(b"", metadata=metadata, timeout=DEADLINE)
    assert [pair for pair in seen if pair[0].startswith("x-twice")] == metadata


# ------------------------------------------------------------------ status
@pytest.mark.parametrize("front,back", WAYS[:2])
def test_an_error_before_a_message_is_trailers_alone(way, front, back):
    w = way(front, back)
    error = status_of(w.method("Fail"), b"")
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "not now: 100% \u00fc " + "d" * 2_000
    assert dict(error.trailing_metadata())["t-why-bin"] == b"\0\1\2"


def test_an_error_after_a_message(way):
    w = way()
    call = w.method("FailLate", "unary_stream")(b"", timeout=DEADLINE)
    assert next(call) == b"one"
    with pytest.raises(grpc.RpcError):
        next(call)
    assert (call.code(), call.details()) == (grpc.StatusCode.DATA_LOSS, "after one")


def test_a_method_that_is_not_there(way):
    error = status_of(way().method("Nothing"), b"")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("front,back", WAYS[:2])
def test_an_error_while_the_client_still_sends(way, front, back):
    w = way(front, back)
    asker = Asker()
    call = w.method("RefuseStream", "stream_stream")(asker, timeout=DEADLINE)
    asker.put(b"first")
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, call.details()
    assert call.details() == "one is enough"
    asker.end()
    # Nothing else is disturbed.
    assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"


def test_an_error_while_the_client_sends_much(way):
    """The client's window is shut when the answer comes: it must not wait for it to open."""
    w = way()

    def much():
        while True:
            yield b"y" * 100_000

    call = w.method("RefuseStream", "stream_stream")(much(), timeout=DEADLINE)
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, call.details()


# ------------------------------------------------------------------- sizes
@pytest.mark.parametrize("front,back", WAYS)
def test_large_messages(way, front, back):
    w = way(front, back)
    large = pattern(16 << 20)
    assert w.method("Unary")(large, timeout=40) == large


def test_compression_is_the_messages_own(way):
    """The flag before each message, and grpc-encoding, pass as they are."""
    w = way()
    text = b"again and again " * 50_000
    call = method(w.connect(compression=grpc.Compression.Gzip), "Unary")
    assert call(text, timeout=DEADLINE) == text
    # Still compressed where it arrives: the limits of the connection would show otherwise.
    for compression in (grpc.Compression.Deflate, grpc.Compression.NoCompression):
        call = method(w.connect(compression=compression), "Unary")
        assert call(text, timeout=DEADLINE) == text


# ------------------------------------------- deadlines and cancellation
def test_a_deadline_reaches_the_service(way):
    w = way()
    left = float(w.method("Remaining")(b"", timeout=30))
    # grpcio rounds it up.
    assert 20 < left < 31
    # Without a deadline there is none: what grpcio says then is a very long time.
    assert float(w.method("Remaining")(b"")) > 1e9


@pytest.mark.parametrize("front,back", WAYS[:2])
def test_a_deadline_that_passes_cancels_the_service(way, front, back):
    w = way(front, back)
    error = status_of(w.method("Hang"), b"", timeout=0.3)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    w.service.wait(lambda: w.service.gone, "the end of the call")


def test_a_client_that_cancels(way):
    w = way()
    call = w.method("Hang").future(b"", timeout=DEADLINE)
    w.service.wait(lambda: w.service.calls, "the call")
    call.cancel()
    w.service.wait(lambda: w.service.gone, "the end of the call")
    assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"


def test_a_client_that_cancels_in_the_middle_of_a_stream(way):
    w = way()
    call, ask = chat(w, Asker())
    ask(b"one")
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED
    assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"


def test_a_service_that_dies_in_the_middle_of_a_stream(way):
    w = way()
    call, ask = chat(w, Asker())
    ask(b"one")
    w.servers[0].stop(0)
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                           grpc.StatusCode.INTERNAL), call.details()


def test_without_a_service(way):
    w = way()
    w.servers[0].stop(0).wait(DEADLINE)
    assert status_of(w.method("Unary"), b"").code() == grpc.StatusCode.UNAVAILABLE


# --------------------------------------------------------------- many calls
@pytest.mark.parametrize("front,back", WAYS[:2])
def test_two_hundred_calls_at_a_time(way, authority, front, back):
    """More than the streams of one connection: the client waits, or makes another."""
    service = Service()
    server = Server(service, leaf=authority.leaf if back != "h2c" else None, workers=250)
    w = way(front, back, servers=[server])
    calls = [w.method("Hang").future(b"", timeout=DEADLINE) for _ in range(100)]
    service.wait(lambda: len(service.calls) == 100, "a hundred calls at a time")
    with ThreadPoolExecutor(50) as pool:
        done = list(pool.map(lambda i: w.method("Unary")(b"%d" % i, timeout=DEADLINE), range(100)))
    assert done == [b"%d" % i for i in range(100)]
    calls += [w.method("Hang").future(b"", timeout=DEADLINE) for _ in range(100)]
    service.release.set()
    assert [call.result() for call in calls] == [b"released"] * 200


def test_more_calls_than_a_connection_takes(way):
    """limits.requests ends a connection in order: no call notices."""
    w = way(listener={"limits": {"requests": 20}}, workers=2)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: w.method("Unary")(b"%d" % i, timeout=DEADLINE), range(300)))
    assert done == [b"%d" % i for i in range(300)]


@pytest.mark.parametrize("front,back", WAYS[:2])
def test_many_small_messages(way, front, back):
    """grpcio opens windows and pings for each, however small: neither side may call it a flood."""
    w = way(front, back)
    asker = Asker()
    call, ask = chat(w, asker)
    for _ in range(2_000):
        ask(b"x")
    asker.end()
    assert list(call) == []
    counted = w.method("Count", "unary_stream")(b"10000", timeout=30)
    assert len(list(counted)) == 10_000
    assert w.method("Size", "stream_unary")(iter([b"x"] * 10_000), timeout=30) == b"10000 10000"
    assert "flood" not in w.proxy.log


def test_a_client_that_does_not_read(way):
    """It stops its own service: nothing piles up, and other calls go on."""
    w = way(listener={"timeouts": {"write": "30s"}})
    before = w.proxy.rss()
    slow = w.method("Flood", "unary_stream")(b"1000", timeout=DEADLINE)
    next(slow)
    harness.eventually(lambda: len(w.service.got) > 1, "messages")
    # Until the service waits: no more come while a hundred other calls go by.
    for _ in range(100):
        assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"
    assert len(w.service.got) < 500 and w.proxy.rss() - before < 8 << 20
    assert sum(1 for _ in slow) == 999 and len(w.service.got) == 1000


# ------------------------------------------------------------ going away
class Callers:
    """Threads that call Unary all the time: who served, and what failed."""

    def __init__(self, way, count=8):
        self.way, self.ending = way, threading.Event()
        self.served, self.failed = [], []
        self.threads = [threading.Thread(target=self._call) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _call(self):
        while not self.ending.is_set():
            try:
                answer, call = self.way.method("Unary").with_call(b"x" * 3_000, timeout=DEADLINE)
                assert len(answer) == 3_000
                self.served.append(dict(call.trailing_metadata())["t-served-by"])
            except grpc.RpcError as error:
                self.failed.append(error)

    def more(self, count):
        before = len(self.served)
        harness.eventually(lambda: len(self.served) >= before + count, "%d calls more" % count)

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


def test_connections_that_the_service_ends_in_order_fail_no_call(way):
    """GOAWAY every 100 ms, by grpc.max_connection_age_ms: calls under way end as they should, and
    those that came too late are sent again on another connection."""
    w = way(servers=[Server(options=[("grpc.max_connection_age_ms", 100),
                                     ("grpc.max_connection_age_grace_ms", 20_000)])])
    callers = Callers(w)
    time.sleep(3)
    callers.end()
    assert not callers.failed, callers.failed[0]
    assert len(callers.served) > 100
    connections = {peer for _, metadata in w.service.calls for peer in [metadata["peer"]]}
    assert len(connections) > 5, "the service ended no connections"


def test_a_service_that_goes_away(way):
    w = way(servers=[Server(Service("a")), Server(Service("b"))])
    callers = Callers(w)
    callers.more(50)
    w.servers[0].stop(DEADLINE).wait(DEADLINE)
    callers.more(50)
    callers.end()
    # grpcio itself answers calls that come in while it stops so, to whoever sends them.
    failed = [e for e in callers.failed if (e.code(), e.details()) != (
        grpc.StatusCode.CANCELLED, "CANCELLED")]
    assert not failed, failed[0]
    assert set(callers.served) == {"a", "b"} and set(callers.served[-20:]) == {"b"}


def test_a_stream_outlives_the_drain(way):
    """After SIGTERM what has begun goes on; the process ends behind it."""
    w = way()
    asker = Asker()
    call, ask = chat(w, asker)
    ask(b"before")
    w.proxy.signal(15)
    w.proxy.wait_log("drain|stopping|SIGTERM")
    for i in range(3):
        # A second later the last GOAWAY goes out.
        time.sleep(0.6)
        ask(b"during %d" % i)
    asker.end()
    assert list(call) == [] and call.code() == grpc.StatusCode.OK
    assert w.proxy.wait_end() == 0


# ---------------------------------------------------------------- keepalive
def test_keepalive_pings_are_no_flood(way):
    """As often as clients can be told to, with and without calls."""
    w = way(options=[("grpc.keepalive_time_ms", 1_000), ("grpc.keepalive_timeout_ms", 5_000),
                     ("grpc.keepalive_permit_without_calls", 1),
                     ("grpc.http2.max_pings_without_data", 0),
                     ("grpc.http2.min_time_between_pings_ms", 100)])
    asker = Asker()
    call, ask = chat(w, asker)
    ask(b"one")
    time.sleep(3.5)
    ask(b"two")
    asker.end()
    assert list(call) == []
    time.sleep(1.5)
    assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"
    assert "ENHANCE" not in w.proxy.log and "too many" not in w.proxy.log


# ----------------------------------------------------------------- the rest
def test_the_health_service(way):
    check = way().channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=DEADLINE) == b"\x08\x01"
    assert check(b"\x0a\x09test.Echo", timeout=DEADLINE) == b"\x08\x01"
    assert status_of(check, b"\x0a\x04none").code() == grpc.StatusCode.NOT_FOUND


def test_a_plugin_sees_and_sets_metadata(way):
    rules = {"request": {"set": [{"name": "X-Route", "value": "{path}"}], "remove": ["x-secret"]},
             "response": {"set": [{"name": "X-Through", "value": "sluice"}]}}
    w = way(plugins={"headers": {"library": "libHeaders.so", "config": rules}},
            chain=["headers"])
    answer, call = w.method("Unary").with_call(
        b"m", metadata=[("x-secret", "s"), ("x-other", "o")], timeout=DEADLINE)
    _, seen = w.service.calls[0]
    assert seen["x-route"] == "/test.Echo/Unary" and seen["x-other"] == "o"
    assert "x-secret" not in seen and len(seen["x-request-id"]) == 32
    assert dict(call.initial_metadata())["x-through"] == "sluice"
    assert dict(call.trailing_metadata())["t-served-by"] == "a"
    error = status_of(w.method("Fail"), b"")
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_plugin_answers_as_grpc_does(way):
    """A response without a body is trailers alone."""
    answer = {"headers": {"content-type": "application/grpc", "grpc-status": "7",
                          "grpc-message": "not for you"}}
    w = way(plugins={"no": {"library": "libRespond.so", "config": answer}}, chain=["no"])
    for call, argument in ((w.method("Unary"), b"x"),
                           (w.method("Size", "stream_unary"), iter([b"x"] * 100))):
        error = status_of(call, argument)
        assert (error.code(), error.details()) == (
            grpc.StatusCode.PERMISSION_DENIED, "not for you")


@pytest.mark.parametrize("status,code", [
    (400, "INTERNAL"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"),
    (404, "UNIMPLEMENTED"), (429, "UNAVAILABLE"), (503, "UNAVAILABLE"), (413, "UNKNOWN")])
def test_what_clients_make_of_a_status_of_http(way, status, code):
    """As docs/grpc.md says."""
    w = way(plugins={"no": {"library": "libRespond.so", "config": {"status": status}}},
            chain=["no"])
    assert status_of(w.method("Unary"), b"").code().name == code


def test_a_call_over_the_bound_of_a_body(way):
    w = way(listener={"limits": {"body": "100KiB"}})
    assert w.method("Size", "stream_unary")(iter([b"x" * 90_000])) == b"1 90000"
    error = status_of(w.method("Size", "stream_unary"), iter([b"x" * 50_000] * 3))
    assert error.code() == grpc.StatusCode.UNKNOWN
    w.proxy.wait_log("413: limits.body")
    assert w.method("Unary")(b"hello", timeout=DEADLINE) == b"hello"
