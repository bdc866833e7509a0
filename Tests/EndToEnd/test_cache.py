"""The Cache plugin in the real proxy: what many clients at once get, what is served stale, ranges,
purges, bounds, and what a swap leaves. The rules of RFC 9111 one by one are in
test_cache_conformance.py."""
import json
import re
import threading
import time

import pytest

import harness
from harness import eventually, run
from keeper import fetch_h2
from reloading import manifest_of, reload, wait_gone
from wire import DEADLINE, Client, pattern, reply, request


class Pages:
    """An origin's script: answers with fields that can be changed, and counts."""

    def __init__(self, body=b"page", fields=("Cache-Control: max-age=60",), status="200 OK"):
        self.body, self.fields, self.status = body, list(fields), status
        self.gate = None
        self.seen = []

    def __call__(self, connection):
        while True:
            head = connection.read_request()
            if not head:
                return
            self.seen.append(head)
            if self.gate:
                assert self.gate.wait(DEADLINE)
            fields = [tuple(f.split(": ", 1)) for f in self.fields]
            connection.send(reply(self.body, self.status, fields))


def library(**config):
    return {"library": "libCache.so", "config": {"memory": "16MiB", **config}}


@pytest.fixture
def cached(sluice):
    """A proxy with a cache on its chain."""
    def make(app, workers=1, over=None, **config):
        return sluice(app, workers=workers, chain=["cache"], plugins={"cache": library(**config)},
                      **(over or {}))

    return make


# ------------------------------------------------------------------ hits and misses
@pytest.mark.parametrize("size", [0, 1, 1000, 65_535, 65_536, 65_537, 1_000_000, 5_000_000])
def test_a_hit_is_what_was_stored(cached, origin, client, size):
    pages = Pages(pattern(size))
    c = client(cached(origin(pages)))
    first = c.request(target="/a")
    assert first.body == pages.body and "fwd=uri-miss" in first.get("cache-status")
    for _ in range(3):
        again = c.request(target="/a")
        assert again.status == 200 and again.body == pages.body
        assert again.get("age") is not None and "; hit;" in again.get("cache-status")
    assert len(pages.seen) == 1


@pytest.mark.parametrize("size", [0, 1, 5000, 100_000, 3_000_000])
def test_a_body_of_no_known_length_is_stored(cached, origin, client, size):
    body = pattern(size)

    def script(connection):
        while connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            for at in range(0, size, 7777):
                piece = body[at:at + 7777]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")

    app = origin(script)
    c = client(cached(app))
    assert c.request().body == body
    again = c.request()
    assert again.body == body and again.get("content-length") == str(size)
    assert len(app.requests) == 1


def test_hits_over_http2(cached, origin):
    pages = Pages(pattern(300_000))
    p = cached(origin(pages), over={"listener": {"protocols": ["h1", "h2c"]}})
    for _ in range(3):
        status, _, body = fetch_h2(p.address, "/a")
        assert status == 200 and body == pages.body
    assert len(pages.seen) == 1


def test_keys_tell_addresses_apart(cached, origin, client):
    pages = Pages()
    c = client(cached(origin(pages)))
    for host, target in [("a", "/x"), ("b", "/x"), ("a", "/X"), ("a", "/x?"), ("a", "/x?1"),
                         ("a:8080", "/x")]:
        assert "fwd" in c.request(target=target, host=host).get("cache-status")
    for host, target in [("A", "/x"), ("a:80", "/x"), ("b", "/x")]:
        assert "; hit" in c.request(target=target, host=host).get("cache-status")


@pytest.mark.parametrize("query, same, other", [
    ({"drop": ["utm_*", "id"]}, "/x?a=1&utm_source=b&id=5", "/x?a=2"),
    ({"keep": ["a"]}, "/x?b=5&a=1&c", "/x?a=2"),
    ({"keep": []}, "/x?b=5", "/y?a=1"),
    ({"sort": True}, "/x?a=1", "/x?a=1&b=2"),
])
def test_parameters_that_do_not_count(cached, origin, client, query, same, other):
    c = client(cached(origin(Pages()), key={"query": query}))
    c.request(target="/x?a=1")
    assert "; hit" in c.request(target=same).get("cache-status")
    assert "fwd" in c.request(target=other).get("cache-status")


