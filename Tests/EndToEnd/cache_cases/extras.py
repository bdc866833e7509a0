"""RFC 9211 (Cache-Status), RFC 9213 (CDN-Cache-Control), collapsed requests, negative caching."""
from cachecase import (
    DROP, during, either, hit, leave, local, miss, must, ok, old, ours, say, together, unmodified,
    validated)

MAX, TAG = "max-age=60", 'ETag: "a"'
TOLD = "RFC 9211 is optional; operators ask first for this field."
STATUS = "Cache-Status: "


def row(title, answers, *steps, section="9211-2", **how):
    return ours(section, title, answers, *steps, why=TOLD, **how)


CACHE_STATUS = [
    row("a hit", [ok(MAX)], miss(), hit(has=STATUS + r"~^Sluice; ?hit\b"), section="9211-2.1"),
    row("a hit tells no fwd", [ok(MAX)], miss(), hit(has=STATUS + r"~^((?!fwd).)*$"),
        section="9211-2.1"),
    row("a miss tells no hit", [ok(MAX)], miss(has=STATUS + r"~^((?!\bhit\b).)*$"),
        section="9211-2.1"),
    row("a miss of an unknown URI", [ok(MAX)], miss(has=STATUS + r"~^Sluice; ?fwd=(uri-)?miss\b"),
        section="9211-2.2"),
    row("a miss of a variant", [ok(MAX, "Vary: X-A")], miss("X-A: 1"),
        miss("X-A: 2", has=STATUS + r"~fwd=(vary-)?miss\b"), section="9211-2.2"),
    row("a method that is not answered from the store", [ok(MAX)],
        miss(method="POST", has=STATUS + r"~fwd=(method|bypass)\b"), section="9211-2.2"),
    row("a stale response", [old(MAX, TAG), ok(MAX)], miss(),
        miss(has=STATUS + r"~fwd=stale\b"), section="9211-2.2"),
    row("a directive of the request", [ok(MAX)], miss(),
        miss("no-cache", has=STATUS + r"~fwd=request\b"), section="9211-2.2"),
    row("a validated response tells the origin's status",
        [old(MAX, TAG), unmodified(MAX, TAG)], miss(),
        validated(has=STATUS + r"~fwd=stale\b.*fwd-status=304\b"), section="9211-2.3"),
    row("what is stored", [ok(MAX)], miss(has=STATUS + r"~;\s*stored\b"), section="9211-2.5"),
    row("what is not stored", [ok("no-store")], miss(has=STATUS + r"~^((?!stored).)*$"),
        section="9211-2.5"),
    row("the seconds that are left", [ok(MAX)], miss(), hit(has=STATUS + r"~ttl=(60|5[5-9])\b"),
        section="9211-2.4"),
    row("the seconds since it was fresh", [old(MAX, TAG)], miss(),
        hit("max-stale", has=STATUS + r"~ttl=-354\d\b"), section="9211-2.4"),
    row("only-if-cached without a response", [ok(MAX)],
        local("only-if-cached", status=504, has=STATUS + "~^Sluice")),
    row("members of caches further up stay, before ours",
        [ok(MAX, "Cache-Status: Up; hit")], miss(has=STATUS + r"~^Up; hit, Sluice; ?fwd")),
    row("members of caches further up stay on a hit",
        [ok(MAX, "Cache-Status: Up; hit")], miss(), hit(has=STATUS + r"~^Up; hit, Sluice; ?hit")),
    row("it is not stored with the response", [ok(MAX)], miss(),
        hit(has=STATUS + r"~^Sluice[^,]*$"), hit(has=STATUS + r"~^Sluice[^,]*$")),
    row("it can be switched off", [ok(MAX)], miss(lacks="Cache-Status"),
        hit(lacks="Cache-Status"), store="silent"),
    row("it is on a 206 and on a 304", [ok(MAX, TAG)], miss(),
        hit("Range: bytes=0-0", status=206, body=b"a", has=STATUS + r"~^Sluice; ?hit"),
        hit('If-None-Match: "a"', status=304, has=STATUS + r"~^Sluice; ?hit")),
]

TARGETED = "RFC 9213 is for caches that take part in it; this one does."


def targeted(title, lines, *steps):
    return ours("9213-2.2", title, [ok(*lines)], *steps, why=TARGETED)


CDN = "CDN-Cache-Control: "

CDN_CACHE_CONTROL = [
    targeted("a lifetime stands above max-age=0", ("max-age=0", CDN + MAX), miss(), hit()),
    targeted("a lifetime stands above no-store", ("no-store", CDN + MAX), miss(), hit()),
    targeted("a lifetime stands above private", ("private", CDN + MAX), miss(), hit()),
    targeted("a lifetime stands above s-maxage", ("s-maxage=0", CDN + MAX), miss(), hit()),
    targeted("a lifetime stands above Expires", ("Expires: {now-60}", CDN + MAX), miss(), hit()),
    targeted("no-store stands above a lifetime", (MAX, CDN + "no-store"), miss(), miss()),
    targeted("private stands above a lifetime", (MAX, CDN + "private"), miss(), miss()),
    targeted("max-age=0 stands above a lifetime", (MAX, CDN + "max-age=0"), miss(), miss()),
    targeted("no-cache stands above a lifetime", (MAX, CDN + "no-cache"), miss(), miss()),
    targeted("an empty field counts for nothing", (MAX, CDN), miss(), hit()),
    targeted("what is no structured field counts for nothing", (MAX, CDN + "max-age=;;, =x"),
             miss(), hit()),
    targeted("what is no structured field opens nothing", ("no-store", CDN + MAX + ", =x"),
             miss(), miss()),
    targeted("a number beside others", ("no-store", CDN + 'foo="a, no-store", max-age=60'),
             miss(), hit()),
    targeted("two lines are one list", ("no-store", CDN + MAX, CDN + "foo"), miss(), hit()),
    targeted("of two values the last counts", ("no-store", CDN + "max-age=0, max-age=60"),
             miss(), hit()),
    targeted("it goes on to the client", (MAX, CDN + MAX), miss(has=CDN + MAX),
             hit(has=CDN + MAX)),
    ours("9213-2.2", "Age counts against it", [ok(CDN + MAX, "Age: 100")], miss(), miss(),
         why=TARGETED),
    ours("9213-2.2", "Authorization, without an opening in it",
         [ok("public", CDN + MAX)], miss("Authorization: a"), miss("Authorization: b"),
         why=TARGETED),
]

