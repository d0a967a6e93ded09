"""A void that was written lasts, and says so in a Decision; whatever is asked later meets it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.commerce.acts import draft
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.bank import Bank, ds_of, names_in
from e2s.commerce.payment.documents import DECISION
from e2s.commerce.payment.dual_signature import names_of
from e2s.crypto.acts import Act

#: States in which nothing is held and nothing will be.
VOID = frozenset({"void", "closed"})


def entomb(connection: sa.Connection, ds: Act, now: datetime, *, gateway: str = "") -> None:
    """Write the lasting void of a payment that was never asked for; its holder must have a card here."""
    card = tables.card(connection, ds.certificate.id)
    if card is None:
        raise Refusal("unknown-card", "the bank gave no card to this card-holder")
    merchant_name, gateway_name = ds.document["to"][0], ds.document["to"][1]
    values = payment_values(ds, card.organisation, merchant_name, gateway or gateway_name, now)
    tables.add_payment(connection, {**values, "state": "void"})


def payment_values(ds: Act, organisation: str, merchant: str, gateway: str, now: datetime) -> dict[str, Any]:
    """The members of a payment that its dual signature gives."""
    said = ds.document
    return {
        "organisation": organisation,
        "trade": said["trade"],
        "part": said["part"],
        "ds_id": ds.id,
        "ds": ds.octets,
        **{name: value for name, value in names_of(ds).items() if name != "ds"},
        "merchant_name": merchant,
        "gateway_name": gateway,
        "decided": format_instant(now),
    }


def void_document(
    bank: Bank, connection: sa.Connection, row: sa.Row[Any], reason: str, now: datetime
) -> None:
    """Commit the document of the Decision with result ``void``."""
    document = draft(
        DECISION,
        by=bank.signer.certificate,
        to=[row.gateway_name, row.merchant_name, ds_of(row).certificate.name],
        at=now,
        until=bank.terms.of(now)[1],
        trade=row.trade,
        **names_in(row),
        result="void",
        reason=reason,
    )
    tables.change_payment(connection, row.holder, row.xid, {"voided_doc": wire.encode(document)})
