"""Discovery from Consul's catalog, by its protocol of blocking queries."""
import pytest

from catalog import Catalog, instance
from discovering import answers, discovered, wait_answers
from harness import serve
from reloading import manifest_of, reload
from wire import Client, reply

TOKEN = "8c7f4d2e-secret"


@pytest.fixture
def catalog(origin):
    made = []

    def make(instances=(), **options):
        made.append(Catalog(instances, **options))
        made[-1].origin = origin(made[-1].script)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def named(origin):
    def make(*names):
        return [origin(serve(reply(name.encode()))) for name in names]

    return make


def by_consul(sluice, catalog, upstream=None, wait="2s", **consul):
    source = {"consul": {"upstream": "consul", "service": "api", "wait": wait,
                         "min_interval": "100ms", **consul},
              "jitter": 0, "retry": "200ms", "retry_max": "500ms", **(upstream or {})}
    return discovered(sluice, source, upstreams={"consul": {"peers": [catalog.origin.address]}})


def local(*origins):
    return [instance("127.0.0.1", one.port, "i%d" % one.port) for one in origins]


def test_changes_are_known_at_once(sluice, catalog, named):
    a, b, c = named("a", "b", "c")
    consul = catalog(local(a))
    proxy = by_consul(sluice, consul, wait="50s")
    wait_answers(proxy, "a")
    consul.wait(lambda asked: asked and asked[-1][1].get("index") == "100", "a blocking query")
    # The answer is held back for 50 s unless something changes: so this is not a new question.
    consul.put(local(a, b, c))
    wait_answers(proxy, "a", "b", "c")
    consul.put(local(b))
    wait_answers(proxy, "b")
    path, query, token = consul.questions[0]
    assert path == "/v1/health/service/api"
    assert (query, token) == ({"passing": "1"}, None)
    assert consul.questions[1][1] == {"passing": "1", "index": "100", "wait": "50000ms"}


def test_a_wait_that_ends_without_news_begins_anew(sluice, catalog, named):
    consul = catalog(local(*named("a")))
    proxy = by_consul(sluice, consul, wait="1s")
    consul.wait(lambda asked: len(asked) >= 4, "four questions")
    assert all(query.get("index") == "100" for _, query, _ in consul.questions[1:])
    assert answers(proxy) == {"a"}


def test_an_index_that_goes_backwards_begins_anew(sluice, catalog, named):
    a, b = named("a", "b")
    consul = catalog(local(a))
    proxy = by_consul(sluice, consul)
    wait_answers(proxy, "a")
    # As after a restore of the servers.
    consul.put(local(b), index=7)
    wait_answers(proxy, "b")
    consul.wait(lambda asked: "7" in [query.get("index") for _, query, _ in asked], "index 7")
    indices = [query.get("index") for _, query, _ in consul.questions]
    assert indices[indices.index("7") - 1] is None
    assert "0" not in indices


@pytest.mark.parametrize("index", [0, -5])
def test_an_index_of_0_is_never_sent(sluice, catalog, named, index):
    consul = catalog(local(*named("a")), index=index)
    proxy = by_consul(sluice, consul, wait="1s")
    wait_answers(proxy, "a")
    consul.wait(lambda asked: len(asked) >= 3, "three questions")
    # It counts as 1. Any but its own index is answered at once, but no faster than said.
    assert {query.get("index") for _, query, _ in consul.questions} == {None, "1"}


def test_weights_zones_and_nodes(sluice, catalog, origin):
    a, b = (origin(serve(reply(name))) for name in (b"a", b"b"))
    consul = catalog([instance("127.0.0.1", a.port, weight=3), instance("", b.port, zone="z")])
    proxy = by_consul(sluice, consul, zone_key="zone")
    wait_answers(proxy, "a", "b")
    before = len(a.requests), len(b.requests)
    client = Client(proxy.address)
    for _ in range(8):
        client.request()
    assert (len(a.requests) - before[0], len(b.requests) - before[1]) == (6, 2)


def test_tag_and_datacenter_are_asked_for(sluice, catalog, named):
    consul = catalog(local(*named("a")))
    proxy = by_consul(sluice, consul, tag="v 1&x", datacenter="dc1", service="a/b")
    wait_answers(proxy, "a")
    path, query, _ = consul.questions[0]
    assert path == "/v1/health/service/a%2Fb"
    assert query == {"passing": "1", "tag": "v 1&x", "dc": "dc1"}


