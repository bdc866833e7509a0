"""RFC 9111 section 3: which responses are kept, and which of their fields."""
from cachecase import cut, either, hit, miss, must, ok, ours, reuse, say, should

LONG_AGO = "Last-Modified: {now-864000}"

# RFC 9110 section 15.1.
HEURISTIC = ["200 OK", "203 Non-Authoritative Information", "204 No Content",
             "300 Multiple Choices", "301 Moved Permanently", "308 Permanent Redirect",
             "404 Not Found", "405 Method Not Allowed", "410 Gone", "414 URI Too Long",
             "501 Not Implemented"]
OTHER = ["201 Created", "202 Accepted", "302 Found", "303 See Other", "307 Temporary Redirect",
         "400 Bad Request", "403 Forbidden", "422 Unprocessable Content",
         "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway",
         "503 Service Unavailable", "504 Gateway Timeout"]


def status(text, *lines):
    how = {"framing": "none"} if text.startswith("204") else {}
    return say(text, *lines, **how)


STATUS = [
    *[reuse("9111-3", "%s with a lifetime" % s, [status(s, "max-age=60")],
            miss(), hit(status=int(s[:3]))) for s in HEURISTIC + OTHER],
    *[reuse("9111-3", "an unknown status, %s, with a lifetime" % s, [say(s, "max-age=60")],
            miss(), hit(status=int(s[:3]))) for s in ("299 Odd", "499 Odd", "599 Odd")],
    *[must("9111-3", "%s without a lifetime is not reused" % s, [status(s, LONG_AGO)],
           miss(), miss()) for s in OTHER],
    must("9111-3", "an unknown status without a lifetime is not reused",
         [say("299 Odd", LONG_AGO)], miss(), miss()),
    reuse("9111-3", "302 with Expires", [say("302 Found", "Expires: {now+60}")],
          miss(), hit(status=302)),
    reuse("9111-3", "a redirection keeps Location",
          [say("301 Moved Permanently", "max-age=60", "Location: /elsewhere")],
          miss(), hit(status=301, has="Location: /elsewhere")),
    must("9111-3", "416 and 412 of the origin are not taken for the object",
         [say("412 Precondition Failed"), ok("max-age=60")],
         miss(), miss(), hit()),
]

# Each value alone keeps a response out of a shared cache.
KEPT_OUT = ["no-store", "private", "no-store, max-age=60", "max-age=60, no-store",
            "private, max-age=60", "max-age=60, private", "private, s-maxage=60",
            "NO-STORE, max-age=60", "Private, max-age=60", "no-store, public, max-age=60",
            "public, private, max-age=60", "max-age=60,no-store", "max-age=60 , no-store",
            "max-age=60,\tno-store", ", , no-store, max-age=60", "foo, no-store, bar=1, max-age=60",
            'foo="bar", no-store, max-age=60', "private, community=\"x\", max-age=60"]

