"""How the components that every community has are built: the authority's repository, time stamps, audit."""

from __future__ import annotations

from e2s.base.database import Database
from e2s.base.outbox import Outbox
from e2s.community.authority import open_component_ca
from e2s.community.place import Assembled, Place
from e2s.security.pki.authority_service import AuthorityService
from e2s.security.repository.files import Repository
from e2s.security.timestamping import authority as stamping
from e2s.security.timestamping.authority import StampAuthority
from e2s.server.audit import store
from e2s.server.audit.sequencer import Sequencer


def repository(place: Place) -> Assembled:
    """The operating CA, open, with its certificates and lists as files for everyone."""
    authority = open_component_ca(place, kind="operating-ca")
    service = AuthorityService(Repository(place.home.path / "repository"), (authority,))
    outboxes: tuple[tuple[str, Database, Outbox], ...] = (("", authority.database, authority.outbox),)
    return Assembled(handle=service.handle, tick=service.tick, close=service.close, outboxes=outboxes)


def time_stamping(place: Place) -> Assembled:
    """One time-stamping authority."""
    pse = place.pse()
    database = place.database(stamping.TABLES)
    stamps = StampAuthority(
        pse.signer("tsa"), database, component=place.name, clock=place.clock, random=place.random
    )
    outboxes = (("", database, stamps.outbox),)
    return Assembled(handle=stamps.handle, tick=stamps.tick, close=stamps.close, outboxes=outboxes)


def audit(place: Place) -> Assembled:
    """The party's sequencer."""
    sequencer = Sequencer(
        place.name, place.database(store.TABLES), place.link_keys(), place.clock, place.random
    )
    return Assembled(handle=sequencer.handle, tick=sequencer.tick, close=sequencer.close)
