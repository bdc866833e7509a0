"""Every case, in the order of the specifications."""
from cache_cases import (
    conditions, directives, extras, freshness, messages, methods, ranges, selecting, stale, storing,
    validating)

FILES = (storing, selecting, freshness, validating, methods, directives, stale, conditions, ranges,
         messages, extras)
ALL = [case for file in FILES for case in file.CASES]
_ids = [case.id for case in ALL]
assert len(set(_ids)) == len(_ids), "two cases have one name: %s" % {
    i for i in _ids if _ids.count(i) > 1}
