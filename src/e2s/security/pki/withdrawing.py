"""A certificate is revoked for good, or held until it is released; lists tell it from then on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base.errors import Fact, Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.security.pki import store
from e2s.security.pki.feed import Kind
from e2s.security.pki.office import RIGHTS, Office
from e2s.security.status.entries import Entry, encode
from e2s.security.status.lists import reason_flag
from e2s.security.verification.crls import HELD, REMOVED


def revoke(
    office: Office, serial: int, reason: str, *, officer: str, invalidity: datetime | None = None
) -> None:
    """Revoke for good, from now on; repeating it changes nothing.

    What was held counts as revoked from when it was held (X.509, on reason codes).
    """
    reason_flag(reason)
    if reason == HELD:
        raise Misuse("bad-reason", "to hold a certificate is an act of its own", reason=reason)
    office.authorise(officer, RIGHTS.revoke, serial=f"{serial:x}")
    at = office.clock.now()
    if invalidity is not None and invalidity > at:
        raise Refusal("bad-invalidity", "a key is lost at an instant that has passed")
    with office.database.transaction() as connection:
        certificate, before = _standing(office, connection, serial)
        if before is not None and before.reason != HELD:
            return
        since = at if before is None else store.instant(before.at)
        entry = encode(Entry(serial, since, reason, invalidity))
        store.withdraw(
            connection, certificate, Kind.REVOKED, entry, at=since, reason=reason, invalidity=invalidity
        )
        facts: dict[str, Fact] = {"serial": f"{serial:x}", "reason": reason, "officer": officer}
        facts["invalidity"] = None if invalidity is None else format_instant(invalidity)
        office.event(connection, "certificate.revoked", at, facts)


def hold(office: Office, serial: int, *, officer: str) -> None:
    """Suspend until released or revoked; repeating it changes nothing.

    Raises :class:`Refusal` ``already-revoked``.
    """
    office.authorise(officer, RIGHTS.revoke, serial=f"{serial:x}")
    at = office.clock.now()
    with office.database.transaction() as connection:
        certificate, before = _standing(office, connection, serial)
        if before is not None and before.reason != HELD:
            raise Refusal("already-revoked", "a revocation is not taken back", serial=f"{serial:x}")
        if before is None:
            entry = encode(Entry(serial, at, HELD))
            store.withdraw(connection, certificate, Kind.HELD, entry, at=at, reason=HELD)
            facts: dict[str, Fact] = {"serial": f"{serial:x}", "officer": officer}
            office.event(connection, "certificate.held", at, facts)


def release(office: Office, serial: int, *, officer: str) -> None:
    """End a hold: delta lists remove it (RFC 5280, 5.3.1); raises :class:`Refusal` ``not-held``."""
    office.authorise(officer, RIGHTS.revoke, serial=f"{serial:x}")
    at = office.clock.now()
    with office.database.transaction() as connection:
        certificate, before = _standing(office, connection, serial)
        if before is None or before.reason != HELD:
            raise Refusal("not-held", "only what is held is released", serial=f"{serial:x}")
        entry = encode(Entry(serial, at, REMOVED))
        store.withdraw(connection, certificate, Kind.RELEASED, entry, at=at, reason=REMOVED)
        facts: dict[str, Fact] = {"serial": f"{serial:x}", "officer": officer}
        office.event(connection, "certificate.released", at, facts)


def _standing(
    office: Office, connection: sa.Connection, serial: int
) -> tuple[sa.Row[Any], sa.Row[Any] | None]:
    """The certificate, and how it is withdrawn now; raises :class:`Refusal` ``no-such-certificate``."""
    certificate = store.by_serial(connection, office.finder, serial)
    if certificate is None:
        raise Refusal("no-such-certificate", "this CA issued no certificate of that serial")
    return certificate, store.revocation(connection, certificate.id)
