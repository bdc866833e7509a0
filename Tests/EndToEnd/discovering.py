"""What the tests of Discovery share: a proxy with one upstream that is discovered, and who answers
there."""
from harness import eventually
from wire import Client


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
