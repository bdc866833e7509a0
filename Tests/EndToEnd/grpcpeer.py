"""gRPC at both ends of the proxy: a service of Debian's python3-grpcio, and channels to it.

Messages are bytes as they stand, so nothing has to be generated: methods are named by their path,
and no side has a serializer.
"""
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from wire import DEADLINE

SERVICE = "test.Echo"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Service:
    """What the methods do, and what they saw. `gone` has the method of each call that ended before
    its handler did."""

    def __init__(self, name="a"):
        self.name = name
        self.calls, self.gone, self.got = [], [], []
        self.changed = threading.Condition()
        # Handlers that wait for the test.
        self.release = threading.Event()

    def note(self, where, what):
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), "the service never saw: " + what

    def _begin(self, method, context):
        # `peer` is the proxy's end of the connection.
        self.note(self.calls, (method, {**dict(context.invocation_metadata()),
                                        "peer": context.peer()}))

    # ------------------------------------------------------------- methods
    def unary(self, message, context):
        self._begin("Unary", context)
        metadata = dict(context.invocation_metadata())
        context.send_initial_metadata([(k, v) for k, v in metadata.items() if k.startswith("x-")])
        context.set_trailing_metadata(
            [("t-served-by", self.name), ("t-raw-bin", bytes(range(256)))])
        return message

    def size(self, messages, context):
        """How many messages and bytes came."""
        self._begin("Size", context)
        sizes = [len(m) for m in messages]
        return b"%d %d" % (len(sizes), sum(sizes))

    def count(self, message, context):
        """As many messages as the request says."""
        self._begin("Count", context)
        for i in range(int(message)):
            yield b"%d" % i

    def flood(self, message, context):
        """As many messages of 100,000 bytes; `got` has their numbers as they are made."""
        self._begin("Flood", context)
        for i in range(int(message)):
            self.note(self.got, i)
            yield b"y" * 100_000

    def chat(self, messages, context):
        """Answers each message before the next is asked for."""
        self._begin("Chat", context)
        for message in messages:
            self.note(self.got, message)
            yield b"re: " + message
        context.set_trailing_metadata([("t-served-by", self.name)])

    def fail(self, message, context):
        """An error before any message: the response is trailers alone."""
        self._begin("Fail", context)
        context.set_trailing_metadata([("t-why-bin", b"\0\1\2")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 100% \u00fc " + "d" * 2_000)

    def fail_late(self, message, context):
        self._begin("FailLate", context)
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "after one")

    def refuse_stream(self, messages, context):
        """An error while the client still sends."""
        self._begin("RefuseStream", context)
        next(messages)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "one is enough")

    def hang(self, message, context):
        """Answers only when the test says so; notes a call that ends before."""
        ended = threading.Event()
        context.add_callback(ended.set)
        self._begin("Hang", context)
        while not self.release.wait(0.01):
            if ended.is_set():
                self.note(self.gone, "Hang")
                return b"too late"
        return b"released"

    def remaining(self, message, context):
        """Seconds that the call's deadline leaves."""
        self._begin("Remaining", context)
        return b"%.3f" % (context.time_remaining() or -1)

    # -------------------------------------------------------------- server
    def handlers(self):
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Size": grpc.stream_unary_rpc_method_handler(self.size),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Flood": grpc.unary_stream_rpc_method_handler(self.flood),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "FailLate": grpc.unary_stream_rpc_method_handler(self.fail_late),
            "RefuseStream": grpc.stream_stream_rpc_method_handler(self.refuse_stream),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Remaining": grpc.unary_unary_rpc_method_handler(self.remaining),
        }


def health(message, context):
    """grpc.health.v1.Health/Check by hand: HealthCheckRequest{service = 1}, and
    HealthCheckResponse{status = 1}, whose 1 is SERVING."""
    if message not in (b"", b"\x0a\x09test.Echo"):
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return b"\x08\x01"


class Server:
    """A running service on a free port of 127.0.0.1."""

    def __init__(self, service=None, leaf=None, workers=32, options=(), port=0):
        self.service = service or Service()
        self.server = grpc.server(
            ThreadPoolExecutor(max_workers=workers),
            options=[*UNLIMITED, ("grpc.so_reuseport", 0), *options])
        self.server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler(SERVICE, self.service.handlers()),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
                "Check": grpc.unary_unary_rpc_method_handler(health)})))
        address = "127.0.0.1:%d" % port
        if leaf:
            with open(leaf.key, "rb") as key, open(leaf.certificate, "rb") as certificate:
                pair = (key.read(), certificate.read())
            self.port = self.server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            self.port = self.server.add_insecure_port(address)
        assert self.port, "no port for the service"
        self.address = "127.0.0.1:%d" % self.port
        self.server.start()

    def stop(self, grace=None):
        """GOAWAY; calls have `grace` seconds to end. An Event of the end."""
        return self.server.stop(grace)

    def close(self):
        self.service.release.set()
        self.server.stop(0).wait(DEADLINE)


def channel(address, ca=None, options=(), name="localhost", **more):
    """A channel to (host, port); over TLS with the file `ca`."""
    options = [*UNLIMITED, ("grpc.enable_http_proxy", 0),
               ("grpc.use_local_subchannel_pool", 1), *options]
    target = "%s:%d" % address
    if not ca:
        return grpc.insecure_channel(target, options, **more)
    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options.append(("grpc.ssl_target_name_override", name))
    return grpc.secure_channel(target, credentials, options, **more)


def method(over, name, kind="unary_unary"):
    return getattr(over, kind)("/%s/%s" % (SERVICE, name))


class Asker:
    """The messages of a stream, handed out one at a time by the test."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting, self.ended = [], False

    def put(self, message):
        with self.changed:
            self.waiting.append(message)
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def __iter__(self):
        return self

    def __next__(self):
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ended)
            if self.waiting:
                return self.waiting.pop(0)
        raise StopIteration
