"""Limits of what an upstream is given at the same time, and the requests that wait for them."""
import threading
import time

import pytest

import reloading
from h2frames import CANCEL
from h2wire import H2, get
from harness import eventually, serve
from test_admin import curl
from wire import reply, request


class Gate:
    """A script that answers each request once the test lets one through."""

    def __init__(self, answer=b"ok"):
        self.answer = answer
        self.passes = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def __call__(self, c):
        while True:
            head = c.read_request()
            if head is None:
                return
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            assert self.passes.acquire(timeout=30)
            with self.lock:
                self.inside -= 1
            c.send(reply(self.answer + b" " + head.target.encode()))

    def open(self, count=1):
        self.passes.release(count)


def start(client, proxy, count, first=0):
    """Clients that have each sent a request, one after the other."""
    out = []
    for number in range(first, first + count):
        out.append(client(proxy))
        out[-1].send(request(target="/%d" % number))
    return out


def refused(answer, seconds=b"1"):
    return answer.status == 503 and answer.get("retry-after").encode() == seconds


IN_FLIGHT = [{"in_flight": 2}, {"per_peer": {"in_flight": 2}}, {"connections": 2},
             {"per_peer": {"connections": 2}}]
NAMES = ["in_flight", "per_peer.in_flight", "connections", "per_peer.connections"]


# ---------------------------------------------------------------------- edges
@pytest.mark.parametrize("limits, name", list(zip(IN_FLIGHT, NAMES)), ids=NAMES)
def test_a_limit_has_an_edge(sluice, origin, client, limits, name):
    gate = Gate()
    app = origin(gate)
    p = sluice(app, upstream={"limits": {**limits, "retry_after": "7s"}})
    two = start(client, p, 2)
    app.wait_requests(2)
    assert refused(client(p).request(), b"7")
    p.wait_log("503: limits.%s is reached" % name)
    gate.open(2)
    assert [c.response().status for c in two] == [200, 200]
    gate.open(1)
    assert client(p).request().status == 200
    assert len(app.requests) == 3


@pytest.mark.parametrize("limits, name", list(zip(IN_FLIGHT, NAMES)), ids=NAMES)
def test_requests_wait_in_order(sluice, origin, client, limits, name):
    gate = Gate()
    app = origin(gate)
    p = sluice(app, upstream={"limits": {**limits, "pending": 3, "pending_timeout": "20s"}})
    begun = start(client, p, 2)
    app.wait_requests(2)
    waiting = []
    for number in range(3):
        waiting += start(client, p, 1, first=2 + number)
        time.sleep(0.05)
    # One more than may wait.
    assert refused(client(p).request())
    for count in range(3, 6):
        gate.open()
        app.wait_requests(count)
        assert app.requests[-1].target == "/%d" % (count - 1)
    gate.open(2)
    answers = [c.response() for c in begun + waiting]
    assert [a.status for a in answers] == [200] * 5
    assert gate.most == 2


def test_a_wait_has_its_time(sluice, origin, client):
    gate = Gate()
    app = origin(gate)
    p = sluice(app, upstream={"limits": {
        "in_flight": 1, "pending": 5, "pending_timeout": "200ms"}})
    first, = start(client, p, 1)
    app.wait_requests(1)
    begun = time.monotonic()
    assert refused(client(p).request())
    assert 0.2 <= time.monotonic() - begun < 2
    gate.open()
    assert first.response().status == 200


def test_a_wait_counts_in_the_time_of_all_attempts(sluice, origin, client):
    gate = Gate()
    app = origin(gate)
    p = sluice(app, upstream={
        "limits": {"in_flight": 1, "pending": 5, "pending_timeout": "20s"},
        "retries": {"timeout": "300ms"}})
    first, = start(client, p, 1)
    app.wait_requests(1)
    assert client(p).request().status == 504
    assert first.response().status == 504
    gate.open()


def test_a_body_waits_with_its_request(sluice, origin, client):
    held = threading.Event()

    def script(c):
        while True:
            head = c.read_request()
            if head is None:
                return
            assert held.wait(20)
            c.send(reply(b"%d" % len(head.body)))

    app = origin(script)
    p = sluice(app, upstream={"limits": {"in_flight": 1, "pending": 5, "pending_timeout": "20s"}})
    first, = start(client, p, 1)
    app.wait_requests(1)
    second = client(p)
    second.send(request("POST", "/b", body=b"x" * 300_000))
    time.sleep(0.2)
    assert len(app.requests) == 1
    held.set()
    assert first.response().status == 200
    assert second.response().body == b"300000"


