"""The register of a registration authority: its queries, on the open connection of the act."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.prepared import Prepared, given
from e2s.base.wire import Document, b64u
from e2s.security.registration.naming import Owner
from e2s.security.registration.tables import (
    APPROVAL,
    CASE,
    DOCUMENT,
    EVIDENCE,
    HOLDER,
    NAME,
    SETTING,
    WITHDRAWAL,
    WORD,
)

_SETTING = Prepared(sa.select(SETTING.c.value).where(SETTING.c.name == given("which")))
_CASE = Prepared(sa.select(CASE).where(CASE.c.id == given("which")))
_CASE_N = Prepared(sa.select(CASE).where(CASE.c.n == given("which")))
_LIVE_KEY = Prepared(
    sa.select(CASE.c.id)
    .where(CASE.c.spki == given("key"), CASE.c.state.not_in(("refused", "withdrawn")))
    .limit(1)
)
_EVIDENCE = Prepared(
    sa.select(EVIDENCE.c.record, EVIDENCE.c.digest, EVIDENCE.c.document)
    .where(EVIDENCE.c.case == given("which"))
    .order_by(EVIDENCE.c.n)
)
_OWNER = Prepared(sa.select(NAME.c.name, NAME.c.holder).where(NAME.c.key == given("which")))
_DOCUMENT = Prepared(sa.select(DOCUMENT.c.holder).where(DOCUMENT.c.digest == given("which")))
_NAME_OF = Prepared(
    sa.select(NAME.c.name)
    .where(NAME.c.holder == given("who"), NAME.c.party == given("where"), NAME.c.key.like("urn:%"))
    .limit(1)
)
_OF_APPROVAL = Prepared(sa.select(CASE).where(CASE.c.approval == given("which")).order_by(CASE.c.n))
_APPROVAL = Prepared(sa.select(APPROVAL).where(APPROVAL.c.digest == given("which")))
_APPROVAL_N = Prepared(sa.select(APPROVAL).where(APPROVAL.c.n == given("which")))
_APPROVALS = Prepared(
    sa.select(APPROVAL).where(APPROVAL.c.state == given("which")).order_by(APPROVAL.c.n).limit(given("most"))
)
_LAPSING = Prepared(
    sa.select(APPROVAL.c.n).where(
        APPROVAL.c.state.in_(("drafted", "once", "ready")), APPROVAL.c.until <= given("now")
    )
)
_BY_SERIAL = Prepared(sa.select(CASE).where(CASE.c.serial == given("which")))
_BATCH = Prepared(sa.select(CASE).where(CASE.c.batch == given("which")).order_by(CASE.c.line))
_BATCH_NAMED = Prepared(
    sa.select(CASE)
    .where(
        CASE.c.batch == given("which"),
        CASE.c.state == sa.literal_column("'named'"),
        CASE.c.officer == given("who"),
    )
    .order_by(CASE.c.line)
    .limit(given("most"))
)
_BATCH_LINES = Prepared(
    sa.select(CASE.c.line).where(CASE.c.batch == given("which"), CASE.c.line >= given("first"))
)
_WORD = Prepared(sa.select(WORD.c.id).where(WORD.c.id == given("which")))
_WITHDRAWAL = Prepared(sa.select(WITHDRAWAL).where(WITHDRAWAL.c.digest == given("which")))
_WITHDRAWALS = Prepared(
    sa.select(WITHDRAWAL)
    .where(WITHDRAWAL.c.state == given("which"))
    .order_by(WITHDRAWAL.c.n)
    .limit(given("most"))
)


# ---------------------------------------------------------------- settings
def setting(connection: sa.Connection, name: str) -> bytes | None:
    """The value of a setting."""
    found: bytes | None = _SETTING.value(connection, which=name)
    return found


def put_setting(connection: sa.Connection, name: str, value: bytes) -> None:
    """Note a setting that was not there."""
    prepared.add(connection, SETTING, {"name": name, "value": value})


def set_setting(connection: sa.Connection, name: str, value: bytes) -> None:
    """Note a setting, in place of what it was."""
    if not prepared.change(connection, SETTING, {"name": name}, {"value": value}):
        put_setting(connection, name, value)


# ---------------------------------------------------------------- cases
def add_case(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A new case; its number."""
    return prepared.add(connection, CASE, values)


def case(connection: sa.Connection, ident: str) -> sa.Row[Any] | None:
    """The case called ``ident``."""
    return _CASE.row(connection, which=ident)


