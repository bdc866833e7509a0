"""How the Tracing plugin exports: nothing is lost by swaps, upgrades and the end, a collector that
fails is asked again as OTLP says, and no client ever waits for it."""
import json
import signal
import socket
import threading
import time
from email.utils import formatdate

import pytest

import harness
import otlp
from harness import eventually, serve
from otlp import collector, count, traced  # noqa: F401  fixtures
from reloading import manifest_of, reload, wait_gone
from wire import Client, reply


class Load:
    """Clients that ask until they are told to stop."""

    def __init__(self, proxy, clients=4):
        self.proxy, self.done, self.count = proxy, threading.Event(), 0
        self.lock, self.failed = threading.Lock(), []
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        wire = None
        try:
            while not self.done.is_set():
                wire = wire or Client(self.proxy.address)
                answer = wire.request()
                assert answer.status == 200, answer.raw_head
                with self.lock:
                    self.count += 1
                if answer.closes:
                    wire.close()
                    wire = None
        except BaseException as error:  # noqa: B902  reported by `stop`
            self.failed.append(error)
        finally:
            if wire:
                wire.close()

    def wait(self, number):
        eventually(lambda: self.count >= number or self.failed, "%d requests" % number)

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join()
        if self.failed:
            raise self.failed[0]
        return self.count


def ask(proxy, number):
    """So many requests, one after the other."""
    wire = Client(proxy.address)
    for _ in range(number):
        answer = wire.request()
        assert answer.status == 200
        if answer.closes:
            wire.close()
            wire = Client(proxy.address)
    wire.close()


def complete(to, requests):
    """Whether the collector has a request and an attempt for each, and no more."""
    found = otlp.traces(to.wait_spans(2 * requests, 30))
    assert len(found) == requests
    assert all(len(trace.attempts) == 1 for trace in found.values())


@pytest.fixture
def app(origin):
    return origin(serve(reply(b"ok")))


# ----------------------------------------------------------------- nothing is lost
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_every_request_of_all_workers_comes(traced, app, encoding):
    proxy, to = traced(app, workers=2, encoding=encoding,
                       batch={"size": 100, "queue": 16384})
    load = Load(proxy, 8)
    load.wait(1000)
    complete(to, load.stop())
    assert max(len(batch) for batch in to.batches) <= 100
    assert {head.get("user-agent") for head in to.heads} == {"sluice-tracing/0.1.0"}


@pytest.mark.seconds(120)
def test_swaps_lose_no_span(traced, app):
    proxy, to = traced(app, workers=2, batch={"delay": "200ms", "queue": 16384})
    load = Load(proxy)
    for number in range(5):
        load.wait(load.count + 200)
        manifest = manifest_of(proxy)
        manifest["plugins"]["trace"]["config"]["service"] = "v%d" % number
        generation = reload(proxy, manifest)
        wait_gone(proxy, generation - 1)
    load.wait(load.count + 200)
    complete(to, load.stop())
    assert len({span.resource["service.name"] for span in to.spans}) >= 5


def test_the_end_of_the_process_loses_no_span(traced, app):
    # Nothing would go for a minute.
    proxy, to = traced(app, workers=2, batch={"delay": "60s"})
    ask(proxy, 20)
    ask(proxy, 20)
    assert to.batches == []
    assert proxy.stop() == 0
    complete(to, 40)


def test_more_than_a_batch_goes_at_the_end(traced, app):
    proxy, to = traced(app, batch={"delay": "60s", "size": 30})
    ask(proxy, 100)
    assert proxy.stop() == 0
    complete(to, 100)


def test_an_upgrade_loses_no_span(traced, app):
    proxy, to = traced(app, workers=2, batch={"delay": "60s"})
    ask(proxy, 30)
    old = proxy.serving
    proxy.process.send_signal(signal.SIGUSR2)
    eventually(lambda: old not in proxy.processes, "the old process ends")
    complete(to, 30)


def test_an_upgrade_hands_over_what_the_collector_did_not_take(traced, app, collector):
    port = free()
    proxy, to = traced(app, address="127.0.0.1:%d" % port, batch={"delay": "100ms"})
    ask(proxy, 30)
    eventually(lambda: count(proxy, "exports_total", result="again") > 0, "an export that fails")
    old = proxy.serving
    proxy.process.send_signal(signal.SIGUSR2)
    eventually(lambda: old not in proxy.processes, "the old process ends")
    to = collector(port=port)
    complete(to, 30)


def test_an_instance_that_is_taken_away_says_what_is_lost(traced, app):
    proxy, _ = traced(app, batch={"delay": "60s"})
    ask(proxy, 3)
    manifest = manifest_of(proxy)
    manifest["chain"] = []
    del manifest["plugins"]["trace"]
    wait_gone(proxy, reload(proxy, manifest) - 1)
    proxy.wait_log(r"plugin=trace spans are lost.* spans=6")


