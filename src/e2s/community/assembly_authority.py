"""How the authority's components are built: its CAs, which only its own party reaches, and its repository.

Who registers, who certifies and who publishes are processes of their own (6.1.1): the CA answers two kinds of
peer, each at its own doors, and the repository, which strangers reach, can only ask it what is public.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError
from e2s.base.http import Request, Response
from e2s.base.outbox import Outbox
from e2s.community.authority import ROOT_LIST, OwnLists, open_component_ca
from e2s.community.place import Assembled, Place
from e2s.community.publishers import OCSP_PATH
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.network.sessions.link import Link, LinkDoor
from e2s.security.ceremonies.renewing import RENEW, renewal_door
from e2s.security.pki.approvals import Judge
from e2s.security.pki.feed_service import FeedClient, feed_doors
from e2s.security.pki.proving import Prover
from e2s.security.pki.queue import IssueQueue
from e2s.security.pki.renewals import own_door, renewal_doors
from e2s.security.pki.service import doors, for_peers
from e2s.security.repository import store as repository_store
from e2s.security.repository.delegate import Delegate
from e2s.security.repository.door import PublicDoor
from e2s.security.repository.files import Repository
from e2s.security.repository.following import Following
from e2s.security.repository.lookup import Lookup
from e2s.security.status import store as status_store
from e2s.security.status.responder import Responder
from e2s.security.verification.fetching import ANCHOR_PATH, crl_path
from e2s.security.verification.ocsp import is_delegated
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

#: The newest certificate of the repository's key for answers, once the CA renewed it.
_NEWER: Final = "ocsp.pem"


def certification_authority(place: Place) -> Assembled:
    """An operating CA: no door for others, and for its own party one kind of door for each kind of peer."""
    authority = open_component_ca(place, kind="operating-ca")
    trust = Trust(Verifier(place.whole.anchors()), OwnLists(authority, place.home.path / "ca" / ROOT_LIST))
    judge = Judge(trust=trust, authoriser=authority.authoriser, community=place.community.name, ca=place.name)
    prover = authority.prove = Prover()
    queue = IssueQueue(authority)
    orders = doors(authority, judge, queue.issue_ders)
    officer = place.community.urn(place.component.party)
    feed = {**feed_doors(authority), **renewal_door(authority, officer=officer)}
    again = dict(renewal_doors(authority, orders))
    for peer in place.community.of_party(place.component.party, "enrolment"):
        again |= own_door(authority, name=place.community.urn(peer.party, peer.name), officer=officer)
    paths = {
        "registration": frozenset(orders),
        "repository": frozenset(feed),
        "enrolment": frozenset(again),
    }
    allowed = {
        component.name: paths.get(component.kind, frozenset())
        for component in place.community.of_party(place.component.party)
    }
    answer = LinkDoor(
        place.name,
        place.link_keys(),
        for_peers({**orders, **feed, **again}, allowed),
        place.clock,
        place.random,
    )

    def tick() -> None:
        authority.current_lists()

    def close() -> None:
        queue.close()
        authority.close()
        prover.close()

    outboxes: tuple[tuple[str, Database, Outbox], ...] = (("", authority.database, authority.outbox),)
    return Assembled(handle=answer.handle, tick=tick, close=close, outboxes=outboxes)


def repository(place: Place) -> Assembled:
    """Static files, look-up and OCSP for everyone; it follows the CAs that it talks to."""
    tables = sa.MetaData()
    for table in (*repository_store.TABLES.sorted_tables, *status_store.TABLES.sorted_tables):
        table.to_metadata(tables)
    database, outbox = place.database(tables), Outbox(repository_store.OUTBOX)
    responder = Responder(database, clock=place.clock, prefix=OCSP_PATH)
    files = Repository(place.home.path / "repository")
    door = PublicDoor(
        files,
        database,
        component=place.name,
        clock=place.clock,
        outbox=outbox,
        others={OCSP_PATH: responder.handle},
    )
    _index_root(files, door.lookup, database)
    signer = Delegate(place.pse().signer("ocsp"), place.home.path / _NEWER)
    links: dict[Certificate, Link] = {}
    following = []
    for peer in place.peers("certification-authority"):
        ca = place.certificates(peer.name, "ca")[0]
        with database.transaction() as connection:
            door.lookup.add_certificate(connection, ca)
        delegated = is_delegated(signer.certificate, ca)
        if delegated:
            responder.speak(ca, signer)
            links[ca] = place.link(peer)
        following.append(
            Following(
                FeedClient(place.link(peer)),
                ca,
                files=files,
                lookup=door.lookup,
                database=database,
                outbox=outbox,
                clock=place.clock,
                component=place.name,
                statuses=responder if delegated else None,
            )
        )

    def tick() -> None:
        for one in following:
            one.tick()
        for ca in responder.due(place.clock.now()):
            with suppress(E2SError):  # it is asked for again at the next tick, for a month
                signer.renew(ca, partial(links[ca].ask, RENEW))
                responder.speak(ca, signer)
        responder.tick()
        door.tick()

    tick()
    return Assembled(
        handle=door.handle,
        tick=tick,
        close=database.close,
        outboxes=(("", database, outbox),),
        quick=responder.quick,
    )


def officer(_place: Place) -> Assembled:
    """A registration officer's place: her key waits there until she signs with it; nothing is served."""

    def handle(_request: Request) -> Response:
        return Response(404)

    return Assembled(handle=handle)


def _index_root(files: Repository, lookup: Lookup, database: Database) -> None:
    """Let the root and its list be found: their files were put there at the ceremony."""
    with database.transaction() as connection:
        for root in read_certificates(files.file(ANCHOR_PATH).read_bytes()):
            lookup.add_certificate(connection, root)
            lookup.add_list(connection, root, files.file(crl_path(root)).read_bytes(), None, delta=False)
