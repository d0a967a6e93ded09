"""What the purchasing manager orders and gets: control parameters, statement (6.2.2 steps 1 and 10)."""

from __future__ import annotations

from e2s.commerce.order import LINE, VAT
from e2s.crypto.forms import (
    Form,
    amount,
    digest,
    instant,
    integer,
    list_of,
    octets,
    octets_max,
    record,
    text,
    token,
)

_HOLDER = record(
    {
        "holder": digest,  # the card-holder certificate C
        "perPurchase": amount,
        "perPeriod": amount,
        "periodDays": integer(1, 366),
        "classes": list_of(token, 300, 0),  # empty permits nothing; "*" permits every kind
        "merchants": list_of(text(200), 300, 0),  # party names; the same reading
    }
)
CONTROLS = Form(
    "e2s/1/controls",
    {
        "organisation": text(200),
        "n": integer(1, 2**31),
        "currency": token,
        "holders": list_of(_HOLDER, 200, 0),
    },
    trade=False,
)
CONTROLS_TAKEN = Form("e2s/1/controls-taken", {"n": integer(1, 2**31), "controls": digest}, trade=False)
STATEMENT_REQUEST = Form(
    "e2s/1/statement-request", {"organisation": text(200), "n": integer(1, 2**31)}, trade=False
)
_ENTRY = record(
    {
        "trade": octets(16),
        "xid": octets(20),
        "cid": digest,
        "holder": digest,
        "buyer": text(200),
        "costCentre": text(64),
        "merchant": text(200),
        "amount": amount,
        "capturedAt": instant,
        "capreq": digest,
        "lines": list_of(LINE, 400, 1),
        "vat": list_of(VAT, 40, 1),
    }
)
STATEMENT = Form(
    "e2s/1/statement",
    {
        "organisation": text(200),
        "n": integer(1, 2**31),
        "begins": instant,
        "ends": instant,
        "currency": token,
        "entries": list_of(_ENTRY, 200, 0),
        "vat": list_of(VAT, 40, 0),
        "total": amount,
    },
    {"prev": digest},
    trade=False,
)
#: What the bank gives its card-holder with the card; the wallet keeps it sealed, and shows it to nobody.
CARD = Form(
    "e2s/1/card",
    {
        "holder": digest,
        "pan": token,
        "expiry": token,
        "panSecret": octets(32),
        "brand": text(64),
        "issuer": text(200),
        "signing": octets_max(32 * 1024),
        "agreement": octets_max(32 * 1024),
        "chain": list_of(octets_max(32 * 1024), 8),
        "origin": text(200),  # where the holder inquires
    },
    envelope=False,
)
FORMS = {form.type: form for form in (CONTROLS, CONTROLS_TAKEN, STATEMENT_REQUEST, STATEMENT)}
