"""Discovery: peers that follow a file and name servers, with traffic; and what is refused."""
import os
import time

import pytest

import harness
from discovering import (NAME, answers, by_dns, discovered, dnsmasq, loopbacks,  # noqa: F401
                         nameserver, wait_answers, write)
from harness import eventually, serve
from nameserver import A, AAAA, NXDOMAIN, SERVFAIL, a, aaaa, soa, srv
from wire import Client, reply


# ------------------------------------------------------------------------ file
def test_a_file_is_followed(sluice, loopbacks, tmp_path):
    port, origins = loopbacks("127.0.0.1", "127.0.0.2", "127.0.0.3")
    path = tmp_path / "peers.json"
    write(path, '["127.0.0.1:%d", {"address": "127.0.0.2:%d", "weight": 2}]' % (port, port))
    proxy = discovered(sluice, {"file": {"path": str(path), "interval": "100ms"}})
    # The peers of the file are there before the first request.
    wait_answers(proxy, "127.0.0.1", "127.0.0.2")
    before = len(origins["127.0.0.1"].requests), len(origins["127.0.0.2"].requests)
    client = Client(proxy.address)
    for _ in range(9):
        client.request()
    after = len(origins["127.0.0.1"].requests), len(origins["127.0.0.2"].requests)
    assert (after[0] - before[0], after[1] - before[1]) == (3, 6)

    write(path, '["127.0.0.3:%d"]' % port)
    wait_answers(proxy, "127.0.0.3")
    proxy.wait_log(r"plugin=disco upstream web: 1 peer: 1 added \(127.0.0.3:\d+\), "
                   r"2 removed \(127.0.0.1:\d+, 127.0.0.2:\d+\)")


def test_a_peer_of_the_file_drains(sluice, loopbacks, tmp_path):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    path, key = tmp_path / "peers.json", tmp_path / "key"
    key.write_text("0123456789abcdef" * 2)
    key.chmod(0o600)
    write(path, '["127.0.0.1:%d"]' % port)
    proxy = discovered(
        sluice, {"file": {"path": str(path), "interval": "100ms"}},
        plugins={"lb": {"library": "libLeastConnections.so",
                        "config": {"sticky": {"secrets": [str(key)]}}}},
        upstreams={"web": {"discovery": True, "balancer": "lb"}})
    first = Client(proxy.address).request()
    session = [("Cookie", first.get("set-cookie").partition(";")[0])]

    def kept():
        return Client(proxy.address).request(fields=session).body

    write(path, '[{"address": "127.0.0.1:%d", "draining": true}, "127.0.0.2:%d"]' % (port, port))
    wait_answers(proxy, "127.0.0.2")
    assert [kept() for _ in range(5)] == [b"127.0.0.1"] * 5
    write(path, '["127.0.0.2:%d"]' % port)
    eventually(lambda: kept() == b"127.0.0.2", "the session moves")


def test_a_broken_file_leaves_the_last_good_set(sluice, loopbacks, tmp_path):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    path = tmp_path / "peers.json"
    write(path, '["127.0.0.1:%d"]' % port)
    proxy = discovered(sluice, {"file": {"path": str(path), "interval": "100ms"}})
    wait_answers(proxy, "127.0.0.1")
    # Written in place, in two halves.
    with open(path, "w") as file:
        file.write('[\n"127.0.0.1:%d",\n"127.0' % port)
        file.flush()
        proxy.wait_log(r"peers.json:3: a string without an end; it keeps its 1 peer")
        assert answers(proxy) == {"127.0.0.1"}
        file.write('.0.2:%d"]' % port)
    wait_answers(proxy, "127.0.0.1", "127.0.0.2")
    proxy.wait_log(r"its source answers again")
    # Gone, and back with other contents.
    os.unlink(path)
    proxy.wait_log(r"peers.json: No such file or directory; it keeps its 2 peers")
    assert answers(proxy) == {"127.0.0.1", "127.0.0.2"}
    write(path, '["127.0.0.2:%d"]' % port)
    wait_answers(proxy, "127.0.0.2")
    # Each fault is told once.
    assert proxy.log.count("No such file") == 1


@pytest.mark.parametrize("rule, left", [("keep", "127.0.0.1"), ("clear", None)])
def test_an_empty_list_keeps_or_clears(sluice, loopbacks, tmp_path, rule, left):
    port, _ = loopbacks("127.0.0.1")
    path = tmp_path / "peers.json"
    write(path, '["127.0.0.1:%d"]' % port)
    proxy = discovered(sluice, {"file": {"path": str(path), "interval": "100ms"},
                                "on_empty": rule})
    wait_answers(proxy, "127.0.0.1")
    write(path, "[]")
    if left:
        proxy.wait_log("peers.json: no peers; it keeps its 1 peer")
        assert answers(proxy) == {left}
    else:
        eventually(lambda: "127.0.0.1" not in answers(proxy), "an upstream without peers")
    write(path, '["127.0.0.1:%d"]' % port)
    wait_answers(proxy, "127.0.0.1")


