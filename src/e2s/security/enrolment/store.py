"""The tables of one component of enrolment: invitations, what was taken of them, and requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.instants import format_instant, parse_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given
from e2s.security.enrolment.invitations import Invitation

TABLES = sa.MetaData()
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

#: ``secret`` is sealed under the component's storage secret.
INVITATIONS = sa.Table(
    "invitations",
    TABLES,
    sa.Column("reference", _Text, primary_key=True),
    sa.Column("secret", _Octets, nullable=False),
    sa.Column("profile", _Text, nullable=False),
    sa.Column("names", _Text, nullable=False),
    sa.Column("confidence", _Text, nullable=False),
    sa.Column("uses", _Integer, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("until", _Text, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("title", _Text, nullable=False),
    sa.Column("withdrawn", _Integer, nullable=False, default=0),
    sqlite_with_rowid=False,
)
#: One row for each use: of a request, or of an account that asks many times.
CLAIMS = sa.Table(
    "claims",
    TABLES,
    sa.Column("reference", _Text, primary_key=True),
    sa.Column("profile", _Text, primary_key=True),
    sa.Column("claimant", _Octets, primary_key=True),
    sqlite_with_rowid=False,
)
#: ``id`` is the digest of door, who asks and transaction; ``proven``: ``request`` is a SubjectPublicKeyInfo.
REQUESTS = sa.Table(
    "requests",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Octets, nullable=False, unique=True),
    sa.Column("case", _Text, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("door", _Text, nullable=False),
    sa.Column("transaction", _Octets, nullable=False),
    sa.Column("who", _Text, nullable=False),
    sa.Column("reference", _Text, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("profile", _Text, nullable=False),
    sa.Column("names", _Text, nullable=False),
    sa.Column("subject", _Text, nullable=False),
    sa.Column("confidence", _Text, nullable=False),
    sa.Column("protection", _Text, nullable=False),
    sa.Column("spki", _Octets, nullable=False),
    sa.Column("request", _Octets, nullable=False),
    sa.Column("proven", _Integer, nullable=False),
    sa.Column("stated", _Octets),
    sa.Column("not_after", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("claimed", _Integer, nullable=False),
    sa.Column("serial", _Text, index=True),
    sa.Column("certificate", _Octets),
    sa.Column("rule", _Text, nullable=False, default=""),
    sa.Column("message", _Text, nullable=False, default=""),
    sa.Column("decision", _Octets),
    sa.Column("decided_by", _Text, nullable=False, default=""),
    sa.Index("request_state", "state", "n"),
    sa.Index("request_case", "case"),
)
OUTBOX = Outbox(outbox_table(TABLES))

_INVITATION = Prepared(sa.select(INVITATIONS).where(INVITATIONS.c.reference == given("called")))
_CLAIMS = CLAIMS.c
_OF_INVITATION = (_CLAIMS.reference == given("called"), _CLAIMS.profile == given("of"))
_USED = Prepared(sa.select(sa.func.count()).select_from(CLAIMS).where(*_OF_INVITATION))
_CLAIM = Prepared(CLAIMS.insert().prefix_with("OR IGNORE"), ("reference", "profile", "claimant"))
_CLAIMED = Prepared(sa.select(_CLAIMS.claimant).where(*_OF_INVITATION, _CLAIMS.claimant == given("by")))
_UNCLAIM = Prepared(CLAIMS.delete().where(*_OF_INVITATION, _CLAIMS.claimant == given("by")))
_REQUEST = Prepared(sa.select(REQUESTS).where(REQUESTS.c.id == given("called")))
_FORGET = Prepared(REQUESTS.delete().where(REQUESTS.c.id == given("called"), REQUESTS.c.state == "refused"))
_OF_SERIAL = Prepared(sa.select(REQUESTS).where(REQUESTS.c.serial == given("called")))
_IN_STATE = Prepared(
    sa.select(REQUESTS)
    .where(REQUESTS.c.state == given("in_state"), REQUESTS.c.n > given("after"))
    .order_by(REQUESTS.c.n)
    .limit(given("most"))
)


def add_invitation(connection: sa.Connection, invitation: Invitation, sealed: bytes) -> None:
    """Keep an invitation."""
    prepared.add(
        connection,
        INVITATIONS,
        {
            "reference": invitation.reference,
            "secret": sealed,
            "profile": invitation.profile,
            "names": json.dumps(invitation.names),
            "confidence": invitation.confidence,
            "uses": invitation.uses,
            "at": format_instant(invitation.at),
            "until": format_instant(invitation.until),
            "officer": invitation.officer,
            "title": invitation.title,
        },
    )


def invitation(connection: sa.Connection, reference: str) -> tuple[Invitation, bytes] | None:
    """The invitation of this reference and its sealed secret."""
    row = _INVITATION.row(connection, called=reference)
    return None if row is None else (_invitation(row), row.secret)


def invitations(connection: sa.Connection) -> list[tuple[Invitation, int]]:
    """Every invitation, the newest first, and how many uses of its profile were taken."""
    rows = connection.execute(
        sa.select(INVITATIONS).order_by(INVITATIONS.c.at.desc(), INVITATIONS.c.reference)
    )
    return [(_invitation(row), used(connection, row.reference, row.profile)) for row in rows]


def withdraw_invitation(connection: sa.Connection, reference: str) -> bool:
    """Take an invitation back; whether it was there and not yet taken back."""
    where = {"reference": reference, "withdrawn": 0}
    return prepared.change(connection, INVITATIONS, where, {"withdrawn": 1}) > 0


def used(connection: sa.Connection, reference: str, profile: str) -> int:
    """How many uses of an invitation were taken for this profile."""
    return int(_USED.value(connection, called=reference, of=profile))


def claim(connection: sa.Connection, reference: str, profile: str, claimant: bytes) -> None:
    """Take a use; who has it already takes no other."""
    _CLAIM.run(connection, {"reference": reference, "profile": profile, "claimant": claimant})


def claimed(connection: sa.Connection, reference: str, profile: str, claimant: bytes) -> bool:
    """Whether this one has a use already."""
    return _CLAIMED.value(connection, called=reference, of=profile, by=claimant) is not None


def unclaim(connection: sa.Connection, reference: str, profile: str, claimant: bytes) -> None:
    """Give a use back."""
    _UNCLAIM.run(connection, {"called": reference, "of": profile, "by": claimant})


def add_request(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """Keep a request that is new."""
    prepared.add(connection, REQUESTS, values)


def forget_refused(connection: sa.Connection, ident: bytes) -> None:
    """Make room for another try at what the CA refused."""
    _FORGET.run(connection, {"called": ident})


def request(connection: sa.Connection, ident: bytes) -> sa.Row[Any] | None:
    """The request of this id."""
    return _REQUEST.row(connection, called=ident)


def change_request(connection: sa.Connection, n: int, before: str, **values: object) -> bool:
    """Change a request that is in state ``before``; whether it was."""
    return prepared.change(connection, REQUESTS, {"n": n, "state": before}, values) > 0


def of_serial(connection: sa.Connection, serial: str) -> sa.Row[Any] | None:
    """The request that led to the certificate of this serial, in hexadecimal."""
    return _OF_SERIAL.row(connection, called=serial)


def in_state(connection: sa.Connection, state: str, *, after: int = 0, most: int = 1000) -> list[sa.Row[Any]]:
    """Requests in a state, the oldest first."""
    return _IN_STATE.rows(connection, in_state=state, after=after, most=most)


def of_case(connection: sa.Connection, case: str) -> sa.Row[Any] | None:
    """The request that people call so."""
    return connection.execute(sa.select(REQUESTS).where(REQUESTS.c.case == case)).one_or_none()


def _invitation(row: sa.Row[Any]) -> Invitation:
    return Invitation(
        reference=row.reference,
        profile=row.profile,
        names=tuple(json.loads(row.names)),
        confidence=row.confidence,
        uses=row.uses,
        at=parse_instant(row.at),
        until=parse_instant(row.until),
        officer=row.officer,
        title=row.title,
        withdrawn=bool(row.withdrawn),
    )