def test_sorted_parameters(cached, origin, client):
    c = client(cached(origin(Pages()), key={"query": {"sort": True}}))
    c.request(target="/x?b=1&a=2&c")
    assert "; hit" in c.request(target="/x?c&a=2&b=1").get("cache-status")
    assert "fwd" in c.request(target="/x?a=1&b=2&c").get("cache-status")


def test_fields_cookies_and_devices_of_keys(cached, origin, client):
    c = client(cached(origin(Pages()),
                      key={"headers": ["X-Tenant"], "cookies": ["lang"], "device": True}))
    kinds = [[], [("X-Tenant", "a")], [("x-tenant", "b")], [("Cookie", "q=1; lang=de")],
             [("Cookie", "lang=en")], [("User-Agent", "x iPhone Mobile")]]
    for fields in kinds:
        assert "fwd" in c.request(fields=fields).get("cache-status")
    for fields in kinds:
        assert "; hit" in c.request(fields=fields).get("cache-status")
    assert "; hit" in c.request(fields=[("Cookie", "lang=de; z=2")]).get("cache-status")


@pytest.mark.parametrize("config, kind", [
    ({"headers": ["X-No"]}, {"fields": [("x-no", "1")]}),
    ({"cookies": ["session"]}, {"fields": [("Cookie", "a=1; session=x")]}),
    ({"paths": ["/api/"]}, {"target": "/api/x"}),
])
def test_bypass(cached, origin, client, config, kind):
    pages = Pages()
    c = client(cached(origin(pages), bypass=config))
    for _ in range(2):
        assert c.request(**kind).get("cache-status") \
            == "Sluice; fwd=bypass; fwd-status=200; detail=rule"
    assert len(pages.seen) == 2


def test_without_a_name_there_is_no_field(cached, origin, client):
    c = client(cached(origin(Pages()), status_field=""))
    assert c.request().get("cache-status") is None
    assert c.request().get("cache-status") is None


# ------------------------------------------------------------------ one fetch for many
@pytest.mark.parametrize("workers", [1, 4])
def test_a_thousand_clients_make_one_request(cached, origin, client, workers):
    pages = Pages(pattern(20_000))
    pages.gate = threading.Event()
    p = cached(origin(pages), workers=workers, lock={"wait": "30s"})
    clients = [client(p) for _ in range(1000)]
    for c in clients:
        c.send(request(target="/hot"))
    eventually(lambda: pages.seen, "the origin is asked")
    time.sleep(0.3)
    pages.gate.set()
    for c in clients:
        assert c.response().body == pages.body
    assert len(pages.seen) == 1


def test_waiters_get_the_body_while_it_arrives(cached, origin, client):
    body, rest = pattern(200_000), threading.Event()

    def script(connection):
        while connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(body) + body[:1000])
            assert rest.wait(DEADLINE)
            connection.send(body[1000:])

    app = origin(script)
    p = cached(app)
    first, second = client(p), client(p)
    first.send(request())
    app.wait_requests(1)
    second.send(request())
    assert second.until(b"\r\n\r\n")
    assert second.read(1000) == body[:1000]
    rest.set()
    assert second.read(len(body) - 1000) == body[1000:]
    assert first.response().body == body
    assert len(app.requests) == 1


def test_what_can_not_be_stored_lets_all_go_at_once(cached, origin, client):
    pages = Pages(fields=["Cache-Control: no-store"])
    pages.gate = threading.Event()
    p = cached(origin(pages), lock={"wait": "30s"})
    clients = [client(p) for _ in range(20)]
    for c in clients:
        c.send(request())
    eventually(lambda: pages.seen, "the origin is asked")
    time.sleep(0.2)
    assert len(pages.seen) == 1
    pages.gate.set()
    for c in clients:
        assert c.response().status == 200
    assert len(pages.seen) == 20
    # It is remembered: nobody waits the next time.
    pages.gate.clear()
    for c in clients:
        c.send(request())
    eventually(lambda: len(pages.seen) == 40, "all are with the origin")
    pages.gate.set()
    for c in clients:
        assert c.response().status == 200


