"""The contract's documents: offer, acceptance, confirmation, void, delivery, receipt, price list.

An offer binds only once thrice signed: merchant, buyer, merchant, each over the one before (6.2.1.1
steps 5-7).  Every form lists all its members; any other member is refused.
"""

from __future__ import annotations

from e2s.commerce.order import SUMS
from e2s.crypto.forms import (
    Form,
    digest,
    instant,
    integer,
    list_of,
    number,
    octets,
    one_of,
    record,
    text,
    token,
)

#: Terms of the contract between merchant and buying organisation: their digest and their words.
TERMS = record({"id": token, "digest": digest, "text": text(4000)})

OFFER = Form(
    "e2s/1/offer",
    {
        "salt": octets(32),
        "list": digest,  # 3: the price-list version that the buyer saw
        "buyer": digest,  # the buyer's signing certificate B
        "terms": TERMS,
        **SUMS,
        "deliverTo": text(500),
        "confirmBy": instant,
        "payBy": instant,
        "gatewaysAccepted": list_of(digest, 16, 1),
    },
)
ACCEPT = Form(
    "e2s/1/accept",
    {
        "salt": octets(32),
        "offer": digest,
        "decision": one_of("accept"),
        "confirmBy": instant,
        "payBy": instant,
        "costCentre": text(64),
    },
)
CONFIRM = Form("e2s/1/confirm", {"accept": digest})
VOID = Form("e2s/1/void", {"reason": one_of("late", "lapsed", "revoked")}, {"accept": digest})

_PART = record({"n": integer(1, 1000), "qty": number})
_GOODS = record(
    {"name": text(200), "size": integer(0, 2**53 - 1), "chunk": integer(1, 262_144), "root": digest}
)
DELIVERY = Form(
    "e2s/1/delivery",
    {"cid": digest, "xid": octets(20), "n": integer(1, 1000), "lines": list_of(_PART, 400, 1)},
    {"goods": _GOODS},
)
RECEIPT = Form(
    "e2s/1/receipt",
    {"cid": digest, "delivery": digest, "received": list_of(_PART, 400, 0)},
    {"complaint": text(2000)},
)
CANCEL = Form("e2s/1/cancel", {"cid": digest, "xid": octets(20), "reason": text(200)})

#: A price rule: the first that fits a line counts; ``discount`` in percent, ``price`` for one.
RULE = record({"kind": one_of("discount", "price"), "value": number}, {"sku": token, "class": token})
CATALOGUE = Form(
    "e2s/1/catalogue",
    {
        "version": integer(1, 2**31),
        "items": digest,  # SHA-256 of the item file
        "count": integer(1, 1_000_000),
        "currency": token,
        "source": text(2000),  # where the items come from, and under which licence
    },
    trade=False,
)
LIST = Form(
    "e2s/1/list",
    {
        "version": integer(1, 2**31),
        "organisation": text(200),
        "catalogue": digest,
        "terms": TERMS,
        "rules": list_of(RULE, 1000, 0),
    },
    trade=False,
)
FORMS = {
    form.type: form for form in (OFFER, ACCEPT, CONFIRM, VOID, DELIVERY, RECEIPT, CANCEL, CATALOGUE, LIST)
}
