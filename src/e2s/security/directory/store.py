"""What a directory is to hold: every certificate and list by the key of its entry, and what waits to be sent.

It follows from the CA's feed alone.  A certificate that was withdrawn stays here until it ends, since it may
have been held only; in the directory it is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base.outbox import outbox_table
from e2s.base.prepared import Prepared, given

TABLES = sa.MetaData()
#: ``role`` is a :class:`~e2s.security.directory.entries.Role`; ``standing`` is 1 until it is withdrawn;
#: ``facts`` what its entry says of it, as MessagePack.
HELD = sa.Table(
    "held",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, index=True),
    sa.Column("role", sa.Integer, nullable=False),
    sa.Column("ca", sa.LargeBinary, nullable=False),
    sa.Column("serial", sa.LargeBinary, nullable=False),
    sa.Column("standing", sa.Integer, nullable=False),
    sa.Column("not_after", sa.Integer, nullable=False, index=True),
    sa.Column("facts", sa.LargeBinary, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Index("held_of_serial", "serial", "ca", unique=True),
)
#: ``shard`` is -1 for the list of all; of each sort of a CA's lists the newest.
LISTED = sa.Table(
    "listed",
    TABLES,
    sa.Column("ca", sa.LargeBinary, primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True),
    sa.Column("delta", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
)
FOLLOWED = sa.Table(
    "followed",
    TABLES,
    sa.Column("ca", sa.LargeBinary, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
#: Entries that the directory would not take: they keep nobody waiting, and are told.
REFUSED = sa.Table(
    "refused",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
)
SETTING = sa.Table(
    "setting",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
OUTBOX = outbox_table(TABLES)

_ROW = ("key", "role", "ca", "serial", "standing", "not_after", "facts", "der")
_HOLD = Prepared(HELD.insert().prefix_with("OR REPLACE"), _ROW)
_meant = (
    sa.select(HELD.c.der)
    .where(HELD.c.serial == given("of_serial"), HELD.c.ca == given("of_ca"))
    .scalar_subquery()
)
_STAND = Prepared(
    HELD.update()
    .where(HELD.c.serial == given("of_serial"), HELD.c.der == _meant.correlate(None))
    .values(standing=given("stands"))
)
_GONE = Prepared(
    sa.select(HELD.c.id).where(
        HELD.c.serial == given("serial"), HELD.c.der == given("octets"), HELD.c.standing == 0
    )
)
_KEY = Prepared(sa.select(HELD.c.key).where(HELD.c.serial == given("serial"), HELD.c.ca == given("ca")))
_keys = sa.func.json_each(given("keys")).table_valued("value")
_OF_KEYS = Prepared(
    sa.select(HELD.c.key, HELD.c.role, HELD.c.der, HELD.c.facts)
    .where(HELD.c.key.in_(sa.select(_keys.c.value)), HELD.c.standing == 1)
    .order_by(HELD.c.id)
)
_LISTS_OF_KEYS = Prepared(
    sa.select(LISTED.c.key, LISTED.c.delta, LISTED.c.der)
    .where(LISTED.c.key.in_(sa.select(_keys.c.value)))
    .order_by(LISTED.c.ca, LISTED.c.shard)
)
_STANDING_KEYS = Prepared(sa.select(HELD.c.key).where(HELD.c.standing == 1).distinct())
_LISTED_KEYS = Prepared(sa.select(LISTED.c.key).distinct())
_REFUSED_KEYS = Prepared(sa.select(REFUSED.c.key, REFUSED.c.rule).order_by(REFUSED.c.key))
_COUNT = {table.name: Prepared(sa.select(sa.func.count()).select_from(table)) for table in (LISTED, REFUSED)}
_COUNT_HELD = Prepared(sa.select(sa.func.count()).select_from(HELD).where(HELD.c.standing == 1))
_WAITING = Prepared(
    sa.select(sa.func.count()).select_from(OUTBOX).where(OUTBOX.c.topic.in_(("entry", "list")))
)
_OF_CA = Prepared(sa.select(HELD.c.serial, HELD.c.standing, HELD.c.der).where(HELD.c.ca == given("ca")))
_ENDED = Prepared(
    sa.select(HELD.c.id, HELD.c.key)
    .where(HELD.c.not_after < given("before"))
    .order_by(HELD.c.not_after)
    .limit(given("most"))
)
_FORGET = Prepared(HELD.delete().where(HELD.c.id == given("row")))
_LISTED = Prepared(
    LISTED.insert().prefix_with("OR REPLACE"), ("ca", "shard", "delta", "key", "number", "der")
)
_LABELS = Prepared(
    sa.select(LISTED.c.shard, LISTED.c.delta, LISTED.c.number).where(LISTED.c.ca == given("ca"))
)
_LIST = Prepared(
    sa.select(LISTED.c.der).where(
        LISTED.c.ca == given("ca"), LISTED.c.shard == given("shard"), LISTED.c.delta == given("delta")
    )
)
_NUMBER = Prepared(sa.select(FOLLOWED.c.number).where(FOLLOWED.c.ca == given("ca")))
_FOLLOW = Prepared(FOLLOWED.insert().prefix_with("OR REPLACE"), ("ca", "number"))
_REFUSE = Prepared(REFUSED.insert().prefix_with("OR REPLACE"), ("key", "rule", "at"))
_ALLOW = Prepared(REFUSED.delete().where(REFUSED.c.key == given("key")))
_SETTING = Prepared(sa.select(SETTING.c.value).where(SETTING.c.name == given("name")))
_SET = Prepared(SETTING.insert().prefix_with("OR REPLACE"), ("name", "value"))


def serial_octets(serial: int) -> bytes:
    """A serial as it is kept."""
    return serial.to_bytes((serial.bit_length() + 7) // 8 or 1, "big")


def hold(connection: sa.Connection, rows: Iterable[Mapping[str, object]]) -> None:
    """Note certificates, rows of all columns of :data:`HELD` but ``id``; repeating it changes nothing."""
    _HOLD.run_all(connection, rows)


def stand(connection: sa.Connection, ca: bytes, serial: int, *, standing: bool) -> str | None:
    """Note that a certificate was withdrawn, or stands again, also where it is noted as a CA above another.

    Gives the key of its entry, None of an unknown one.
    """
    octets = serial_octets(serial)
    found = _KEY.value(connection, serial=octets, ca=ca)
    if found is not None:
        _STAND.run(connection, {"of_serial": octets, "of_ca": ca, "stands": int(standing)})
    return None if found is None else str(found)


def withdrawn(connection: sa.Connection, serial: int, der: bytes) -> bool:
    """Whether the certificate was withdrawn by the CA that issued it, as far as that is followed."""
    return _GONE.value(connection, serial=serial_octets(serial), octets=der) is not None


def held(connection: sa.Connection, keys: Sequence[str]) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Key, role, DER and facts of the certificates that stand in these entries, the first issued first."""
    yield from _OF_KEYS.cursor(connection, {"keys": json.dumps(list(keys))})


