"""Sessions by a cookie, backups, zones, draining peers and slow starts, through the binary."""
import base64
import hashlib
import hmac
import json
import os
import re
import signal
from collections import Counter

import pytest

import harness
from harness import eventually
from test_balancers import answers, balanced, named
from wire import Client, reply

SECRET = "0123456789abcdef0123456789abcdef"
LIBRARIES = ["RoundRobin", "Ketama", "Maglev", "Random", "LeastConnections"]
EXAMPLE = os.path.join(harness.ROOT, "examples/sticky-sessions")


def name_of(address, secret=SECRET):
    """What a cookie calls a peer: computed here by other code than the proxy's."""
    code = hmac.new(secret.encode(), b"sluice peer\n" + address.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(code[:16]).rstrip(b"=").decode()


@pytest.fixture
def secret(tmp_path):
    def make(text=SECRET, name="peer.key", mode=0o600):
        path = tmp_path / name
        path.write_text(text + "\n")
        path.chmod(mode)
        return str(path)
    return make


def cookie_of(response):
    found = [re.match(r"sluice_peer=([A-Za-z0-9_-]{22}); ", value)
             for value in response.all("set-cookie")]
    return found[0].group(1) if found and found[0] else None


def with_cookie(value):
    return [("Cookie", "a=b; sluice_peer=%s" % value)]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_stays_with_its_peer(sluice, origin, client, secret, library):
    origins = named(origin, *"abcd")
    proxy = balanced(sluice, library, origins, {"sticky": {"secrets": [secret()]}}, workers=2)
    names = {name_of(o.address): letter for o, letter in zip(origins, "abcd")}
    seen = set()
    for _ in range(30):
        first = client(proxy).request()
        cookie = cookie_of(first)
        assert first.body.decode() == names[cookie]
        assert not any(part in first.get("set-cookie") for part in ("127.0.0.1", "Secure"))
        seen.add(names[cookie])
        c = client(proxy)
        for _ in range(3):
            again = c.request(fields=with_cookie(cookie))
            assert again.body == first.body and again.get("set-cookie") is None
    assert len(seen) > 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_session_moves_when_its_peer_is_dead_and_stays_there(
        sluice, origin, client, secret, library):
    origins = named(origin, *"abc")
    proxy = balanced(sluice, library, origins, {"sticky": {"secrets": [secret()]}})
    c, cookie = client(proxy), name_of(origins[1].address)
    assert c.request(fields=with_cookie(cookie)).body == b"b"
    origins[1].close()
    moved = c.request(fields=with_cookie(cookie))
    assert moved.status == 200 and moved.body in (b"a", b"c")
    elsewhere = cookie_of(moved)
    assert elsewhere != cookie
    for _ in range(5):
        again = c.request(fields=with_cookie(elsewhere))
        assert again.body == moved.body and again.get("set-cookie") is None


def test_a_forged_cookie_chooses_nothing(sluice, origin, client, secret):
    origins = named(origin, *"abcd")
    proxy = balanced(sluice, "RoundRobin", origins, {"sticky": {"secrets": [secret()]}}, workers=1)
    c = client(proxy)
    for value in [name_of(origins[0].address, "another secret"), "127.0.0.1", "A" * 22, "b" * 4000,
                  name_of(origins[0].address) + "=", ""]:
        got = [c.request(fields=with_cookie(value)) for _ in range(4)]
        assert {g.body for g in got} == {b"a", b"b", b"c", b"d"}, value
        assert all(cookie_of(g) for g in got)
    assert SECRET not in proxy.log and name_of(origins[0].address) not in proxy.log


def test_a_secret_is_replaced_without_losing_sessions(sluice, origin, client, secret, tmp_path):
    origins = named(origin, *"ab")
    old = secret()
    new = secret("fedcba9876543210fedcba9876543210", "new.key")
    proxy = balanced(sluice, "Random", origins, {"sticky": {"secrets": [new, old]}})
    c = client(proxy)
    got = c.request(fields=with_cookie(name_of(origins[1].address)))
    assert got.body == b"b"
    assert cookie_of(got) == name_of(origins[1].address, "fedcba9876543210fedcba9876543210")


def test_a_draining_peer_keeps_its_sessions(sluice, origin, client, secret):
    origins = named(origin, *"ab")
    peers = [{"address": origins[0].address, "draining": True}, origins[1].address]
    proxy = balanced(sluice, "LeastConnections", peers, {"sticky": {"secrets": [secret()]}})
    c = client(proxy)
    assert answers(c, ["/"] * 20) == ["b"] * 20
    kept = c.request(fields=with_cookie(name_of(origins[0].address)))
    assert kept.body == b"a" and kept.get("set-cookie") is None


def test_attributes_and_plain_responses(sluice, origin, client, secret):
    origins = named(origin, *"ab")
    proxy = balanced(sluice, "RoundRobin", origins, {"sticky": {
        "secrets": [secret()], "cookie": "__Host-peer", "secure": True, "max_age": "90m",
        "same_site": "strict"}})
    got = client(proxy).request().get("set-cookie")
    assert re.fullmatch(r"__Host-peer=[\w-]{22}; Path=/; Max-Age=5400; Secure; HttpOnly;"
                        r" SameSite=Strict", got)
    for one in origins:
        one.stop_listening()
        one.close()
    failed = Client(proxy.address).request()
    assert failed.status == 502 and failed.get("set-cookie") is None


@pytest.mark.parametrize("mode,text,line", [
    (0o644, SECRET, "peer.key: its mode 0644 lets others use the secret; 0600 or 0640 is wanted"),
    (0o600, "short", "peer.key: 5 bytes; a secret has 32 to 1024"),
])
def test_a_secret_that_is_none_is_refused(tmp_path, secret, mode, text, line):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(harness.manifest(
        "127.0.0.1:9", "127.0.0.1:10", upstream={"balancer": "lb"},
        plugins={"lb": {"library": "libRandom.so", "config": {
            "sticky": {"secrets": [secret(text, mode=mode)]}}}})))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode == 78
    assert "sticky.secrets[0]" in done.stderr and line in done.stderr, done.stderr


