"""One signature of the card-holder binds merchant, gateway, issuer, contract and amount (6.2.3).

Merchant, gateway and issuer each check all of it that they can see, by the same rules: no one's word
stands in for another's check.  SET's dual signature named no gateway and its answer no merchant; here
every later document of the payment repeats all names, and :func:`same_payment` compares them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime

from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.base.money import parse_amount
from e2s.base.wire import Document, b64u
from e2s.commerce.acts import draft
from e2s.commerce.payment.documents import PAY, instruction_digest
from e2s.commerce.payment.instructions import Roles
from e2s.crypto.acts import Act
from e2s.crypto.certificates import Certificate

_RULES = {
    "xid": "other-transaction",
    "ds": "other-dual-signature",
    "cid": "other-contract",
    "holder": "other-holder",
    "merchant": "other-merchant",
    "gateway": "other-gateway",
    "issuer": "other-issuer",
    "amount": "other-amount",
    "currency": "other-amount",
    "trade": "other-trade",
}


def pay_document(
    *,
    holder: Certificate,
    roles: Roles,
    trade: str,
    pi: Document,
    oi: Document,
    si: Document,
    at: datetime,
    until: datetime,
) -> Document:
    """The dual signature's document: what C signs, once PI, OI and SI are complete."""
    return draft(
        PAY,
        by=holder,
        to=roles.readers,
        at=at,
        until=until,
        trade=trade,
        xid=pi["xid"],
        cid=oi["cid"],
        amount=pi["amount"],
        currency=pi["currency"],
        **roles.names,
        hPI=b64u(instruction_digest(pi)),
        hOI=b64u(instruction_digest(oi)),
        hSI=b64u(instruction_digest(si)),
        part="1/1",
    )


def names_of(ds: Act) -> dict[str, str]:
    """What every later document of this payment must say about it."""
    said = ds.document
    return {
        "xid": said["xid"],
        "ds": ds.id,
        "cid": said["cid"],
        "holder": ds.certificate.id,
        "merchant": said["merchant"],
        "gateway": said["gateway"],
        "amount": said["amount"],
        "currency": said["currency"],
    }


def same_payment(document: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Raise :class:`Refusal` ``other-<what>`` for the first member of ``names`` that the document lacks."""
    for member, value in names.items():
        if not hmac.compare_digest(str(document.get(member, "")), value):
            raise Refusal(_RULES[member], "the act is about another payment", member=member)


def check_amount(ds: Act) -> None:
    """More than nothing, in the currency's decimals; raises ``bad-amount``."""
    if parse_amount(ds.document["amount"], ds.document["currency"]) <= 0:
        raise Refusal("bad-amount", "a payment is of more than nothing")


def check_authorisation(auth: Act, ds: Act) -> None:
    """The merchant's request is by the merchant named in the DS, for that DS, contract and amount."""
    said = auth.document
    if auth.certificate.id != ds.document["merchant"]:
        raise Refusal("other-merchant", "the dual signature pays another merchant")
    names = names_of(ds)
    same_payment(said, {m: names[m] for m in ("xid", "ds", "cid", "amount", "currency")})
    same_payment(said, {"trade": ds.document["trade"]})


def until_of(ds: Act) -> datetime:
    """Until when the card-holder's order may be authorised."""
    return parse_instant(ds.document["until"])
