"""RoundRobin through the binary: turns, weights, priorities and upstreams of their own."""
import os
import sys
from collections import Counter

import pytest

import harness
from harness import eventually, serve
from wire import reply

sys.path.insert(0, os.path.join(harness.ROOT, "Tests/Bench"))

import balancers  # noqa: E402


def named(origin, *names):
    return [origin(serve(reply(name.encode()))) for name in names]


def answers(c, count, **options):
    return [c.request(**options).body.decode() for _ in range(count)]


def test_two_peers_take_turns(sluice, origin, client):
    got = answers(client(sluice(*named(origin, "a", "b"))), 10)
    assert got in (["a", "b"] * 5, ["b", "a"] * 5)


def test_turns_go_on_over_clients(sluice, origin, client):
    proxy = sluice(*named(origin, "a", "b"))
    got = [answers(client(proxy), 1)[0] for _ in range(10)]
    assert got in (["a", "b"] * 5, ["b", "a"] * 5)


def test_three_peers_take_turns(sluice, origin, client):
    got = answers(client(sluice(*named(origin, "a", "b", "c"))), 12)
    assert [len(set(got[i:i + 3])) for i in range(10)] == [3] * 10


def test_weights(sluice, origin, client):
    a, b = named(origin, "a", "b")
    proxy = sluice({"address": a.address, "weight": 3}, {"address": b.address, "weight": 1})
    got = answers(client(proxy), 40)
    assert Counter(got) == {"a": 30, "b": 10}
    # Smooth: never two of the rare one near each other, never four of the other in a row.
    assert "bb" not in "".join(got) and "aaaa" not in "".join(got)


def test_a_set_of_peers_has_turns_of_its_own(sluice, origin, client):
    """Two upstreams that share one balancer do not push each other on."""
    a, b, c, d = named(origin, "a", "b", "c", "d")
    proxy = sluice(
        plugins={"rr": {"library": "libRoundRobin.so"}},
        upstreams={"one": {"balancer": "rr", "peers": [a.address, b.address]},
                   "two": {"balancer": "rr", "peers": [c.address, d.address]}},
        routes=[{"match": {"path": "/1"}, "upstream": "one"},
                {"match": {"path": "/2"}, "upstream": "two"}])
    connection = client(proxy)
    first, second = [], []
    for _ in range(6):
        first += answers(connection, 1, target="/1")
        second += answers(connection, 1, target="/2")
    assert first in (["a", "b"] * 3, ["b", "a"] * 3)
    assert second in (["c", "d"] * 3, ["d", "c"] * 3)


def test_workers_do_not_herd(sluice, origin, client):
    """Each worker has its own turn; over all of them the peers get about the same."""
    proxy = sluice(*named(origin, "a", "b"), workers=2)
    got = Counter(answers(client(proxy), 1)[0] for _ in range(100))
    assert min(got["a"], got["b"]) >= 45


def test_a_peer_that_came_back_is_used_again(sluice, origin, client):
    a, b = named(origin, "a", "b")
    proxy = sluice(a, b)
    c = client(proxy)
    assert Counter(answers(c, 4)) == {"a": 2, "b": 2}
    b.close()
    assert answers(c, 6) == ["a"] * 6
    back = origin(serve(reply(b"back")), port=b.port)
    eventually(lambda: "back" in answers(c, 2), "the peer gets requests again")
    assert back.requests


def test_one_peer_needs_no_balancer(sluice, origin, client):
    assert answers(client(sluice(*named(origin, "a"))), 3) == ["a"] * 3


def test_unequal_peers_of_priority(sluice, origin, client):
    """Those of a higher number are for when the others fail."""
    a, b = named(origin, "a", "b")
    proxy = sluice({"address": a.address, "priority": 0}, {"address": b.address, "priority": 1})
    c = client(proxy)
    assert answers(c, 6) == ["a"] * 6
    a.close()
    assert answers(c, 3) == ["b"] * 3


@pytest.mark.seconds(60)
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_turns_are_even_over_workers(workers):
    counts = balancers.measure("RoundRobin", workers, 4_000, clients=16, peers=4)
    assert 0.99 <= counts.least <= counts.most <= 1.01


@pytest.mark.seconds(60)
@pytest.mark.parametrize("balancer", balancers.BALANCERS)
def test_requests_find_connections_that_stand(balancer):
    """16 clients at a time need 16 connections, and some more as their peers differ."""
    assert balancers.measure(balancer, 2, 1_600, clients=16, peers=4).reused >= 0.95
