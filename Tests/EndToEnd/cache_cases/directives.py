"""RFC 9111 section 5.2: directives of responses and of requests; section 5.4: Pragma."""
from cachecase import (
    DROP, either, hit, local, miss, must, ok, old, ours, reuse, say, unmodified, validated)

TAG = 'ETag: "a"'
SAME = unmodified(TAG)

NO_CACHE = [
    *[must("9111-5.2.2.4", "%s: never without asking" % value, [ok(value, TAG)],
           miss(), miss(), miss())
      for value in ("no-cache", "no-cache, max-age=60", "max-age=60, no-cache",
                    "No-Cache, s-maxage=60", "public, no-cache, max-age=60",
                    "no-cache, stale-while-revalidate=60, max-age=60")],
    must("9111-5.2.2.4", "no-cache in a second line", [ok("max-age=60", "no-cache", TAG)],
         miss(), miss()),
    must("9111-5.2.2.4", "no-cache without a validator", [ok("no-cache, max-age=60")],
         miss(), miss()),
    must("9111-5.2.2.4", "no-cache, with heuristics",
         [ok("no-cache", "Last-Modified: {now-864000}")], miss(), miss()),
    must("9111-5.2.2.4", "no-cache is not served while the origin fails",
         [ok("no-cache, max-age=60, stale-if-error=60", TAG), say("500 Internal Server Error")],
         miss(), miss()),
    must("9111-5.2.2.4", "no-cache is not served while the origin is away",
         [ok("no-cache, max-age=60, stale-if-error=60", TAG), DROP],
         miss(), either(status=(502, 504))),
    must("9111-5.2.2.4", "no-cache is not served stale by configuration",
         [ok("no-cache, max-age=60", TAG), say("500 Internal Server Error")],
         miss(), miss(), store="stale"),
    reuse("9111-5.2.2.4", "no-cache is stored, and validated each time",
          [ok("no-cache", TAG), SAME], miss(), validated(), validated()),
    reuse("9111-5.2.2.4", "no-cache beside max-age is stored, and validated each time",
          [ok("no-cache, max-age=60", TAG), SAME], miss(), validated(), validated()),
]

SECRET = "X-Secret: 1"
NAMED = [("%s=\"x-secret\"", "one name"), ("%s=\"X-SECRET\"", "another case"),
         ("%s=\"x-foo, x-secret\"", "two names"), ("%s=\" x-secret \"", "spaces"),
         ("%s=x-secret", "a token"), ("x=y, %s=\"x-secret\"", "a directive before")]

QUALIFIED = [
    *[must("9111-" + section, "%s with %s: the field is not reused" % (name, what),
           [ok("max-age=60", form % name, SECRET), ok("max-age=60", form % name)],
           miss(has=SECRET), either(lacks="X-Secret"))
      for name, section in (("no-cache", "5.2.2.4"), ("private", "5.2.2.7"))
      for form, what in NAMED],
    *[ours("9111-" + section, "%s with a name: the rest is stored" % name,
           [ok("max-age=60", "%s=\"x-secret\"" % name, SECRET, "X-Open: 1")],
           miss(has=SECRET), hit(has="X-Open: 1", lacks="X-Secret"),
           why="Most caches read it without its argument; it was made for this.")
      for name, section in (("no-cache", "5.2.2.4"), ("private", "5.2.2.7"))],
    must("9111-5.2.2.7", "private with a name, and private for all",
         [ok("max-age=60, private=\"x-a\", private")], miss(), miss()),
    must("9111-5.2.2.4", "no-cache with a name, and no-cache for all",
         [ok("max-age=60, no-cache=\"x-a\", no-cache")], miss(), miss()),
    must("9111-5.2.2.7", "private=\"set-cookie\" keeps the cookie out",
         [ok("max-age=60, private=\"set-cookie\"", "Set-Cookie: a=1"),
          ok("max-age=60, private=\"set-cookie\"")],
         miss(has="Set-Cookie: a=1"), either(lacks="Set-Cookie"), store="cookies"),
    ours("9111-5.2.2.7", "a cookie that stays out does not keep the rest out",
         [ok("max-age=60, private=\"set-cookie\"", "Set-Cookie: a=1")],
         miss(has="Set-Cookie: a=1"), hit(lacks="Set-Cookie"), store="cookies",
         why="What an origin says of its cookie is enough."),
]