def test_a_client_that_leaves_gives_its_place_back(sluice, origin, client):
    gate = Gate()
    app = origin(gate)
    p = sluice(app, upstream={"limits": {
        "in_flight": 1, "pending": 1, "pending_timeout": "20s"}})
    first, = start(client, p, 1)
    app.wait_requests(1)
    second, = start(client, p, 1)
    eventually(lambda: refused(client(p).request()), "the queue is full")
    second.reset()
    third = []

    def waits():
        c = client(p)
        c.send(request(target="/third"))
        c.sock.settimeout(0.3)
        try:
            c.response()
            return False
        except TimeoutError:
            c.sock.settimeout(20)
            third.append(c)
            return True

    eventually(waits, "there is a place")
    gate.open(2)
    assert first.response().status == 200
    assert third[0].response().body == b"ok /third"
    assert len(app.requests) == 2


def test_a_peer_that_fails_gives_its_place_back(sluice, origin, client):
    app = origin(lambda c: c.read_request())
    p = sluice(app, upstream={"limits": {"in_flight": 1, "connections": 1}})
    assert [client(p).request().status for _ in range(5)] == [502] * 5


@pytest.mark.parametrize("limit", ["in_flight", "connections"])
def test_a_full_peer_is_passed_over(sluice, origin, client, limit):
    gate = Gate()
    full, free = origin(gate), origin(serve(reply(b"free")))
    p = sluice(full, free, upstream={"limits": {"per_peer": {limit: 1}}})
    held = []
    while not full.requests:
        held += start(client, p, 1)
        time.sleep(0.1)
    for _ in range(4):
        assert client(p).request().body == b"free"
    assert len(full.requests) == 1
    gate.open()
    assert held[-1].response().status == 200


def test_an_idle_connection_makes_place_for_another_peer(sluice, origin, client):
    peers = [origin(serve(reply(b"%d" % n))) for n in range(3)]
    p = sluice(*peers, upstream={"limits": {"connections": 1}})
    c = client(p)
    assert sorted(c.request().body for _ in range(6)) == [b"0"] * 2 + [b"1"] * 2 + [b"2"] * 2
    assert sum(o.connections - o.closed for o in peers) <= 2


def test_streams_share_a_connection(sluice, h2origin, client):
    app = h2origin(b"ok")
    p = sluice(app, upstream={"protocol": "h2c", "limits": {"connections": 1}})
    assert [client(p).request().status for _ in range(10)] == [200] * 10
    assert app.connections == 1


def test_a_stream_waits_for_a_stream(sluice, h2origin, client):
    waiting = []
    app = h2origin(lambda c: c.serve(lambda c, r: waiting.append((c, r.id))))
    p = sluice(app, upstream={
        "protocol": "h2c", "http2": {"max_concurrent_streams": 1},
        "limits": {"connections": 1, "pending": 1, "pending_timeout": "20s"}})
    clients = start(client, p, 2)
    app.wait_requests(1)
    eventually(lambda: refused(client(p).request()), "a third one is refused")
    for number in range(2):
        app.wait_requests(number + 1)
        eventually(lambda: len(waiting) > number, "it is served")
        c, stream = waiting[number]
        c.answer(stream, b"%d" % number)
    assert [c.response().body for c in clients] == [b"0", b"1"]


# -------------------------------------------------------------------- workers
@pytest.mark.parametrize(
    "limits", [{"in_flight": 3}, {"connections": 3}, {"per_peer": {"in_flight": 3}}],
    ids=["in_flight", "connections", "per_peer.in_flight"])
def test_a_limit_is_of_all_workers(sluice, origin, client, limits):
    gate = Gate()
    app = origin(gate)
    p = sluice(app, workers=4, upstream={
        "limits": {**limits, "pending": 100, "pending_timeout": "30s"}})
    clients = start(client, p, 24)
    app.wait_requests(3)
    time.sleep(0.3)
    assert len(app.requests) == 3
    gate.open(24)
    assert [c.response().status for c in clients] == [200] * 24
    assert gate.most == 3


