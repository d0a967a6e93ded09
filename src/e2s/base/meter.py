"""What an act costs is counted where it happens: signatures, verifications, agreements, hops, commits.

The counts of a whole purchase stand in a table that the tests check; nothing reads a clock here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_COUNTS: Counter[str] = Counter()
_WATCHERS: list[Callable[[str, int], None]] = []


def count(what: str, times: int = 1) -> None:
    """Add to the running count of ``what``: sign, verify, agree, derive, stretch, hop, commit."""
    _COUNTS[what] += times
    for watcher in _WATCHERS:
        watcher(what, _COUNTS[what])


def watch(watcher: Callable[[str, int], None]) -> None:
    """Call ``watcher(what, count so far)`` at each count: drills stop a process at an exact point with it."""
    _WATCHERS.append(watcher)


@contextmanager
def measured() -> Iterator[Counter[str]]:
    """A counter that holds, after the block, what the block cost."""
    before = Counter(_COUNTS)
    spent: Counter[str] = Counter()
    try:
        yield spent
    finally:
        spent.update({k: v - before[k] for k, v in _COUNTS.items() if v != before[k]})
