"""A collector of OTLP/HTTP that takes nothing that is not right: protobuf is read by Debian's
python3-protobuf with the messages of `opentelemetry/proto`, written down here by their numbers, and
JSON by the rules of OTLP for it. What it has taken are `Span`s.
"""
import base64
import collections
import json
import re
import threading

from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from google.protobuf.message import DecodeError

try:
    from google.protobuf.message_factory import GetMessageClass
except ImportError:  # before 4.22
    from google.protobuf.message_factory import MessageFactory

    def GetMessageClass(descriptor):
        return MessageFactory().GetPrototype(descriptor)

import pytest

import harness
from wire import DEADLINE, Client, reply

# Messages of OTLP 1.5: fields as (number, type, name), "*" for repeated ones.
MESSAGES = {
    "Request": [(1, "*ResourceSpans", "resource_spans")],
    "ResourceSpans": [(1, "Resource", "resource"), (2, "*ScopeSpans", "scope_spans"),
                      (3, "string", "schema_url")],
    "Resource": [(1, "*KeyValue", "attributes"), (2, "uint32", "dropped_attributes_count")],
    "ScopeSpans": [(1, "Scope", "scope"), (2, "*Span", "spans"), (3, "string", "schema_url")],
    "Scope": [(1, "string", "name"), (2, "string", "version"), (3, "*KeyValue", "attributes")],
    "Span": [(1, "bytes", "trace_id"), (2, "bytes", "span_id"), (3, "string", "trace_state"),
             (4, "bytes", "parent_span_id"), (5, "string", "name"), (6, "int32", "kind"),
             (7, "fixed64", "start_time_unix_nano"), (8, "fixed64", "end_time_unix_nano"),
             (9, "*KeyValue", "attributes"), (10, "uint32", "dropped_attributes_count"),
             (11, "*Event", "events"), (12, "uint32", "dropped_events_count"),
             (13, "*Link", "links"), (14, "uint32", "dropped_links_count"),
             (15, "Status", "status"), (16, "fixed32", "flags")],
    "Event": [(1, "fixed64", "time_unix_nano"), (2, "string", "name"),
              (3, "*KeyValue", "attributes")],
    "Link": [(1, "bytes", "trace_id"), (2, "bytes", "span_id"), (3, "string", "trace_state"),
             (4, "*KeyValue", "attributes"), (6, "fixed32", "flags")],
    "Status": [(2, "string", "message"), (3, "int32", "code")],
    "KeyValue": [(1, "string", "key"), (2, "AnyValue", "value")],
    "AnyValue": [(1, "string", "string_value"), (2, "bool", "bool_value"),
                 (3, "int64", "int_value"), (4, "double", "double_value")],
    "Answer": [(1, "Partial", "partial_success")],
    "Partial": [(1, "int64", "rejected_spans"), (2, "string", "error_message")],
}


def classes():
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="otlp.proto", package="otlp", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == "AnyValue":
            message.oneof_decl.add(name="value")
        for number, kind, field in fields:
            many = kind.startswith("*")
            made = message.field.add(name=field, number=number, label=3 if many else 1)
            made.json_name = re.sub("_(.)", lambda m: m.group(1).upper(), field)
            kind = kind.lstrip("*")
            if kind in MESSAGES:
                made.type, made.type_name = kinds.TYPE_MESSAGE, ".otlp." + kind
            else:
                made.type = getattr(kinds, "TYPE_" + kind.upper())
            if name == "AnyValue":
                made.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName("otlp." + name))
            for name in MESSAGES}


CLASSES = classes()
Span = collections.namedtuple("Span", "trace id parent name kind start end state flags attributes "
                                      "events links error resource")
SERVER, CLIENT, INTERNAL = 2, 3, 1


class Wrong(AssertionError):
    """A batch that no collector need take."""