FAILING = say("500 Internal Server Error")
REVALIDATE = [
    *[must("9111-" + section, "%s: not stale while the origin fails, though stale-if-error" % value,
           [old(value + ", stale-if-error=86400", TAG), FAILING], miss(),
           miss(status=(500, 502, 504), body=None))
      for value, section in (("max-age=60, must-revalidate", "5.2.2.2"),
                             ("max-age=60, Must-Revalidate", "5.2.2.2"),
                             ("max-age=60, proxy-revalidate", "5.2.2.8"),
                             ("s-maxage=60", "5.2.2.10"))],
    *[must("9111-" + section, "%s: not stale while the origin is away" % value,
           [old(value + ", stale-if-error=86400", TAG), DROP], miss(), either(status=(502, 504)))
      for value, section in (("max-age=60, must-revalidate", "5.2.2.2"),
                             ("max-age=60, proxy-revalidate", "5.2.2.8"),
                             ("s-maxage=60", "5.2.2.10"))],
    *[must("9111-" + section, "%s: no stale-while-revalidate" % value,
           [old(value + ", stale-while-revalidate=86400", TAG)], miss(), miss())
      for value, section in (("max-age=60, must-revalidate", "5.2.2.2"),
                             ("max-age=60, proxy-revalidate", "5.2.2.8"),
                             ("s-maxage=60", "5.2.2.10"))],
    *[must("9111-" + section, "%s: not stale by max-stale" % value, [old(value, TAG)],
           miss(), miss("max-stale"))
      for value, section in (("max-age=60, must-revalidate", "5.2.2.2"),
                             ("max-age=60, proxy-revalidate", "5.2.2.8"),
                             ("s-maxage=60", "5.2.2.10"))],
    *[must("9111-" + section, "%s: not stale by configuration" % value,
           [old(value, TAG), FAILING], miss(), miss(), store="stale")
      for value, section in (("max-age=60, must-revalidate", "5.2.2.2"),
                             ("max-age=60, proxy-revalidate", "5.2.2.8"),
                             ("s-maxage=60", "5.2.2.10"))],
    *[reuse("9111-" + section, "%s is served while fresh" % value, [ok(value)], miss(), hit())
      for value, section in (("max-age=60, must-revalidate", "5.2.2.2"),
                             ("max-age=60, proxy-revalidate", "5.2.2.8"),
                             ("max-age=60, immutable", "5.2.3"),
                             ("max-age=60, no-transform", "5.2.2.6"))],
]

UNDERSTAND = [
    reuse("9111-5.2.2.3", "must-understand lifts no-store where the status is understood",
          [ok("must-understand, no-store, max-age=60")], miss(), hit()),
    reuse("9111-5.2.2.3", "must-understand behind no-store",
          [ok("no-store, max-age=60, must-understand")], miss(), hit()),
    must("9111-5.2.2.3", "must-understand keeps an unknown status out",
         [say("299 Odd", "must-understand, max-age=60")], miss(), miss()),
    must("9111-5.2.2.3", "must-understand and no-store keep an unknown status out",
         [say("299 Odd", "must-understand, no-store, max-age=60")], miss(), miss()),
    must("9111-5.2.2.3", "must-understand does not lift private",
         [ok("must-understand, private, max-age=60")], miss(), miss()),
    must("9111-5.2.2.3", "must-understand gives no lifetime",
         [ok("must-understand, no-store")], miss(), miss()),
]

EXTENSIONS = [
    *[reuse("9111-5.2.3", "unknown directives are ignored: %s" % value, [ok(value)],
            miss(), hit())
      for value in ("max-age=60, foo", "foo=bar, max-age=60", 'foo="max-age=0", max-age=60',
                    'foo="private, no-cache", max-age=60', "max-age=60, no-stor",
                    "max-age=60, pre-check=0, post-check=0")],
    must("9111-5.2.3", "immutable does not lengthen a life", [old("max-age=60, immutable", TAG)],
         miss(), miss()),
    must("9111-5.2", "directives of the origin reach the client",
         [ok("max-age=60, s-maxage=0, foo=bar")],
         miss(has="Cache-Control: max-age=60, s-maxage=0, foo=bar")),
    must("9111-5.2", "directives of the client reach the origin", [ok("max-age=60")],
         miss("no-cache, foo=bar", asked="Cache-Control: ~foo=bar")),
]

WHY = "Request directives are advisory (section 5.2.1); this one is honoured."

