"""What a register tells those who follow it, for who may read its file: the CA's key stays closed."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.security.pki import list_store, store
from e2s.security.pki.feed import Change, Kind, Listed

#: Changes that are told at once.
MOST_CHANGES = 1000
_KINDS = {kind.value: kind for kind in Kind}
_ISSUED, _RELEASED = Kind.ISSUED.value, Kind.RELEASED.value


def changes(connection: sa.Connection, after: int, most: int = MOST_CHANGES) -> list[Change]:
    """What was issued, revoked, held and released behind change ``after`` (0: from the first on)."""
    return [
        Change(
            number=number,
            serial=int.from_bytes(serial, "big"),
            entry=None if kind == _RELEASED else entry,
            kind=_KINDS[kind],
            der=(der or b"") if kind == _ISSUED else b"",
        )
        for number, kind, serial, der, entry in store.changes(connection, after, min(most, MOST_CHANGES))
    ]


class Register:
    """One CA's register, followed where it lies; lists are those that the CA made last."""

    def __init__(self, database: Database) -> None:
        """``database`` has :data:`store.TABLES`."""
        self._database = database

    def changes(self, after: int, most: int) -> list[Change]:
        """The changes behind number ``after``, at most so many."""
        with self._database.reading() as connection:
            return changes(connection, after, most)

    def last(self) -> int:
        """The number of the newest change, or 0."""
        with self._database.reading() as connection:
            return store.last_change(connection)

    def lists(self, known: Iterable[tuple[int | None, bool, int]]) -> list[Listed]:
        """The newest lists that were made and are not ``known``."""
        held = set(known)
        found: list[Listed] = []
        with self._database.reading() as connection:
            for shard in sorted(list_store.parts(connection), key=lambda part: -1 if part is None else part):
                for delta in (False, True):
                    row = list_store.newest(connection, shard, delta=delta)
                    if row is None or (shard, delta, row.number) in held:
                        continue
                    octets = list_store.octets(connection, row.id)
                    if octets:
                        found.append(Listed(shard, delta, row.number, octets))
        return found