def test_a_failed_fetch_hands_the_lock_on(cached, origin, client):
    calls, gate = [], threading.Event()

    def script(connection):
        while connection.read_request():
            calls.append(1)
            if len(calls) == 1:
                assert gate.wait(DEADLINE)
                return
            connection.send(reply(b"page", fields=[("Cache-Control", "max-age=60")]))

    p = cached(origin(script), lock={"wait": "30s"})
    clients = [client(p) for _ in range(10)]
    for c in clients:
        c.send(request())
    eventually(lambda: calls, "the origin is asked")
    time.sleep(0.2)
    gate.set()
    statuses = [c.response().status for c in clients]
    assert statuses.count(200) >= 9 and len(calls) == 2


def test_a_wait_is_bounded(cached, origin, client):
    pages = Pages()
    pages.gate = threading.Event()
    p = cached(origin(pages), lock={"wait": "200ms"})
    first, second = client(p), client(p)
    first.send(request())
    eventually(lambda: len(pages.seen) == 1, "the first is with the origin")
    second.send(request())
    eventually(lambda: len(pages.seen) == 2, "the second has gone by itself")
    pages.gate.set()
    assert first.response().status == 200 and second.response().status == 200


def test_an_old_lock_is_nobodys(cached, origin, client):
    pages = Pages()
    pages.gate = threading.Event()
    p = cached(origin(pages), lock={"wait": "30s", "age": "200ms"})
    first, second = client(p), client(p)
    first.send(request())
    eventually(lambda: len(pages.seen) == 1, "the first is with the origin")
    second.send(request())
    eventually(lambda: len(pages.seen) == 2, "the second has taken over")
    pages.gate.set()
    assert first.response().status == 200 and second.response().status == 200


def test_the_client_of_a_fetch_leaves(cached, origin, client):
    pages = Pages(pattern(50_000))
    pages.gate = threading.Event()
    p = cached(origin(pages))
    first = client(p)
    first.send(request())
    eventually(lambda: pages.seen, "the origin is asked")
    first.close()
    pages.gate.set()
    eventually(lambda: "; hit" in client(p).request().get("cache-status"), "it is stored")
    assert len(pages.seen) == 1