@pytest.mark.seconds(60)
@pytest.mark.parametrize("protocol", ["h1", "h2c"])
def test_no_peer_gets_more_than_its_limit(sluice, origin, h2origin, client, protocol):
    """Several workers choose at the same moment, again and again, and each finds one place."""
    lock, inside, most = threading.Lock(), [0, 0], [0, 0]

    def enter(number):
        with lock:
            inside[number] += 1
            most[number] = max(most[number], inside[number])

    def leave(number):
        # Before it answers, so it never counts longer than the proxy.
        with lock:
            inside[number] -= 1

    def answers(number):
        def script(c):
            while c.read_request() is not None:
                enter(number)
                time.sleep(0.001)
                leave(number)
                c.send(reply())

        def stream(c, request):
            enter(number)
            time.sleep(0.001)
            leave(number)
            c.answer(request.id, b"ok")

        if protocol == "h1":
            return origin(script)
        return h2origin(lambda c: c.serve(stream))

    p = sluice(answers(0), answers(1), workers=4, upstream={"protocol": protocol, "limits": {
        "per_peer": {"in_flight": 1}, "pending": 100, "pending_timeout": "30s"}})
    statuses = []

    def run():
        c = client(p)
        for _ in range(100):
            statuses.append(c.request().status)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 1600
    assert most == [1, 1]


@pytest.mark.seconds(60)
@pytest.mark.parametrize("hedge", [{}, {"hedge": {"after": "5ms"}}], ids=["", "hedged"])
def test_every_place_is_given_back(sluice, origin, client, tmp_path, hedge):
    """Whatever becomes of attempts: refused, reset, a listed status, late, or outrun by a hedge."""
    dead = origin(serve(reply()))
    dead.stop_listening()

    def late(c):
        while c.read_request() is not None:
            time.sleep(0.03)
            c.send(reply())

    peers = [dead, origin(lambda c: c.read_request()), origin(late),
             origin(serve(reply(status="503 No"))), origin(serve(reply())), origin(serve(reply()))]
    p = sluice(*peers, workers=4, admin={"listen": "unix:%s/admin.sock" % tmp_path}, upstream={
        "limits": {"per_peer": {"in_flight": 2}, "pending": 100, "pending_timeout": "20s"},
        "retries": {"attempts": 6, "on": ["connect", "reset", "timeout", "503"],
                    "try_timeout": "20ms", "budget": {"percent": 100, "min": 100}}, **hedge})
    p.socket = str(tmp_path / "admin.sock")
    statuses = []

    def run():
        for _ in range(25):
            statuses.append(client(p).request(fields=[("Connection", "close")]).status)

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 300 and set(statuses) <= {200, 502, 503, 504}
    assert statuses.count(200) > 200

    def counts():
        upstream = curl(p, "/v1/upstreams")[2]["upstreams"][0]
        return [peer["in_flight"] for peer in upstream["peers"]]

    eventually(lambda: counts() == [0] * 6, "nothing is with the peers")


def test_requests_that_wait_find_room_on_another_worker(sluice, origin, client):
    """Idle connections of a worker don't keep others from making theirs."""
    peers = [origin(serve(reply())) for _ in range(4)]
    p = sluice(*peers, workers=4, upstream={
        "limits": {"connections": 2, "pending": 100, "pending_timeout": "30s"}})
    statuses = []

    def run():
        c = client(p)
        for _ in range(25):
            statuses.append(c.request().status)

    threads = [threading.Thread(target=run) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert statuses == [200] * 300


# --------------------------------------------------------------------- reload
def test_what_is_in_flight_counts_over_a_reload(sluice, origin, client):
    gate = Gate()
    app = origin(gate)
    limits = {"limits": {"in_flight": 2}}
    p = sluice(app, upstream=limits)
    two = start(client, p, 2)
    app.wait_requests(2)
    changed = reloading.manifest_of(p)
    changed["upstreams"]["app"]["limits"]["retry_after"] = "9s"
    reloading.reload(p, changed)
    assert refused(client(p).request(), b"9")
    gate.open(2)
    assert [c.response().status for c in two] == [200, 200]
    gate.open(1)
    assert client(p).request().status == 200



# -------------------------------------------------------- clients of HTTP/2
def test_streams_of_clients_wait_and_leave(sluice, origin):
    """A stream that is reset gives its place in the queue back, and the next one has its turn."""
    gate = Gate()
    app = origin(gate)
    p = sluice(app, listener={"protocols": ["h1", "h2c"]}, upstream={
        "limits": {"in_flight": 1, "pending": 2, "pending_timeout": "20s"}})
    c = H2(p.address).open()
    streams = [c.request(get("/%d" % number)) for number in range(3)]
    app.wait_requests(1)
    full = c.fetch(get("/full"))
    assert full.status == 503 and ("retry-after", "1") in full.fields
    c.rst(streams[1], CANCEL)
    # In its place.
    streams.append(c.request(get("/3")))
    gate.open(3)
    for number in [0, 2, 3]:
        answer = c.response(streams[number])
        assert bytes(answer.body) == b"ok /%d" % number
    assert [r.target for r in app.requests] == ["/0", "/2", "/3"]
