"""What the tests of Discovery share: a proxy with one upstream that is discovered, and who answers
there."""
import os

import pytest

from harness import eventually, serve
from nameserver import Dnsmasq, Nameserver, free_port
from wire import Client, reply

NAME = "app.example"


def discovered(sluice, source, config=None, upstreams=None, **over):
    """A proxy with one upstream whose peers a plugin discovers."""
    over.setdefault("plugins", {}).update(
        rr={"library": "libRoundRobin.so"},
        disco={"library": "libDiscovery.so",
               "config": {"upstreams": {"web": source}, **(config or {})}})
    web = {"discovery": True, "balancer": "rr"}
    return sluice(upstreams={"web": web, **(upstreams or {})},
                  routes=[{"match": {}, "upstream": "web"}], **over)


def answers(proxy, count=12):
    """Who answers: bodies, or the status of what is no answer."""
    found = set()
    for _ in range(count):
        response = Client(proxy.address).request()
        found.add(response.body.decode() if response.status == 200 else response.status)
    return found


def wait_answers(proxy, *wanted):
    eventually(lambda: answers(proxy) == set(wanted), "answers from %r" % (wanted,))


def by_dns(sluice, server, port=None, config=None, upstream=None, **dns):
    source = {"dns": {"name": NAME, **({"port": port} if port else {}), **dns},
              "jitter": 0, "retry": "200ms", "retry_max": "1s", **(upstream or {})}
    return discovered(sluice, source, {"resolvers": [server.address], "timeout": "500ms",
                                       "attempts": 1, **(config or {})})


def write(path, text):
    """As tools do that are careful: a new file in place of the old one."""
    with open(str(path) + ".new", "w") as file:
        file.write(text)
    os.rename(str(path) + ".new", path)


@pytest.fixture
def nameserver():
    made = []

    def make(script):
        made.append(Nameserver(script))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def dnsmasq(tmp_path):
    made = []

    def make(hosts=(), services=(), **options):
        folder = tmp_path / ("dnsmasq%d" % len(made))
        folder.mkdir()
        made.append(Dnsmasq(folder, free_port(), hosts, services, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def loopbacks(origin):
    """Origins that answer with their address, on one port of 127.0.0.1, 127.0.0.2 and so on, or
    also of ::1."""
    def make(*hosts):
        port = free_port()
        return port, {host: origin(serve(reply(host.encode())), host=host, port=port)
                      for host in hosts}

    return make