def lists(connection: sa.Connection, keys: Sequence[str]) -> list[sa.Row[Any]]:
    """Key, whether it changes another, and DER of the lists of these entries."""
    return _LISTS_OF_KEYS.rows(connection, keys=json.dumps(list(keys)))


def all_keys(connection: sa.Connection) -> set[str]:
    """The keys of all entries that are to hold something."""
    return {*_STANDING_KEYS.column(connection), *_LISTED_KEYS.column(connection)}


def all_held(connection: sa.Connection, ca: bytes) -> Iterator[tuple[bytes, bool, bytes]]:
    """Serial, standing and DER of every certificate of a CA, a row at a time."""
    for serial, standing, der in _OF_CA.cursor(connection, {"ca": ca}):
        yield serial, bool(standing), der


def end(connection: sa.Connection, before: datetime, most: int) -> list[str]:
    """Forget certificates that ended before that, at most so many; the keys of their entries."""
    rows = _ENDED.rows(connection, before=seconds(before), most=most)
    _FORGET.run_all(connection, [{"row": row.id} for row in rows])
    return [row.key for row in rows]


def put_list(
    connection: sa.Connection, ca: bytes, shard: int | None, key: str, *, delta: bool, number: int, der: bytes
) -> None:
    """Let a list take the place of the one before."""
    values = {"ca": ca, "shard": _part(shard), "delta": int(delta)}
    _LISTED.run(connection, {**values, "key": key, "number": number, "der": der})


def labels(connection: sa.Connection, ca: bytes) -> frozenset[tuple[int | None, bool, int]]:
    """Part, kind and number of the lists that are held of a CA."""
    rows = _LABELS.rows(connection, ca=ca)
    return frozenset((None if row.shard < 0 else row.shard, bool(row.delta), row.number) for row in rows)


def list_octets(connection: sa.Connection, ca: bytes, shard: int | None, *, delta: bool) -> bytes | None:
    """The list that is held of a part, if there is one."""
    found = _LIST.value(connection, ca=ca, shard=_part(shard), delta=int(delta))
    return None if found is None else bytes(found)


def followed(connection: sa.Connection, ca: bytes) -> int:
    """The number of the CA's last change that was taken; 0 before the first."""
    return _NUMBER.value(connection, ca=ca) or 0


def follow(connection: sa.Connection, ca: bytes, number: int) -> None:
    """Note how far the CA was followed, in the transaction of what was taken."""
    _FOLLOW.run(connection, {"ca": ca, "number": number})


def settle(connection: sa.Connection, keys: Iterable[str], refused: Mapping[str, str], at: datetime) -> None:
    """Note what the directory took, and what it would not."""
    _ALLOW.run_all(connection, [{"key": key} for key in keys])
    _REFUSE.run_all(
        connection, [{"key": key, "rule": rule, "at": seconds(at)} for key, rule in refused.items()]
    )


def refused(connection: sa.Connection) -> dict[str, str]:
    """The keys of entries that the directory would not take, with the rule."""
    return {row.key: row.rule for row in _REFUSED_KEYS.rows(connection)}


def setting(connection: sa.Connection, name: str) -> str:
    """What was set, or the empty string."""
    return _SETTING.value(connection, name=name) or ""


def set_to(connection: sa.Connection, name: str, value: str) -> None:
    """Set it."""
    _SET.run(connection, {"name": name, "value": value})


def counts(connection: sa.Connection) -> dict[str, int]:
    """How much is held, waits, and was refused."""
    return {
        "certificates": _COUNT_HELD.value(connection),
        "lists": _COUNT["listed"].value(connection),
        "waiting": _WAITING.value(connection),
        "refused": _COUNT["refused"].value(connection),
    }


def seconds(at: datetime) -> int:
    """An instant as it is kept."""
    return int(at.timestamp())


def _part(shard: int | None) -> int:
    return -1 if shard is None else shard
