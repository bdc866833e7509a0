"""RFC 9110 sections 8.8 and 13: conditional requests of clients, answered from the store."""
from cachecase import (
    either, hit, miss, must, ok, old, ours, reuse, say, should)

TAG, WEAK = 'ETag: "a"', 'ETag: W/"a"'
MAX = "max-age=600"
SINCE = "Last-Modified: {now-8640000}"


def unmodified(line, **how):
    """The store answers 304."""
    return hit(line, status=304, body=b"", **how)


NONE_MATCH = [
    *[should("9110-13.1.2", "If-None-Match: %s and %s: 304" % (asked, stored),
             [ok(MAX, "ETag: " + stored)], miss(), unmodified("If-None-Match: " + asked))
      for asked, stored in (('"a"', '"a"'), ('"x", "a"', '"a"'), ('"a", "x"', '"a"'),
                            ('"x","a","y"', '"a"'), ('W/"a"', '"a"'), ('"a"', 'W/"a"'),
                            ('W/"a"', 'W/"a"'), ("*", '"a"'), ('"x,", "a"', '"a"'),
                            ('"a,b"', '"a,b"'), ('""', '""'), (', "a"', '"a"'))],
    *[must("9110-13.1.2", "If-None-Match: %s and %s: 200" % (asked, stored),
           [ok(MAX, "ETag: " + stored)], miss(), either("If-None-Match: " + asked, status=200))
      for asked, stored in (('"b"', '"a"'), ('"A"', '"a"'), ('"a "', '"a"'), ('"aa"', '"a"'),
                            ('"x, a"', '"a"'), ('"a,"', '"a"'), ('W/"b"', '"a"'),
                            ('"W/a"', '"a"'), ('""', '"a"'))],
    should("9110-13.1.2", "two lines of If-None-Match: 304", [ok(MAX, TAG)],
           miss(), hit('If-None-Match: "x"', 'If-None-Match: "a"', status=304)),
    must("9110-13.1.2", "no entity tag is stored: 200", [ok(MAX)],
         miss(), either('If-None-Match: "a"', status=200)),
    should("9110-13.1.2", "If-None-Match: * where no entity tag is stored: 304", [ok(MAX)],
           miss(), unmodified("If-None-Match: *")),
    should("9110-13.1.2", "HEAD with a tag that matches: 304", [ok(MAX, TAG)],
           miss(), hit('If-None-Match: "a"', method="HEAD", status=304)),
    must("9110-13.1.2", "a condition of POST goes to the origin", [ok(MAX, TAG)],
         miss(), miss('If-None-Match: "a"', method="POST", asked='If-None-Match: "a"')),
]

MODIFIED = [
    *[should("9110-13.1.3", "If-Modified-Since %s: 304" % what, [ok(MAX, SINCE)],
             miss(), unmodified("If-Modified-Since: " + date))
      for what, date in (("the same date", "{now-8640000}"), ("a later date", "{now-8630000}"),
                         ("now", "{now}"), ("the same date as RFC 850", "{rfc850 now-8640000}"),
                         ("the same date as asctime", "{asctime now-8640000}"))],
    *[must("9110-13.1.3", "If-Modified-Since %s: 200" % what, [ok(MAX, SINCE)],
           miss(), either("If-Modified-Since: " + date, status=200))
      for what, date in (("an earlier date", "{now-8640001}"), ("no date", "yesterday"),
                         ("nothing", ""), ("a number", "1893456000"),
                         ("a list", "{now}, {now}"))],
    should("9111-4.3.2", "without Last-Modified, Date counts: 304", [ok(MAX, "Date: {now-10}")],
           miss(), unmodified("If-Modified-Since: {now-10}")),
    must("9111-4.3.2", "without Last-Modified, Date counts: 200",
         [ok(MAX, "Date: {now-10}")], miss(), either("If-Modified-Since: {now-100}", status=200)),
    must("9110-13.1.3", "If-Modified-Since does not count beside If-None-Match: 200",
         [ok(MAX, TAG, SINCE)],
         miss(), either('If-None-Match: "b"', "If-Modified-Since: {now}", status=200)),
    should("9110-13.1.3", "If-Modified-Since does not count beside If-None-Match: 304",
           [ok(MAX, TAG, SINCE)],
           miss(), hit('If-None-Match: "a"', "If-Modified-Since: {now-86400000}", status=304)),
    must("9110-13.1.3", "If-Modified-Since of POST does not count", [ok(MAX, SINCE)],
         miss(), miss("If-Modified-Since: {now}", method="POST")),
]

ANSWER = [
    *[must("9110-15.4.5", "304 carries %s" % line.split(":")[0],
           [ok(MAX, TAG, *([] if line == TAG else [line]))],
           miss(), either('If-None-Match: "a"', status=(200, 304), has=line))
      for line in (TAG, "Content-Location: /a", "Expires: {now+600}", "Vary: X-A",
                   "Date: {now-7}")],
    must("9110-15.4.5", "304 carries Cache-Control", [ok(MAX, TAG)],
         miss(), either('If-None-Match: "a"', status=(200, 304), has="Cache-Control: " + MAX)),
    must("9111-4", "304 carries Age", [ok(MAX, TAG, "Age: 30")],
         miss(), either('If-None-Match: "a"', status=(200, 304), has="Age: 30..35")),
    should("9110-15.4.5", "304 carries no other metadata",
           [ok(MAX, TAG, "Content-Language: de", "Content-Encoding: x-a")], miss(),
           either('If-None-Match: "a"', status=304,
                  lacks=("Content-Language", "Content-Encoding"))),
    must("9110-8.6", "304 has no other Content-Length than 200", [ok(MAX, TAG, body=b"12345")],
         miss(), hit('If-None-Match: "a"', status=304, lacks="Transfer-Encoding"), hit()),
    *[must("9110-13.2.1", "a stored %s is not made a 304" % status, [say(status, MAX, TAG)],
           miss(), either('If-None-Match: "a"', status=int(status[:3])))
      for status in ("404 Not Found", "301 Moved Permanently", "410 Gone",
                     "500 Internal Server Error")],
    reuse("9111-4.3.2", "what a condition found is still served whole", [ok(MAX, TAG)],
          miss(), unmodified('If-None-Match: "a"'), hit(has="Content-Length: 1..99")),
    reuse("9111-4.3.2", "a condition on a variant", [ok(MAX, TAG, "Vary: X-A")],
          miss("X-A: 1"), hit("X-A: 1", 'If-None-Match: "a"', status=304),
          miss("X-A: 2", 'If-None-Match: "b"')),
    must("9111-4.3.2", "a stale response is not compared without the origin",
         [old("max-age=60", TAG), ok(MAX, 'ETag: "b"')],
         miss(), miss('If-None-Match: "a"', status=200)),
    ours("9110-8.8.3", "an entity tag without quotes is compared as it is",
         [ok(MAX, "ETag: abc")], miss(), hit('If-None-Match: "abc"', status=200),
         why="It is no entity tag: nothing is equal to it."),
]

CASES = NONE_MATCH + MODIFIED + ANSWER