SLOW = 0.25

COLLAPSED = [
    ours("9111-4", "eight at once, one request upstream", [ok(MAX, delay=SLOW)],
         together(8, 1), hit(), why="Allowed there, and what keeps origins alive."),
    ours("9111-4", "a chunked body for eight at once", [ok(MAX, delay=SLOW, framing="chunked")],
         together(8, 1), hit(), why="As above."),
    ours("9111-4", "a stale response for eight at once",
         [old(MAX, TAG), ok(MAX, delay=SLOW)], miss(), together(8, 1), hit(), why="As above."),
    must("9111-4", "what may not be stored is not shared", [ok("private, max-age=60", delay=SLOW)],
         together(4, 4)),
    must("9111-4", "no-store is not shared", [ok("no-store", delay=SLOW)], together(4, 4)),
    must("9111-4", "no-cache is not shared", [ok("no-cache", TAG, delay=SLOW)], together(4, 4)),
    must("9111-4", "what was dead on arrival is not shared", [ok("max-age=0", delay=SLOW)],
         together(4, 4)),
    must("9111-3.5", "answers to Authorization are not shared", [ok(MAX, delay=SLOW)],
         together(4, 4, "Authorization: Basic YTph")),
    must("9111-4", "POST is not shared", [ok(MAX, delay=SLOW)], together(4, 4, method="POST")),
    must("9111-4.1", "Vary: * is not shared", [ok(MAX, "Vary: *", delay=SLOW)], together(4, 4)),
]

OLDER = "What was asked for before a change may be older than it."

MEANWHILE = [
    ours("9111-4.4", "what is fetched while it is purged is not kept",
         [ok(MAX, delay=SLOW), ok(MAX)],
         during(miss(), local(method="PURGE", status=(200, 404))), miss(), hit(), why=OLDER),
    ours("9111-4.4", "what is fetched while it is written to is not kept",
         [ok(MAX, delay=SLOW), ok(), ok(MAX)],
         during(miss(), miss(method="POST")), miss(), hit(), why=OLDER),
    ours("9111-4", "another object is served meanwhile", [ok(MAX), ok(MAX, delay=SLOW)],
         miss(path="/a"), during(miss(path="/b"), hit(path="/a", of=1)), hit(path="/b", of=2),
         why="A lock is for one key."),
    ours("9111-4", "a variant that is stored is served while another is fetched",
         [ok(MAX, "Vary: X-A"), ok(MAX, "Vary: X-A", delay=SLOW)],
         miss("X-A: 1"), during(miss("X-A: 2"), hit("X-A: 1", of=1)), hit("X-A: 2", of=2),
         why="As above."),
    ours("9111-3", "what a client left is stored all the same", [ok(MAX, delay=SLOW)],
         leave(), hit(of=1, eventually=True), why="The origin's work is done already."),
    ours("9111-3", "what a client left and may not be stored is not", [ok("no-store", delay=SLOW)],
         leave(), miss(), why="There is nobody to take it."),
]

NEGATIVE = [
    ours("negative", "404 without a lifetime, where the configuration gives one",
         [say("404 Not Found")], miss(), hit(status=404), store="negative",
         why="`negative` is the operator's lifetime for what says nothing."),
    ours("negative", "503 likewise", [say("503 Service Unavailable")],
         miss(), hit(status=503), store="negative", why="As above."),
    must("negative", "404 with no-store", [say("404 Not Found", "no-store")],
         miss(), miss(), store="negative"),
    must("negative", "404 with max-age=0", [say("404 Not Found", "max-age=0")],
         miss(), miss(), store="negative"),
    must("negative", "404 with private", [say("404 Not Found", "private")],
         miss(), miss(), store="negative"),
    must("negative", "404 to Authorization", [say("404 Not Found")],
         miss("Authorization: a"), miss("Authorization: a"), store="negative"),
    ours("negative", "another status", [say("403 Forbidden")], miss(), miss(), store="negative",
         why="As above."),
    ours("negative", "404 is left behind by POST", [say("404 Not Found"), ok(), ok(MAX)],
         miss(), miss(method="POST"), miss(), hit(), store="negative",
         why="Section 4.4 of RFC 9111 holds for it, too."),
    ours("negative", "502 of the proxy itself is not stored", [DROP] * 8 + [ok(MAX)],
         *[either(status=(200, 502)) for _ in range(8)], either(status=200),
         store="negative", why="It is no response of the origin."),
]

CASES = CACHE_STATUS + CDN_CACHE_CONTROL + COLLAPSED + MEANWHILE + NEGATIVE
