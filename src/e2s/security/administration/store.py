"""The versions and proposals of policies: queries, on the open connection of the act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.prepared import Prepared, given
from e2s.security.administration.tables import DECISION, PROPOSAL, VERSION

_NEWEST = Prepared(
    sa.select(VERSION).where(VERSION.c.subject == given("of")).order_by(VERSION.c.number.desc()).limit(1)
)
_VERSION = Prepared(
    sa.select(VERSION).where(VERSION.c.subject == given("of"), VERSION.c.number == given("which"))
)
_APPLYING = Prepared(sa.select(VERSION).where(VERSION.c.state == given("which")).order_by(VERSION.c.n))
_PROPOSAL = Prepared(sa.select(PROPOSAL).where(PROPOSAL.c.n == given("which")))
_PROPOSAL_ID = Prepared(sa.select(PROPOSAL).where(PROPOSAL.c.id == given("which")))
_DECISION = Prepared(sa.select(DECISION.c.proposal).where(DECISION.c.id == given("which")))


def newest(connection: sa.Connection, subject: str) -> sa.Row[Any] | None:
    """The newest version of a policy."""
    return _NEWEST.row(connection, of=subject)


def version(connection: sa.Connection, subject: str, number: int) -> sa.Row[Any] | None:
    """One version of a policy."""
    return _VERSION.row(connection, of=subject, which=number)


def versions(connection: sa.Connection, subject: str, most: int = 200) -> list[sa.Row[Any]]:
    """The versions of a policy, the newest first."""
    chosen = sa.select(VERSION).where(VERSION.c.subject == subject).order_by(VERSION.c.number.desc())
    return list(connection.execute(chosen.limit(most)))


def applying(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Versions that are decided and whose files may not have them."""
    return _APPLYING.rows(connection, which="applying")


def add_version(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A version; its number in the table."""
    return prepared.add(connection, VERSION, values)


def applied(connection: sa.Connection, n: int) -> None:
    """The version's file has it."""
    prepared.change(connection, VERSION, {"n": n}, {"state": "standing"})


def add_proposal(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A proposal; its number."""
    return prepared.add(connection, PROPOSAL, values)


def proposal(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The proposal of this number."""
    return _PROPOSAL.row(connection, which=n)


def proposal_called(connection: sa.Connection, ident: str) -> sa.Row[Any] | None:
    """The proposal that this word made."""
    return _PROPOSAL_ID.row(connection, which=ident)


def proposals(connection: sa.Connection, *, state: str = "", most: int = 200) -> list[sa.Row[Any]]:
    """The newest proposals first, of a state where given."""
    chosen = sa.select(PROPOSAL).order_by(PROPOSAL.c.n.desc()).limit(most)
    if state:
        chosen = chosen.where(PROPOSAL.c.state == state)
    return list(connection.execute(chosen))


def decide(connection: sa.Connection, n: int, values: Mapping[str, object]) -> None:
    """What became of a proposal."""
    prepared.change(connection, PROPOSAL, {"n": n}, values)


def decision(connection: sa.Connection, ident: str) -> int | None:
    """Which proposal this word decided on, if it was taken before."""
    found: int | None = _DECISION.value(connection, which=ident)
    return found


def add_decision(connection: sa.Connection, ident: str, n: int, octets: bytes) -> None:
    """Keep an officer's signed decision."""
    prepared.add(connection, DECISION, {"id": ident, "proposal": n, "octets": octets})
