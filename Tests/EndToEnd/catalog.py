"""A catalog that answers as Consul's HTTP API does, with blocking queries."""
import json
import threading
from urllib.parse import parse_qs, urlsplit

from wire import DEADLINE, reply


def instance(address, port, name="x", weight=1, zone=None, node="127.0.0.1"):
    meta = {"zone": zone} if zone else {}
    return {"Node": {"Node": "n1", "Address": node, "Meta": {}},
            "Service": {"ID": name, "Address": address, "Port": port, "Meta": meta,
                        "Weights": {"Passing": weight, "Warning": 1}},
            "Checks": [{"Status": "passing"}]}


class Catalog:
    """What a script of an origin answers: `Origin(catalog.script)`.

    A question without an index is answered at once; one with the index that is known waits until
    something changes, or for as long as it says.
    """

    def __init__(self, instances=(), index=100, token=None):
        self.instances, self.index, self.token = list(instances), index, token
        # In place of the next answers: a status, or bytes.
        self.broken = None
        self.questions = []
        self.changed = threading.Condition()
        self.is_closed = False

    def put(self, instances, index=None):
        with self.changed:
            self.instances = list(instances)
            self.index = self.index + 1 if index is None else index
            self.changed.notify_all()

    def break_with(self, answer):
        with self.changed:
            self.broken = answer
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.questions), DEADLINE), \
                "never asked: " + what

    def close(self):
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def _answer(self, head):
        target = urlsplit(head.target)
        query = {key: values[0] for key, values in parse_qs(target.query).items()}
        with self.changed:
            self.questions.append((target.path, query, head.get("x-consul-token")))
            self.changed.notify_all()
            if "index" in query:
                known, wait = int(query["index"]), int(query["wait"][:-2]) / 1000
                self.changed.wait_for(
                    lambda: self.is_closed or self.broken is not None or self.index != known, wait)
            if isinstance(self.broken, int):
                return reply(b"broken", status="%d Broken" % self.broken)
            if self.broken is not None:
                return reply(self.broken, fields=[("X-Consul-Index", str(self.index))])
            if self.token and head.get("x-consul-token") != self.token:
                return reply(b"Permission denied", status="403 Forbidden")
            return reply(json.dumps(self.instances).encode(),
                         fields=[("X-Consul-Index", str(self.index)),
                                 ("Content-Type", "application/json")])

    def script(self, connection):
        while not self.is_closed:
            head = connection.read_request()
            if head is None:
                return
            connection.send(self._answer(head))
