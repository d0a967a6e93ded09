"""The lists of one CA in its register: what belongs on them, and those that were made.

A list without a part (``shard`` None) is over all certificates, whichever parts they name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.database import driver_of
from e2s.base.prepared import Prepared, given
from e2s.security.pki.store import CHANGES, CRLS, REVOCATIONS, WITHDRAWALS

_READ_AT_ONCE = 4096
_WRITTEN_AT_ONCE = 1024 * 1024
_R, _W, _C = REVOCATIONS.c, WITHDRAWALS.c, CRLS.c

_STANDING = sa.select(_R.certificate, _R.not_after, _R.entry).order_by(_R.certificate)
_SINCE = (
    sa.select(_W.certificate, _W.entry, CHANGES.c.kind)
    .join(CHANGES, CHANGES.c.number == _W.number)
    .where(_W.number > given("behind"))
    .order_by(_W.number)
)
_LAST = sa.select(sa.func.max(_W.number))
_NEWEST = (
    sa.select(_C.id, _C.number, _C.this_update, _C.next_update, _C.upto, _C.entries)
    .where(_C.der.is_not(None))
    .order_by(_C.id.desc())
    .limit(1)
)
_ALL = (Prepared(_STANDING.where(_R.retired.op("&")(2) == 0)), Prepared(_SINCE), Prepared(_LAST))
_PART = (
    Prepared(_STANDING.where(_R.shard == given("part"), _R.retired.op("&")(1) == 0)),
    Prepared(_SINCE.where(_W.shard == given("part"))),
    Prepared(_LAST.where(_W.shard == given("part"))),
)
_NEWEST_OF = {
    (whole, delta): Prepared(
        _NEWEST.where(
            _C.shard.is_(None) if whole else _C.shard == given("part"),
            _C.base.is_not(None) if delta else _C.base.is_(None),
        )
    )
    for whole in (True, False)
    for delta in (True, False)
}
_ROOM = Prepared(CRLS.update().where(_C.id == given("row")).values(der=sa.func.zeroblob(given("size"))))
_DER = Prepared(sa.select(_C.der).where(_C.id == given("row")))
_FORGET = {
    delta: Prepared(
        CRLS.update()
        .values(der=sa.null())
        .where(
            sa.func.coalesce(_C.shard, -1) == given("part"),
            _C.base.is_not(None) if delta else _C.base.is_(None),
            _C.id < given("row"),
            _C.der.is_not(None),
        )
    )
    for delta in (True, False)
}
_PARTS = Prepared(sa.select(_C.shard).distinct())
_RETIRE = {
    bit: Prepared(
        REVOCATIONS.update()
        .values(retired=_R.retired.op("|")(bit))
        .where(_R.certificate == given("row"), _R.number <= given("upto"))
    )
    for bit in (1, 2)
}


def standing(connection: sa.Connection, shard: int | None, at: int) -> Iterator[tuple[int, list[int], bytes]]:
    """What belongs on a complete list, some at a time: how many, whose end has passed, and entries."""
    ask, values = (_ALL[0], {}) if shard is None else (_PART[0], {"part": shard})
    cursor = ask.cursor(connection, values)
    while rows := cursor.fetchmany(_READ_AT_ONCE):
        ended = [certificate for certificate, end, _entry in rows if end < at]
        yield len(rows), ended, b"".join([entry for _certificate, _end, entry in rows])


def since(connection: sa.Connection, shard: int | None, behind: int) -> list[bytes]:
    """What a delta list says: of each certificate that changed behind change ``behind``, its last entry."""
    rows = (
        _ALL[1].rows(connection, behind=behind)
        if shard is None
        else (_PART[1].rows(connection, behind=behind, part=shard))
    )
    return list({row.certificate: row.entry for row in rows}.values())


def last_withdrawal(connection: sa.Connection, shard: int | None) -> int:
    """The number of the newest change that a list tells, or 0."""
    found = _ALL[2].value(connection) if shard is None else _PART[2].value(connection, part=shard)
    return found or 0


def newest(connection: sa.Connection, shard: int | None, *, delta: bool) -> sa.Row[Any] | None:
    """The newest list of its sort, without its octets."""
    values = {} if shard is None else {"part": shard}
    return _NEWEST_OF[shard is None, delta].row(connection, **values)


def octets(connection: sa.Connection, row: int) -> bytes | None:
    """A list's octets."""
    found = _DER.value(connection, row=row)
    return None if found is None else bytes(found)


def intend(
    connection: sa.Connection, shard: int | None, base: int | None, number: int = 0
) -> tuple[int, int]:
    """Take a row for a list, and the next number unless one is given; the row and the number."""
    empty = {"this_update": 0, "next_update": 0, "upto": 0, "entries": 0}
    row = prepared.add(connection, CRLS, {"number": number, "shard": shard, "base": base, **empty})
    if not number:
        prepared.change(connection, CRLS, {"id": row}, {"number": row})
    return row, number or row


def put(
    connection: sa.Connection, row: int, shard: int | None, *, delta: bool, der: bytes, **values: object
) -> None:
    """Complete a row by its list and instants; the octets of earlier lists of its sort go.

    The octets are written into their place, where those of before were: SQLite would hold two more copies of
    a long list, and overwrite what it frees.
    """
    _FORGET[delta].run(connection, {"row": row, "part": -1 if shard is None else shard})
    prepared.change(connection, CRLS, {"id": row}, values)
    _ROOM.run(connection, {"row": row, "size": len(der)})
    octets = memoryview(der)
    with driver_of(connection).blobopen(CRLS.name, _C.der.name, row) as place:
        for start in range(0, len(der), _WRITTEN_AT_ONCE):
            place.write(octets[start : start + _WRITTEN_AT_ONCE])


def retire(connection: sa.Connection, shard: int | None, certificates: Iterable[int], upto: int) -> None:
    """They were on this list beyond their end, and need not be on another (RFC 5280, 3.3)."""
    _RETIRE[2 if shard is None else 1].run_all(
        connection, [{"row": one, "upto": upto} for one in certificates]
    )


def parts(connection: sa.Connection) -> set[int | None]:
    """Of which parts lists were made."""
    return set(_PARTS.column(connection))
