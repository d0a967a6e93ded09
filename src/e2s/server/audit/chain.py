"""Each entry's digest covers the entry before: who alters, drops or inserts one breaks all that follow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from e2s.base.wire import len4

#: What the first entry follows.
GENESIS: Final = hashlib.sha256(b"e2s/1 audit").digest()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One numbered event: who sent it (as authenticated), its row in the sender's outbox, and its octets."""

    number: int
    source: str
    row: int
    event: bytes
    digest: bytes


@dataclass(frozen=True)
class Altered:
    """The first entry that does not follow from those before it."""

    number: int
    because: str


@dataclass(frozen=True)
class Whole:
    """The chain follows from its beginning; ``head`` is the digest of the last of ``entries``."""

    entries: int
    head: bytes


def following(previous: bytes, *, number: int, source: str, row: int, event: bytes) -> Entry:
    """The entry that follows ``previous``, the digest of the one before (or :data:`GENESIS`)."""
    octets = previous + number.to_bytes(8, "big") + len4(source.encode()) + row.to_bytes(8, "big") + event
    digest = hashlib.sha256(octets).digest()
    return Entry(number=number, source=source, row=row, event=event, digest=digest)


def verify(entries: Iterable[Entry], expected: tuple[int, bytes] | None = None) -> Whole | Altered:
    """Recompute the chain; ``expected`` is (number, digest) of an entry that someone remembers."""
    head = GENESIS
    number = 0
    for entry in entries:
        number += 1
        if entry.number != number:
            return Altered(number, f"the entry is missing; the next one is {entry.number}")
        due = following(head, number=number, source=entry.source, row=entry.row, event=entry.event)
        if due.digest != entry.digest:
            return Altered(number, "the entry or its place was altered")
        if expected and expected[0] == number and expected[1] != entry.digest:
            return Altered(number, "the entry is not the one that was acknowledged")
        head = entry.digest
    if expected and expected[0] > number:
        return Altered(number + 1, f"the log ends before entry {expected[0]}, which was acknowledged")
    return Whole(number, head)
