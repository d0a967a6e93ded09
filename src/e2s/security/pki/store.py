"""The register of one CA: every certificate, every revocation, every list, and the events of each act.

Rows stand in the order in which they came; what is found by a random number is found by :mod:`finding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.outbox import outbox_table
from e2s.base.prepared import Prepared, given
from e2s.crypto.certificates import SERIAL_BYTES
from e2s.security.pki import finding
from e2s.security.pki.feed import Kind
from e2s.security.pki.finding import Finder, finding_tables

#: SQLite's own: 64 MB of pages in memory, and the log written back at 16 MB.
TABLES = sa.MetaData(info={"pragmas": ("cache_size=-65536", "wal_autocheckpoint=4096")})


#: What is being signed, as MessagePack, a row for each group and called by its first serial: it goes as the
#: certificates come, so that there are only ever a few.
INTENTS = sa.Table(
    "intents",
    TABLES,
    sa.Column("name", sa.LargeBinary, primary_key=True),
    sa.Column("rows", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
#: ``spki`` and ``approval`` are SHA-256 digests; ``der`` is absent of a serial that was never recorded.
CERTIFICATES = sa.Table(
    "certificates",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("serial", sa.LargeBinary, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("use", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("spki", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("shard", sa.Integer),
    sa.Column("registration", sa.Text, nullable=False),
    sa.Column("approval", sa.LargeBinary, nullable=False),
    sa.Column("not_after", sa.Integer, nullable=False),
    sa.Column("der", sa.LargeBinary),
)
#: The feed; numbers have no gaps.
CHANGES = sa.Table(
    "changes",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Integer, nullable=False),
    sa.Column("certificate", sa.Integer, nullable=False),
)
#: Of each change that is no issue: what a delta list says of it.
WITHDRAWALS = sa.Table(
    "withdrawals",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("shard", sa.Integer),
    sa.Column("certificate", sa.Integer, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Index("withdrawals_of_shard", "shard", "number"),
)
#: What is revoked or held now; ``retired``: 1 once it was on its part's list beyond its certificate's end,
#: and 2 once it was on the list of all parts.
REVOCATIONS = sa.Table(
    "revocations",
    TABLES,
    sa.Column("certificate", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("shard", sa.Integer),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("invalidity", sa.Integer),
    sa.Column("not_after", sa.Integer, nullable=False),
    sa.Column("retired", sa.Integer, nullable=False, default=0),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Index("revocations_of_shard", "shard", "certificate"),
)
#: ``base`` is the number of the complete list that a delta list changes; ``upto`` the last change in a list.
CRLS = sa.Table(
    "crls",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("shard", sa.Integer),
    sa.Column("base", sa.Integer),
    sa.Column("this_update", sa.Integer, nullable=False),
    sa.Column("next_update", sa.Integer, nullable=False),
    sa.Column("upto", sa.Integer, nullable=False),
    sa.Column("entries", sa.Integer, nullable=False),
    sa.Column("der", sa.LargeBinary),
    sa.Index("crls_of_shard", "shard", "id"),
    sqlite_autoincrement=True,
)
#: What officers signed, as it came, by the digest of its content.
WORDS = sa.Table(
    "words",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)
OUTBOX = outbox_table(TABLES)
_FOUND, _INDEXED = finding_tables(TABLES)

_INTENTS = Prepared(sa.select(INTENTS))
_DROP = Prepared(INTENTS.delete().where(INTENTS.c.name == given("called")))
_LAST_ID = Prepared(sa.select(sa.func.max(CERTIFICATES.c.id)))
_LAST_CHANGE = Prepared(sa.select(sa.func.max(CHANGES.c.number)))
_BY_ID = Prepared(sa.select(CERTIFICATES).where(CERTIFICATES.c.id == given("row")))
_USE = Prepared(sa.select(CERTIFICATES.c.spki, CERTIFICATES.c.use).where(CERTIFICATES.c.id == given("row")))
_REVOCATION = Prepared(sa.select(REVOCATIONS).where(REVOCATIONS.c.certificate == given("row")))
_RELEASE = Prepared(REVOCATIONS.delete().where(REVOCATIONS.c.certificate == given("row")))
_REVOKE = Prepared(
    REVOCATIONS.insert().prefix_with("OR REPLACE"),
    ("certificate", "number", "shard", "at", "reason", "invalidity", "not_after", "entry"),
)
_WORD = Prepared(sa.select(WORDS.c.at).where(WORDS.c.digest == given("word")))
_PUT_WORD = Prepared(WORDS.insert().prefix_with("OR IGNORE"), ("digest", "at", "octets"))
_FEED = Prepared(
    sa.select(
        CHANGES.c.number,
        CHANGES.c.kind,
        CERTIFICATES.c.serial,
        CERTIFICATES.c.der,
        WITHDRAWALS.c.entry,
    )
    .select_from(
        CHANGES.join(CERTIFICATES, CERTIFICATES.c.id == CHANGES.c.certificate).outerjoin(
            WITHDRAWALS, WITHDRAWALS.c.number == CHANGES.c.number
        )
    )
    .where(CHANGES.c.number > given("after"))
    .order_by(CHANGES.c.number)
    .limit(given("most"))
)


def finder() -> Finder:
    """Finds certificates by serial, key and approval; one for each register that is open."""
    return Finder(CERTIFICATES, _FOUND, _INDEXED)


def serial_octets(serial: int) -> bytes:
    """A serial as it is kept, whole."""
    return serial.to_bytes(max(SERIAL_BYTES, (serial.bit_length() + 7) // 8), "big")


def seconds(at: datetime) -> int:
    """An instant as it is kept."""
    return int(at.timestamp())


def instant(kept: int) -> datetime:
    """An instant as it was."""
    return datetime.fromtimestamp(kept, UTC)


def intend(connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> bytes:
    """Note certificates before their signatures are made, all that is known of them; what names the note."""
    name: bytes = bytes(rows[0]["serial"])  # type: ignore[call-overload]  # as it is kept
    prepared.add(connection, INTENTS, {"name": name, "rows": msgspec.msgpack.encode(rows)})
    return name


def all_intents(connection: sa.Connection) -> list[tuple[bytes, list[dict[str, Any]]]]:
    """What is being signed, or was when the process died, by name."""
    return [(row.name, msgspec.msgpack.decode(row.rows)) for row in _INTENTS.rows(connection)]


def intents(connection: sa.Connection) -> list[dict[str, Any]]:
    """The same, without names."""
    return [one for _name, rows in all_intents(connection) for one in rows]


def dropped(connection: sa.Connection, name: bytes) -> bool:
    """Remove an intent; whether it was still there."""
    return _DROP.run(connection, {"called": name}) > 0


def issued(connection: sa.Connection, rows: Sequence[dict[str, object]]) -> None:
    """Record certificates, rows of all columns of :data:`CERTIFICATES` but ``id``, and that they came."""
    first = _record(connection, rows)
    number = last_change(connection) + 1
    prepared.add_all(
        connection,
        CHANGES,
        [
            {"number": number + place, "kind": Kind.ISSUED.value, "certificate": first + place}
            for place in range(len(rows))
        ],
    )


def voided(connection: sa.Connection, row: dict[str, object]) -> sa.Row[Any]:
    """Record a serial that has no certificate, so that it can be revoked."""
    found = _BY_ID.row(connection, row=_record(connection, [{**row, "der": None}]))
    assert found is not None  # noqa: S101 - it was just inserted
    return found


def _record(connection: sa.Connection, rows: Sequence[dict[str, object]]) -> int:
    """Add certificates at the end; the number of the first."""
    first = (_LAST_ID.value(connection) or 0) + 1
    for number, row in enumerate(rows, first):
        row["id"] = number
    prepared.add_all(connection, CERTIFICATES, rows)
    return first


def last_change(connection: sa.Connection) -> int:
    """The number of the newest change, or 0."""
    return _LAST_CHANGE.value(connection) or 0


def uses_of_keys(connection: sa.Connection, found: Finder, spkis: Iterable[bytes]) -> set[tuple[bytes, str]]:
    """What the keys of these digests are already certified to do: pairs of a digest and a use."""
    numbers = list(map(finding.of_key, spkis))
    candidates = {one for some in found.all_ids(connection, numbers).values() for one in some}
    rows = [_USE.row(connection, row=one) for one in candidates]
    return {(row.spki, row.use) for row in rows if row is not None}


def of_key(connection: sa.Connection, found: Finder, spki: bytes, profile: str) -> list[str]:
    """Serials, in hexadecimal, of the certificates of the key of this digest for ``profile``."""
    rows = [_BY_ID.row(connection, row=one) for one in found.ids(connection, finding.of_key(spki))]
    return [
        f"{int.from_bytes(row.serial, 'big'):x}"
        for row in rows
        if row is not None and row.spki == spki and row.profile == profile and row.der
    ]


def of_approval(connection: sa.Connection, found: Finder, approval: bytes, spki: bytes) -> bytes | None:
    """The certificate, DER, that an approval led to for the key of this digest."""
    for one in found.ids(connection, finding.of_approval(approval, spki)):
        row = _BY_ID.row(connection, row=one)
        if row is not None and (row.approval, row.spki) == (approval, spki) and row.der:
            return bytes(row.der)
    return None


def by_serial(connection: sa.Connection, found: Finder, serial: int) -> sa.Row[Any] | None:
    """The certificate of this serial."""
    octets = serial_octets(serial)
    for one in found.ids(connection, finding.of_serial(serial)):
        row = _BY_ID.row(connection, row=one)
        if row is not None and row.serial == octets:
            return row
    return None


def valid(connection: sa.Connection, at: datetime) -> Iterator[Any]:
    """Certificates that are neither revoked nor expired, in the order of their issue."""
    table = CERTIFICATES.c
    chosen = (
        sa.select(table.serial, table.profile, table.name, table.spki, table.der, table.not_after)
        .outerjoin(REVOCATIONS, REVOCATIONS.c.certificate == table.id)
        .where(REVOCATIONS.c.certificate.is_(None), table.der.is_not(None), table.not_after > seconds(at))
        .order_by(table.id)
    )
    yield from connection.execute(chosen)


def revocation(connection: sa.Connection, certificate: int) -> sa.Row[Any] | None:
    """How the certificate of this number is revoked or held, if it is."""
    return _REVOCATION.row(connection, row=certificate)


def withdraw(
    connection: sa.Connection,
    certificate: sa.Row[Any],
    kind: Kind,
    entry: bytes,
    *,
    at: datetime,
    reason: str,
    invalidity: datetime | None = None,
) -> None:
    """Note that a certificate is revoked, held or released from now on, and what a delta list says of it."""
    number = last_change(connection) + 1
    change = {"number": number, "kind": kind.value, "certificate": certificate.id}
    prepared.add(connection, CHANGES, change)
    told = {"number": number, "shard": certificate.shard, "certificate": certificate.id, "entry": entry}
    prepared.add(connection, WITHDRAWALS, told)
    if kind is Kind.RELEASED:
        _RELEASE.run(connection, {"row": certificate.id})
        return
    values = {
        "at": seconds(at),
        "reason": reason,
        "invalidity": None if invalidity is None else seconds(invalidity),
        "not_after": certificate.not_after,
    }
    _REVOKE.run(connection, {**told, **values})


def changes(connection: sa.Connection, after: int, most: int) -> Iterator[tuple[Any, ...]]:
    """The feed behind number ``after``: number, kind, serial, der and, of what is no issue, entry."""
    yield from _FEED.cursor(connection, {"after": after, "most": most})


def put_word(connection: sa.Connection, digest: bytes, octets: bytes, at: datetime) -> bool:
    """Keep what an officer signed; False if it was kept before."""
    return _PUT_WORD.run(connection, {"digest": digest, "at": seconds(at), "octets": octets}) > 0


def word_at(connection: sa.Connection, digest: bytes) -> datetime | None:
    """When a word was obeyed, if it was."""
    found = _WORD.value(connection, word=digest)
    return None if found is None else instant(found)