DIRECTIVES = [
    *[must("9111-3", "kept out by %s" % value.replace("\t", "TAB"), [ok(value)], miss(), miss())
      for value in KEPT_OUT],
    *[must("9111-3", "kept out by %s, with Expires" % value, [ok(value, "Expires: {now+600}")],
           miss(), miss()) for value in ("no-store", "private")],
    *[must("9111-3", "kept out by %s, with heuristics" % value, [ok(value, LONG_AGO)],
           miss(), miss()) for value in ("no-store", "private")],
    must("9111-3", "no-store in a second line", [ok("max-age=60", "no-store")], miss(), miss()),
    must("9111-3", "no-store in the first of two lines", [ok("no-store", "max-age=60")],
         miss(), miss()),
    must("9111-3", "private in a third line", [ok("public", "max-age=60", "private")],
         miss(), miss()),
    reuse("9111-3", "no-store inside a quoted string is no directive",
          [ok('foo="a, no-store, b", max-age=60')], miss(), hit()),
    reuse("9111-3", "no-store behind an escaped quote is no directive",
          [ok('foo="a\\", no-store, \\"b", max-age=60')], miss(), hit()),
    reuse("9111-3", "a directive that only begins like no-store",
          [ok("no-stores, max-age=60")], miss(), hit()),
    reuse("9111-3", "a directive that only ends like private",
          [ok("x-private, max-age=60")], miss(), hit()),
    ours("9111-3", "no-store with an argument", [ok("no-store=0, max-age=60")], miss(), miss(),
         why="An argument is not allowed there; whoever wrote it meant no-store."),
    ours("9111-3", "private with an empty list", [ok('private="", max-age=60')], miss(), miss(),
         why="A list without a name protects nothing unless it means all."),
    ours("9111-3", "an open quote behind private", [ok('max-age=60, private="x-a')],
         miss(), miss(), why="What can't be read is read as the strictest that it may mean."),
    reuse("9111-3", "a response without a body", [ok("max-age=60", body=b"")],
          miss(), hit(has="Content-Length: 0")),
    ours("9111-3", "Set-Cookie keeps a response out", [ok("max-age=60", "Set-Cookie: a=1")],
         miss(has="Set-Cookie: a=1"), miss(),
         why="A cookie is most often one user's; `set_cookie: \"store\"` trusts the origin."),
    ours("9111-3", "Set-Cookie is stored where the configuration says so",
         [ok("max-age=60", "Set-Cookie: a=1")], miss(), hit(has="Set-Cookie: a=1"),
         store="cookies", why="RFC 9111 has no rule about cookies: lifetimes decide."),
    must("9111-3", "private and Set-Cookie where cookies are stored",
         [ok("private, max-age=60", "Set-Cookie: a=1")], miss(), miss(), store="cookies"),
    ours("9111-3", "an object over the size limit", [ok("max-age=60", body=b"x" * 100000)],
         miss(), miss(), store="small",
         why="Bounds of memory; the client gets all of it."),
    ours("9111-3", "an object over the size limit, of unknown length",
         [ok("max-age=60", body=b"x" * 100000, framing="chunked")],
         miss(), miss(), store="small", why="As above, found out on the way."),
    ours("9111-3", "an object at the size limit", [ok("max-age=60", body=b"x" * 65000)],
         miss(), hit(), store="small", why="The bound is for what exceeds it."),
]

FIELDS = [
    must("9111-3.1", "fields named by Connection are not stored",
         [ok("max-age=60", "Connection: X-Hop", "X-Hop: 1", "X-End: 1")],
         miss(lacks="X-Hop"), either(has="X-End: 1", lacks="X-Hop")),
    must("9111-3.1", "several fields named by two Connection lines are not stored",
         [ok("max-age=60", "Connection: x-one, X-TWO", "Connection: x-three", "X-One: 1",
             "X-Two: 2", "X-Three: 3")],
         miss(), either(lacks=("X-One", "X-Two", "X-Three"))),
    *[must("9111-3.1", "%s is not stored" % line.split(":")[0], [ok("max-age=60", line)],
           miss(), either(lacks=line.split(":")[0]))
      for line in ("Proxy-Authenticate: Basic realm=x", "Proxy-Authentication-Info: x=y")],
    *[should("9110-7.6.1", "%s is not stored" % line.split(":")[0], [ok("max-age=60", line)],
             miss(), either(lacks=line.split(":")[0]))
      for line in ("Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Upgrade: foo")],
    *[must("9111-3.1", "%s is stored" % line.split(":")[0], [ok("max-age=60", line)],
           miss(), either(has=line))
      for line in ("X-Unknown: a value", "Content-Type: text/x-odd; charset=a",
                   "Content-Language: de", "Link: </a>; rel=next", 'ETag: "x"',
                   "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "Server: odd/1",
                   "Content-Location: /other", "Strict-Transport-Security: max-age=9",
                   "Access-Control-Allow-Origin: *", "Content-Security-Policy: default-src x")],
    must("9111-3.1", "Cache-Control is stored as it came", [ok("Max-Age=60 ,  foo=\"b\"")],
         miss(), either(has="Cache-Control: ~^Max-Age=60 ,  foo=\"b\"$")),
    must("9111-3.1", "lines of one name stay in order", [ok("max-age=60", "X-A: 1", "X-A: 2")],
         miss(), either(has="X-A: 1, 2")),
    must("9111-3.1", "an empty field is stored", [ok("max-age=60", "X-Empty: ")],
         miss(), either(has="X-Empty")),
    must("9111-3.1", "octets above 127 are stored as they came",
         [ok("max-age=60", "X-Odd: \xe4\xf6\xfc")], miss(), either(has="X-Odd: \xe4\xf6\xfc")),
    must("9111-3.1", "Content-Encoding is stored, with the encoded body",
         [ok("max-age=60", "Content-Encoding: x-odd", body=b"\x00\x01\xff")],
         miss(), either(has="Content-Encoding: x-odd", body=b"\x00\x01\xff")),
    must("9111-3.1", "trailers are not combined with header fields",
         [ok("max-age=60", framing="chunked", trailers=("X-Trailer: 1", "Set-Cookie: a=1"))],
         miss(), either(lacks=("X-Trailer", "Set-Cookie"))),
    must("9111-3.1", "a directive in a trailer counts for nothing",
         [ok(framing="chunked", trailers=("max-age=60",))], miss(), miss()),
]

