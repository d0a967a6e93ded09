"""What time does to transactions: what was not confirmed is revoked, what is over is forgotten."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.instants import DELTA
from e2s.base.together import Together
from e2s.crypto.certificates import Certificate
from e2s.security.cmp import store
from e2s.security.cmp.states import follow
from e2s.security.enrolment.asking import Desk, Holder, Invited, Pending, Shown

DOOR: Final = "cmp"
#: A message older or newer than this is none of now.
TOLERANCE: Final = 2 * DELTA
#: How long an answer is kept for who asks for it again, and a transaction for who waits.
KEPT: Final = 4 * TOLERANCE
WAITING: Final = timedelta(days=60)
_AT_ONCE: Final = 100
_REASON: Final = "cessationOfOperation"


class Lapsing:
    """Revokes and forgets at :meth:`tick`."""

    def __init__(self, desk: Desk, database: Database, together: Together, *, component: str) -> None:
        """``together`` writes to ``database``."""
        self._desk = desk
        self._database = database
        self._together = together
        self._component = component
        self._ticking = threading.Lock()

    def tick(self, now: datetime) -> None:
        """Revoke what was not confirmed in time, and forget what is over."""
        if not self._ticking.acquire(blocking=False):
            return
        try:
            with self._database.reading() as connection:
                begun = store.due(connection, "asked", now, _AT_ONCE)
                unconfirmed = store.due(connection, "issued", now, _AT_ONCE)
            for row in begun:
                with suppress(Unreachable):  # likewise
                    self._settle(row, now)
            for row in unconfirmed:
                self._lapse(row, now)
            with self._database.reading() as connection:
                lapsing = store.due(connection, "lapsing", now, _AT_ONCE)
            for row in lapsing:
                with suppress(E2SError):  # it is revoked at a later tick
                    self._revoke(row, now)
            with self._database.reading() as connection:
                over = any(store.due(connection, state, now, 1) for state in ("done", "lapsed"))
            if over:
                self._together.write(lambda connection: store.forget(connection, now, _AT_ONCE))
        finally:
            self._ticking.release()

    def _settle(self, row: sa.Row[Any], now: datetime) -> None:
        """The desk was asked, and nobody came for the answer."""
        try:
            found = self._desk.poll(DOOR, desk_name(row.id, row.asked), _shown(row))
        except Refusal:
            self._change(row, "finish", until=until(now + KEPT))
            return
        if isinstance(found, Pending):
            self._change(row, "wait", until=until(now + WAITING))
        else:
            self._change(row, "lapse", certificate=found.certificate, until=until(now))

    def _lapse(self, row: sa.Row[Any], now: datetime) -> None:
        self._change(row, "lapse", until=until(now))

    def _revoke(self, row: sa.Row[Any], now: datetime) -> None:
        """Revoked first, then noted: to revoke again changes nothing."""
        certificate = Certificate.read(bytes(row.certificate))
        self._desk.withdraw(certificate.serial, _REASON, Holder(certificate=certificate), door=DOOR)

        def act(connection: sa.Connection) -> None:
            _step(connection, row.id, "revoke", until=until(now + KEPT))
            self.event(connection, "certificate.unconfirmed", now, certificate.der)

        self._together.write(act)

    def _change(self, row: sa.Row[Any], event: str, **values: object) -> None:
        """One step, unless another was taken meanwhile."""
        self._together.write(lambda connection: _step(connection, row.id, event, state=row.state, **values))

    def event(self, connection: sa.Connection, kind: str, at: datetime, certificate: bytes) -> None:
        """What became of a certificate, in the transaction of its effect."""
        facts = {"serial": f"{Certificate.read(certificate).serial:x}", "door": DOOR}
        store.OUTBOX.sink(connection).append(Event(kind=kind, at=at, component=self._component, facts=facts))


def desk_name(transaction: bytes, digest: bytes) -> bytes:
    """What a transaction is called at the desk: another request of the same name is another there."""
    return sha256(transaction + digest).digest()


def _shown(row: sa.Row[Any]) -> Shown:
    """Who asked."""
    if row.shown == "invited":
        return Invited(reference=bytes(row.who).decode())
    return Holder(certificate=Certificate.read(bytes(row.who)))


def _step(
    connection: sa.Connection, ident: bytes, event: str, *, state: str | None = None, **values: object
) -> None:
    row = store.transaction(connection, ident)
    if row is not None and state in {None, row.state}:
        store.change(connection, ident, state=follow(row.state, event), **values)


def until(at: datetime) -> int:
    """As the store keeps an instant."""
    return int(at.timestamp())