# ------------------------------------------------------------------ what is stale
def test_stale_while_revalidate(cached, origin, client):
    pages = Pages(b"old", ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 10"])
    c = client(cached(origin(pages)))
    assert c.request().body == b"old"
    pages.body, pages.fields = b"new", ["Cache-Control: max-age=60"]
    stale = c.request()
    assert stale.body == b"old" and "; hit; ttl=" in stale.get("cache-status")
    eventually(lambda: c.request().body == b"new", "it is updated in the background")
    assert len(pages.seen) == 2


def test_one_update_for_many_stale_answers(cached, origin, client):
    pages = Pages(b"old", ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 10"])
    p = cached(origin(pages), workers=2)
    clients = [client(p) for _ in range(50)]
    clients[0].request()
    pages.gate = threading.Event()
    pages.body = b"new"
    for c in clients:
        c.send(request())
    for c in clients:
        assert c.response().body == b"old"
    pages.gate.set()
    time.sleep(0.2)
    assert len(pages.seen) == 2


@pytest.mark.parametrize("how", ["killed", "503"])
def test_stale_if_error(cached, origin, client, how):
    pages = Pages(b"old", ["Cache-Control: max-age=10, stale-if-error=600", "Age: 10"])
    app = origin(pages)
    c = client(cached(app))
    assert c.request().body == b"old"
    if how == "killed":
        app.close()
    else:
        pages.status, pages.body = "503 Service Unavailable", b"sorry"
    for _ in range(3):
        stale = c.request()
        assert stale.status == 200 and stale.body == b"old"
        assert "fwd=stale" in stale.get("cache-status")
    # Parts of it, too.
    part = c.request(fields=[("Range", "bytes=1-2")])
    assert part.status == 206 and part.body == b"ld"


def test_validation_keeps_the_body(cached, origin, client):
    for size in (100, 300_000):
        pages = Pages(pattern(size), ["Cache-Control: max-age=10", "Age: 10", 'ETag: "a"'])
        c = client(cached(origin(pages)))
        c.request()
        pages.status, pages.body = "304 Not Modified", b""
        pages.fields = ["Cache-Control: max-age=60", 'ETag: "a"', "X-New: 1"]
        for _ in range(2):
            again = c.request()
            assert again.status == 200 and again.body == pattern(size)
            assert again.get("x-new") == "1"
        assert len(pages.seen) == 2
        assert pages.seen[1].get("if-none-match") == '"a"'


# ------------------------------------------------------------------ ranges
@pytest.mark.parametrize("size", [1_000, 300_000])
@pytest.mark.parametrize("is_stored", [True, False])
def test_ranges(cached, origin, client, size, is_stored):
    pages = Pages(pattern(size), ["Cache-Control: max-age=60", 'ETag: "a"'])
    p = cached(origin(pages))
    c = client(p)
    if is_stored:
        c.request()
    for line, first, last in [("0-0", 0, 0), ("10-19", 10, 19), ("-5", size - 5, size - 1),
                              ("%d-" % (size - 1), size - 1, size - 1),
                              ("0-%d" % size, 0, size - 1)]:
        part = c.request(fields=[("Range", "bytes=" + line)])
        assert part.status == 206 and part.body == pages.body[first:last + 1]
        assert part.get("content-range") == "bytes %d-%d/%d" % (first, last, size)
    over = c.request(fields=[("Range", "bytes=%d-" % size)])
    assert over.status == 416 and over.get("content-range") == "bytes */%d" % size
    assert c.request(fields=[("Range", "bytes=0-1"), ("If-Range", '"b"')]).status == 200
    assert len(pages.seen) == 1


def test_several_ranges(cached, origin, client):
    pages = Pages(pattern(5000), ["Cache-Control: max-age=60", "Content-Type: text/x"])
    c = client(cached(origin(pages), ranges={"max": 3}))
    c.request()
    many = c.request(fields=[("Range", "bytes=0-9,100-199,-1")])
    assert many.status == 206
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", many.get("content-type"))[1]
    parts = many.body.split(b"--" + boundary.encode())
    assert parts[0] == b"" and parts[-1] == b"--\r\n" and len(parts) == 5
    for text, (first, last) in zip(parts[1:-1], [(0, 9), (100, 199), (4999, 4999)]):
        head, _, rest = text.partition(b"\r\n\r\n")
        assert b"Content-Type: text/x" in head
        assert b"Content-Range: bytes %d-%d/5000" % (first, last) in head
        assert rest == pages.body[first:last + 1] + b"\r\n"
    four = c.request(fields=[("Range", "bytes=0-0,2-2,4-4,6-6")])
    assert four.status == 200 and four.body == pages.body


# ------------------------------------------------------------------ forgetting
def test_purge_by_method(cached, origin, client):
    pages = Pages(fields=["Cache-Control: max-age=60", "Vary: X-A"])
    c = client(cached(origin(pages), purge={"allow": ["127.0.0.0/8"]}))
    for value in "ab":
        c.request(target="/x", fields=[("X-A", value)])
    assert c.request("PURGE", "/y").status == 404
    assert c.request("PURGE", "/x").status == 200
    assert c.request("PURGE", "/x").status == 404
    for value in "ab":
        assert "fwd" in c.request(target="/x", fields=[("X-A", value)]).get("cache-status")


def test_purge_is_for_those_who_may(cached, origin, client):
    pages = Pages()
    c = client(cached(origin(pages), purge={"allow": ["192.0.2.0/24"]}))
    c.request()
    assert c.request("PURGE").status == 403
    assert "; hit" in c.request().get("cache-status")


def test_a_soft_purge_leaves_it_for_bad_times(cached, origin, client):
    pages = Pages(b"old", ["Cache-Control: max-age=60, stale-if-error=60"])
    c = client(cached(origin(pages), purge={"allow": ["127.0.0.1"]}))
    c.request()
    assert c.request("PURGE", fields=[("Sluice-Purge", "soft")]).status == 200
    pages.status = "503 Service Unavailable"
    assert c.request().body == b"old"
    assert len(pages.seen) == 2


def test_a_purge_while_it_arrives(cached, origin, client):
    pages = Pages()
    pages.gate = threading.Event()
    p = cached(origin(pages), purge={"allow": ["127.0.0.1"]})
    first = client(p)
    first.send(request())
    eventually(lambda: pages.seen, "the origin is asked")
    client(p).request("PURGE")
    pages.gate.set()
    assert first.response().status == 200
    assert "fwd" in client(p).request().get("cache-status")


def test_an_unsafe_request_makes_room(cached, origin, client):
    pages = Pages()
    c = client(cached(origin(pages)))
    c.request(target="/x")
    posted = c.request("POST", "/x", body=b"1")
    assert posted.get("cache-status") == "Sluice; fwd=method; fwd-status=200"
    assert "fwd" in c.request(target="/x").get("cache-status")


@pytest.mark.parametrize("order, gone", [
    (["--tag", "blue"], [1, 2]), (["--tag", "blu"], []), (["--prefix", "http://test/a/"], [0, 1]),
    (["--url", "http://TEST:80/a/1"], [1]), (["--url", "http://test/b"], [2]),
    (["--all"], [0, 1, 2]),
])
def test_purge_by_the_admin_interface(cached, origin, client, tmp_path, order, gone):
    targets = {"/a/0": "red", "/a/1": "blue red", "/b": "blue"}

    def script(connection):
        while True:
            head = connection.read_request()
            if not head:
                return
            connection.send(reply(b"page", fields=[("Cache-Control", "max-age=60"),
                                                   ("Surrogate-Key", targets[head.target])]))

    path = str(tmp_path / "admin.sock")
    p = cached(origin(script), over={"admin": {"listen": "unix:" + path}})
    c = client(p)
    for target in targets:
        c.request(target=target)
    done = run("cache", "purge", "cache", *order, "--admin", "unix:" + path)
    assert done.stdout.strip() == "purged: %d" % len(gone), done
    for number, target in enumerate(targets):
        is_stored = "; hit" in c.request(target=target).get("cache-status")
        assert is_stored == (number not in gone), target


@pytest.mark.parametrize("order, text", [
    (["--url", "/x"], 'no address as "http://host/path": "/x"'),
    (["--prefix", "x"], "no beginning of an address"),
])
def test_orders_that_are_none(cached, origin, tmp_path, order, text):
    path = str(tmp_path / "admin.sock")
    cached(origin(Pages()), over={"admin": {"listen": "unix:" + path}})
    done = run("cache", "purge", "cache", *order, "--admin", "unix:" + path)
    assert done.returncode == 1 and text in done.stderr, done


def test_metrics(cached, origin, client, tmp_path):
    address = str(tmp_path / "admin.sock")
    p = cached(origin(Pages()), over={"admin": {"listen": "unix:" + address}})
    c = client(p)
    for target in ("/a", "/a", "/a", "/b"):
        c.request(target=target)
    c.request("POST", "/c", body=b"1")

    def value(name, label=""):
        text = Client(address).request(target="/v1/metrics").body.decode()
        found = [line for line in text.splitlines()
                 if line.startswith("sluice_plugin_cache_" + name + "{") and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    assert value("requests_total", 'status="hit"') == 2
    assert value("requests_total", 'status="miss"') == 2
    assert value("bypass_total", 'reason="method"') == 1
    assert value("fills_total") == 2
    eventually(lambda: value("stored_objects") == 2, "objects are counted")
    assert value("stored_bytes") > 0


# ------------------------------------------------------------------ bounds
def test_the_largest_object(cached, origin, client):
    for size, is_stored in [(65_536, True), (65_537, False)]:
        pages = Pages(pattern(size))
        c = client(cached(origin(pages), max_object="64KiB"))
        for _ in range(2):
            assert c.request().body == pages.body
        assert len(pages.seen) == (1 if is_stored else 2)


def test_memory_is_bounded(cached, origin, client):
    pages = Pages(pattern(100_000))
    p = cached(origin(pages), memory="4MiB")
    c = client(p)
    for number in range(300):
        assert c.request(target="/%d" % number).body == pages.body
    before = p.rss()
    for number in range(600):
        assert c.request(target="/%d" % number).body == pages.body
    assert p.rss() - before < 4 << 20


@pytest.mark.parametrize("config, text", [
    ({"memory": "1KiB"}, "memory: 1024 bytes are not within 1048576 to 1099511627776"),
    ({"memory": "2MiB", "max_object": "2MiB"}, "max_object: 2097152 bytes are not within"),
    ({"ttl": {"20x": "1s"}}, "ttl.20x: no status from 200 to 599"),
    ({"negative": {"200": "1s"}}, "negative.200: no status from 400 to 599"),
    ({"key": {"query": {"keep": ["a"], "drop": ["b"]}}}, "key.query.drop: does not go with"),
    ({"purge": {"allow": ["300.0.0.1"]}}, "purge.allow[0]: no address or block"),
    ({"bypass": {"paths": ["x"]}}, 'bypass.paths[0]: does not begin with "/"'),
    ({"memmory": "2MiB"}, "memmory"),
])
def test_bad_configuration(tmp_path, config, text):
    manifest = harness.manifest("127.0.0.1:1", chain=["cache"],
                                plugins={"cache": {"library": "libCache.so", "config": config}})
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest))
    done = run("check", "--manifest", str(path))
    assert done.returncode != 0 and text in done.stderr + done.stdout, done


def test_who_comes_as_it_is_stored(cached, origin, client):
    """A fetch that ends between a search for the object and that for the fetch is no miss."""
    gates = [threading.Event() for _ in range(300)]

    def script(connection):
        while request := connection.read_request():
            assert gates[int(request.target[1:])].wait(DEADLINE)
            connection.send(reply(b"x", fields=[("Cache-Control", "max-age=60")]))

    app = origin(script)
    p = cached(app, workers=2, lock={"wait": "30s"})
    others = [client(p) for _ in range(4)]
    first = client(p)
    for number, gate in enumerate(gates):
        first.send(request(target="/%d" % number))
        app.wait_requests(number + 1)
        gate.set()
        for other in others:
            other.send(request(target="/%d" % number))
        for one in [first, *others]:
            assert one.response().body == b"x"
        assert len(app.requests) == number + 1


# ------------------------------------------------------------------ swaps
def test_a_swap_keeps_what_is_stored(cached, origin, client):
    pages = Pages(pattern(100_000))
    p = cached(origin(pages), workers=2, lock={"wait": "5s"})
    c = client(p)
    c.request()
    manifest = manifest_of(p)
    manifest["plugins"]["cache"]["config"]["lock"] = {"wait": "6s"}
    reload(p, manifest)
    wait_gone(p, 1)
    again = client(p).request()
    assert again.body == pages.body and "; hit" in again.get("cache-status")
    assert len(pages.seen) == 1


def test_a_swap_while_it_arrives(cached, origin, client):
    pages = Pages(pattern(100_000))
    pages.gate = threading.Event()
    p = cached(origin(pages), workers=2, lock={"wait": "30s"})
    first, second = client(p), client(p)
    first.send(request())
    eventually(lambda: pages.seen, "the origin is asked")
    manifest = manifest_of(p)
    manifest["plugins"]["cache"]["config"]["lock"] = {"wait": "20s"}
    reload(p, manifest)
    second.send(request())
    time.sleep(0.2)
    pages.gate.set()
    assert first.response().body == pages.body
    assert second.response().body == pages.body
    assert len(pages.seen) == 1


def test_other_rules_for_keys_begin_empty(cached, origin, client):
    pages = Pages()
    p = cached(origin(pages))
    client(p).request()
    manifest = manifest_of(p)
    manifest["plugins"]["cache"]["config"]["key"] = {"headers": ["x-a"]}
    reload(p, manifest)
    assert "fwd" in client(p).request().get("cache-status")
    p.wait_log("the cache begins empty")
