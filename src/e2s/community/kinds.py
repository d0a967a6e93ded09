"""One table says what each kind of component is: whose it may be, what it offers and which keys it holds.

Doors are the kinds that another party may speak to; all others answer only components of their own
party (figure 6.5).  Labels name the keys in the component's personal security environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

BUYING, MERCHANT, ACQUIRER, ISSUER, AUTHORITY = (
    "buying-organisation",
    "merchant",
    "acquirer",
    "issuer",
    "certification-authority",
)
#: The kinds of party (figure 2.1).
PARTY_KINDS: Final = (BUYING, MERCHANT, ACQUIRER, ISSUER, AUTHORITY)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of component; ``factory`` is ``module:function`` and is imported only to run it.

    ``renews``: it has certificates that it renews by itself.
    """

    name: str
    parties: tuple[str, ...]
    factory: str
    door: bool = False
    person: bool = False
    signs: bool = False
    renews: bool = False
    features: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    settings: frozenset[str] = frozenset()


_KINDS = (
    Kind(
        name="certification-authority",
        parties=(AUTHORITY,),
        factory="e2s.community.assembly_authority:certification_authority",
        features=frozenset({"key-management"}),
    ),
    Kind(
        name="repository",
        parties=(AUTHORITY,),
        factory="e2s.community.assembly_authority:repository",
        door=True,
        signs=True,
        features=frozenset({"key-management"}),
        labels=("ocsp",),
    ),
    Kind(
        name="registration",
        parties=(AUTHORITY,),
        factory="e2s.community.assembly_registration:registration",
        features=frozenset({"key-management"}),
        settings=frozenset({"policy"}),
    ),
    Kind(
        name="enrolment",
        parties=(AUTHORITY,),
        factory="e2s.community.assembly_enrolment:enrolment",
        door=True,
        signs=True,
        features=frozenset({"key-management"}),
        labels=("officer",),
        renews=True,
    ),
    Kind(
        name="officer",
        parties=(AUTHORITY,),
        factory="e2s.community.assembly_authority:officer",
        person=True,
        signs=True,
        labels=("officer",),
    ),
    Kind(
        name="time-stamping",
        parties=(AUTHORITY,),
        factory="e2s.community.assembly:time_stamping",
        door=True,
        signs=True,
        features=frozenset({"time-stamps"}),
        labels=("tsa",),
        renews=True,
    ),
    Kind(
        name="audit",
        parties=PARTY_KINDS,
        factory="e2s.community.assembly:audit",
        features=frozenset({"audit"}),
    ),
    Kind(
        name="merchant-outside",
        parties=(MERCHANT,),
        factory="e2s.community.assembly_merchant:outside",
        door=True,
        features=frozenset({"web-session"}),
    ),
    Kind(
        name="merchant-catalogue",
        parties=(MERCHANT,),
        factory="e2s.community.assembly_merchant:catalogue",
        features=frozenset({"catalogue-upload"}),
    ),
    Kind(
        name="merchant-purchasing",
        parties=(MERCHANT,),
        factory="e2s.community.assembly_merchant:purchasing",
        features=frozenset({"purchasing"}),
    ),
    Kind(
        name="merchant-payment",
        parties=(MERCHANT,),
        factory="e2s.community.assembly_merchant:payment",
        features=frozenset({"payment"}),
        settings=frozenset({"mcc"}),
    ),
    Kind(
        name="merchant-key-handler",
        parties=(MERCHANT,),
        factory="e2s.community.assembly_merchant:key_handler",
        signs=True,
        labels=("merchant", "merchant-payment", "merchant-agreement", "payment-agreement", "catalogue"),
    ),
    Kind(
        name="gateway",
        parties=(ACQUIRER,),
        factory="e2s.community.assembly_banks:gateway",
        door=True,
        signs=True,
        features=frozenset({"payment"}),
        labels=("gateway", "gateway-agreement"),
    ),
    Kind(
        name="issuer",
        parties=(ISSUER,),
        factory="e2s.community.assembly_banks:issuer",
        door=True,
        signs=True,
        features=frozenset({"payment"}),
        labels=("issuer", "issuer-agreement"),
    ),
    Kind(
        name="wallet",
        parties=(BUYING,),
        factory="e2s.community.assembly_buyers:wallet",
        person=True,
        signs=True,
        features=frozenset({"web-session", "purchasing", "payment"}),
        labels=("session", "buyer", "card", "agreement"),
        settings=frozenset({"limit", "cost-centre", "deliver-to", "proxy"}),
    ),
    Kind(
        name="manager",
        parties=(BUYING,),
        factory="e2s.community.assembly_buyers:manager",
        person=True,
        signs=True,
        labels=("manager", "manager-agreement"),
        settings=frozenset({"proxy"}),
    ),
)

#: Every kind of component by name.
KINDS: Final = MappingProxyType({kind.name: kind for kind in _KINDS})
#: Every feature that some kind offers (chapter 4).
FEATURES: Final = frozenset().union(*(kind.features for kind in _KINDS))
#: The five components of a merchant's server (figure 6.5).
MERCHANT_SERVER: Final = tuple(kind.name for kind in _KINDS if kind.parties == (MERCHANT,))
