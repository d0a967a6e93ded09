"""How a registration authority is built: its register, its link to the CA, the officers of the ceremonies."""

from __future__ import annotations

from e2s.community.place import Assembled, Place
from e2s.security.certificates.makers import makers_in
from e2s.security.certificates.profiles import profiles_in
from e2s.security.registration import tables
from e2s.security.registration.acts import reserve
from e2s.security.registration.home import RecordedOfficers, policy_in
from e2s.security.registration.office import Office
from e2s.security.registration.service import Service


def office_of(place: Place) -> Office:
    """The registration authority in the component's home, for its process and for an officer's tools."""
    (anchor,) = place.whole.anchors()
    return Office(
        community=place.community.name,
        component=place.name,
        ca=place.peer("certification-authority").name,
        database=place.database(tables.TABLES),
        trust=place.trust(),
        authoriser=RecordedOfficers(place.home.path, anchor),
        clock=place.clock,
        random=place.random,
        policy=policy_in(place.home.path),
        makers=makers_in(place.home.path),
        profiles=profiles_in(place.home.path),
        parties=frozenset(place.community.parties),
    )


def registration(place: Place) -> Assembled:
    """The registration authority: officers' words over links, orders to the CA at each tick.

    The people of the community file have their names already.
    """
    office = office_of(place)
    components = place.community.components.values()
    reserve(office, ((one.party, one.person) for one in components if one.person))
    link = place.link(place.peer("certification-authority"))
    service = Service(office, link.ask, place.link_keys())
    return Assembled(
        handle=service.handle,
        tick=service.tick,
        close=service.close,
        outboxes=(("", office.database, tables.OUTBOX),),
    )
