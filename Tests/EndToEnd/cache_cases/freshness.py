"""RFC 9111 sections 4.2, 5.1 and 5.3: how long a response lives, and how old it is."""
from cachecase import (
    asks, either, hit, miss, must, ok, old, ours, reuse, say, should, unmodified, validated)

LONG_AGO = "Last-Modified: {now-864000}"
HUGE = "99999999999999999999999"

LIFETIME = [
    *[reuse("9111-4.2.1", "fresh by %s" % value, [ok(value)], miss(), hit())
      for value in ("max-age=60", "s-maxage=60", "public, max-age=60", "max-age=60, s-maxage=60",
                    "max-age=0, s-maxage=60", "s-maxage=60, max-age=0", "MAX-AGE=60",
                    "S-MaxAge=60", "max-age=060", 'max-age="60"', 's-maxage="60"',
                    "max-age=2147483647", "foo=bar, max-age=60", 'foo="a,b", max-age=60',
                    "max-age=60,", ",max-age=60", "foo,max-age=60,bar")],
    *[must("9111-4.2.1", "not fresh by %s" % value, [ok(value)], miss(), miss())
      for value in ("max-age=0", "s-maxage=0", "max-age=60, s-maxage=0", "s-maxage=0, max-age=60",
                    "max-age=00", 'foo="max-age=60"', 'foo="max-age=60", max-age=0',
                    "x-max-age=60", "max-agex=60", "public", "immutable", "must-revalidate")],
    *[must("9111-4.2.1", "%s stands above Expires" % value,
           [ok(value, "Expires: {now+600}")], miss(), miss())
      for value in ("max-age=0", "s-maxage=0", "max-age=600, s-maxage=0")],
    *[reuse("9111-4.2.1", "%s stands above Expires in the past" % value,
            [ok(value, "Expires: {now-600}")], miss(), hit())
      for value in ("max-age=60", "s-maxage=60", "max-age=0, s-maxage=60")],
    must("9111-1.2.2", "no seconds are left of max-age when Age is as large",
         [ok("max-age=60", "Age: 60")], miss(), miss()),
    must("9111-4.2", "stale when Age is over max-age", [ok("max-age=60", "Age: 61")],
         miss(), miss()),
    must("9111-4.2", "stale when Age is over s-maxage",
         [ok("max-age=600, s-maxage=60", "Age: 100")], miss(), miss()),
    must("9111-4.2", "stale when Age is over what Expires leaves",
         [ok("Expires: {now+60}", "Age: 100")], miss(), miss()),
    reuse("9111-4.2", "fresh while Age is under max-age", [ok("max-age=60", "Age: 30")],
          miss(), hit()),
    reuse("9111-4.2", "fresh while Age is under s-maxage, over max-age",
          [ok("max-age=10, s-maxage=60", "Age: 30")], miss(), hit()),
]

INVALID = ["max-age=abc", "max-age=-1", "max-age=1.5", "max-age=", "max-age", "max-age=60s",
           "max-age=0x3c", "max-age=+60", "max-age= 60", "max-age =60", 'max-age="60',
           'max-age=" 60"', "max-age=6 0", "max-age='60'", "max-age=60;foo", "max-age=\xb2"]

ARGUMENTS = [
    *[ours("9111-4.2.1", "a lifetime that is no number: %s" % value, [ok(value)], miss(), miss(),
           why="Section 4.2.1 encourages to take invalid freshness information for stale.")
      for value in INVALID],
    ours("9111-4.2.1", "an invalid s-maxage beside a valid max-age",
         [ok("max-age=60, s-maxage=abc")], miss(), miss(), why="As above."),
    should("9111-4.2.1", "the first of two max-age is 0", [ok("max-age=0, max-age=60")],
           miss(), miss()),
    should("9111-4.2.1", "the first of two max-age, in two lines, is 0",
           [ok("max-age=0", "max-age=60")], miss(), miss()),
    should("9111-4.2.1", "the first of two s-maxage is 0", [ok("s-maxage=0, s-maxage=60")],
           miss(), miss()),
    ours("9111-4.2.1", "the second of two max-age is 0", [ok("max-age=60, max-age=0")],
         miss(), miss(), why="Of two the strictest: either is allowed."),
    reuse("9111-4.2.1", "two equal max-age", [ok("max-age=60, max-age=60")], miss(), hit()),
    must("9111-4.2.1", "no-cache stands above max-age",
         [ok("no-cache, max-age=60", 'ETag: "a"')], miss(), miss()),
    *[reuse("9111-1.2.2", "max-age=%s, more than fits" % value, [ok("max-age=%s" % value)],
            miss(), hit()) for value in ("2147483648", "4294967296", "9223372036854775808", HUGE)],
]