def test_more_peers_than_may_be_are_refused(sluice, loopbacks, tmp_path):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2", "127.0.0.3")
    path = tmp_path / "peers.json"
    write(path, '["127.0.0.1:%d", "127.0.0.2:%d"]' % (port, port))
    proxy = discovered(sluice, {"file": {"path": str(path), "interval": "100ms"}, "max_peers": 2})
    wait_answers(proxy, "127.0.0.1", "127.0.0.2")
    write(path, str(["127.0.0.%d:%d" % (n, port) for n in (1, 2, 3)]).replace("'", '"'))
    proxy.wait_log("3 peers; max_peers is 2; it keeps its 2 peers")
    assert answers(proxy) == {"127.0.0.1", "127.0.0.2"}


def test_what_happens_is_counted(sluice, loopbacks, tmp_path):
    port, _ = loopbacks("127.0.0.1")
    path, admin = tmp_path / "peers.json", str(tmp_path / "admin")
    write(path, '["127.0.0.1:%d", "127.0.0.2:%d"]' % (port, port))
    proxy = discovered(sluice, {"file": {"path": str(path), "interval": "100ms"}},
                       admin={"listen": "unix:" + admin})

    def count(name):
        text = Client(admin).request(target="/v1/metrics").body.decode()
        line = 'sluice_plugin_discovery_%s{plugin="disco",upstream="web"} ' % name
        return int(text.split(line)[1].split("\n")[0])

    eventually(lambda: os.path.exists(admin), "the admin interface")
    eventually(lambda: count("refreshes_total") == 1, "an answer")
    assert (count("peers"), count("changes_total"), count("failures_total")) == (2, 0, 0)
    assert abs(count("last_refresh_timestamp_seconds") - time.time()) < 30
    write(path, "[")
    eventually(lambda: count("failures_total") == 1, "a failure")
    assert count("peers") == 2
    write(path, '["127.0.0.1:%d"]' % port)
    eventually(lambda: count("changes_total") == 1, "a change")
    assert (count("peers"), count("refreshes_total")) == (1, 2)


# ----------------------------------------------------------------- real server
def test_addresses_of_a_name_are_followed(sluice, loopbacks, dnsmasq):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2", "::1")
    server = dnsmasq([("127.0.0.1", NAME)])
    proxy = by_dns(sluice, server, port)
    wait_answers(proxy, "127.0.0.1")
    server.change([("127.0.0.1", NAME), ("127.0.0.2", NAME), ("::1", NAME)])
    wait_answers(proxy, "127.0.0.1", "127.0.0.2", "::1")
    server.change([("::1", NAME)])
    wait_answers(proxy, "::1")
    proxy.wait_log(r"2 removed \(127.0.0.1:\d+, 127.0.0.2:\d+\)")


@pytest.mark.parametrize("kind, wanted", [("a", ["127.0.0.1"]), ("aaaa", ["::1"])])
def test_one_family_is_asked_for(sluice, loopbacks, dnsmasq, kind, wanted):
    port, _ = loopbacks("127.0.0.1", "::1")
    server = dnsmasq([("127.0.0.1", NAME), ("::1", NAME)])
    wait_answers(by_dns(sluice, server, port, type=kind), *wanted)


def test_services_bring_ports_and_priorities(sluice, origin, dnsmasq):
    first, second, spare = (origin(serve(reply(name))) for name in (b"1", b"2", b"spare"))
    name = "_http._tcp." + NAME
    server = dnsmasq([("127.0.0.1", "node.example")], [
        "%s,node.example,%d,%d,5" % (name, one.port, priority)
        for one, priority in ((first, 10), (second, 10), (spare, 20))])
    proxy = by_dns(sluice, server, name=name, type="srv")
    wait_answers(proxy, "1", "2")
    first.close()
    second.close()
    wait_answers(proxy, "spare")


def test_a_server_that_dies_and_comes_back(sluice, loopbacks, dnsmasq):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    server = dnsmasq([("127.0.0.1", NAME)])
    proxy = by_dns(sluice, server, port)
    wait_answers(proxy, "127.0.0.1")
    server.kill()
    proxy.wait_log(r"upstream web: A of app.example: 127.0.0.1:\d+: Connection refused; "
                   r"it keeps its 1 peer|upstream web: AAAA of app.example: ")
    assert answers(proxy) == {"127.0.0.1"}
    server.write([("127.0.0.2", NAME)])
    server.start()
    wait_answers(proxy, "127.0.0.2")
    proxy.wait_log("its source answers again")


