"""What every act of the issuing bank works with: its name, keys, tables, trust, clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock, parse_instant
from e2s.base.wire import Document
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.holds import HoldTerms
from e2s.crypto.acts import Act, read_act, sign_act
from e2s.crypto.ports import Opener, Signer
from e2s.security.verification.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Bank:
    """One issuing bank; ``component`` names it in its events."""

    name: str
    store: Database
    signer: Signer
    opener: Opener
    trust: Trust
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    component: str = "issuer"
    terms: HoldTerms = field(default_factory=HoldTerms)

    @property
    def id(self) -> str:
        """Digest of the bank's signing certificate: the ``issuer`` of PI and DS."""
        return self.signer.certificate.id

    def note(self, connection: sa.Connection, kind: str, at: datetime, **facts: str | int) -> None:
        """Write one event in the act's open transaction."""
        event = Event(kind=kind, at=at, component=self.component, facts=facts)
        tables.OUTBOX.sink(connection).append(event)

    def sign(self, document_octets: bytes, over: tuple[bytes, ...] = ()) -> bytes:
        """The act on a committed document; signing it again after a crash gives the same ``#``."""
        document = wire.decode(document_octets)
        return sign_act(document, over, self.signer, parse_instant(document["at"]))

    def word(self, holder: str, xid: str, which: str) -> bytes:
        """The bank's word ``which`` (decision, voided, captured, reversed) on a payment.

        Its document was committed before; here it is signed, once, and committed with its event.
        """
        with self.store.reading() as connection:
            row = found(tables.payment(connection, holder, xid))
        act: bytes | None = getattr(row, which)
        if act is not None:
            return act
        act = self.sign(getattr(row, f"{which}_doc"))
        with self.store.transaction() as connection:
            row = found(tables.payment(connection, holder, xid))
            kept: bytes | None = getattr(row, which)
            if kept is not None:
                return kept
            tables.change_payment(connection, holder, xid, {which: act})
            self.note(connection, "key.sign", self.clock.now(), key="issuer", document=which, xid=xid)
        return act


def found(row: sa.Row[Any] | None) -> sa.Row[Any]:
    """The row; raises :class:`Refusal` ``unknown-payment`` where there is none."""
    if row is None:
        raise Refusal("unknown-payment", "the bank knows no such payment")
    return row


def ds_of(row: sa.Row[Any]) -> Act:
    """The dual signature kept with a payment, proven when it was kept."""
    return read_act(row.ds)


def names_in(row: sa.Row[Any]) -> Document:
    """What every document about this payment says."""
    return {
        "xid": row.xid,
        "ds": row.ds_id,
        "cid": row.cid,
        "holder": row.holder,
        "merchant": row.merchant,
        "gateway": row.gateway,
        "amount": row.amount,
        "currency": row.currency,
    }
