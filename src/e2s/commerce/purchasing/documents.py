"""The contract's documents: offer, acceptance, confirmation, void, delivery, receipt, price list.

An offer binds only once thrice signed: merchant, buyer, merchant, each over the one before (6.2.1.1
steps 5-7).  Every form lists all its members; any other member is refused.
"""

from __future__ import annotations

from e2s.commerce.delivery import CANCEL, DELIVERY, RECEIPT
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
