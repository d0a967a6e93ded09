"""Gateway's, issuer's and the merchant payment component's states of one payment (section 5).

The issuer's row is keyed by (card-holder, xid), the gateway's by (merchant, xid), so nobody voids
or answers another's payment.  A void written for an inquiry about an unknown xid stays for ever.
"""

from __future__ import annotations

from e2s.commerce.steps import Step, Table

PAYMENT: Table = {
    ("none", "preq"): Step("asking", "authreq"),
    ("asking", "approved"): Step("authorised", "pres"),
    ("asking", "declined"): Step("declined", "pres"),
    ("asking", "voided"): Step("declined", "pres"),
    ("asking", "refused"): Step("refused", "pending"),
    ("asking", "time-out"): Step("asking", "authreq"),
    ("authorised", "deliver"): Step("capturing", "capreq"),
    ("authorised", "reverse"): Step("reversing", "authrev"),
    ("capturing", "captured"): Step("captured"),
    ("capturing", "not-captured"): Step("unpaid"),
    ("capturing", "time-out"): Step("capturing", "capreq"),
    ("reversing", "reversed"): Step("reversed"),
    ("reversing", "time-out"): Step("reversing", "authrev"),
    **{
        (state, "preq"): Step(state, "pres", stored=True)
        for state in (
            "authorised",
            "declined",
            "refused",
            "capturing",
            "captured",
            "unpaid",
            "reversing",
            "reversed",
        )
    },
    ("asking", "preq"): Step("asking", "pending"),
}

GATEWAY: Table = {
    ("none", "authreq"): Step("forwarded", "authiss"),
    ("none", "authreq-bad"): Step("refused", "authres-refused"),
    ("forwarded", "authreq"): Step("forwarded", "authiss"),
    ("forwarded", "time-out"): Step("forwarded", "authiss"),
    # Once a reversal has left, an approval under way before it is no answer any more: the issuer voids.
    ("forwarded", "until"): Step("reversing", "reverse"),
    ("forwarded", "decision"): Step("decided", "authres"),
    **{("reversing", event): Step("reversing", "reverse") for event in ("authreq", "time-out", "until")},
    ("reversing", "decision"): Step("decided", "authres"),
    ("refused", "authreq"): Step("refused", "authres-refused", stored=True),
    ("decided", "authreq"): Step("decided", "authres", stored=True),
    ("decided", "capreq"): Step("decided", "capreq"),
    ("decided", "authrev"): Step("decided", "authrev"),
}

ISSUER: Table = {
    ("none", "authiss"): Step("held", "decision"),
    ("none", "authiss-bad"): Step("declined", "decision"),
    ("none", "inquiry-early"): Step("none", "answer"),
    ("none", "inquiry-late"): Step("void", "answer"),
    ("none", "reverse"): Step("void", "decision"),
    ("held", "capreq"): Step("captured", "captured"),
    ("held", "authrev"): Step("void", "reversed"),
    ("held", "reverse"): Step("void", "decision"),
    ("held", "hold-until"): Step("expired"),
    ("expired", "capreq"): Step("captured", "captured"),
    ("expired", "authrev"): Step("void", "reversed"),
    ("expired", "claim-until"): Step("closed"),
    # Every later state gives its stored answer.
    **{
        (state, "authiss"): Step(state, "decision", stored=True)
        for state in ("held", "declined", "expired", "captured", "void", "closed")
    },
    **{
        (state, event): Step(state, send, stored=True)
        for state in ("captured", "void", "closed")
        for event, send in (("capreq", "captured"), ("authrev", "reversed"), ("reverse", "decision"))
    },
    **{
        (state, "inquiry"): Step(state, "answer", stored=True)
        for state in ("held", "declined", "expired", "captured", "void", "closed")
    },
    **{(state, "reverse"): Step(state, "decision", stored=True) for state in ("declined", "expired")},
}
