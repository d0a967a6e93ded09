"""The architecture's rules for a community: a consistent choice of features, and no circles (chapter 4).

Each rule yields (place, what is wrong there) and looks at the description alone.
"""

from __future__ import annotations

from typing import Final

from e2s.community.chapter3 import Faults
from e2s.community.description import Community, Component
from e2s.community.kinds import ACQUIRER, BUYING, ISSUER, KINDS, MERCHANT


def kind_of_party(community: Community) -> Faults:
    """A component is of a kind that its party may run."""
    for component in community.components.values():
        party = community.parties[component.party]
        if party.kind not in KINDS[component.kind].parties:
            yield f"component {component.name}", f"a {party.kind} runs no {component.kind}"


def own_features(community: Community) -> Faults:
    """A component offers only what its kind can."""
    for component in community.components.values():
        for feature in component.features:
            if feature not in KINDS[component.kind].features:
                yield f"component {component.name}", f"a {component.kind} has no feature {feature}"


#: What a wallet chooses, and the kinds of component that must offer the same.
_COUNTERPARTS: Final = {
    "web-session": ("merchant-outside",),
    "purchasing": ("merchant-purchasing",),
    "payment": ("merchant-payment", "gateway", "issuer"),
}


def consistent_features(community: Community) -> Faults:
    """What a wallet chooses is offered by every kind of component that it needs."""
    for wallet in community.of_kind("wallet"):
        for feature in wallet.features:
            for kind in _COUNTERPARTS.get(feature, ()):
                if not any(feature in c.features for c in community.of_kind(kind)):
                    yield f"component {wallet.name}", f"chooses {feature}, which no {kind} offers"


def banks(community: Community) -> Faults:
    """Payment has both banks, and the way to them."""
    if not any("payment" in c.features for c in community.components.values()):
        return
    for kind in (ACQUIRER, ISSUER):
        if not any(party.kind == kind for party in community.parties.values()):
            yield "community", f"uses payment and has no {kind}"
    for component in community.of_kind("merchant-payment"):
        if not any(peer.kind == "gateway" for peer in community.peers(component)):
            yield f"component {component.name}", "talks to no gateway"
    for component in community.of_kind("gateway"):
        if not any(peer.kind == "issuer" for peer in community.peers(component)):
            yield f"component {component.name}", "talks to no issuer"


def spare_stamps(community: Community) -> Faults:
    """Contracts can be stamped by a second authority."""
    for component in community.of_kind("merchant-purchasing"):
        stamps = [peer for peer in community.peers(component) if peer.kind == "time-stamping"]
        if len(stamps) < 2:
            yield f"component {component.name}", f"talks to {len(stamps)} time-stamping authorities, not two"


def contract_parties(community: Community) -> Faults:
    """Terms join a merchant and a buying organisation."""
    for contract in community.contracts:
        where = f"contract {contract.merchant}.{contract.organisation}"
        if community.parties[contract.merchant].kind != MERCHANT:
            yield where, f"{contract.merchant} is no {MERCHANT}"
        if community.parties[contract.organisation].kind != BUYING:
            yield where, f"{contract.organisation} is no {BUYING}"


def no_cycle(community: Community) -> Faults:
    """No component needs itself, not even over others."""
    ordered = {component.name for component in start_order(community)}
    for component in community.components.values():
        if component.name not in ordered:
            yield f"component {component.name}", "needs itself, over others, or one that does"


def start_order(community: Community) -> tuple[Component, ...]:
    """The components, each after those that it needs; those on or behind a circle are left out."""
    waiting = dict(community.components)
    ordered: dict[str, Component] = {}
    while ready := [c for c in waiting.values() if all(peer in ordered for peer in c.talks_to)]:
        for component in ready:
            ordered[component.name] = waiting.pop(component.name)
    return tuple(ordered.values())
