"""Bodies that both ends can check: cut from one block of random bytes, told by their digest.

A message of a stream (WebSocket, gRPC) carries what the fields of an HTTP message carry: its first
line has the names and digests, the rest is the body.
"""
import hashlib
import random

_BLOCK = random.Random(4_711).randbytes(2 << 20)

# Sizes of bodies and how often each comes. Most fit one segment; some are beyond what a proxy
# holds back, so that both directions are under way at the same time.
_SIZES = [0, 20, 700, 1_400, 9_000, 70_000, 260_000]
_WEIGHTS = [20, 25, 25, 15, 10, 4, 1]


def digest(body):
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def pick(rng, most=None):
    """A body, at most `most` bytes."""
    size = rng.choices(_SIZES, _WEIGHTS)[0]
    if most is not None:
        size = min(size, most)
    start = rng.randrange(len(_BLOCK) - size)
    return _BLOCK[start:start + size]


def question(lane, number, body):
    """A message to the origin."""
    return b"%s %d %s\n" % (lane.encode(), number, digest(body).encode()) + body


def read_question(message):
    """(lane, number, whether the body is whole)."""
    line, _, body = message.partition(b"\n")
    lane, number, said = line.decode().split(" ")
    return lane, int(number), said == digest(body), digest(body)


def answer(number, got, body):
    """The origin's message: which one it answers, what it got, and a body of its own."""
    return b"%d %s %s\n" % (number, got.encode(), digest(body).encode()) + body


def read_answer(message):
    """(number, digest of what the origin got, whether the answer's body is whole)."""
    line, _, body = message.partition(b"\n")
    number, got, said = line.decode().split(" ")
    return int(number), got, said == digest(body)
