"""How the streams of one connection share it, by raw frames. The client has said no priority, so
they take turns of 16 KiB. The origin is nginx: its answers do not wait for the tests."""
import pytest

from h2wire import DATA, H2, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, WINDOW, get
from wire import pattern


@pytest.fixture(params=["h2c", "TLS"])
def connect(request, sluice, https, ca, nginx):
    made = []

    def make(*pairs, count):
        limits = {"limits": {"requests": 1_000_000},
                  "http2": {"max_concurrent_streams": count}}
        if request.param == "TLS":
            proxy = https(nginx.address, listener={"protocols": ["h1", "h2"], **limits})
            made.append(H2(proxy.address, tls=ca.client_context(alpn=["h2"]),
                           server_name="localhost"))
        else:
            proxy = sluice(nginx.address, listener={"protocols": ["h1", "h2c"], **limits})
            made.append(H2(proxy.address))
        return made[-1].open(*pairs)

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("count,size,most", [
    (128, 256 * 1_024, 4 / 3), (1_000, 128 * 1_024, 2)])
def test_all_have_as_much_at_half_time(connect, nginx, count, size, most):
    """As many streams at once as there may be, stopped by the window of the connection when half of
    it all has come.

    Of 128 KiB that each of 128 has on average, a stream that has always something to send gets
    eight turns, and one more or less by where the window ends. One whose bytes nginx has not
    brought yet misses turns, and the others share them: so a third above the average, half of it
    below. Each of 1,000 has four turns on average, each a quarter: half to twice that."""
    body = pattern(size)
    (nginx.root / "body").write_bytes(body)
    c = connect((INITIAL_WINDOW_SIZE, 0), count=count)
    assert c.peer[MAX_CONCURRENT_STREAMS] == count
    streams = [c.request(get("/body")) for _ in range(count)]
    c.until(lambda: all(c.streams[s].fields for s in streams), "the heads")
    # Nobody may send before all may.
    c.credit(0, count * size // 2 - WINDOW)
    c.settings((INITIAL_WINDOW_SIZE, 1 << 20))
    c.until(lambda: c.window == 0, "half of all bodies")
    have = sorted(len(c.streams[s].body) for s in streams)
    assert size // 4 <= have[0] and have[-1] <= most * size // 2, have
    c.credit(0, count * size // 2)
    for stream in streams:
        assert bytes(c.response(stream).body) == body


def test_a_thousand_streams(connect, nginx):
    """64 KiB each, the next begun when one ends, so that 128 are open always.

    A stream that shares with 127 others is done when 128 bodies have come since it began, and it
    loses some turns until nginx has answered. Nobody may wait for three times as much."""
    size, count = 64 * 1_024, 1_000
    body = pattern(size)
    (nginx.root / "body").write_bytes(body)
    most = 128
    c = connect((INITIAL_WINDOW_SIZE, 1 << 20), count=most)
    c.credit(0, 1 << 30)
    total, begun, waited, running = 0, {}, [], set()
    while len(waited) < count:
        while len(running) < most and len(begun) < count:
            stream = c.request(get("/body"))
            begun[stream] = total
            running.add(stream)
        got = c.next_frame()
        if got.type == DATA:
            total += len(got.payload)
        if got.stream in running and c.streams[got.stream].done:
            assert bytes(c.streams.pop(got.stream).body) == body
            running.remove(got.stream)
            waited.append(total - begun[got.stream])
    assert max(waited) < 3 * most * size, "%d bodies" % (max(waited) // size)
