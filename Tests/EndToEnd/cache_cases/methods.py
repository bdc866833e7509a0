"""RFC 9110 section 9 and RFC 9111 section 4.4: methods, HEAD, what unsafe ones invalidate; and
PURGE."""
from cachecase import (
    asks, either, hit, local, miss, must, ok, old, ours, reuse, say, unmodified, validated)

MAX, TAG = "max-age=60", 'ETag: "a"'
UNSAFE = ("POST", "PUT", "DELETE", "PATCH", "FROB")
OTHER_HOST = "other.test"

WRITTEN = [
    *[must("9111-4", "%s is written through" % method, [ok(MAX)],
           miss(method=method), miss(method=method)) for method in UNSAFE],
    *[must("9111-4", "%s is written through, though GET is stored" % method, [ok(MAX)],
           miss(), miss(method=method)) for method in UNSAFE],
    *[must("9111-4", "the answer to %s is not one to GET" % method, [ok(MAX)],
           miss(method=method), miss()) for method in ("PUT", "DELETE", "PATCH", "FROB")],
    must("9110-9.3.3", "the answer to POST is not one to GET", [ok(MAX)],
         miss(method="POST", content=b"a=1"), miss()),
    must("9110-9.3.3", "the body of POST goes to the origin, each time", [ok(MAX)],
         miss(method="POST", content=b"a=1", asked="Content-Length: 3"),
         miss(method="POST", content=b"a=22", asked="Content-Length: 4")),
    must("9110-9.3.7", "the answer to OPTIONS is not stored", [ok(MAX)],
         miss(method="OPTIONS"), miss(method="OPTIONS"), miss()),
    reuse("9110-9.2.1", "OPTIONS is safe and leaves GET", [ok(MAX)],
          miss(), miss(method="OPTIONS"), hit(of=1)),
    must("9110-9.3.1", "a GET with a body is answered, and the next request is whole", [ok(MAX)],
         miss(), either(content=b"GET /x HTTP/1.1"), either(has="Content-Length: 1..99")),
]

HEAD = [
    reuse("9110-9.3.2", "HEAD from what GET stored", [ok(MAX, TAG, body=b"0123456789")],
          miss(), hit(method="HEAD", has=("Content-Length: 10", TAG))),
    reuse("9110-9.3.2", "GET after HEAD from the store", [ok(MAX)],
          miss(), hit(method="HEAD"), hit()),
    must("9111-4", "HEAD from the store carries Age", [ok(MAX, "Age: 30")],
         miss(), either(method="HEAD", has="Age: 30..35")),
    must("9110-9.3.2", "the answer to HEAD is no empty answer to GET", [ok(MAX)],
         either(method="HEAD"), either(has="Content-Length: 1..99")),
    must("9110-9.3.2", "the answer to HEAD in chunks is no empty answer to GET",
         [ok(MAX, framing="chunked", body=b"0123456789")],
         either(method="HEAD"), either(body=b"0123456789")),
    ours("9110-9.3.2", "HEAD fetches what GET will want", [ok(MAX)],
         miss(method="HEAD"), hit(of=1), why="One request upstream instead of two."),
    must("9110-9.3.2", "HEAD of what may not be stored", [ok("no-store")],
         either(method="HEAD"), either(method="HEAD"), miss()),
    must("9111-4.3.5", "HEAD of what is stale asks the origin", [old(MAX, TAG), ok(MAX)],
         miss(), asks(method="HEAD", status=200)),
    ours("9111-4.3.5", "HEAD validates what is stale", [old(MAX, TAG), unmodified(MAX, TAG)],
         miss(), validated(method="HEAD"), hit(of=1), why="As a GET would."),
    must("9111-4.3.5", "HEAD shows a new object: GET does not get the old one",
         [old(MAX, TAG), ok(MAX, 'ETag: "b"')],
         miss(), either(method="HEAD", has='ETag: "b"'), either(has='ETag: "b"')),
    reuse("9110-9.3.2", "HEAD of a stored 404", [say("404 Not Found", MAX)],
          miss(), hit(method="HEAD", status=404)),
]

