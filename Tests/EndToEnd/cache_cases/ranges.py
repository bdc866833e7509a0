"""RFC 9110 section 14: parts of what is stored, and of what is not."""
from cachecase import (
    asks, either, hit, miss, must, ok, old, ours, reuse, say, should, unmodified)

TEN = b"0123456789"
MAX, TAG = "max-age=600", 'ETag: "a"'
WHOLE = ok(MAX, TAG, body=TEN)
LARGE = bytes(range(256)) * 400


def part(range_, body, where, **how):
    """206 from the store."""
    return hit("Range: " + range_, status=206, body=body,
               has=("Content-Range: bytes " + where, "Content-Length: %d" % len(body)), **how)


SINGLE = [
    *[reuse("9110-14.1.2", "%s of ten octets" % range_, [WHOLE], miss(),
            part(range_, TEN[first:last + 1], "%d-%d/10" % (first, last)))
      for range_, first, last in (
          ("bytes=0-3", 0, 3), ("bytes=0-0", 0, 0), ("bytes=9-9", 9, 9), ("bytes=3-", 3, 9),
          ("bytes=-3", 7, 9), ("bytes=-1", 9, 9), ("bytes=0-9", 0, 9), ("bytes=0-", 0, 9),
          ("bytes=5-100", 5, 9), ("bytes=-10", 0, 9), ("bytes=-100", 0, 9),
          ("bytes=0-99999999999999999999", 0, 9), ("Bytes=0-3", 0, 3),
          ("bytes=0-3,", 0, 3), ("bytes=0-3, 20-30", 0, 3))],
    *[reuse("9110-14.2", "%s of 100 KiB" % range_, [ok(MAX, TAG, body=LARGE)], miss(),
            part(range_, LARGE[first:last + 1], "%d-%d/102400" % (first, last)))
      for range_, first, last in (("bytes=65530-65540", 65530, 65540),
                                  ("bytes=16383-16384", 16383, 16384),
                                  ("bytes=-102399", 1, 102399),
                                  ("bytes=102399-", 102399, 102399))],
    reuse("9110-14.2", "of a body that came in chunks",
          [ok(MAX, TAG, body=TEN, framing="chunked")], miss(),
          part("bytes=2-5", b"2345", "2-5/10")),
    reuse("9110-14.2", "of a body that ended with the connection",
          [ok(MAX, TAG, body=TEN, framing="close")], miss(), part("bytes=2-5", b"2345", "2-5/10")),
    reuse("9110-14.2", "without a validator", [ok(MAX, body=TEN)], miss(),
          part("bytes=2-5", b"2345", "2-5/10")),
    must("9110-15.3.7", "206 carries what 200 would",
         [ok(MAX, TAG, "Content-Location: /a", "Expires: {now+600}", "Vary: X-A", "Date: {now-7}",
             body=TEN)], miss(),
         either("Range: bytes=0-3", status=(200, 206),
                has=("Date: {now-7}", "Cache-Control: " + MAX, TAG, "Expires: {now+600}",
                     "Content-Location: /a", "Vary: X-A"))),
    must("9111-4", "206 carries Age", [ok(MAX, "Age: 30", body=TEN)], miss(),
         either("Range: bytes=0-3", status=(200, 206), has="Age: 30..35")),
    reuse("9110-14.2", "what was served in part is served whole", [WHOLE], miss(),
          part("bytes=2-5", b"2345", "2-5/10"), hit(body=TEN, lacks="Content-Range")),
    reuse("9110-14.2", "a whole response tells no range", [WHOLE], miss(lacks="Content-Range"),
          hit(lacks="Content-Range")),
]

