"""How the components are built that many parties have: time stamps and audit."""

from __future__ import annotations

from e2s.community.place import Assembled, Place, Renewable
from e2s.security.timestamping import authority as stamping
from e2s.security.timestamping.authority import StampAuthority
from e2s.server.audit import store
from e2s.server.audit.sequencer import Sequencer


def time_stamping(place: Place) -> Assembled:
    """One time-stamping authority."""
    pse = place.pse()
    database = place.database(stamping.TABLES)
    signer = pse.signer("tsa")
    stamps = StampAuthority(signer, database, component=place.name, clock=place.clock, random=place.random)
    outboxes = (("", database, stamps.outbox),)
    return Assembled(
        handle=stamps.handle,
        tick=stamps.tick,
        close=stamps.close,
        outboxes=outboxes,
        renews={"tsa": Renewable(certificate=signer.certificate, taken=stamps.renewed)},
    )


def audit(place: Place) -> Assembled:
    """The party's sequencer."""
    sequencer = Sequencer(
        place.name, place.database(store.TABLES), place.link_keys(), place.clock, place.random
    )
    return Assembled(handle=sequencer.handle, tick=sequencer.tick, close=sequencer.close)
