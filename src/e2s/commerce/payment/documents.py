"""SET's message pairs re-made: who pays whom, for which contract, through which gateway (6.2.3).

The dual signature names merchant, gateway, issuer and contract, and holds salted digests of three
instructions: PI for gateway and issuer, OI for the merchant (and the issuer at capture), SI for the
issuer.  Instructions are typed, unsigned, and enveloped to exactly their readers.
"""

from __future__ import annotations

from hashlib import sha256

from e2s.base import wire
from e2s.commerce.order import LINE, SUMS
from e2s.crypto.forms import (
    Form,
    amount,
    digest,
    instant,
    integer,
    list_of,
    octets,
    one_of,
    record,
    text,
    token,
)  # fmt: skip

_XID = octets(20)
#: An instruction names its readers, but no signer: the dual signature over its digest does (section 9.7).
_READERS = {"to": list_of(text(256), 8, 1)}
#: What every payment document says about the payment that it is part of.
_NAMES = {
    "xid": _XID,
    "ds": digest,
    "cid": digest,
    "holder": digest,
    "merchant": digest,
    "gateway": digest,
    "amount": amount,
    "currency": token,
}

# ------------------------------------------------------------------ instructions, unsigned
PI = Form(
    "e2s/1/PI",
    {
        **_READERS,
        "xid": _XID,
        "holder": digest,
        "pan": token,
        "expiry": token,  # YYYY-MM
        "panSecret": octets(32),
        "amount": amount,
        "currency": token,
        "merchant": digest,
        "gateway": digest,
        "issuer": digest,
        "salt": octets(32),
    },
    envelope=False,
)
OI = Form("e2s/1/OI", {**_READERS, "xid": _XID, "cid": digest, **SUMS, "salt": octets(32)}, envelope=False)
SI = Form(
    "e2s/1/SI",
    {
        **_READERS,
        "xid": _XID,
        "cid": digest,
        "classes": list_of(token, 100, 0),
        "buyer": text(200),
        "costCentre": text(64),
        "salt": octets(32),
    },
    envelope=False,
)
LI = Form(
    "e2s/1/LI",
    {**_READERS, "xid": _XID, "cid": digest, "n": integer(1, 1000), "lines": list_of(LINE, 400, 1),
     "amount": amount, "currency": token, "oi": digest, "delivery": digest},
    envelope=False,
)  # fmt: skip

# ------------------------------------------------------------------ signed
_GATEWAY = record({"name": text(200), "signing": digest, "agreement": digest})
PINIT = Form(
    "e2s/1/pinit",
    {"cid": digest, "nC": octets(32), "nP": octets(32), "gateway": _GATEWAY, "merchant": digest,
     "total": amount, "currency": token, "payBy": instant},
)  # fmt: skip
PAY = Form(
    "e2s/1/pay",
    {
        "xid": _XID,
        "cid": digest,
        "amount": amount,
        "currency": token,
        "merchant": digest,
        "gateway": digest,
        "issuer": digest,
        "hPI": octets(32),
        "hOI": octets(32),
        "hSI": octets(32),
        "part": one_of("1/1"),
    },
)
AUTH = Form(
    "e2s/1/auth",
    {"xid": _XID, "cid": digest, "amount": amount, "currency": token, "mcc": token, "ds": digest},
)
ISSUE = Form("e2s/1/issue", {"xid": _XID, "ds": digest, "auth": digest})
REVERSE = Form("e2s/1/reverse", {"xid": _XID, "ds": digest, "reason": text(200)})
DECISION = Form(
    "e2s/1/decision",
    {**_NAMES, "result": one_of("approved", "declined", "void"), "reason": text(200)},
    {"holdUntil": instant, "claimUntil": instant},
)
AUTHRES = Form("e2s/1/authres", {**_NAMES, "req": digest, "result": one_of("approved", "declined", "void")})
AUTHRES_REFUSED = Form("e2s/1/authres-refused", {"xid": _XID, "ds": digest, "req": digest, "merchant": digest,
                                                "rule": token})  # fmt: skip
PRES = Form(
    "e2s/1/pres", {"xid": _XID, "ds": digest, "result": one_of("approved", "declined", "void", "pending")}
)
AUTHREV = Form("e2s/1/authrev", {"xid": _XID, "n": integer(1, 1000), "amount": amount, "currency": token,
                                 "reason": text(200)})  # fmt: skip
REVERSED = Form("e2s/1/reversed", {**_NAMES, "req": digest, "result": one_of("void", "captured", "closed")})
REVRES = Form("e2s/1/revres", {"xid": _XID, "req": digest, "result": one_of("void", "captured", "closed")})
CAPREQ = Form("e2s/1/capreq", {"xid": _XID, "n": integer(1, 1000), "amount": amount, "currency": token,
                               "delivery": digest})  # fmt: skip
CAPTURED = Form("e2s/1/captured", {**_NAMES, "n": integer(1, 1000), "req": digest,
                                   "result": one_of("captured", "void", "closed")})  # fmt: skip
CAPRES = Form("e2s/1/capres", {"xid": _XID, "n": integer(1, 1000), "req": digest,
                               "result": one_of("captured", "void", "closed")})  # fmt: skip
INQUIRY = Form("e2s/1/inquiry", {"xid": _XID, "ds": digest})
INQUIRY_ANSWER = Form(
    "e2s/1/inquiry-answer",
    {"xid": _XID, "ds": digest, "inquiry": digest,
     "state": one_of("none", "held", "captured", "void", "declined")},
)  # fmt: skip

INSTRUCTIONS = {form.type: form for form in (PI, OI, SI, LI)}
FORMS = {
    form.type: form
    for form in (
        PINIT, PAY, AUTH, ISSUE, REVERSE, DECISION, AUTHRES, AUTHRES_REFUSED, PRES, AUTHREV, REVERSED, REVRES,
        CAPREQ, CAPTURED, CAPRES, INQUIRY, INQUIRY_ANSWER,
    )
}  # fmt: skip


def instruction_digest(instruction: wire.Document) -> bytes:
    """The salted digest hX = SHA-256("e2s/1 X" ‖ canonical X), which cannot be guessed for X's salt."""
    label = instruction["type"].replace("/1/", "/1 ")
    return sha256(label.encode() + wire.encode(instruction)).digest()


def transaction_id(cid: str, buyer_nonce: bytes, merchant_nonce: bytes) -> bytes:
    """xid, 20 bytes: chosen by no one party, since both nonces enter (section 5)."""
    return sha256(b"e2s/1 xid" + cid.encode() + buyer_nonce + merchant_nonce).digest()[:20]


def pan_commitment(pan_secret: bytes, pan: str) -> bytes:
    """The commitment (panCommit) of the card-holder's certificate, 32 bytes (section 1, key C)."""
    return sha256(b"e2s/1 pan" + pan_secret + pan.encode()).digest()