def read_protobuf(body):
    message = CLASSES["Request"]()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Wrong(str(error)) from None
    # What is not known here is kept, and written again behind the rest.
    copy = CLASSES["Request"]()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    if copy.ByteSize() != message.ByteSize():
        raise Wrong("fields that OTLP does not have")
    if message.SerializeToString(deterministic=True) != body:
        raise Wrong("not the shortest form, or fields out of their order")
    return message


def hexadecimal_ids(value):
    """Ids of OTLP's JSON are hexadecimal, in protobuf's own they are base64."""
    if isinstance(value, list):
        return [hexadecimal_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, each in value.items():
        if key in ("traceId", "spanId", "parentSpanId"):
            length = 32 if key == "traceId" else 16
            if not re.fullmatch("[0-9a-f]{%d}" % length, each):
                raise Wrong("%s: %r" % (key, each))
            each = base64.b64encode(bytes.fromhex(each)).decode()
        elif key.endswith("UnixNano") and not isinstance(each, str):
            raise Wrong("%s is a number of 64 bits, and no text" % key)
        elif key in ("kind", "code") and not isinstance(each, int):
            raise Wrong("%s: %r" % (key, each))
        made[key] = hexadecimal_ids(each)
    return made


def unique(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise Wrong("a member twice: %r" % pairs)
    return dict(pairs)


def read_json(body):
    text = json.loads(body.decode("utf-8"), object_pairs_hook=unique)
    return json_format.ParseDict(hexadecimal_ids(text), CLASSES["Request"]())


def attributes(pairs):
    made = {}
    for pair in pairs:
        if pair.key in made or not pair.key:
            raise Wrong("attribute %r twice" % pair.key)
        kind = pair.value.WhichOneof("value")
        if kind is None:
            raise Wrong("attribute %r has no value" % pair.key)
        made[pair.key] = getattr(pair.value, kind)
    return made


def spans_of(message):
    for resource_spans in message.resource_spans:
        resource = attributes(resource_spans.resource.attributes)
        if "service.name" not in resource:
            raise Wrong("no service.name")
        for scope_spans in resource_spans.scope_spans:
            if scope_spans.scope.name != "org.sluice.tracing":
                raise Wrong(scope_spans.scope.name)
            for one in scope_spans.spans:
                yield checked(one, resource)


def checked(one, resource):
    if len(one.trace_id) != 16 or not any(one.trace_id):
        raise Wrong("trace_id %r" % one.trace_id)
    if len(one.span_id) != 8 or not any(one.span_id):
        raise Wrong("span_id %r" % one.span_id)
    if one.parent_span_id and (len(one.parent_span_id) != 8 or not any(one.parent_span_id)):
        raise Wrong("parent_span_id %r" % one.parent_span_id)
    if one.kind not in (SERVER, CLIENT, INTERNAL) or not one.name:
        raise Wrong("kind %d, name %r" % (one.kind, one.name))
    # Between 2020 and 2100, and forwards.
    if not 1577836800 * 10**9 < one.start_time_unix_nano <= one.end_time_unix_nano < 4e18:
        raise Wrong("from %d to %d" % (one.start_time_unix_nano, one.end_time_unix_nano))
    if one.status.code not in (0, 2):
        raise Wrong("status %d" % one.status.code)
    for event in one.events:
        if not one.start_time_unix_nano <= event.time_unix_nano <= one.end_time_unix_nano:
            raise Wrong("an event outside of its span")
    return Span(one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(), one.name,
                one.kind, one.start_time_unix_nano, one.end_time_unix_nano, one.trace_state,
                one.flags, attributes(one.attributes), [event.name for event in one.events],
                [(link.trace_id.hex(), link.span_id.hex()) for link in one.links],
                one.status.code == 2, resource)


class Collector(harness.Origin):
    """Takes what is right; `answer(number)` may say something else to the request of a number: the
    bytes of a response, or None for the usual one."""

    def __init__(self, answer=lambda number: None, path="/v1/traces", **options):
        self.answer, self.target = answer, path
        self.batches, self.heads, self.count = [], [], 0
        super().__init__(self.script, **options)

    def script(self, connection):
        while (head := connection.read_request()) is not None:
            with self.changed:
                number, self.count = self.count, self.count + 1
            said = self.answer(number)
            if callable(said):
                said = said()
            if said is not None:
                connection.send(said)
                continue
            batch = self.read(head)
            with self.changed:
                self.heads.append(head)
                self.batches.append(batch)
                self.changed.notify_all()
            connection.send(reply(b""))

    def read(self, head):
        if (head.method, head.target) != ("POST", self.target):
            raise Wrong("%s %s" % (head.method, head.target))
        if head.get("content-encoding"):
            raise Wrong("a coding")
        reader = {"application/x-protobuf": read_protobuf,
                  "application/json": read_json}[head.get("content-type")]
        return list(spans_of(reader(head.body)))

    @property
    def spans(self):
        """All that was taken; a span that came twice is there once, if it is the same."""
        with self.changed:
            found = {}
            for span in (span for batch in self.batches for span in batch):
                if found.setdefault(span.id, span)._replace(resource=None) != span._replace(
                        resource=None):
                    raise Wrong("one id, two spans")
            return list(found.values())

    def wait_spans(self, count, patience=DEADLINE):
        with self.changed:
            done = self.changed.wait_for(lambda: len(self.spans) >= count or self.errors, patience)
        if self.errors:
            raise self.errors[0]
        assert done, "%d spans of %d" % (len(self.spans), count)
        return self.spans


class Trace:
    """The spans of one trace as a tree."""

    def __init__(self, spans):
        self.servers = [span for span in spans if span.kind == SERVER]
        assert len(self.servers) == 1, spans
        self.server = self.servers[0]
        self.children = sorted((span for span in spans if span.kind != SERVER),
                               key=lambda span: (span.start, span.end))
        self.attempts = [span for span in self.children if span.kind == CLIENT]
        for child in self.children:
            assert child.parent == self.server.id, child
            assert child.trace == self.server.trace
            assert child.start >= self.server.start and child.end <= self.server.end, spans


def traces(spans):
    """By id."""
    groups = collections.defaultdict(list)
    for span in spans:
        groups[span.trace].append(span)
    return {trace: Trace(group) for trace, group in groups.items()}


class Gate:
    """An answer that waits until it is let through."""

    def __init__(self, response):
        self.event, self.response = threading.Event(), response

    def __call__(self):
        self.event.wait(DEADLINE)
        return self.response


def count(proxy, name, **labels):
    """A counter of the plugin, as the admin interface shows it; 0 when nothing was counted."""
    text = Client(proxy.admin).request(target="/v1/metrics").body.decode()
    shown = ",".join('%s="%s"' % pair for pair in {"plugin": "trace", **labels}.items())
    found = re.search(r"^sluice_plugin_tracing_%s\{%s\} (\d+)$" % (name, shown), text, re.M)
    return int(found.group(1)) if found else 0


@pytest.fixture
def collector():
    made = []

    def make(*arguments, **options):
        made.append(Collector(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def traced(sluice, collector, tmp_path):
    """A proxy with a collector; the proxy and the collector."""
    def make(*peers, to=None, workers=1, upstream=None, address=None, more=None, **config):
        to = to or collector()
        config = harness.merge({"collector": "spans", "batch": {"delay": "50ms"}}, config)
        over = harness.merge({
            "workers": workers, "chain": ["trace"], "upstream": upstream,
            "admin": {"listen": "unix:%s/admin" % tmp_path},
            "plugins": {"trace": {"library": "libTracing.so", "config": config}},
            "upstreams": {"spans": {"peers": [address or to.address],
                                    "retries": {"attempts": 1}}},
        }, more or {})
        proxy = sluice(*peers, **over)
        proxy.admin = str(tmp_path / "admin")
        return proxy, to

    return make