REQUEST = [
    *[ours("9111-5.2.1.4", "%s asks the origin" % value, [ok("max-age=60", TAG), SAME],
           miss(), validated(value), hit(), why=WHY)
      for value in ("no-cache", "No-Cache", "foo, no-cache", "max-age=1000, no-cache")],
    ours("9111-5.2.1.4", "no-cache without a validator replaces what is stored",
         [ok("max-age=60")], miss(), miss("no-cache"), hit(of=2), why=WHY),
    ours("9111-5.2.1.4", "no-cache in a second line", [ok("max-age=60")],
         miss(), miss("foo", "no-cache"), hit(of=2), why=WHY),
    *[ours("9111-5.2.1.1", "max-age=%s of a response of 30 seconds asks the origin" % seconds,
           [ok("max-age=600", "Age: 30", TAG), SAME], miss(), validated("max-age=" + seconds),
           why=WHY) for seconds in ("0", "10", "29")],
    reuse("9111-5.2.1.1", "max-age that is larger than the age", [ok("max-age=600", "Age: 30")],
          miss(), hit("max-age=100")),
    must("9111-5.2.1.1", "max-age does not make a stale response fresh",
         [old("max-age=60")], miss(), miss("max-age=100000")),
    ours("9111-5.2.1.3", "min-fresh of more than is left asks the origin",
         [ok("max-age=60", "Age: 30")], miss(), miss("min-fresh=40"), why=WHY),
    reuse("9111-5.2.1.3", "min-fresh of less than is left", [ok("max-age=60", "Age: 30")],
          miss(), hit("min-fresh=10")),
    ours("9111-5.2.1.2", "max-stale takes any age", [old("max-age=60", TAG)],
         miss(), hit("max-stale", has="Age: 3600..3605"), why=WHY),
    ours("9111-5.2.1.2", "max-stale of enough", [old("max-age=60", TAG)],
         miss(), hit("max-stale=4000"), why=WHY),
    must("9111-5.2.1.2", "max-stale of too little", [old("max-age=60", TAG)],
         miss(), miss("max-stale=1")),
    must("9111-5.2.1.2", "max-stale that is no number", [old("max-age=60", TAG)],
         miss(), miss("max-stale=abc")),
    ours("9111-5.2.1.5", "what no-store asks for is not stored", [ok("max-age=60")],
         miss("no-store"), miss(), hit(), why=WHY),
    ours("9111-5.2.1.5", "no-store in another case, beside others", [ok("max-age=60")],
         miss("foo, NO-STORE"), miss(), why=WHY),
    ours("9111-5.2.1.7", "only-if-cached and nothing stored", [ok("max-age=60")],
         local("only-if-cached", status=504), miss(), why=WHY),
    ours("9111-5.2.1.7", "only-if-cached and a fresh response", [ok("max-age=60")],
         miss(), hit("only-if-cached"), why=WHY),
    ours("9111-5.2.1.7", "only-if-cached and a stale response", [old("max-age=60", TAG)],
         miss(), local("only-if-cached", status=504), why=WHY),
    ours("9111-5.2.1.7", "only-if-cached and a stale response that is taken",
         [old("max-age=60", TAG)], miss(), hit("only-if-cached, max-stale"), why=WHY),
    ours("9111-5.2.1.7", "only-if-cached and no-cache", [ok("max-age=60")],
         miss(), local("only-if-cached, no-cache", status=504), why=WHY),
    reuse("9111-5.2.1", "an unknown directive of a request", [ok("max-age=60")],
          miss(), hit("foo, bar=baz")),
    reuse("9111-5.2.1", "no-cache inside a quoted string of a request", [ok("max-age=60")],
          miss(), hit('foo="a, no-cache"')),
    reuse("9111-5.2.1", "directives of responses mean nothing in requests", [ok("max-age=60")],
          miss(), hit("private, must-revalidate, s-maxage=0")),
    ours("9111-5.4", "Pragma: no-cache alone", [ok("max-age=60")],
         miss(), miss("Pragma: no-cache"), hit(of=2),
         why="Deprecated, but what a reload sends to HTTP/1.0 caches, and never wrong to heed."),
    ours("9111-5.4", "Pragma: no-cache beside Cache-Control", [ok("max-age=60")],
         miss(), hit("Pragma: no-cache", "max-age=100"),
         why="Cache-Control is what counts where both are present."),
    reuse("9111-5.4", "Pragma of a response has no meaning", [ok("max-age=60", "Pragma: no-cache")],
          miss(), hit()),
]

CASES = NO_CACHE + QUALIFIED + REVALIDATE + UNDERSTAND + EXTENSIONS + REQUEST
