"""Which act is whose: its signer's role, what it is over, what it names, and who must be able to read it.

One table for the judge, from the protocol's sections 4 to 6.  Other types have no place in a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from e2s.commerce.bankcard.documents import FORMS as STATEMENTS
from e2s.commerce.payment.documents import FORMS as PAYMENTS
from e2s.commerce.payment.documents import INSTRUCTIONS
from e2s.commerce.purchasing.documents import FORMS as CONTRACTS
from e2s.crypto.forms import Form

FORMS: Mapping[str, Form] = MappingProxyType({**CONTRACTS, **PAYMENTS, **STATEMENTS, **INSTRUCTIONS})
PREFIX = "e2s/1/"
#: A member of a document and the type of act that it names by ``#``.
Names: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One type of act.

    ``over`` lists the types it may be over, each a whole row; ``readers`` are groups of roles of which each
    must find a name of its own in ``to``; ``names`` are members that hold a ``#``, with the type named;
    ``key`` is the key of idempotency: two different acts of one signer under one key are equivocation.
    """

    role: str
    over: tuple[tuple[str, ...], ...] = ((),)
    readers: tuple[tuple[str, ...], ...] = ()
    names: Names = field(default_factory=lambda: MappingProxyType({}))
    key: tuple[str, ...] = ()


_BUYER = ("buyer", "card-holder")
_MERCHANT = ("merchant", "merchant-payment")
#: Every act of a trade.
PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "offer": Part(role="merchant", readers=(_BUYER,), key=("buyer", "trade")),
        "accept": Part(
            role="buyer", over=(("offer",),), readers=(_MERCHANT,), names={"offer": "offer"}, key=("offer",)
        ),
        "confirm": Part(
            role="merchant",
            over=(("accept",),),
            readers=(_BUYER,),
            names={"accept": "accept"},
            key=("accept.offer",),
        ),
        "void": Part(role="merchant", over=(("accept",), ()), readers=(_BUYER,), names={"accept": "accept"}),
        "pinit": Part(role="merchant-payment", readers=(_BUYER,), key=("cid", "nC")),
        "pay": Part(
            role="card-holder",
            readers=(_MERCHANT, ("gateway",), ("issuer",)),
            key=("xid",),
            names={"cid": "confirm"},
        ),
        "auth": Part(
            role="merchant-payment",
            over=(("pay",),),
            readers=(("gateway",),),
            names={"ds": "pay"},
            key=("xid",),
        ),
        "issue": Part(
            role="gateway",
            over=(("auth",),),
            readers=(("issuer",),),
            names={"ds": "pay", "auth": "auth"},
            key=("ds",),
        ),
        "reverse": Part(role="gateway", over=(("pay",),), readers=(("issuer",),), names={"ds": "pay"}),
        "decision": Part(
            role="issuer", readers=(("gateway",),), names={"ds": "pay"}, key=("holder", "xid", "result")
        ),
        "authres": Part(
            role="gateway",
            over=(("decision",),),
            readers=(_MERCHANT,),
            names={"ds": "pay", "req": "auth"},
            key=("merchant", "xid"),
        ),
        "authres-refused": Part(
            role="gateway", readers=(_MERCHANT,), names={"ds": "pay", "req": "auth"}, key=("merchant", "xid")
        ),
        "pres": Part(
            role="merchant-payment", over=(("authres",), ()), readers=(_BUYER,), names={"ds": "pay"}
        ),
        "authrev": Part(
            role="merchant-payment", over=(("authres",),), readers=(("gateway",),), key=("xid", "n")
        ),
        "reversed": Part(role="issuer", names={"ds": "pay", "req": "authrev"}, key=("holder", "xid", "req")),
        "revres": Part(
            role="gateway",
            over=(("reversed",),),
            readers=(_MERCHANT,),
            names={"req": "authrev"},
            key=("xid", "req"),
        ),
        "capreq": Part(
            role="merchant-payment",
            over=(("authres",),),
            readers=(("gateway",),),
            names={"delivery": "delivery"},
            key=("xid", "n"),
        ),
        "captured": Part(role="issuer", names={"ds": "pay", "req": "capreq"}, key=("holder", "xid", "n")),
        "capres": Part(
            role="gateway",
            over=(("captured",),),
            readers=(_MERCHANT,),
            names={"req": "capreq"},
            key=("xid", "n"),
        ),
        "cancel": Part(role="merchant-payment", over=(("revres",),), readers=(_BUYER,)),
        "inquiry": Part(role="card-holder", over=(("pay",),), readers=(("issuer",),), names={"ds": "pay"}),
        "inquiry-answer": Part(
            role="issuer",
            over=((), ("decision",)),
            readers=(_BUYER,),
            names={"ds": "pay", "inquiry": "inquiry"},
        ),
        "delivery": Part(role="merchant", over=(("pres", "pay"),), readers=(_BUYER,), key=("xid", "n")),
        "receipt": Part(
            role="buyer",
            over=(("delivery",),),
            readers=(_MERCHANT,),
            names={"delivery": "delivery"},
            key=("delivery",),
        ),
        "statement": Part(role="issuer", key=("organisation", "n")),
    }
)


def short(label: str) -> str:
    """``offer`` of ``e2s/1/offer``."""
    return label.removeprefix(PREFIX)
