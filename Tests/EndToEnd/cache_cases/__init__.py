"""Every case, in the order of the specifications."""
from cache_cases import freshness, storing

FILES = (storing, freshness)
ALL = [case for file in FILES for case in file.CASES]
assert len({case.id for case in ALL}) == len(ALL), "two cases have one name: %s" % sorted(
    i for i in {c.id for c in ALL} if sum(c.id == i for c in ALL) > 1)
