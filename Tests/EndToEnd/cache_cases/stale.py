"""RFC 5861: stale-while-revalidate and stale-if-error; RFC 9111 section 4.2.4."""
from cachecase import (
    DROP, asks, either, hit, miss, must, ok, old, ours, say, unmodified, validated)

TAG = 'ETag: "a"'
WHY = "RFC 5861 is an extension; it is implemented."
BEHIND = "max-age=60, stale-while-revalidate=600"
ERROR = "max-age=60, stale-if-error=600"
FAILURES = ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable",
            "504 Gateway Timeout"]

WHILE = [
    ours("5861-3", "served stale, fetched behind it", [old(BEHIND, aged=100), ok("max-age=600")],
         miss(), hit(then=1), hit(of=2, eventually=True), why=WHY),
    ours("5861-3", "served stale with its Age", [old(BEHIND, aged=100), ok("max-age=600")],
         miss(), hit(then=1, has="Age: 100..105"), why=WHY),
    ours("5861-3", "validated behind it", [old(BEHIND, TAG, aged=100),
                                           unmodified("max-age=600", TAG)],
         miss(), hit(then=1), hit(of=1, has="Age: 0..5", eventually=True), why=WHY),
    ours("5861-3", "the fetch carries the validator",
         [old(BEHIND, TAG, aged=100), unmodified("max-age=600", TAG)],
         miss(), hit(then=1), hit(of=1, has="Cache-Control: max-age=600", eventually=True),
         why=WHY),
    ours("5861-3", "many are served stale, one is fetched",
         [old(BEHIND, aged=100), ok("max-age=600", delay=1)],
         miss(), hit(then=1), hit(of=1), hit(of=1), hit(of=2, eventually=True), why=WHY),
    ours("5861-3", "an error behind it leaves what is stored",
         [old(BEHIND + ", stale-if-error=600", aged=100), say(FAILURES[0])],
         miss(), hit(then=1), either(status=200, of=1), why=WHY),
    ours("5861-3", "HEAD is served stale, too", [old(BEHIND, aged=100), ok("max-age=600")],
         miss(), hit(method="HEAD", then=1), hit(of=2, eventually=True), why=WHY),
    ours("5861-3", "a range is served stale, too",
         [old(BEHIND, body=b"0123456789", aged=100), ok("max-age=600", body=b"abcdefghij")],
         miss(), hit("Range: bytes=2-5", status=206, body=b"2345", then=1),
         hit(body=b"abcdefghij", eventually=True), why=WHY),
    must("5861-3", "not for longer than it says",
         [old("max-age=60, stale-while-revalidate=1"), ok("max-age=600")], miss(), miss()),
    must("5861-3", "not for 0 seconds",
         [old("max-age=60, stale-while-revalidate=0"), ok("max-age=600")], miss(), miss()),
    must("5861-3", "not for what is no number",
         [old("max-age=60, stale-while-revalidate=abc"), ok("max-age=600")], miss(), miss()),
    must("5861-3", "not without a number",
         [old("max-age=60, stale-while-revalidate"), ok("max-age=600")], miss(), miss()),
    ours("5861-3", "not to a client that said no-cache",
         [old(BEHIND, aged=100), ok("max-age=600")], miss(), miss("no-cache"),
         why="Section 5.2.1.4 of RFC 9111: it wants the origin's word."),
    ours("5861-3", "not to a client that said max-age=0",
         [old(BEHIND, aged=100), ok("max-age=600")], miss(), miss("max-age=0"), why="As above."),
    ours("5861-3", "by configuration, where the origin says nothing",
         [old("max-age=60", aged=100), ok("max-age=600")],
         miss(), hit(then=1), hit(of=2, eventually=True), store="stale",
         why="`stale.while_revalidate` is ten minutes there."),
    ours("5861-3", "the origin's word stands above the configuration",
         [old("max-age=60, stale-while-revalidate=0", aged=100), ok("max-age=600")],
         miss(), miss(), store="stale", why="A default is for responses that say nothing."),
]

IF_ERROR = [
    *[ours("5861-4", "stale for %s" % status, [old(ERROR, TAG, aged=100), say(status)],
           miss(), asks(status=200, of=1), why=WHY) for status in FAILURES],
    ours("5861-4", "stale while the origin is away", [old(ERROR, TAG, aged=100), DROP],
         miss(), either(status=200, of=1), why=WHY),
    ours("5861-4", "stale with its Age", [old(ERROR, TAG, aged=100), say(FAILURES[0])],
         miss(), asks(status=200, of=1, has="Age: 100..105"), why=WHY),
    ours("5861-4", "without a validator, too", [old(ERROR, aged=100), say(FAILURES[0])],
         miss(), asks(status=200, of=1), why=WHY),
    ours("5861-4", "the origin is asked again the next time",
         [old(ERROR, TAG, aged=100), say(FAILURES[0]), unmodified("max-age=600", TAG)],
         miss(), asks(status=200, of=1), validated(of=1), hit(of=1), why=WHY),
    ours("5861-4", "in a request: stale-if-error=600",
         [old("max-age=60", TAG, aged=100), say(FAILURES[0])],
         miss(), asks("stale-if-error=600", status=200, of=1), why=WHY),
    ours("5861-4", "a range of what is stale", [old(ERROR, TAG, aged=100, body=b"0123456789"),
                                                say(FAILURES[2])],
         miss(), asks("Range: bytes=2-5", status=206, body=b"2345"), why=WHY),
    ours("5861-4", "by configuration, past stale-while-revalidate",
         [old("max-age=60, stale-while-revalidate=0", TAG, aged=100), say(FAILURES[0])],
         miss(), asks(status=200, of=1), store="stale",
         why="`stale.if_error` is ten minutes there."),
    *[must("5861-4", "%s is no failure" % status, [old(ERROR, TAG, aged=100), say(status)],
           miss(), miss()) for status in ("404 Not Found", "403 Forbidden", "302 Found")],
    must("5861-4", "not for longer than it says",
         [old("max-age=60, stale-if-error=1", TAG), say(FAILURES[0])], miss(), miss()),
    must("5861-4", "not for 0 seconds",
         [old("max-age=60, stale-if-error=0", TAG), say(FAILURES[0])], miss(), miss()),
]

CASES = WHILE + IF_ERROR
