"""The service helloworld.Greeter on port 3000, in the clear.

It has the messages of gRPC's own example, `string name = 1` and `string message = 1`, and writes
them by hand, so that nothing need be generated. A field of this kind is one byte that says so, the
length and the text.
"""
from concurrent.futures import ThreadPoolExecutor

import grpc


def message(text):
    data = text.encode()
    assert len(data) < 128, "longer ones have a length of several bytes"
    return bytes([0x0A, len(data)]) + data


def text(message):
    return message[2:].decode()


def say_hello(request, context):
    if not text(request):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a name is needed")
    return message("Hello, %s!" % text(request))


def say_hello_in_turns(requests, context):
    """Answers each name as it comes."""
    for request in requests:
        yield message("Hello, %s!" % text(request))


def health(request, context):
    """grpc.health.v1.Health/Check: the field `status`, whose 1 is SERVING."""
    return b"\x08\x01"


server = grpc.server(ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers([
    grpc.method_handlers_generic_handler("helloworld.Greeter", {
        "SayHello": grpc.unary_unary_rpc_method_handler(say_hello),
        "SayHelloInTurns": grpc.stream_stream_rpc_method_handler(say_hello_in_turns),
    }),
    grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
        "Check": grpc.unary_unary_rpc_method_handler(health),
    }),
])
assert server.add_insecure_port("127.0.0.1:3000")
server.start()
print("serving", flush=True)
server.wait_for_termination()