# ------------------------------------------------------------- zones and backups
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_own_zone_first_then_others_then_backups(sluice, origin, client, library):
    near, far, backup = named(origin, "near", "far", "backup")
    peers = [{"address": backup.address, "backup": True, "zone": "a"},
             {"address": far.address, "zone": "b"}, {"address": near.address, "zone": "a"}]
    proxy = balanced(sluice, library, peers, {"zone": "a"})
    assert set(answers(client(proxy), ["/"] * 20)) == {"near"}
    near.close()
    assert set(answers(client(proxy), ["/"] * 20)) == {"far"}
    far.close()
    assert set(answers(client(proxy), ["/"] * 20)) == {"backup"}


def test_a_new_peer_gets_its_share_by_and_by(sluice, origin, client):
    origins = named(origin, *"abc")
    proxy = balanced(sluice, "RoundRobin", origins[:2], {"slow_start": "1h"}, workers=1)
    assert Counter(answers(client(proxy), ["/"] * 40)) == {"a": 20, "b": 20}
    with open(proxy.path) as file:
        changed = json.load(file)
    changed["upstreams"]["app"]["peers"] = [o.address for o in origins]
    proxy.save(changed)
    proxy.signal(signal.SIGHUP)
    eventually(lambda: "c" in answers(client(proxy), ["/"] * 20), "the new peer is asked")
    got = Counter(answers(client(proxy), ["/"] * 400))
    # A tenth of a whole share: 400 / 21.
    assert 3 < got["c"] < 50 and got["a"] > 150 and got["b"] > 150, got


def test_backup_and_draining_are_true_or_left_out(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(harness.manifest(
        {"address": "127.0.0.1:9", "backup": False, "draining": 1, "zone": "-"})))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode == 78
    for line in ["peers[0].backup: expected true", "peers[0].draining: expected true",
                 "peers[0].zone: a name has 1 to 64"]:
        assert line in done.stderr, done.stderr


def test_a_draining_peer_needs_a_balancer(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(harness.manifest({"address": "127.0.0.1:9", "draining": True})))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode == 78
    assert "app.balancer: this key is missing; a draining peer needs it" in done.stderr


# --------------------------------------------------------------------- example
def test_the_example(tmp_path, origin):
    origins = [origin(harness.serve(reply(name.encode()))) for name in ("one", "two", "spare")]
    with open(os.path.join(EXAMPLE, "sluice.json5")) as file:
        text = file.read()
    for old, new in zip(["10.0.0.1:3000", "10.0.0.2:3000", "10.0.0.9:3000", ":8080"],
                        [o.address for o in origins] + ["127.0.0.1:0"]):
        assert '"%s"' % old in text
        text = text.replace('"%s"' % old, '"%s"' % new)
    (tmp_path / "peer.key").write_text(SECRET + "\n")
    (tmp_path / "peer.key").chmod(0o600)
    path = tmp_path / "sluice.json5"
    path.write_text(text.replace("version: 1,", "version: 1, plugin_dir: %r," % harness.PLUGINS))
    serving = 'exec "$0" run --manifest ' + str(path)
    proxy = harness.Sluice(tmp_path, {}, prefix=("sh", "-c", serving))
    try:
        first = Client(proxy.address).request()
        value = first.get("set-cookie")
        assert re.fullmatch(r"app_peer=[\w-]{22}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax",
                            value)
        c = Client(proxy.address)
        for _ in range(10):
            got = c.request(fields=[("Cookie", value.split(";")[0])])
            assert got.body == first.body and got.get("set-cookie") is None
        for one in origins[:2]:
            one.stop_listening()
            one.close()
        assert Client(proxy.address).request().body == b"spare"
    finally:
        proxy.close()
