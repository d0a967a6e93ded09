"""What is found by random numbers is indexed in sorted bulk: a large register is as quick as a small one.

Serials, digests of keys and of approvals are random: each insertion into an index of them would write a page
of its own.  So certificates stand in the order in which they came, the newest of them are found in memory,
and their numbers go into the index a sorted slice at a time.  A number has 63 bits and only says where to
look: whoever asks compares the row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from threading import Lock
from typing import Final

import sqlalchemy as sa

from e2s.base.prepared import Prepared, given

#: So many numbers may wait in memory, and so many are written at a time.
WAITING: Final = 2**17
SLICE: Final = 1024
_SHIFT: Final = 1
_START: Final = (-1, -1)


def of_serial(serial: int) -> int:
    """Where a certificate of this serial is looked for."""
    return serial & 2**63 - 1


def of_key(spki: bytes) -> int:
    """Where certificates of a key are looked for, by the SHA-256 of its SubjectPublicKeyInfo."""
    return int.from_bytes(spki[:8], "big") >> _SHIFT


def of_approval(approval: bytes, spki: bytes) -> int:
    """Where the certificate of a key that an approval (its digest) led to is looked for."""
    return (int.from_bytes(approval[:8], "big") ^ int.from_bytes(spki[8:16], "big")) >> _SHIFT


def finding_tables(tables: sa.MetaData) -> tuple[sa.Table, sa.Table]:
    """The index, and how far it has come: to ``upto``, on the way to ``target`` behind one of its rows."""
    found = sa.Table(
        "found",
        tables,
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("certificate", sa.Integer, primary_key=True),
        sqlite_with_rowid=False,
    )
    indexed = sa.Table(
        "indexed",
        tables,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("upto", sa.Integer, nullable=False),
        sa.Column("target", sa.Integer, nullable=False),
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("certificate", sa.Integer, nullable=False),
    )
    return found, indexed


class Finder:
    """Finds certificates of one register; used by many threads, each on its own connection.

    It reads what was committed: nothing may be asked of it in a transaction that recorded a certificate.
    """

    def __init__(self, certificates: sa.Table, found: sa.Table, indexed: sa.Table) -> None:
        """``found`` and ``indexed`` as made by :func:`finding_tables`."""
        table = certificates.c
        self._lock = Lock()
        self._tail: dict[int, tuple[int, ...]] = {}
        self._upto = self._last = -1
        self._sorted: list[tuple[int, int]] = []
        self._target = 0
        self._going = True
        self._newer = Prepared(
            sa.select(table.id, table.serial, table.spki, table.approval)
            .where(table.id > given("after"))
            .order_by(table.id)
        )
        wanted = sa.func.json_each(given("numbers")).table_valued("value")
        self._found = Prepared(
            sa.select(found.c.key, found.c.certificate).where(found.c.key.in_(sa.select(wanted.c.value)))
        )
        self._state = Prepared(sa.select(indexed))
        self._put = Prepared(found.insert().prefix_with("OR IGNORE"), ("key", "certificate"))
        columns = ("id", "upto", "target", "key", "certificate")
        self._mark = Prepared(indexed.insert().prefix_with("OR REPLACE"), columns)

    def ids(self, connection: sa.Connection, number: int) -> list[int]:
        """Certificates that may have this number, oldest first."""
        return self.all_ids(connection, (number,)).get(number, [])

    def all_ids(self, connection: sa.Connection, numbers: Sequence[int]) -> dict[int, list[int]]:
        """By each of the numbers that some certificates may have, those certificates."""
        found: dict[int, list[int]] = {}
        values = {"numbers": str(list(numbers))}
        for number, certificate in self._found.cursor(connection, values):
            found.setdefault(number, []).append(certificate)
        with self._lock:
            self._catch_up(connection)
            newest = {number: self._tail[number] for number in numbers if number in self._tail}
        for number, certificates in newest.items():
            found[number] = sorted({*found.get(number, ()), *certificates})
        return found

    def settle(self, connection: sa.Connection) -> bool:
        """Take the index one slice further, when enough waits, in an act's transaction; whether it did."""
        with self._lock:
            if len(self._tail) < WAITING and not self._going:
                return False
            upto, target, behind = self._read_state(connection)
            if not target:
                # what was indexed a moment ago waits here until it is next caught up
                if len(self._tail) < WAITING or upto != self._upto:
                    return False
                target, behind = self._last, _START
            batch = self._slice(target, behind)
            self._put.run_all(connection, [{"key": n, "certificate": one} for n, one in batch])
            if len(batch) < SLICE:
                upto, target, batch = target, 0, [_START]
            key, certificate = batch[-1]
            state = {"upto": upto, "target": target, "key": key, "certificate": certificate}
            self._mark.run(connection, {"id": 1, **state})
            return True

    def _slice(self, target: int, behind: tuple[int, int]) -> list[tuple[int, int]]:
        """The next numbers of certificates up to ``target``."""
        if self._target != target:
            waiting = [(n, one) for n, ones in self._tail.items() for one in ones if one <= target]
            self._sorted, self._target = sorted(waiting), target
        place = bisect_right(self._sorted, behind)
        return self._sorted[place : place + SLICE]

    def _read_state(self, connection: sa.Connection) -> tuple[int, int, tuple[int, int]]:
        state = self._state.row(connection)
        return (0, 0, _START) if state is None else (state.upto, state.target, (state.key, state.certificate))

    def _catch_up(self, connection: sa.Connection) -> None:
        """Know what was recorded since, and forget what the index knows."""
        upto, target, _ = self._read_state(connection)
        self._going = target > 0
        if self._upto < upto:
            kept = {n: tuple(one for one in ones if one > upto) for n, ones in self._tail.items()}
            self._tail = {n: ones for n, ones in kept.items() if ones}
            self._upto, self._last = upto, max(upto, self._last)
            self._sorted, self._target = [], 0
        tail = self._tail
        for certificate, serial, spki, approval in self._newer.cursor(connection, {"after": self._last}):
            numbers = [of_serial(int.from_bytes(serial, "big")), of_key(spki)]
            if approval:
                numbers.append(of_approval(approval, spki))
            for number in numbers:
                tail[number] = (*tail[number], certificate) if number in tail else (certificate,)
            self._last = certificate