def test_a_name_that_is_gone_keeps_its_peers(sluice, loopbacks, dnsmasq):
    port, _ = loopbacks("127.0.0.1")
    server = dnsmasq([("127.0.0.1", NAME)])
    proxy = by_dns(sluice, server, port, negative_ttl="1s")
    wait_answers(proxy, "127.0.0.1")
    server.change([])
    proxy.wait_log("A of app.example: NXDOMAIN; it keeps its 1 peer")
    assert answers(proxy) == {"127.0.0.1"}


def test_an_answer_too_long_for_a_datagram_comes_by_tcp(sluice, dnsmasq):
    hosts = [("127.0.%d.%d" % (n // 200, n % 200 + 1), NAME) for n in range(300)]
    proxy = by_dns(sluice, dnsmasq(hosts), 9, type="a")
    proxy.wait_log("upstream web: begins with 300 peers")


# --------------------------------------------------------------- scripted server
def test_forged_and_foreign_answers_are_passed_over(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    bad = [a("127.0.0.2")]

    def script(question):
        if question.kind != A:
            return question.answer()
        other = b"\3foo" + question.section
        return [b"", b"x", question.answer(bad, number=question.id ^ 1), question.packet,
                question.answer(bad, section=other), question.answer([a("127.0.0.1")])]

    proxy = by_dns(sluice, nameserver(script), port)
    wait_answers(proxy, "127.0.0.1")


def test_each_question_has_a_number_and_a_port_of_its_own(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1")
    server = nameserver(lambda question: question.answer([a("127.0.0.1")]))
    by_dns(sluice, server, port, type="a")
    server.wait(lambda questions: len(questions) >= 4, "four questions")
    assert len({question.id for question in server.questions}) >= 3
    assert all(question.flags == 0x100 for question in server.questions)


def test_broken_answers_go_to_the_next_server(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1")
    broken = nameserver(lambda question: question.answer([a("127.0.0.9")])[:-2])
    good = nameserver(lambda question: question.answer([a("127.0.0.1")]))
    config = {"resolvers": [broken.address, good.address]}
    wait_answers(by_dns(sluice, broken, port, config, type="a"), "127.0.0.1")
    assert broken.questions


def test_servers_that_fail_or_say_nothing_are_followed_by_the_next(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1")
    failing = nameserver(lambda question: question.answer(code=SERVFAIL))
    silent = nameserver(lambda question: None)
    good = nameserver(lambda question: question.answer([a("127.0.0.1")]))
    config = {"resolvers": [failing.address, silent.address, good.address]}
    wait_answers(by_dns(sluice, good, port, config, type="a"), "127.0.0.1")


def test_a_server_that_fails_leaves_the_peers(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2")
    state = {"code": 0, "records": [a("127.0.0.1")]}
    server = nameserver(lambda question: question.answer(
        state["records"] if question.kind == A else [], code=state["code"]))
    proxy = by_dns(sluice, server, port, type="a")
    wait_answers(proxy, "127.0.0.1")
    state.update(code=SERVFAIL, records=[])
    proxy.wait_log("A of app.example: 127.0.0.1:.*: SERVFAIL; it keeps its 1 peer")
    count = len(server.questions)
    server.wait(lambda questions: len(questions) >= count + 3, "again and again")
    assert answers(proxy) == {"127.0.0.1"}
    assert proxy.log.count("SERVFAIL") == 1
    state.update(code=0, records=[a("127.0.0.2")])
    wait_answers(proxy, "127.0.0.2")


def test_a_family_that_nobody_answers_for_stays(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1", "127.0.0.2", "::1")
    state = {"v4": "127.0.0.1", "code": 0}

    def script(question):
        if question.kind == AAAA:
            return question.answer([aaaa("::1")] if state["code"] == 0 else [], code=state["code"])
        return question.answer([a(state["v4"])])

    proxy = by_dns(sluice, nameserver(script), port)
    wait_answers(proxy, "127.0.0.1", "::1")
    state.update(v4="127.0.0.2", code=SERVFAIL)
    wait_answers(proxy, "127.0.0.2", "::1")


def test_a_truncated_answer_is_asked_for_by_tcp(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1")

    def script(question):
        if not question.is_stream:
            return question.answer([a("127.0.0.9")], truncated=True)
        return question.answer([a("127.0.0.1")])

    server = nameserver(script)
    wait_answers(by_dns(sluice, server, port, type="a"), "127.0.0.1")
    assert any(question.is_stream for question in server.questions)


def test_a_server_from_before_edns_is_asked_without(sluice, loopbacks, nameserver):
    port, _ = loopbacks("127.0.0.1")
    server = nameserver(lambda question: question.answer(code=1) if question.extra
                        else question.answer([a("127.0.0.1")]))
    wait_answers(by_dns(sluice, server, port, type="a"), "127.0.0.1")


def test_there_being_none_is_asked_again_when_the_zone_says(sluice, nameserver):
    server = nameserver(lambda question: question.answer(
        code=NXDOMAIN, ttl=3600, authority=[("example", *soa(3600))]))
    by_dns(sluice, server, 80, type="a", max_ttl="24h", negative_ttl="1s")
    # Bounded by the manifest: else the next question would be an hour away.
    server.wait(lambda questions: len(questions) >= 3, "three questions")


def test_services_are_looked_up_with_what_comes_beside_them(sluice, origin, nameserver):
    one, two = (origin(serve(reply(name))) for name in (b"1", b"2"))

    def script(question):
        if question.kind != AAAA and question.name == "b.example":
            return question.answer([a("127.0.0.1")])
        if question.name != NAME:
            return question.answer()
        return question.answer(
            [srv(1, 0, one.port, "a.example"), srv(1, 9, two.port, "b.example"),
             srv(1, 1, 80, "."), srv(1, 1, 80, "gone.example")],
            additional=[("a.example", *a("127.0.0.1"))])

    server = nameserver(script)
    wait_answers(by_dns(sluice, server, type="srv"), "1", "2")
    asked = {(question.name, question.kind) for question in server.questions}
    assert ("a.example", A) not in asked and ("b.example", A) in asked


# ---------------------------------------------------------------------- refusals
DNS = {"name": NAME, "port": 80}
REFUSED_CONFIGURATIONS = [
    ({}, "expected one of dns, file and consul"),
    ({"dns": DNS, "file": "p.json"}, "expected one of dns, file and consul"),
    ({"dns": {"name": NAME}}, "dns.port: is missing; only SRV brings one"),
    ({"dns": {**DNS, "type": "srv"}}, "dns.port: SRV brings its own; leave it out"),
    ({"dns": {**DNS, "name": "a..b"}}, 'expected a name such as "app.example"'),
    ({"dns": {**DNS, "name": "10.0.0.1"}}, "an address needs no discovery"),
    ({"dns": {**DNS, "min_ttl": "10s", "max_ttl": "5s"}}, "min_ttl is longer than max_ttl"),
    ({"dns": {**DNS, "min_ttl": "999ms"}}, "expected a time of 1000ms to 86400000ms"),
    ({"dns": {**DNS, "type": "mx"}}, "dns.type"),
    ({"dns": {**DNS, "port": 65536}}, "dns.port"),
    ({"dns": DNS, "retry": "10s", "retry_max": "5s"}, "retry is longer than retry_max"),
    ({"dns": DNS, "max_peers": 0}, "max_peers"),
    ({"dns": DNS, "jitter": 101}, "jitter"),
    ({"dns": DNS, "on_empty": "drop"}, "on_empty"),
    ({"dns": {**DNS, "naem": 1}}, "naem"),
    ({"file": {"path": "p.json", "interval": "99ms"}}, "expected a time of 100ms to 3600000ms"),
    ({"consul": {"upstream": "web", "service": "x"}}, "expected another upstream"),
    ({"consul": {"upstream": "nobody", "service": "x"}}, "the manifest has no such one"),
    ({"consul": {"upstream": "web2", "service": "x", "wait": "56s"}}, "1000ms to 55000ms"),
]


@pytest.mark.parametrize("source, wanted", REFUSED_CONFIGURATIONS)
def test_what_is_refused_names_its_key(tmp_path, source, wanted):
    found = check(tmp_path, {"upstreams": {"web": source}}, {"discovery": True})
    assert wanted in found and "plugins.disco" in found


def test_an_upstream_must_be_there_and_be_discovered(tmp_path):
    config = {"upstreams": {"web": {"file": "p.json"}}}
    assert "lacks discovery: true" in check(tmp_path, config, {"peers": ["10.0.0.1:80"]})
    config = {"upstreams": {"wbe": {"file": "p.json"}}}
    assert "the manifest has no such upstream" in check(tmp_path, config, {"discovery": True})
    config = {"resolvers": ["ns.example"]}
    assert "expected an IP address" in check(tmp_path, config, {"discovery": True})


def check(folder, config, upstream):
    manifest = harness.manifest(
        plugins={"rr": {"library": "libRoundRobin.so"},
                 "disco": {"library": "libDiscovery.so", "config": config}},
        upstreams={"web": {"balancer": "rr", **upstream}, "web2": {"peers": ["10.0.0.2:80"]}},
        routes=[{"match": {}, "upstream": "web"}])
    path = folder / "sluice.json"
    path.write_text(harness.json.dumps(manifest))
    checked = harness.run("check", "--no-bind", "--manifest", str(path))
    assert checked.returncode == 78, checked.stdout + checked.stderr
    return checked.stderr
