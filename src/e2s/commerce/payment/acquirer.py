"""What every act of the gateway works with, and whose words it takes.

A merchant's word counts when the acquirer has a contract with that very key; an issuer's when it is the
bank that the dual signature draws on, and when it is about this payment and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.events import Event
from e2s.base.http import Exchange
from e2s.base.instants import Clock
from e2s.commerce.acts import over_exactly, received
from e2s.commerce.payment import gateway_store as tables
from e2s.commerce.payment.dual_signature import names_of, same_payment
from e2s.commerce.payment.peers import Peer, seal_to
from e2s.crypto import oids
from e2s.crypto.acts import Act
from e2s.crypto.forms import Form
from e2s.crypto.ports import Opener, Signer
from e2s.security.verification.trust import Trust

#: How long the gateway's own words say to be of use.
LASTING = timedelta(days=60)


@dataclass(frozen=True, kw_only=True)
class Acquirer:
    """One gateway: ``merchants`` by party name, ``issuers`` by digest of their signing certificates."""

    name: str
    store: Database
    signer: Signer
    opener: Opener
    trust: Trust
    clock: Clock
    exchange: Exchange
    random: Callable[[int], bytes] = field(repr=False)
    merchants: Mapping[str, Peer]
    issuers: Mapping[str, Peer]
    component: str = "gateway"

    def merchants_word(self, octets: bytes, form: Form, now: datetime) -> tuple[Act, Peer]:
        """An act of one of the acquirer's merchants, over one other."""
        act = over_exactly(
            received(octets, form, trust=self.trust, to=self.name, role="merchant-payment", at=now), 1
        )
        merchant = self.merchants.get(act.certificate.name)
        if merchant is None or merchant.signing != act.certificate:
            raise Refusal("unknown-merchant", "the acquirer has no contract with this merchant")
        return act, merchant

    def issuers_word(self, octets: bytes | Act, form: Form, ds: Act, issuer: Peer, now: datetime) -> Act:
        """An answer signed by the bank that the dual signature draws on, about this payment and no other."""
        act = received(octets, form, trust=self.trust, to=self.name, role="issuer", at=now, name=issuer.name)
        if act.certificate.id != ds.document["issuer"]:
            raise Refusal("other-issuer", "the answer is by another bank")
        same_payment(act.document, {**names_of(ds), "trade": ds.document["trade"]})
        return over_exactly(act, 0)

    def issuer_of(self, ds: Act) -> Peer:
        """The bank that the dual signature draws on; raises :class:`Refusal` ``unknown-issuer``."""
        issuer = self.issuers.get(ds.document["issuer"])
        if issuer is None:
            raise Refusal("unknown-issuer", "the acquirer does not reach the card's bank")
        return issuer

    def seal(self, peer: Peer, content: bytes, content_type: str, now: datetime) -> bytes:
        """An envelope to a peer."""
        return seal_to(peer, content, content_type, trust=self.trust, at=now, random=self.random)

    def to_merchant(self, merchant: Peer, act: bytes, now: datetime) -> bytes:
        """E_P{act}."""
        return self.seal(merchant, act, oids.ACT, now)

    def note(self, connection: sa.Connection, kind: str, at: datetime, **facts: str | int) -> None:
        """Write one event in the act's open transaction."""
        event = Event(kind=kind, at=at, component=self.component, facts=facts)
        tables.OUTBOX.sink(connection).append(event)


def known(row: sa.Row[Any] | None) -> sa.Row[Any]:
    """The authorisation; raises :class:`Refusal` ``unknown-payment`` where there is none."""
    if row is None:
        raise Refusal("unknown-payment", "the gateway knows no such payment")
    return row
