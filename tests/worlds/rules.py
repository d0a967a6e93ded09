"""By which rules readers refuse what every document, or every document of a payment, says of itself."""

from __future__ import annotations

#: Every form has these, and every reader asks for them alike.
COMMON = {
    "type": "wrong-label",
    "from": "wrong-certificate",
    "to": "wrong-audience",
    "at": "from-the-future",
}
#: Whoever answers for a payment names it like this.
NAMES = {
    "trade": "other-trade",
    "xid": "other-transaction",
    "ds": "other-dual-signature",
    "cid": "other-contract",
    "holder": "other-holder",
    "merchant": "other-merchant",
    "gateway": "other-gateway",
    "amount": "other-amount",
    "currency": "other-amount",
}
