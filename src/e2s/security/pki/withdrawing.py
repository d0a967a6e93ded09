"""A certificate is revoked for good, or held until it is released; lists tell it from then on."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.errors import Fact, Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.security.pki import store
from e2s.security.pki.feed import Kind
from e2s.security.pki.office import RIGHTS, Office
from e2s.security.status.entries import Entry, encode
from e2s.security.status.lists import reason_flag
from e2s.security.verification.crls import HELD, REMOVED

#: The acts by name.
ACTS: Final = MappingProxyType({"revoke": Kind.REVOKED, "hold": Kind.HELD, "release": Kind.RELEASED})
_EVENTS: Final = MappingProxyType(
    {
        Kind.REVOKED: "certificate.revoked",
        Kind.HELD: "certificate.held",
        Kind.RELEASED: "certificate.released",
    }
)
_REASONS: Final = MappingProxyType({Kind.HELD: HELD, Kind.RELEASED: REMOVED})


def act(
    office: Office,
    kind: Kind,
    serial: int,
    *,
    officer: str,
    reason: str = "",
    invalidity: datetime | None = None,
) -> None:
    """Carry out what an officer who holds the right wants; raises as :func:`withdraw` does."""
    if kind is Kind.REVOKED:
        reason_flag(reason)
        if reason == HELD:
            raise Misuse("bad-reason", "to hold a certificate is an act of its own", reason=reason)
    office.authorise(officer, RIGHTS.revoke, serial=f"{serial:x}")
    at = office.clock.now()
    with office.database.transaction() as connection:
        withdraw(
            office, connection, kind, serial, officer=officer, at=at, reason=reason, invalidity=invalidity
        )


def withdraw(
    office: Office,
    connection: sa.Connection,
    kind: Kind,
    serial: int,
    *,
    officer: str,
    at: datetime,
    reason: str = "",
    invalidity: datetime | None = None,
    case: str = "",
) -> None:
    """Revoke, hold or release within a transaction; repeating it changes nothing.

    What was held counts as revoked from when it was held (X.509, on reason codes).  Raises :class:`Refusal`
    ``no-such-certificate``, ``already-revoked``, ``not-held``, ``bad-invalidity`` or ``bad-reason``.
    """
    reason = _REASONS.get(kind, reason)
    if kind is Kind.REVOKED and reason == HELD:
        raise Refusal("bad-reason", "to hold a certificate is an act of its own", reason=reason)
    if invalidity is not None and invalidity > at:
        raise Refusal("bad-invalidity", "a key is lost at an instant that has passed")
    certificate = store.by_serial(connection, office.finder, serial)
    if certificate is None:
        raise Refusal("no-such-certificate", "this CA issued no certificate of that serial")
    before = store.revocation(connection, certificate.id)
    if _stands(kind, before, serial):
        return
    since = at if kind is not Kind.REVOKED or before is None else store.instant(before.at)
    entry = encode(Entry(serial, since, reason, invalidity))
    store.withdraw(connection, certificate, kind, entry, at=since, reason=reason, invalidity=invalidity)
    facts: dict[str, Fact] = {"serial": f"{serial:x}", "officer": officer, "case": case or None}
    facts["reason"] = reason if kind is Kind.REVOKED else None
    facts["invalidity"] = None if invalidity is None else format_instant(invalidity)
    office.event(connection, _EVENTS[kind], at, facts)


def _stands(kind: Kind, before: sa.Row[Any] | None, serial: int) -> bool:
    """Whether it is so already; raises where it cannot become so."""
    held = before is not None and before.reason == HELD
    if kind is Kind.RELEASED:
        if not held:
            raise Refusal("not-held", "only what is held is released", serial=f"{serial:x}")
        return False
    if kind is Kind.HELD and before is not None and not held:
        raise Refusal("already-revoked", "a revocation is not taken back", serial=f"{serial:x}")
    return held if kind is Kind.HELD else before is not None and not held
