"""Whom a component deals with at other parties, as the community file and the published certificates say."""

from __future__ import annotations

from e2s.commerce.payment.peers import Peer
from e2s.community.description import Component
from e2s.community.kinds import ISSUER, MERCHANT
from e2s.community.place import Place


def peer_of(place: Place, component: Component, role: str, agreement: str, origin: str = "") -> Peer:
    """The party behind ``component`` in ``role``, with the two certificates published for it."""
    signing, *chain = place.certificates(component.name, role)
    return Peer(
        role=role,
        name=place.community.urn(component.party),
        signing=signing,
        agreement=place.certificates(component.name, agreement)[0],
        chain=tuple(chain),
        origin=origin,
    )


def gateway_of(place: Place) -> Peer:
    """The gateway that the component talks to."""
    gateway = place.peer("gateway")
    return peer_of(place, gateway, "gateway", "gateway-agreement", gateway.origin)


def issuers_of(place: Place) -> dict[str, Peer]:
    """Every issuing bank of the community, by the id of its signing certificate."""
    banks = [
        peer_of(place, desk, "issuer", "issuer-agreement", desk.origin)
        for party in place.community.parties.values()
        if party.kind == ISSUER
        for desk in place.community.of_party(party.name, "issuer")[:1]
    ]
    return {bank.signing.id: bank for bank in banks}


def merchants_of(place: Place) -> dict[str, Peer]:
    """Every merchant of the community in the role of its payment component, by party name."""
    tills = [
        peer_of(place, keys, "merchant-payment", "payment-agreement")
        for party in place.community.parties.values()
        if party.kind == MERCHANT
        for keys in place.community.of_party(party.name, "merchant-key-handler")
    ]
    return {till.name: till for till in tills}