EXPIRES = [
    *[reuse("9111-5.3", "Expires ahead as %s" % what, [ok("Expires: " + value)], miss(), hit())
      for what, value in (("IMF-fixdate", "{now+600}"), ("RFC 850", "{rfc850 now+600}"),
                          ("asctime", "{asctime now+600}"),
                          ("the last second of 9999", "Fri, 31 Dec 9999 23:59:59 GMT"))],
    should("9111-4.2", "Expires ahead in lower case", [ok("Expires: {lower now+600}")],
           miss(), hit()),
    *[must("9111-5.3", "Expires in the past as %s" % what, [ok("Expires: " + value, LONG_AGO)],
           miss(), miss())
      for what, value in (("IMF-fixdate", "{now-60}"), ("RFC 850", "{rfc850 now-60}"),
                          ("asctime", "{asctime now-60}"), ("the date of Date", "{now}"))],
    *[must("9111-5.3", "Expires that is no date, %r, is in the past" % value,
           [ok("Expires: " + value, LONG_AGO)], miss(), miss())
      for value in ("0", "-1", "", "tomorrow", "4102444800", "2090-01-01T00:00:00Z",
                    "Sun, 01 Jan 2090", "Sun 01 Jan 2090 00:00:00 GMT",
                    "Sun, 01 Jan 2090 00:00:00", "Sun, 32 Jan 2090 00:00:00 GMT",
                    "Sun, 01 Foo 2090 00:00:00 GMT", "Sun, 01 Jan 2090 25:00:00 GMT",
                    "Sun, 01 Jan 2090 00:00:00 GMT, Mon, 02 Jan 2090 00:00:00 GMT")],
    *[should("9111-4.2", "Expires in the zone %s is invalid" % zone,
             [ok("Expires: Sun, 01 Jan 2090 00:00:00 " + zone)], miss(), miss())
      for zone in ("EST", "CET", "PDT", "+0000")],
    must("9110-5.6.7", "a year of two digits that is more than 50 years ahead is past",
         [ok("Expires: Thursday, 18-Aug-80 02:01:18 GMT", LONG_AGO)], miss(), miss()),
    should("9111-4.2.1", "the first of two Expires is past",
           [ok("Expires: {now-60}", "Expires: {now+600}")], miss(), miss()),
    ours("9111-4.2.1", "the second of two Expires is past",
         [ok("Expires: {now+600}", "Expires: {now-60}")], miss(), miss(),
         why="Of two the strictest: either is allowed."),
    reuse("9111-5.3", "Expires without Date counts from when it came",
          [ok("Expires: {now+600}", "Date: none")], miss(), hit()),
    must("9111-4.2.1", "Expires counts from Date: at once, by a clock that is ahead",
         [ok("Date: {now+600}", "Expires: {now+600}")], miss(), miss()),
    reuse("9111-4.2.1", "Expires counts from Date: a minute, by a clock that is ahead",
          [ok("Date: {now+600}", "Expires: {now+660}")], miss(), hit()),
    must("9111-4.2.1", "Expires counts from Date: in the past, though Date is older",
         [ok("Date: {now-600}", "Expires: {now-300}", "Age: 600")], miss(), miss()),
]

AGE = [
    must("9111-4", "a hit carries Age", [ok("max-age=60")], miss(), either(has="Age: 0..5")),
    must("9111-4", "a hit carries one Age, which counts on",
         [ok("max-age=60", "Age: 30")], miss(), either(has="Age: 30..35")),
    ours("9111-4.2.3", "a hit carries the age that Date shows",
         [ok("max-age=600", "Date: {now-100}")], miss(), hit(has="Age: 100..105"),
         why="Section 4.2.3 allows to leave apparent_age out; we stay on the safe side."),
    must("9111-4.2.3", "Age wins where Date shows less",
         [ok("max-age=600", "Date: {now-10}", "Age: 100")], miss(), either(has="Age: 100..105")),
    ours("9111-4.2.3", "Date wins where Age shows less",
         [ok("max-age=600", "Date: {now-100}", "Age: 10")], miss(), hit(has="Age: 100..105"),
         why="max(apparent_age, corrected_age_value), as section 4.2.3 has it for old caches."),
    ours("9111-4.2.3", "stale by Date alone", [ok("max-age=60", "Date: {now-100}")],
         miss(), miss(), why="As above."),
    reuse("9111-4.2.3", "Date ahead of the clock makes no negative age",
          [ok("max-age=60", "Date: {now+1000}")], miss(), hit(has="Age: 0..5")),
    reuse("9111-4.2.3", "a Date that is no date", [ok("max-age=60", "Date: yesterday")],
          miss(), hit()),
    must("9110-6.6.1", "a hit carries a Date where the origin gave none",
         [ok("max-age=60", "Date: none")], miss(has="Date"), either(has="Date")),
    must("9110-6.6.1", "a hit carries the Date of the origin",
         [ok("max-age=600", "Date: {now-5}")], miss(), hit(has="Date: {now-5}")),
    must("9111-4.2.3", "the way to the origin counts into Age",
         [ok("max-age=60", delay=1.2)], miss(), either(has="Age: 1..6")),
    must("9111-4.2.3", "an answer that takes longer than it lives is stale",
         [ok("max-age=1", delay=1.2)], miss(), miss()),
    must("9111-1.2.2", "an Age of more than fits is old", [ok("max-age=60", "Age: " + HUGE)],
         miss(), miss()),
    must("9111-1.2.2", "an Age of 2147483648 is old", [ok("max-age=60", "Age: 2147483648")],
         miss(), miss()),
    should("9111-5.1", "of a list of ages the first counts: old",
           [ok("max-age=60", "Age: 100, 0")], miss(), miss()),
    should("9111-5.1", "of two lines of Age the first counts: old",
           [ok("max-age=60", "Age: 100", "Age: 0")], miss(), miss()),
    reuse("9111-5.1", "of a list of ages the first counts: young",
          [ok("max-age=60", "Age: 0, 100")], miss(), hit()),
    reuse("9111-5.1", "of two lines of Age the first counts: young",
          [ok("max-age=60", "Age: 0", "Age: 100")], miss(), hit()),
    *[reuse("9111-5.1", "an Age that is no number, %r, is ignored" % value,
            [ok("max-age=60", "Age: " + value)], miss(), hit())
      for value in ("abc", "-100", "1e3", "100.5", "0x100", "")],
]

