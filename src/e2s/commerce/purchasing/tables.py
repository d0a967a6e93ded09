"""Buyer's and merchant's states of one trade (protocol, section 4).

Deadlines pass for their owner at the instant, for the counterpart 2δ later; the caller turns an
instant into the event ``confirm-by``, ``pay-by``, ``until``, ``margin`` or ``claim-until``.
Void alone never ends *paying*: after a dual signature only the issuer's word, nested, does.
"""

from __future__ import annotations

from e2s.commerce.steps import Step, Table

BUYER: Table = {
    ("asked", "offer"): Step("offered"),
    ("asked", "time-out"): Step("asked", "ask"),
    ("asked", "refused"): Step("void"),
    ("offered", "accept"): Step("accepted", "acceptance"),
    ("offered", "decline"): Step("void"),
    ("offered", "confirm-by"): Step("void"),
    ("accepted", "confirmation"): Step("contract"),
    ("accepted", "void"): Step("void"),
    ("accepted", "time-out"): Step("accepted", "acceptance"),
    ("accepted", "pay-by"): Step("void"),
    ("contract", "confirmation"): Step("contract"),
    ("contract", "pinit"): Step("paying", "preq"),
    ("contract", "void"): Step("contract"),
    ("contract", "pay-by"): Step("void"),
    ("paying", "pres-approved"): Step("paid"),
    ("paying", "pres-declined"): Step("declined"),
    ("paying", "pres-void"): Step("void"),
    ("paying", "time-out"): Step("paying", "preq"),
    ("paying", "void"): Step("paying"),
    ("paying", "until"): Step("inquiring", "inquiry"),
    ("inquiring", "pres-approved"): Step("paid"),
    ("inquiring", "pres-declined"): Step("declined"),
    ("inquiring", "pres-void"): Step("void"),
    ("inquiring", "inquiry-none"): Step("inquiring"),
    ("inquiring", "inquiry-held"): Step("paid"),
    ("inquiring", "inquiry-captured"): Step("paid"),
    ("inquiring", "inquiry-declined"): Step("declined"),
    ("inquiring", "inquiry-void"): Step("void"),
    ("inquiring", "void"): Step("inquiring"),
    ("inquiring", "time-out"): Step("inquiring", "inquiry"),
    ("declined", "retry"): Step("contract"),
    ("declined", "decline"): Step("void"),
    ("declined", "pay-by"): Step("void"),
    ("paid", "delivery"): Step("received", "receipt"),
    ("paid", "cancel"): Step("void"),
    ("paid", "time-out"): Step("paid", "status"),
    ("paid", "claim-until"): Step("paid", "inquiry"),
    ("paid", "inquiry-held"): Step("paid"),
    ("paid", "inquiry-captured"): Step("paid"),
    ("paid", "inquiry-void"): Step("void"),
    ("received", "delivery"): Step("received", "receipt", stored=True),
    ("received", "time-out"): Step("received", "receipt"),
    ("received", "statement"): Step("closed"),
}

MERCHANT: Table = {
    ("offered", "ask"): Step("offered", "offer", stored=True),
    ("offered", "acceptance"): Step("confirmed", "confirmation"),
    ("offered", "confirm-by"): Step("void"),
    ("confirmed", "pinit"): Step("confirmed", "pinit-res"),
    ("confirmed", "preq"): Step("asking", "authreq"),
    ("confirmed", "pay-by"): Step("void"),
    ("asking", "preq"): Step("asking", "pending"),
    ("asking", "approved"): Step("authorised", "pres"),
    ("asking", "declined"): Step("confirmed", "pres"),
    ("asking", "voided"): Step("confirmed", "pres"),
    ("asking", "refused"): Step("confirmed", "pending"),
    ("asking", "time-out"): Step("asking", "authreq"),
    ("authorised", "deliver"): Step("delivered", "delivery"),
    ("authorised", "cannot"): Step("reversing", "authrev"),
    ("authorised", "margin"): Step("reversing", "authrev"),
    ("delivered", "captured"): Step("captured"),
    ("delivered", "time-out"): Step("delivered", "capreq"),
    ("delivered", "not-captured"): Step("unpaid"),
    ("delivered", "claim-until"): Step("unpaid"),
    ("reversing", "reversed"): Step("void", "cancel"),
    ("reversing", "time-out"): Step("reversing", "authrev"),
    ("void", "acceptance"): Step("void", "void"),
    ("void", "preq"): Step("void", "void"),
    ("void", "approved"): Step("reversing", "authrev"),
    # Only the sender's repeat recovers a lost message: each later state gives the stored answer.
    **{
        (state, event): Step(state, send, stored=True)
        for state in ("confirmed", "asking", "authorised", "delivered", "captured", "unpaid", "reversing")
        for event, send in (("ask", "offer"), ("acceptance", "confirmation"))
    },
    **{
        (state, "preq"): Step(state, "pres", stored=True)
        for state in ("authorised", "delivered", "captured", "unpaid", "reversing")
    },
    **{
        (state, "receipt"): Step(state, "receipt", stored=True)
        for state in ("delivered", "captured", "unpaid")
    },
}
