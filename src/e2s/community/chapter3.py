"""The security model's rules for a community: identity, key handling and separated servers (chapter 3).

Each rule yields (place, what is wrong there) and looks at the description alone; suites end by date.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, TypeAlias

from e2s.community.description import Community, Component
from e2s.community.kinds import AUTHORITY, KINDS, MERCHANT, MERCHANT_SERVER
from e2s.crypto import suites

Faults: TypeAlias = Iterator[tuple[str, str]]

#: Kinds that judge no certificate of others.
_JUDGE_NOTHING: Final = frozenset({"repository", "audit", "time-stamping", "merchant-key-handler"})
#: Who registers, who certifies, who publishes and who renews (6.1.1).
_AUTHORITY_APART: Final = ("certification-authority", "registration", "repository", "enrolment")


def one_authority(community: Community) -> Faults:
    """Who is trusted must be an authority, with a component that certifies."""
    trusted = community.parties[community.trust.authority]
    if trusted.kind != AUTHORITY:
        yield f"trust.authority {trusted.name}", f"is a {trusted.kind}, not a {AUTHORITY}"
    elif not community.of_party(trusted.name, "certification-authority"):
        yield f"party {trusted.name}", "has no component of kind certification-authority"


def repository_reachable(community: Community) -> Faults:
    """Whoever judges certificates reaches a repository, and each CA is followed by one."""
    if not community.of_party(community.trust.authority, "repository"):
        yield f"party {community.trust.authority}", "has no component of kind repository"
    for component in community.components.values():
        if component.kind == "certification-authority":
            if not any(component.name in one.talks_to for one in community.of_kind("repository")):
                yield f"component {component.name}", "is followed by no repository"
        elif component.kind in _JUDGE_NOTHING:
            continue
        elif not any(peer.kind == "repository" for peer in community.peers(component)):
            yield f"component {component.name}", "does not talk to a repository"


def root_off_line(community: Community) -> Faults:
    """The root's key is kept off-line."""
    if community.trust.root_key != "off-line":
        yield "trust.root_key", "is on-line"


def merchant_server(community: Community) -> Faults:
    """A merchant has each of the five components once."""
    for party in community.parties.values():
        if party.kind != MERCHANT:
            continue
        for kind in MERCHANT_SERVER:
            number = len(community.of_party(party.name, kind))
            if number != 1:
                yield f"party {party.name}", f"has {number} components of kind {kind}, not one"


def own_process(community: Community) -> Faults:
    """No two components listen at one address."""
    seen: dict[tuple[str, int], str] = {}
    for component in community.components.values():
        address = (component.listen.host, component.listen.port)
        if address in seen:
            yield f"component {component.name}", f"listens where {seen[address]} does"
        seen.setdefault(address, component.name)


def key_handler_enclosed(community: Community) -> Faults:
    """No other party and no outside server talks to a key handler."""
    for component in community.components.values():
        for peer in community.peers(component):
            if peer.kind != "merchant-key-handler":
                continue
            if component.party != peer.party or component.kind == "merchant-outside":
                yield f"component {component.name}", f"reaches the key handler {peer.name} from outside"


def only_doors(community: Community) -> Faults:
    """Components of other parties are reached by doors only."""
    for component in community.components.values():
        for peer in community.peers(component):
            if component.party != peer.party and not KINDS[peer.kind].door:
                yield f"component {component.name}", f"reaches into {peer.party}: {peer.name} is no door"


def compartments(community: Community) -> Faults:
    """Outside and the key handler each have a compartment for themselves."""
    for party in community.parties.values():
        if party.kind != MERCHANT:
            continue
        outside = {c.compartment for c in community.of_party(party.name, "merchant-outside")}
        for component in community.of_party(party.name):
            inside = component.kind in MERCHANT_SERVER and component.kind != "merchant-outside"
            if inside and component.compartment in outside:
                yield (
                    f"component {component.name}",
                    f"shares compartment {component.compartment} with outside",
                )
        handlers = {c.compartment for c in community.of_party(party.name, "merchant-key-handler")}
        for component in community.of_party(party.name):
            if component.kind != "merchant-key-handler" and component.compartment in handlers:
                yield f"component {component.name}", "shares the key handler's compartment"


def plain_justified(community: Community) -> Faults:
    """Plain links give their reason and stay on loopback."""
    for component in community.components.values():
        if component.tls:
            continue
        if not component.plain_because:
            yield f"component {component.name}", "is plain HTTP and plain_because gives no reason"
        if not component.listen.loopback:
            yield f"component {component.name}", f"is plain HTTP on {component.listen.host}, not on loopback"


def common_suites(community: Community, at: datetime) -> Faults:
    """Components that talk have suites of each kind that both their places permit then."""
    for component in community.components.values():
        for peer in community.peers(component):
            for kind in suites.KINDS:
                places = (component.location, peer.location)
                if not suites.permitted(kind, *places, at=at, policy=community.policy):
                    why = suites.none_permitted(kind, *places, at=at, policy=community.policy).message
                    yield f"component {component.name}", f"for {peer.name}, {why}"


def one_sequencer(community: Community) -> Faults:
    """Each party has one sequencer, and its other components report to it."""
    for party in community.parties.values():
        sequencers = community.of_party(party.name, "audit")
        if len(sequencers) != 1:
            yield f"party {party.name}", f"has {len(sequencers)} components of kind audit, not one"
            continue
        for component in community.of_party(party.name):
            if component.kind != "audit" and sequencers[0].name not in component.talks_to:
                yield f"component {component.name}", f"does not report to {sequencers[0].name}"


def one_role(community: Community) -> Faults:
    """A person holds one component."""
    seen: dict[tuple[str, str], Component] = {}
    for component in community.components.values():
        if not component.person:
            continue
        other = seen.setdefault((component.party, component.person), component)
        if other is not component:
            yield f"component {component.name}", f"{component.person} already has {other.name}"


def authority_apart(community: Community) -> Faults:
    """Certifying, registering and publishing have a compartment each."""
    for party in community.parties.values():
        holds: dict[str, str] = {}
        for kind in _AUTHORITY_APART:
            for component in community.of_party(party.name, kind):
                other = holds.setdefault(component.compartment, kind)
                if other != kind:
                    yield (
                        f"component {component.name}",
                        f"shares compartment {component.compartment} with {other}",
                    )


def renewal_reachable(community: Community) -> Faults:
    """Whoever renews certificates reaches the trusted authority's enrolment, where it has one."""
    if not community.of_party(community.trust.authority, "enrolment"):
        return
    for component in community.components.values():
        if component.kind == "enrolment" or not (KINDS[component.kind].renews or component.tls):
            continue
        if not any(peer.kind == "enrolment" for peer in community.peers(component)):
            yield f"component {component.name}", "does not talk to the enrolment that renews its certificates"