def case_numbered(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The case of this number in the register."""
    return _CASE_N.row(connection, which=n)


def change_case(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, CASE, {"n": n}, values)


def case_of_key(connection: sa.Connection, spki: bytes) -> str:
    """A case under way or certified for this key, or the empty string."""
    return _LIVE_KEY.value(connection, key=spki) or ""


def case_of_serial(connection: sa.Connection, serial: str) -> sa.Row[Any] | None:
    """The case whose certificate has this serial, in hexadecimal."""
    return _BY_SERIAL.row(connection, which=serial)


def cases(
    connection: sa.Connection, *, state: str = "", batch: str = "", most: int = 200
) -> list[sa.Row[Any]]:
    """The newest cases first, of a state or batch where given."""
    chosen = sa.select(CASE).order_by(CASE.c.n.desc()).limit(most)
    if state:
        chosen = chosen.where(CASE.c.state == state)
    if batch:
        chosen = chosen.where(CASE.c.batch == batch)
    return list(connection.execute(chosen))


def counts(connection: sa.Connection, batch: str = "") -> dict[str, int]:
    """How many cases are in each state."""
    chosen = sa.select(CASE.c.state, sa.func.count()).group_by(CASE.c.state)
    if batch:
        chosen = chosen.where(CASE.c.batch == batch)
    return {row[0]: row[1] for row in connection.execute(chosen)}


def batch_lines(connection: sa.Connection, batch: str, first: int = 0) -> set[int]:
    """The lines of a batch, from ``first``, that are cases already."""
    return set(_BATCH_LINES.column(connection, which=batch, first=first))


def batch_cases(connection: sa.Connection, batch: str) -> Iterator[sa.Row[Any]]:
    """The cases of a batch by line."""
    return iter(_BATCH.rows(connection, which=batch))


def batch_named(connection: sa.Connection, batch: str, officer: str, most: int) -> list[sa.Row[Any]]:
    """The cases of a batch that wait for this officer's approval."""
    return _BATCH_NAMED.rows(connection, which=batch, who=officer, most=most)


def add_word(connection: sa.Connection, ident: str, n: int, octets: bytes) -> None:
    """Keep an officer's signed word about case ``n``."""
    prepared.add(connection, WORD, {"id": ident, "case": n, "octets": octets})


def knows_word(connection: sa.Connection, ident: str) -> bool:
    """Whether this word was taken before."""
    return _WORD.value(connection, which=ident) is not None


def words(connection: sa.Connection, n: int) -> list[bytes]:
    """The words about a case, in their order."""
    rows = connection.execute(
        sa.select(WORD.c.octets).where(WORD.c.case == n).order_by(sa.literal_column("rowid"))
    )
    return [row.octets for row in rows]


# ---------------------------------------------------------------- evidence and names
def add_evidence(connection: sa.Connection, n: int, record: bytes, digest: bytes, document: str) -> None:
    """``document`` is the keyed digest where the kind of evidence identifies a person, else empty."""
    values = {"case": n, "record": record, "digest": digest, "document": document}
    prepared.add(connection, EVIDENCE, values)


def evidence(connection: sa.Connection, n: int) -> list[sa.Row[Any]]:
    """What was seen for a case: record, digest and document."""
    return _EVIDENCE.rows(connection, which=n)


class Register:
    """The names and persons in the register, on one open connection (:class:`~naming.Book`)."""

    def __init__(self, connection: sa.Connection) -> None:
        """On the act's own connection."""
        self._connection = connection

    def owner(self, key: str) -> Owner | None:
        """Who has the name that looks like this."""
        row = _OWNER.row(self._connection, which=key)
        return None if row is None else Owner(row.name, row.holder)

    def holder(self, document: bytes) -> int | None:
        """The person whose document this is."""
        found: int | None = _DOCUMENT.value(self._connection, which=b64u(document))
        return found

    def name_of(self, holder: int, party: str) -> str:
        """The name that this person has at the party, or the empty string."""
        return _NAME_OF.value(self._connection, who=holder, where=party) or ""

    def give(self, key: str, name: str, party: str, holder: int | None, at: datetime) -> int:
        """Give a name for ever, to a new person where ``holder`` is None; the person's number."""
        if holder is None:
            holder = prepared.add(self._connection, HOLDER, {"at": at.isoformat()})
        values = {"key": key, "name": name, "party": party, "holder": holder, "at": at.isoformat()}
        prepared.add(self._connection, NAME, values)
        return holder

    def identify(self, documents: Sequence[str], holder: int) -> None:
        """These documents are that person's."""
        for document in documents:
            if _DOCUMENT.value(self._connection, which=document) is None:
                prepared.add(self._connection, DOCUMENT, {"digest": document, "holder": holder})


# ---------------------------------------------------------------- approvals
def add_approval(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A drafted approval; its number."""
    return prepared.add(connection, APPROVAL, values)


def approval(connection: sa.Connection, digest: bytes) -> sa.Row[Any] | None:
    """The approval of this content."""
    return _APPROVAL.row(connection, which=digest)


def approval_numbered(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The approval of this number."""
    return _APPROVAL_N.row(connection, which=n)


def approvals(connection: sa.Connection, state: str, most: int = 1000) -> list[sa.Row[Any]]:
    """The approvals in a state, the oldest first."""
    return _APPROVALS.rows(connection, which=state, most=most)


def lapsing(connection: sa.Connection, now: str) -> list[int]:
    """Approvals that were not used in time."""
    return _LAPSING.column(connection, now=now)


def change_approval(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, APPROVAL, {"n": n}, values)


def cases_of(connection: sa.Connection, approval_n: int) -> list[sa.Row[Any]]:
    """The cases of an approval, in the order of their opening."""
    return _OF_APPROVAL.rows(connection, which=approval_n)


# ---------------------------------------------------------------- withdrawals
def add_withdrawal(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A withdrawal that waits for the CA; its number."""
    return prepared.add(connection, WITHDRAWAL, values)


def withdrawal(connection: sa.Connection, digest: bytes) -> sa.Row[Any] | None:
    """The withdrawal of this content."""
    return _WITHDRAWAL.row(connection, which=digest)


def withdrawals(connection: sa.Connection, state: str, most: int = 1000) -> list[sa.Row[Any]]:
    """The withdrawals in a state, the oldest first."""
    return _WITHDRAWALS.rows(connection, which=state, most=most)


def change_withdrawal(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, WITHDRAWAL, {"n": n}, values)


def further_of(row: sa.Row[Any]) -> list[str]:
    """The further names of a case."""
    found: list[str] = json.loads(row.further)
    return found


def order_of(row: sa.Row[Any], digests: Sequence[bytes], names: Sequence[str]) -> Document:
    """What an approval says of a case, from the register as it stands now."""
    return {
        "case": row.id,
        "profile": row.profile,
        "names": list(names),
        "spki": b64u(row.spki),
        "confidence": row.confidence,
        "evidence": [b64u(digest) for digest in digests],
    }
