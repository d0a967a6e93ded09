"""A CA's lists are never older than what they tell: after each change, and when half of their time is over.

A small list is made anew whole.  Of a large one, a delta list tells the change at once (RFC 5280, 5.2.4), and
the whole follows when its time has come or as much has changed as it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import sqlalchemy as sa

from e2s.base.errors import Fact, Misuse
from e2s.security.pki import list_store, store
from e2s.security.pki.feed import Listed
from e2s.security.pki.office import Office
from e2s.security.status.lists import Octets, Shard, write_list
from e2s.security.verification.fetching import crl_path

#: A list with no more entries is made whole after each change.
SMALL = 1000
_RENEWAL = 2


class Lists:
    """The lists of one CA; the newest are kept in memory."""

    def __init__(self, office: Office) -> None:
        """Of each part that certificates name now, or of which there ever was a list."""
        self._office = office
        self._lock = Lock()
        self._held: dict[tuple[int | None, bool], tuple[int, Listed]] = {}
        shards = office.places.shards
        parts: set[int | None] = {None} if shards == 1 else set(range(shards))
        with office.database.reading() as connection:
            parts |= list_store.parts(connection)
        self._parts = sorted(parts, key=lambda part: -1 if part is None else part)

    def current(self) -> tuple[Listed, ...]:
        """The newest lists of all parts, made anew where they are due."""
        with self._lock:
            return tuple(listed for part in self._parts for listed in self._of_part(part))

    def _of_part(self, part: int | None) -> list[Listed]:
        """The complete list of a part and, where certificates name one, its delta list."""
        office, now = self._office, self._office.clock.now()
        deltas = office.places.deltas
        with office.database.reading() as connection:
            last = list_store.last_withdrawal(connection, part)
            whole = list_store.newest(connection, part, delta=False)
            delta = list_store.newest(connection, part, delta=True) if deltas else None
        if whole is None or _due(whole, delta, now, last, deltas=deltas):
            good = whole is not None and store.seconds(now) < whole.next_update
            self.make(part, base=whole if deltas and good else None)
        if not deltas:
            return [self._newest(part, delta=False)]
        with office.database.reading() as connection:
            whole = list_store.newest(connection, part, delta=False)
            delta = list_store.newest(connection, part, delta=True)
        if whole is not None and (delta is None or _behind(delta, whole, now, last)):
            self.make(part, base=whole, complete=False)
        return [self._newest(part, delta=kind) for kind in (False, True)]

    def make(self, part: int | None, *, base: sa.Row[Any] | None = None, complete: bool = True) -> None:
        """Make a complete list, a delta list over the complete list ``base``, or both of one number.

        Both made at once say the same (RFC 5280, 5.2.4).
        """
        office, at, number = self._office, self._office.clock.now(), 0
        rows: list[tuple[int, bool]] = []
        with office.database.transaction() as connection:
            for delta in (False, True)[0 if complete else 1 : 1 if base is None else 2]:
                row, number = list_store.intend(
                    connection, part, base.number if delta and base is not None else None, number
                )
                rows.append((row, delta))
        ended: list[int] = []
        found: dict[bool, tuple[int, list[Octets]]] = {}
        with office.database.reading() as connection:
            upto = list_store.last_withdrawal(connection, part)
            if complete:
                found[False] = self._standing(connection, part, at, ended)
            if base is not None:
                changed = list_store.since(connection, part, base.upto)
                found[True] = len(changed), [*reversed(changed)]
        made = {
            delta: self._written(part, found[delta][1], number, at, base if delta else None)
            for _, delta in rows
        }
        with office.database.transaction() as connection:
            list_store.retire(connection, part, ended, upto)
            for row, delta in rows:
                self._put(connection, row, part, at, upto, found[delta][0], made[delta], number, delta=delta)

    def _standing(
        self, connection: sa.Connection, part: int | None, at: datetime, ended: list[int]
    ) -> tuple[int, list[Octets]]:
        """How many stand on a complete list, and their entries, joined; who has ended goes to ``ended``."""
        count, joined = 0, bytearray()
        for some, past, octets in list_store.standing(connection, part, store.seconds(at)):
            count += some
            ended += past
            joined += octets
        return count, [joined]

    def _written(
        self,
        part: int | None,
        entries: list[Octets],
        number: int,
        at: datetime,
        base: sa.Row[Any] | None,
    ) -> bytes:
        """The signed list; a complete one says where its delta lists are."""
        office = self._office
        freshest = self._url(part, delta=True) if base is None and office.places.deltas else ""
        return write_list(
            _drained(entries),
            office.signer,
            number=number,
            at=at,
            until=at + self._lifetime(delta=base is not None),
            shard=None if part is None else Shard(self._url(part)),
            base=None if base is None else base.number,
            freshest=freshest,
        )

    def _put(
        self,
        connection: sa.Connection,
        row: int,
        part: int | None,
        at: datetime,
        upto: int,
        entries: int,
        der: bytes,
        number: int,
        *,
        delta: bool,
    ) -> None:
        instants = {
            "this_update": store.seconds(at),
            "next_update": store.seconds(at + self._lifetime(delta=delta)),
        }
        list_store.put(connection, row, part, delta=delta, upto=upto, entries=entries, der=der, **instants)
        facts: dict[str, Fact] = {"number": number, "entries": entries, "shard": part}
        facts["delta"] = True if delta else None
        self._office.event(connection, "crl.issued", at, facts)

    def _newest(self, part: int | None, *, delta: bool) -> Listed:
        """The newest list of a sort, from memory unless there is a newer one."""
        with self._office.database.reading() as connection:
            row = list_store.newest(connection, part, delta=delta)
            held = self._held.get((part, delta))
            if row is not None and (held is None or held[0] != row.id):
                octets = list_store.octets(connection, row.id) or b""
                held = row.id, Listed(part, delta, row.number, octets)
                self._held[part, delta] = held
        if held is None:
            raise Misuse("no-list", "no list was made yet")
        return held[1]

    def _lifetime(self, *, delta: bool) -> timedelta:
        lifetimes = self._office.lifetimes
        return lifetimes.delta if delta else lifetimes.complete

    def _url(self, part: int | None, *, delta: bool = False) -> str:
        return self._office.places.base + crl_path(self._office.certificate, part, delta=delta)


def _drained(entries: list[Octets]) -> Iterator[Octets]:
    """The entries from the last, each of them forgotten here as it is given."""
    while entries:
        yield entries.pop()


def _due(whole: sa.Row[Any], delta: sa.Row[Any] | None, now: datetime, last: int, *, deltas: bool) -> bool:
    """Whether a complete list is to be made."""
    if _stale(whole, now):
        return True
    if whole.upto >= last:
        return False
    grown = delta is not None and delta.entries > whole.entries
    return not deltas or whole.entries <= SMALL or grown


def _stale(row: sa.Row[Any], now: datetime) -> bool:
    """Whether half of a list's time is over, or the clock stands before it."""
    at = store.seconds(now)
    return not row.this_update <= at < row.this_update + (row.next_update - row.this_update) / _RENEWAL


def _behind(delta: sa.Row[Any], whole: sa.Row[Any], now: datetime, last: int) -> bool:
    """Whether a delta list is to be made: there is a change, or a complete list, that it does not know."""
    return _stale(delta, now) or delta.upto < last or delta.number < whole.number