SHORT = {"short": "Content-Length is not reached", "cut": "the last chunk is missing"}

INCOMPLETE = [
    *[must("9111-3.3", "not reused when %s" % what,
           [ok("max-age=60", framing=how), ok("max-age=60")], cut(), miss(), hit())
      for how, what in SHORT.items()],
    *[must("9111-3.3", "a large body is not reused when %s" % what,
           [ok("max-age=60", framing=how, body=b"x" * 300000), ok("max-age=60")],
           cut(), miss(), hit()) for how, what in SHORT.items()],
    *[must("9111-3.3", "no range is served of it when %s" % what,
           [ok("max-age=60", framing=how, body=b"0123456789"), ok("max-age=60", body=b"abcdef")],
           cut(), either("Range: bytes=1-2", status=(200, 206), body=(b"bc", b"abcdef")))
      for how, what in SHORT.items()],
    reuse("9111-3.3", "a body that ends with the connection is whole",
          [ok("max-age=60", framing="close")], miss(), hit()),
    reuse("9111-3.3", "a chunked body", [ok("max-age=60", framing="chunked")], miss(), hit()),
    reuse("9111-3.3", "a large body of one length",
          [ok("max-age=60", body=bytes(range(256)) * 1200)], miss(), hit()),
    reuse("9111-3.3", "a large chunked body",
          [ok("max-age=60", body=bytes(range(256)) * 1200, framing="chunked")], miss(), hit()),
]

AUTH, OTHER_AUTH = "Authorization: Basic YTph", "Authorization: Basic Yjpi"

AUTHORIZED = [
    *[must("9111-3.5", "%s does not open a response to Authorization" % (value or "nothing"),
           [ok(value, "Expires: {now+60}")], miss(AUTH), miss(OTHER_AUTH), miss())
      for value in ("max-age=60", "immutable, max-age=60", "proxy-revalidate, max-age=60",
                    "no-transform", "x-public, max-age=60")],
    must("9111-3.5", "Expires does not open a response to Authorization",
         [ok("Expires: {now+60}")], miss(AUTH), miss(OTHER_AUTH)),
    must("9111-3.5", "heuristics do not open a response to Authorization",
         [ok(LONG_AGO)], miss(AUTH), miss(AUTH)),
    *[reuse("9111-3.5", "%s opens a response to Authorization" % value, [ok(value)],
            miss(AUTH), hit(OTHER_AUTH), hit())
      for value in ("public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60",
                    "Public, max-age=60")],
    must("9111-3.5", "private, public does not", [ok("private, public, max-age=60")],
         miss(AUTH), miss(OTHER_AUTH)),
    reuse("9111-3.5", "a response to a request without Authorization is for all",
          [ok("max-age=60")], miss(), hit(AUTH)),
    must("9111-3.5", "Authorization goes to the origin", [ok("max-age=60")],
         miss(AUTH, asked=AUTH)),
]

CASES = STATUS + DIRECTIVES + FIELDS + INCOMPLETE + AUTHORIZED