# ----------------------------------------------------------- a collector that fails
def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_collector_that_comes_later_gets_all(traced, app, collector):
    port = free()
    proxy, _ = traced(app, address="127.0.0.1:%d" % port)
    ask(proxy, 10)
    proxy.wait_log("spans can't be exported collector=spans reason=\"no answer\"")
    to = collector(port=port)
    complete(to, 10)
    proxy.wait_log("spans are exported again")
    assert proxy.log.count("spans can't be exported") == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_tried_again_is(traced, app, collector, status):
    to = collector(lambda number: reply(b"", "%d X" % status) if number < 2 else None)
    proxy, _ = traced(app, to=to, batch={"delay": "60s", "size": 10})
    ask(proxy, 5)
    complete(to, 5)
    eventually(lambda: count(proxy, "spans_total", result="exported") == 10, "they are counted")
    assert count(proxy, "exports_total", result="again") == 2 and to.count == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to(traced, app, collector, form):
    times = []

    def answer(number):
        times.append(time.time())
        if number > 0:
            return None
        # A date has whole seconds: the one after the next but one.
        later = "2" if form == "seconds" else formatdate(time.time() + 3, usegmt=True)
        return reply(b"", "503 X", [("Retry-After", later)])

    proxy, to = traced(app, to=collector(answer))
    ask(proxy, 5)
    complete(to, 5)
    assert 1.95 <= times[1] - times[0] < 4


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_what_is_refused_is_not_tried_again(traced, app, collector, status):
    to = collector(lambda number: reply(b"", "%d X" % status) if number < 1 else None)
    # By their number alone, however long the requests take.
    proxy, _ = traced(app, to=to, batch={"size": 6, "delay": "20s"})
    ask(proxy, 3)
    eventually(lambda: count(proxy, "exports_total", result="refused") == 1, "a refusal")
    ask(proxy, 3)
    complete(to, 3)
    assert to.count == 2 and count(proxy, "spans_total", result="failed") == 6


REJECTS = otlp.CLASSES["Answer"]()
REJECTS.partial_success.rejected_spans = 3


@pytest.mark.parametrize("encoding, answer", [
    ("protobuf", REJECTS.SerializeToString()),
    ("json", b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}}'),
])
def test_spans_that_the_collector_rejects_are_counted(traced, app, collector, encoding, answer):
    to = collector(lambda number: reply(answer))
    proxy, _ = traced(app, to=to, encoding=encoding, batch={"size": 10, "delay": "60s"})
    ask(proxy, 5)
    eventually(lambda: count(proxy, "spans_total", result="rejected") == 3, "a rejection")
    assert count(proxy, "spans_total", result="exported") == 7
    assert to.count == 1


def test_a_silent_collector_slows_nobody(traced, app, collector):
    gate = otlp.Gate(None)
    proxy, _ = traced(app, to=collector(lambda number: gate), timeout="60s",
                      batch={"size": 10, "queue": 64})
    ask(proxy, 10)
    begin = time.monotonic()
    ask(proxy, 200)
    assert time.monotonic() - begin < 5
    # The queue is bounded, and what finds no room is counted.
    assert count(proxy, "spans_total", result="queue_full") == 2 * 210 - 64
    begin = time.monotonic()
    assert proxy.stop() == 0
    # The host waits for five seconds.
    assert time.monotonic() - begin < 8
    gate.event.set()


def test_memory_is_bounded_without_a_collector(traced, app):
    proxy, _ = traced(app, address="127.0.0.1:%d" % free(), batch={"queue": 512})
    ask(proxy, 1000)
    before = proxy.rss()
    ask(proxy, 4000)
    assert proxy.rss() - before < 2 << 20
    assert count(proxy, "spans_total", result="queue_full") == 2 * 5000 - 512
    assert proxy.stop() == 0


def test_a_batch_is_given_up_in_time(traced, app, collector):
    to = collector(lambda number: reply(b"", "503 X") if number < 3 else None)
    proxy, _ = traced(app, to=to, batch={"size": 4, "give_up": "1s"})
    ask(proxy, 2)
    eventually(lambda: count(proxy, "spans_total", result="failed") == 4, "a batch given up")
    ask(proxy, 2)
    eventually(lambda: to.batches or count(proxy, "spans_total", result="failed") == 8, "more")


# --------------------------------------------------------------- fields and secrets
def test_credentials_come_from_a_file_and_are_nowhere_else(traced, app, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("Bearer s3cret\n")
    secret.chmod(0o600)
    proxy, to = traced(app, headers=[
        {"name": "authorization", "value_file": str(secret)}, {"name": "x-scope", "value": "a"}])
    ask(proxy, 1)
    complete(to, 1)
    assert to.heads[0].get("authorization") == "Bearer s3cret"
    assert to.heads[0].get("x-scope") == "a"
    assert "s3cret" not in proxy.log


@pytest.mark.parametrize("config, line", [
    ({"collector": "nowhere"}, 'collector: the manifest has no upstream "nowhere"'),
    ({"collector": "spans", "sampling": {"ratio": 1.5}}, "sampling.ratio: "),
    ({"collector": "spans", "sampling": {"trusted": ["10.0.0.1/8"]}}, "sampling.trusted[0]: "),
    ({"collector": "spans", "path": "v1"}, 'path: begins with "/"'),
    ({"collector": "spans", "headers": [{"name": "content-length", "value": "1"}]},
     "headers[0].name: "),
    ({"collector": "spans", "headers": [{"name": "a"}]}, "headers[0].value_file: is missing"),
    ({"collector": "spans", "batch": {"size": 100, "queue": 64}}, "batch.size: 100 is more than"),
    ({"collector": "spans", "batch": {"delay": "10ms"}}, "batch.delay: not within 50 to 60000 ms"),
    ({"collector": "spans", "query": "keep", "redact": ["a"]}, 'redact: goes with query "redact"'),
    ({"collector": "spans", "resource": {"service.name": "a"}}, "resource.service.name: "),
])
def test_a_wrong_configuration_is_one_line(tmp_path, config, line):
    path = tmp_path / "sluice.json"
    manifest = harness.manifest("127.0.0.1:1", chain=["trace"], plugins={
        "trace": {"library": "libTracing.so", "config": config}},
        upstreams={"spans": {"peers": ["127.0.0.1:2"]}})
    path.write_text(json.dumps(manifest))
    done = harness.run("check", "--manifest", str(path))
    assert done.returncode == 78
    assert "sluice.json: plugins.trace.config" in done.stderr and line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
