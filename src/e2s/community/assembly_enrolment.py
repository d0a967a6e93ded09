"""How enrolment is built: a CMP door for everybody, a desk, and what its officer key signs for the CA.

It renews what was certified before, and can do no more: its policy says so, and the CA certifies nothing else
at its word.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.community.description import Community, Component
from e2s.community.doors import Doors
from e2s.community.place import Assembled, Place, Renewable
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite
from e2s.network.sessions.link import read_key
from e2s.security.certificates.profiles import profiles_in
from e2s.security.enrolment import linked, store
from e2s.security.enrolment.desk import EnrolmentDesk
from e2s.security.enrolment.linked import LinkedCa
from e2s.security.enrolment.office import Office
from e2s.security.enrolment.policy import FILE, policy_in
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.pki.renewals import ask_own
from e2s.security.registration.home import RecordedOfficers

DOORS: Final = ("cmp",)
_CA_KIND: Final = "operating-ca"
#: The policy that founding writes: holders renew, for as long as their certificates are good.
POLICY: Final = b"""\
# Holders renew what they have, by the key that they have.  Nobody is invited here.
[bounds]
invitation-days = 1
uses = 1
retry-seconds = 30
waiting-days = 30
tries = 5
tries-minutes = 15

[protection]
software = "high"

[acme]
external-account = true
profile = "tls-server"
terms = ""
http-port = 80
tls-port = 443
networks = []
hosts = {}

[profile.component]
shown = ["holder"]
doors = ["cmp"]
confidence = "high"

[profile.tsa]
shown = ["holder"]
doors = ["cmp"]
confidence = "high"

[profile.tls-server]
shown = ["holder"]
doors = ["cmp"]
confidence = "low"
"""
POLICY_FILE: Final = FILE


def officer_of(community: Community, component: Component) -> str:
    """The name in which an enrolment component signs orders."""
    return community.urn(component.party, component.name)


class _Newest:
    """A signer under the newest certificate of its key."""

    def __init__(self, signer: Signer) -> None:
        self.now = signer

    @property
    def certificate(self) -> Certificate:
        """The certificate as it stands."""
        return self.now.certificate

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its issuers."""
        return self.now.chain

    @property
    def suite(self) -> SignatureSuite:
        """How it signs."""
        return self.now.suite

    def sign(self, data: bytes) -> bytes:
        """The signature."""
        return self.now.sign(data)

    def take(self, signer: Signer) -> None:
        """Be this one from now on."""
        self.now = signer


def _office(place: Place, database: Database, signer: Signer) -> Office:
    """The office over the CA that the component talks to."""
    (anchor,) = place.whole.anchors()
    peer = place.peer("certification-authority")
    certificate, *chain = place.certificates(peer.name, "ca")
    officer = officer_of(place.community, place.component)
    ca = LinkedCa(
        component=peer.name,
        kind=_CA_KIND,
        certificate=certificate,
        chain=tuple(chain),
        profiles=profiles_in(place.home.path),
        authoriser=RecordedOfficers(place.home.path, anchor),
        community=place.community.name,
        officer=officer,
        signer=signer,
        ask=place.link(peer).ask,
        database=database,
        clock=place.clock,
    )
    return Office(
        component=place.name,
        officer=officer,
        database=database,
        ca=ca,
        root=anchor,
        trust=place.trust(),
        clock=place.clock,
        random=place.random,
        storage=sha256(read_key(place.home.link_key(peer.name))).digest(),
        policy=policy_in(place.home.path),
    )


def enrolment(place: Place) -> Assembled:
    """The CMP door of the authority's enrolment."""
    tables = sa.MetaData()
    for table in (*store.TABLES.sorted_tables, *linked.TABLES.sorted_tables):
        table.to_metadata(tables)
    database, pse = place.database(tables), place.pse()
    officer = _Newest(pse.signer("officer"))
    office = _office(place, database, officer)
    desk = EnrolmentDesk(office)
    signer = _Newest(pse.signer("component"))
    doors = Doors(
        desk,
        DoorSetting(
            clock=place.clock,
            random=place.random,
            folder=place.home.path,
            origin=place.component.origin,
            component=place.name,
            name=place.party,
            policy=office.policy,
            signer=signer,
        ),
        DOORS,
    )

    def tick() -> None:
        now = place.clock.now()
        desk.tick(now)
        doors.tick(now)

    def close() -> None:
        doors.close()
        database.close()

    return Assembled(
        handle=doors,
        tick=tick,
        close=close,
        quick=doors.quick,
        outboxes=(("", database, store.OUTBOX), *doors.outboxes),
        renews={
            "component": Renewable(certificate=signer.certificate, taken=signer.take),
            "officer": Renewable(
                certificate=officer.certificate,
                taken=officer.take,
                ask=partial(ask_own, place.link(place.peer("certification-authority")).ask),
            ),
        },
    )