UNSATISFIABLE = [
    *[should("9110-15.5.17", "%s of ten octets: 416 that tells the length" % range_, [WHOLE],
             miss(), either("Range: " + range_, status=416, has="Content-Range: bytes */10"))
      for range_ in ("bytes=10-", "bytes=10-20", "bytes=100-200", "bytes=20-30, 40-50",
                     "bytes=99999999999999999999-")],
    should("9110-14.1.2", "a suffix of nothing: 416", [WHOLE], miss(),
           either("Range: bytes=-0", status=416)),
    *[must("9110-14.2", "not taken for a range: %s" % range_, [WHOLE], miss(),
           either("Range: " + range_, status=(200, 400, 416)))
      for range_ in ("bytes=3-1", "bytes=", "bytes", "bytes=-", "bytes=a-b", "bytes=1-b",
                     "bytes=--1", "bytes=1", "bytes 0-3", "bytes=+1-3", "bytes=0x1-0x2",
                     "bytes=0-3;4-5", "bytes=1.0-3", "0-3", "bytes=0-3-5")],
    *[reuse("9110-14.2", "a unit that is unknown is ignored: %s" % range_, [WHOLE],
            miss(), hit("Range: " + range_, status=200))
      for range_ in ("items=0-3", "bits=0-3", "bytess=0-3")],
    must("9110-14.2", "a range of nothing of an empty body", [ok(MAX, body=b"")], miss(),
         either("Range: bytes=0-", status=(200, 416))),
    must("9110-14.2", "Range does not count for HEAD", [WHOLE], miss(),
         either("Range: bytes=0-3", method="HEAD", status=200, lacks="Content-Range")),
    must("9110-14.2", "Range does not count for POST", [WHOLE], miss(),
         miss("Range: bytes=0-3", method="POST", status=200)),
    *[must("9110-14.2", "no part of a stored %s" % status, [say(status, MAX, TAG, body=TEN)],
           miss(), either("Range: bytes=0-3", status=int(status[:3]), body=TEN))
      for status in ("404 Not Found", "301 Moved Permanently", "410 Gone")],
]

SEVERAL = [
    *[reuse("9110-14.6", "several parts: %s" % range_, [WHOLE], miss(),
            hit("Range: " + range_, status=206, parts=parts))
      for range_, parts in (
          ("bytes=0-1,4-5", (("0-1/10", b"01"), ("4-5/10", b"45"))),
          ("bytes=0-1, 4-5, 8-9", (("0-1/10", b"01"), ("4-5/10", b"45"), ("8-9/10", b"89"))),
          ("bytes=0-0,-1", (("0-0/10", b"0"), ("9-9/10", b"9"))),
          ("bytes=0-1,4-5,20-30", (("0-1/10", b"01"), ("4-5/10", b"45"))),
          ("bytes=0-0,4-", (("0-0/10", b"0"), ("4-9/10", b"456789"))))],
    reuse("9110-14.6", "each part carries the type",
          [ok(MAX, "Content-Type: text/odd", body=TEN)], miss(),
          hit("Range: bytes=0-1,4-5", status=206,
              parts=(("0-1/10", b"01"), ("4-5/10", b"45")))),
    must("9110-15.3.7.2", "several parts: no Content-Range in the head", [WHOLE], miss(),
         either("Range: bytes=0-1,4-5", status=(200, 206), lacks="Content-Range")),
    must("9110-15.3.7.2", "a part asked for alone is no multipart", [WHOLE], miss(),
         either("Range: bytes=0-1", status=(200, 206), has="Content-Length: ~^(2|10)$")),
    *[ours("9110-14.2", "ranges that overlap are not served as such: %s" % range_,
           [ok(MAX, TAG, body=LARGE)], miss(), hit("Range: " + range_, status=(200, 206, 416),
                                                   has="Content-Length: 0..102400"),
           why="More than the whole is an attack on the sender (section 14.2).")
      for range_ in ("bytes=0-,0-,0-,0-", "bytes=0-102399,0-102399", "bytes=0-1000,500-102399")],
    ours("9110-14.2", "as many ranges as are allowed", [WHOLE], miss(),
         hit("Range: bytes=0-1,4-5", status=206, parts=(("0-1/10", b"01"), ("4-5/10", b"45"))),
         store="ranges", why="`ranges.max` is 2 there."),
    ours("9110-14.2", "one range too many", [WHOLE], miss(),
         hit("Range: bytes=0-1,4-5,8-9", status=(200, 416)),
         store="ranges", why="As above; the client gets the whole, or none."),
    ours("9110-14.2", "a thousand ranges", [ok(MAX, TAG, body=LARGE)], miss(),
         hit("Range: bytes=" + ",".join("%d-%d" % (i * 9, i * 9) for i in range(1000)),
             status=(200, 416)), why="`ranges.max` is 16 by default."),
]