INVALIDATED = [
    *[must("9111-4.4", "%s answered %s" % (method, status), [ok(MAX), say(status), ok(MAX)],
           miss(), miss(method=method), miss())
      for method in UNSAFE for status in ("200 OK", "201 Created", "303 See Other")],
    *[must("9111-4.4", "%s answered 204" % method,
           [ok(MAX), say("204 No Content", framing="none"), ok(MAX)],
           miss(), miss(method=method), miss()) for method in UNSAFE],
    *[reuse("9111-4.4", "%s answered %s leaves it" % (method, status),
            [ok(MAX), say(status), ok(MAX)], miss(), miss(method=method), hit(of=1))
      for method in ("POST", "DELETE", "FROB")
      for status in ("400 Bad Request", "403 Forbidden", "404 Not Found",
                     "500 Internal Server Error", "503 Service Unavailable")],
    must("9111-4.4", "all variants go", [ok(MAX, "Vary: X-A")],
         miss("X-A: 1"), miss("X-A: 2"), miss("X-A: 3", method="POST"), miss("X-A: 1"),
         miss("X-A: 2")),
    reuse("9111-4.4", "another query stays", [ok(MAX)],
          miss(path="?a"), miss(path="?b", method="POST"), hit(path="?a", of=1)),
    reuse("9111-4.4", "another path stays", [ok(MAX)],
          miss(path="/a"), miss(path="/b", method="POST"), hit(path="/a", of=1)),
    reuse("9111-4.4", "another host stays", [ok(MAX)],
          miss(), miss(method="POST", host=OTHER_HOST), hit(of=1)),
    reuse("9111-4.4", "what comes after is stored again", [ok(MAX)],
          miss(), miss(method="PUT"), miss(), hit()),
    *[ours("9111-4.4", "%s names another URI" % line.replace("{path}", ""),
           [ok(MAX), say("201 Created", line), ok(MAX)],
           miss(path="/b"), miss(path="/a", method="POST"), miss(path="/b"),
           why="A MAY of the section: the origin says what has changed.")
      for line in ("Location: {path}/b", "Content-Location: {path}/b",
                   "Location: http://cache.test{path}/b",
                   "Content-Location: http://cache.test{path}/b")],
    *[must("9111-4.4", "of another origin, left alone: %s" % line.replace("{path}", ""),
           [ok(MAX), say("201 Created", line), ok(MAX)],
           miss(path="/b"), miss(path="/a", method="POST", host=OTHER_HOST), hit(path="/b", of=1))
      for line in ("Location: http://cache.test{path}/b",
                   "Content-Location: http://cache.test{path}/b",
                   "Location: //cache.test{path}/b")],
    reuse("9111-4.4", "Location of a GET invalidates nothing",
          [ok(MAX), say("302 Found", "Location: {path}/b"), ok(MAX)],
          miss(path="/b"), miss(path="/a"), hit(path="/b", of=1)),
    reuse("9111-4.4", "Location beside an error invalidates nothing",
          [ok(MAX), say("404 Not Found", "Location: {path}/b"), ok(MAX)],
          miss(path="/b"), miss(path="/a", method="POST"), hit(path="/b", of=1)),
]

WHY = "PURGE is no method of HTTP; this is what Squid and Varnish made of it."

PURGE = [
    ours("purge", "what is stored goes", [ok(MAX)],
         miss(), local(method="PURGE", status=200), miss(), why=WHY),
    ours("purge", "nothing is stored: 404", [ok(MAX)],
         local(method="PURGE", status=404), why=WHY),
    ours("purge", "all variants go", [ok(MAX, "Vary: X-A")],
         miss("X-A: 1"), miss("X-A: 2"), local(method="PURGE", status=200), miss("X-A: 1"),
         miss("X-A: 2"), why=WHY),
    ours("purge", "another query stays", [ok(MAX)],
         miss(path="?a"), local(path="?b", method="PURGE", status=404), hit(path="?a", of=1),
         why=WHY),
    ours("purge", "another host stays", [ok(MAX)],
         miss(), local(method="PURGE", host=OTHER_HOST, status=404), hit(of=1), why=WHY),
    ours("purge", "a client that may not", [ok(MAX)],
         miss(), local(method="PURGE", status=(403, 405)), hit(of=1), store="guarded", why=WHY),
]

CASES = WRITTEN + HEAD + INVALIDATED + PURGE
