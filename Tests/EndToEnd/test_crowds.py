"""Many clients at once, and no descriptors left."""
import os
import resource
import select
import socket
import threading

import pytest

from harness import eventually, serve
from wire import DEADLINE, Truncated, reply

pytestmark = pytest.mark.alone


@pytest.mark.seconds(90)
def test_it_survives_running_out_of_descriptors(sluice, origin, client):
    """It neither ends nor spins, and serves again when clients leave."""
    proxy = sluice(origin(serve(reply())), nofile=96,
                   listener={"limits": {"connections": 10_000}})
    first = client(proxy)
    assert first.request().status == 200
    crowd = []
    for _ in range(200):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(proxy.address)
        crowd.append(s)
    proxy.wait_log("(?i)descriptor|too many open files|EMFILE")
    before = proxy.cpu()
    select.select([], [], [], 1.0)
    assert proxy.cpu() - before < 0.3
    # It has an upstream connection already, so one client can be served even now.
    assert first.request().status in (200, 502, 503)
    for s in crowd:
        s.close()

    def served():
        c = client(proxy)
        c.sock.settimeout(1)
        try:
            return c.request().status == 200
        except (OSError, Truncated):
            return False
        finally:
            c.close()

    eventually(served, "new clients are served")


@pytest.mark.seconds(120)
def test_ten_thousand_idle_connections(sluice, origin, client):
    """Each has asked once; all stay, cost little, and can ask again."""
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if os.getuid() == 0:
        hard = max(hard, 20_000)
    if hard < count + 500:
        pytest.skip("the limit of descriptors is %d" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        proxy = sluice(origin(serve(reply())),
                       listener={"limits": {"connections": 10_500}, "timeouts": {"idle": "600s"}})
        warm = [client(proxy) for _ in range(50)]
        assert [c.request().status for c in warm] == [200] * 50
        before = proxy.rss()
        crowd = []
        for _ in range(count):
            c = client(proxy)
            assert c.request().status == 200
            crowd.append(c)
        # 200 bytes each, and one more slab.
        assert proxy.rss() - before < count * 200 + (1 << 20)
        assert [c.request().status for c in crowd[::100]] == [200] * 100
        assert proxy.stop() == 0
        assert all(c.ended() for c in crowd[::100])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_sixty_four_busy_clients(sluice, origin, client):
    """Many at once, each of whose answers must be its own."""
    app = origin(serve(lambda r: reply(r.target.encode() * 50)))
    proxy = sluice(app, workers=2)
    wrong = []

    def ask(number):
        c = client(proxy)
        for turn in range(40):
            target = "/%d/%d" % (number, turn)
            if c.request(target=target).body != target.encode() * 50:
                wrong.append(target)

    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(DEADLINE * 2)
        assert not t.is_alive()
    assert wrong == []