# ------------------------------------------------------------------------ tokens
def test_a_token_is_sent_read_anew_and_never_logged(sluice, catalog, named, tmp_path):
    a, b = named("a", "b")
    consul = catalog(local(a), token=TOKEN)
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    proxy = by_consul(sluice, consul, token_file=str(path), wait="1s")
    wait_answers(proxy, "a")
    assert {token for _, _, token in consul.questions} == {TOKEN}
    # Rotated: refused with the old one, taken with the new one.
    with consul.changed:
        consul.token = "another-secret"
    consul.put(local(b))
    proxy.wait_log("the catalog answers 403; it keeps its 1 peer")
    path.write_text("another-secret")
    wait_answers(proxy, "b")
    assert "secret" not in proxy.log


@pytest.mark.parametrize("mode, text, wanted", [
    (0o644, TOKEN, "others have rights to it .mode 0644.; chmod 600 it"),
    (0o640, TOKEN, "others have rights to it .mode 0640."),
    (0o600, "", "expected one line with a token"),
    (0o600, "two " + TOKEN, "expected one line with a token"),
    (0o600, TOKEN + "\n" + TOKEN, "expected one line with a token"),
    (0o600, "x" * 515, "longer than 514 bytes"),
    (None, "", "No such file or directory"),
])
def test_a_token_that_is_not_used(sluice, catalog, tmp_path, mode, text, wanted):
    consul = catalog()
    path = tmp_path / "token"
    if mode is not None:
        path.write_text(text)
        path.chmod(mode)
    proxy = by_consul(sluice, consul, token_file=str(path))
    proxy.wait_log("upstream web: .*token: " + wanted)
    assert TOKEN not in proxy.log
    assert not consul.questions


# ---------------------------------------------------------------------- failures
@pytest.mark.parametrize("answer, wanted", [
    (500, "the catalog answers 500"),
    (404, "the catalog answers 404"),
    (b"No cluster leader", "the answer's line 1: expected a value"),
    (b'[{"Service"', "the answer's line 1: "),
    (b"{}", "the answer is an object, not an array"),
    (b"[" + b" " * (1 << 20) + b"]", "the catalog's answer is longer than 1048576 bytes"),
    (b'[{"Service":{"ID":"bad\\n","Address":"web.example","Port":80}}]',
     "left out: instance .*bad.*web.example.* has no IP address, port or weight"),
], ids=["500", "404", "text", "half", "object", "long", "useless"])
def test_a_catalog_that_fails_leaves_the_peers(sluice, catalog, named, answer, wanted):
    a, b = named("a", "b")
    consul = catalog(local(a))
    proxy = by_consul(sluice, consul)
    wait_answers(proxy, "a")
    consul.break_with(answer)
    proxy.wait_log("upstream web: " + wanted + ".*; it keeps its 1 peer")
    assert answers(proxy) == {"a"}
    consul.break_with(None)
    consul.put(local(b))
    wait_answers(proxy, "b")
    proxy.wait_log("its source answers again")


def test_a_wrong_instance_does_not_hide_the_others(sluice, catalog, named):
    a, = named("a")
    consul = catalog([instance("web.example", 80, "wrong")] + local(a))
    wait_answers(by_consul(sluice, consul), "a")


def test_no_instance_keeps_or_clears(sluice, catalog, named):
    a, = named("a")
    consul = catalog(local(a))
    proxy = by_consul(sluice, consul)
    wait_answers(proxy, "a")
    consul.put([])
    proxy.wait_log("service api: no instance passes; it keeps its 1 peer")
    assert answers(proxy) == {"a"}


def test_a_catalog_that_is_gone_and_comes_back(sluice, catalog, named, origin):
    a, b = named("a", "b")
    consul = catalog(local(a))
    proxy = by_consul(sluice, consul)
    wait_answers(proxy, "a")
    port = consul.origin.port
    consul.close()
    consul.origin.close()
    proxy.wait_log("the catalog can't be reached; it keeps its 1 peer")
    assert answers(proxy) == {"a"}
    # Another one, with an index that has nothing to do with the old one's.
    other = Catalog(local(b), index=3)
    origin(other.script, port=port)
    wait_answers(proxy, "b")
    assert other.questions[0][1].get("index") is None
    other.close()


def test_another_instance_begins_with_the_last_good_set(sluice, catalog, named):
    consul = catalog(local(*named("a")))
    proxy = by_consul(sluice, consul)
    wait_answers(proxy, "a")
    consul.break_with(500)
    manifest = manifest_of(proxy)
    manifest["plugins"]["disco"]["config"]["upstreams"]["web"]["retry_max"] = "600ms"
    reload(proxy, manifest)
    proxy.wait_log("begins with 1 peer")
    assert answers(proxy) == {"a"}


def test_a_proxy_that_asks_ends_at_once(sluice, catalog, named):
    consul = catalog(local(*named("a")))
    proxy = by_consul(sluice, consul, wait="50s")
    consul.wait(lambda asked: len(asked) >= 2, "a blocking query")
    assert proxy.stop() == 0
