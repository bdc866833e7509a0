"""The language of the cache's cases: what an origin answers in turn, what clients ask for, and what
each of them must get.

    must("9111 5.2.2.5", "no-store keeps a response out",
         [ok("no-store, max-age=60")],
         miss(), miss())

A case has a URL of its own. Its origin gives the answers of the list one after another, and the
last one for good. Each step is a request: `miss` reaches the origin and gets what that just
answered, `hit` does not reach it and gets the same body as the request before, `validated` makes a
conditional request of the proxy, is answered 304, and gets what was stored.

Lines of answers and requests are fields as they go over the wire. A line without a colon is a
value of Cache-Control. `{now-60}` becomes the date a minute before the case began,
`{rfc850 now-60}` and `{asctime now-60}` the same in the other formats of RFC 9110 section 5.6.7,
`{lower now-60}` the first in lower case. `{path}` is the path of the case.

How a case binds, by the words of the RFC:

- `must` and `should`: a cache that does otherwise does not conform.
- `reuse`: no cache has to answer from its store, but to do so where the RFC allows it is what a
  cache is for.
- `ours`: the RFC leaves it open, or it belongs to a specification that a cache may leave out; `why`
  says what was chosen for which reason.
"""
import dataclasses
import email.utils
import re
import time


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the origin says once."""
    lines: tuple
    status: str = "200 OK"
    # None: words that name the case and count the answers, so that no two are alike.
    body: bytes = None
    # "length"; "chunked"; "close": ends with the connection; "short": Content-Length promises more
    # than comes; "cut": chunked without an end; "none": neither length nor body; "drop": the
    # connection closes without a word.
    framing: str = "length"
    version: str = "1.1"
    # Lines of a head with this status before the final one, as ("103 Early Hints", lines...).
    interim: tuple = ()
    trailers: tuple = ()
    # Seconds between the request and the answer.
    delay: float = 0
    # Its Age in seconds. A peer that ignores Age gets a short lifetime instead (`cacheplay`).
    aged: int = 0


def ok(*lines, **how):
    return Answer(lines, **how)


def old(*lines, aged=3600, **how):
    """An answer that has been on its way for an hour: what lives shorter comes stale."""
    return Answer(lines, aged=aged, **how)


def say(status, *lines, **how):
    """An answer with another status, as "404 Not Found"."""
    return Answer(lines, status=status, **how)


def unmodified(*lines, **how):
    return Answer(lines, status="304 Not Modified", framing="none", **how)


# The connection of the origin ends without an answer.
DROP = Answer((), framing="drop")


@dataclasses.dataclass(frozen=True)
class Step:
    kind: str
    lines: tuple = ()
    method: str = "GET"
    path: str = ""
    host: str = "cache.test"
    tls: bool = False
    version: str = "1.1"
    content: bytes = b""
    # What the client must get. `status` None: that of the answer; a tuple: any of them.
    status: object = None
    has: object = ()
    lacks: object = ()
    # The exact body, or a tuple of those that are right; or the number of the origin's answer that
    # it must come from, from 1.
    body: object = None
    of: int = None
    # The parts of multipart/byteranges, as ("0-1/10", b"01").
    parts: tuple = ()
    # Fields of the request that the origin got, and names that it must not have.
    asked: object = ()
    unasked: object = ()
    # How many requests the origin gets in the background, because of this one.
    then: int = 0
    # Asks again until it is so: for what is stored in the background.
    eventually: bool = False
    # `together`: how many clients, and how many requests they make of the origin.
    clients: int = 1
    reach: int = 1
    # `during`: what happens while the origin has this request.
    meanwhile: object = None


def _step(kind):
    def make(*lines, **how):
        return Step(kind, lines, **how)

    return make


# The origin is asked once more, and the client gets that answer.
miss = _step("miss")
# The origin is not asked; the body is that of the response before, or of answer number `of`.
hit = _step("hit")
# The origin is asked with a condition, says 304, and the client gets what is stored.
validated = _step("validated")
# The proxy answers by itself, without the origin; say `status`.
local = _step("local")
# The origin is asked; the client gets another status or body than the origin gave; say which.
asks = _step("asks")
# The client must notice that the response is not whole, or get 502.
cut = _step("cut")
# From the store or not: only fields and the status count.
either = _step("either")


def together(clients, reach, *lines, **how):
    """So many clients at once, who reach the origin so many times."""
    return Step("together", lines, clients=clients, reach=reach, **how)


def during(step, *meanwhile):
    """A request that reaches the origin, and others before the origin answers it (give that answer
    a `delay`)."""
    return dataclasses.replace(step, kind="during", meanwhile=meanwhile)


# The client leaves when the origin has its request.
leave = _step("leave")


@dataclasses.dataclass(frozen=True)
class Case:
    level: str
    section: str
    title: str
    answers: tuple
    steps: tuple
    # The instance of the plugin, with a configuration of its own (`cachepeers.STORES`).
    store: str = "plain"
    why: str = ""

    @property
    def id(self):
        return "%s %s [%s]" % (self.section, self.title, self.level)


def _level(level):
    def make(section, title, answers, *steps, store="plain", why=""):
        assert steps and answers, title
        assert bool(why) == (level == "ours"), "%s: `why` belongs to `ours`" % title
        return Case(level, section, title, tuple(answers), steps, store, why)

    return make


must = _level("must")
should = _level("should")
reuse = _level("reuse")
ours = _level("ours")

# Those of which a conforming cache passes all.
REQUIRED = ("must", "should")


def dates(text, now):
    """The text with the dates written out."""
    def one(match):
        when = int(now) + int(match.group(2) or 0)
        parts = time.gmtime(when)
        if match.group(1) == "rfc850 ":
            return time.strftime("%A, %d-%b-%y %H:%M:%S GMT", parts)
        if match.group(1) == "asctime ":
            return time.asctime(parts)
        text = email.utils.formatdate(when, usegmt=True)
        return text.lower() if match.group(1) else text

    return re.sub(r"\{(rfc850 |asctime |lower )?now([+-]\d+)?\}", one, text)


def fields(lines, now):
    """Lines as pairs of name and value."""
    out = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or re.search(r"[\s=\",]", name):
            name, value = "Cache-Control", line
        out.append((name, dates(value.strip(" "), now)))
    return out


def expectations(lines):
    return (lines,) if isinstance(lines, str) else tuple(lines)


def matches(wanted, value):
    """`wanted`: exact; "5..9": a number between them; "~...": a regular expression in it."""
    if value is None:
        return False
    between = re.fullmatch(r"(\d+)\.\.(\d+)", wanted)
    if between:
        return value.isdigit() and int(between[1]) <= int(value) <= int(between[2])
    if wanted.startswith("~"):
        return re.search(wanted[1:], value) is not None
    return value == wanted
