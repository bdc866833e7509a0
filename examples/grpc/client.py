"""Asks the service through the proxy: `client.py hello NAME`, `client.py turns NAME...`,
`client.py health`, or `client.py call METHOD`."""
import sys
import threading

import grpc

with open("site.pem", "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
# The certificate is for this name; the address is the proxy's on this machine.
options = [("grpc.ssl_target_name_override", "site.example")]


def message(text):
    data = text.encode()
    return bytes([0x0A, len(data)]) + data


kind, names = sys.argv[1], sys.argv[2:]
with grpc.secure_channel("127.0.0.1:8443", credentials, options) as channel:
    try:
        if kind == "hello":
            call = channel.unary_unary("/helloworld.Greeter/SayHello")
            print(call(message(names[0]), timeout=5)[2:].decode())
        elif kind == "turns":
            # Each name is sent when the one before has its answer.
            next_name = threading.Semaphore(1)

            def in_turns():
                for name in names:
                    next_name.acquire()
                    print("<", name)
                    yield message(name)

            call = channel.stream_stream("/helloworld.Greeter/SayHelloInTurns")
            for answer in call(in_turns(), timeout=5):
                print(">", answer[2:].decode())
                next_name.release()
        elif kind == "call":
            channel.unary_unary(names[0])(b"", timeout=5)
        else:
            answer = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
            print("SERVING" if answer == b"\x08\x01" else answer)
    except grpc.RpcError as error:
        print("%s: %s" % (error.code().name, error.details()))