GUESS = [
    *[reuse("9111-4.2.2", "%s by heuristics" % text,
            [say(text, LONG_AGO, **({"framing": "none"} if text.startswith("204") else {}))],
            miss(), hit(status=int(text[:3])))
      for text in ("200 OK", "203 Non-Authoritative Information", "204 No Content",
                   "300 Multiple Choices", "301 Moved Permanently", "308 Permanent Redirect",
                   "404 Not Found", "405 Method Not Allowed", "410 Gone", "414 URI Too Long",
                   "501 Not Implemented")],
    *[must("9111-4.2.2", "no heuristics beside %s" % line, [ok(line, LONG_AGO)],
           miss(), miss())
      for line in ("max-age=0", "s-maxage=0", "Expires: {now-60}", "Expires: 0", "no-store")],
    reuse("9111-4.2.2", "public makes 302 fit for heuristics",
          [say("302 Found", "public", LONG_AGO)], miss(), hit(status=302)),
    reuse("9111-4.2.2", "a query does not keep from heuristics", [ok(LONG_AGO)],
          miss(path="?a=1"), hit(path="?a=1")),
    ours("9111-4.2.2", "nothing to go by", [ok()], miss(), miss(),
         why="Without Last-Modified there is nothing to take a fraction of."),
    ours("9111-4.2.2", "a tenth of the time since the change: over",
         [ok("Last-Modified: {now-100}", "Age: 20")], miss(), miss(),
         why="The fraction that section 4.2.2 names as typical."),
    ours("9111-4.2.2", "a tenth of the time since the change: within",
         [ok("Last-Modified: {now-1000}", "Age: 20")], miss(), hit(), why="As above."),
    ours("9111-4.2.2", "never more than a day",
         [ok("Last-Modified: {now-86400000}", "Age: 90000")], miss(), miss(),
         why="A page that was quiet for years may change tomorrow: `heuristic.max`."),
    ours("9111-4.2.2", "Last-Modified ahead", [ok("Last-Modified: {now+6000}")], miss(), miss(),
         why="A negative interval has no fraction."),
    ours("9111-4.2.2", "Last-Modified that is no date", [ok("Last-Modified: last week")],
         miss(), miss(), why="As above."),
    ours("9111-4.2.2", "the stale guess is validated",
         [old("Last-Modified: {now-100}"), unmodified("Last-Modified: {now-100}")],
         miss(), validated(), why="Stored for its validator."),
]

STALE = [
    *[must("9111-4.2.4", "not stale by itself after %s" % value, [old(value)], miss(), miss())
      for value in ("max-age=60", "s-maxage=60", "max-age=60, must-revalidate",
                    "max-age=60, proxy-revalidate", "max-age=60, immutable")],
    must("9111-4.2.4", "a stale response is not served while the origin fails",
         [old("max-age=60", 'ETag: "a"'), say("500 Internal Server Error")],
         miss(), asks(status=(500, 502, 504))),
    must("9111-5.2.2.2", "must-revalidate: an error rather than the stale response",
         [old("max-age=60, must-revalidate", 'ETag: "a"'), say("503 Service Unavailable")],
         miss(), asks(status=(502, 503, 504))),
]

CASES = LIFETIME + ARGUMENTS + EXPIRES + AGE + GUESS + STALE