IF_RANGE = [
    reuse("9110-13.1.5", "the same strong tag: 206", [WHOLE], miss(),
          hit("Range: bytes=0-3", 'If-Range: "a"', status=206, body=b"0123")),
    *[must("9110-13.1.5", "If-Range: %s for %s: the whole" % (asked, stored),
           [ok(MAX, "ETag: " + stored, body=TEN)], miss(),
           either("Range: bytes=0-3", "If-Range: " + asked, status=200, body=TEN))
      for asked, stored in (('"b"', '"a"'), ('W/"a"', '"a"'), ('"a"', 'W/"a"'),
                            ('W/"a"', 'W/"a"'), ('"A"', '"a"'), ("a", '"a"'), ("*", '"a"'))],
    must("9110-13.1.5", "a tag, where none is stored: the whole", [ok(MAX, body=TEN)], miss(),
         either("Range: bytes=0-3", 'If-Range: "a"', status=200, body=TEN)),
    reuse("9110-13.1.5", "the same date: 206",
          [ok(MAX, "Last-Modified: {now-8640000}", body=TEN)], miss(),
          hit("Range: bytes=0-3", "If-Range: {now-8640000}", status=206, body=b"0123")),
    *[must("9110-13.1.5", "If-Range with %s date: the whole" % what,
           [ok(MAX, "Last-Modified: {now-8640000}", body=TEN)], miss(),
           either("Range: bytes=0-3", "If-Range: " + date, status=200, body=TEN))
      for what, date in (("an earlier", "{now-8640001}"), ("a later", "{now-8630000}"),
                         ("an invalid", "yesterday"))],
    must("9110-13.1.5", "a date that is no strong validator: the whole",
         [ok(MAX, "Last-Modified: {now}", body=TEN)], miss(),
         either("Range: bytes=0-3", "If-Range: {now}", status=200, body=TEN)),
    must("9110-13.1.5", "an unsatisfiable range with another tag: the whole", [WHOLE], miss(),
         either("Range: bytes=20-30", 'If-Range: "b"', status=200, body=TEN)),
    must("9110-13.1.5", "If-Range without Range does not count", [WHOLE], miss(),
         either('If-Range: "b"', status=200, body=TEN)),
    should("9110-13.2.2", "If-None-Match stands before Range: 304", [WHOLE], miss(),
           hit("Range: bytes=0-3", 'If-None-Match: "a"', status=304)),
    must("9110-13.2.2", "If-None-Match that does not match, then Range", [WHOLE], miss(),
         either("Range: bytes=0-3", 'If-None-Match: "b"', status=(200, 206))),
]

WHY = "The whole is fetched and stored, so that the next range is a hit."
PARTIAL = say("206 Partial Content", MAX, TAG, "Content-Range: bytes 0-3/10", body=b"0123")

MISSES = [
    ours("9110-14.2", "a range of what is not stored", [WHOLE],
         asks("Range: bytes=2-5", status=206, body=b"2345", has="Content-Range: bytes 2-5/10",
              unasked="Range"), hit(body=TEN), why=WHY),
    ours("9110-14.2", "an unsatisfiable range of what is not stored", [WHOLE],
         asks("Range: bytes=20-30", status=416, unasked="Range"), hit(body=TEN), why=WHY),
    ours("9110-14.2", "a range of what is stale",
         [old("max-age=60", TAG, body=TEN), unmodified(MAX, TAG)], miss(),
         asks("Range: bytes=2-5", status=206, body=b"2345", unasked="Range"),
         hit(body=TEN), why=WHY),
    ours("9110-14.2", "a range of what was replaced meanwhile",
         [old("max-age=60", TAG, body=TEN), ok(MAX, 'ETag: "b"', body=b"abcdefghij")], miss(),
         asks("Range: bytes=2-5", status=206, body=b"cdef", unasked="Range"),
         hit(body=b"abcdefghij"), why=WHY),
    must("9110-13.1.5", "If-Range with an old tag, of what was replaced meanwhile: the whole",
         [old("max-age=60", TAG, body=TEN), ok(MAX, 'ETag: "b"', body=b"abcdefghij")], miss(),
         asks("Range: bytes=2-5", 'If-Range: "a"', status=200, body=b"abcdefghij")),
    must("9110-14.2", "a range of what is not stored and may not be",
         [ok("no-store", TAG, body=TEN)],
         either("Range: bytes=2-5", status=(200, 206), body=(TEN, b"2345")), miss(body=TEN)),
    must("9111-3.3", "206 that the origin made is not served whole",
         [PARTIAL, WHOLE], either("Range: bytes=0-3", status=(200, 206, 502)),
         either(status=200, body=TEN)),
    must("9111-3.3", "206 that nobody asked for is not served whole",
         [PARTIAL, WHOLE], either(status=(200, 206, 502)), either(status=200, body=TEN)),
    must("9111-3.3", "206 is not served for another range",
         [PARTIAL, WHOLE], either("Range: bytes=0-3", status=(200, 206, 502)),
         either("Range: bytes=4-5", status=(200, 206), body=(TEN, b"45"))),
    must("9111-3.3", "416 of the origin is not served for another range",
         [say("416 Range Not Satisfiable", "Content-Range: bytes */10"), WHOLE],
         either("Range: bytes=20-30", status=(200, 416)), either(status=200, body=TEN)),
]

CASES = SINGLE + UNSATISFIABLE + SEVERAL + IF_RANGE + MISSES
