"""An open CA that stands alone serves itself: static files, look-up, and OCSP by a delegated key.

The answering key is made when serving begins and lives in memory only; the CA certifies it for a while, and
another one in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.http import Request, Response
from e2s.base.outbox import Outbox
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.security.ceremonies.folder import ROOT_LIST, Setting
from e2s.security.ceremonies.standalone import Look
from e2s.security.keys.generation import generate
from e2s.security.pki.ca import Authority
from e2s.security.pki.feed import Change, Listed
from e2s.security.repository import store as repository_store
from e2s.security.repository.door import PublicDoor
from e2s.security.repository.files import Repository
from e2s.security.repository.following import Following
from e2s.security.status import store as status_store
from e2s.security.status.responder import Responder
from e2s.security.verification.crls import CrlIndex

OCSP_PATH: Final = "/ocsp"
#: In the CA's folder: what is served, and what is known of it.
PUBLIC: Final = "public"
DATABASE: Final = "public.sqlite"
_RESPONDER: Final = "ocsp-responder"


class Feed:
    """What an open CA of this process tells those who follow it."""

    def __init__(self, authority: Authority) -> None:
        """``authority`` stays open as long as it is followed."""
        self._authority = authority

    def changes(self, after: int, most: int) -> list[Change]:
        """The changes behind number ``after``, at most so many."""
        return self._authority.changes(after, most)

    def lists(self, known: Iterable[tuple[int | None, bool, int]]) -> list[Listed]:
        """The lists that stand now and are not ``known``."""
        seen = frozenset(known)
        lists = self._authority.current_lists()
        return [one for one in lists if (one.shard, one.delta, one.number) not in seen]


class Serving:
    """One CA with its repository and responder; :meth:`tick` keeps them up to date."""

    def __init__(self, seen: Look, authority: Authority, *, officer: str, setting: Setting) -> None:
        """``officer`` certifies the answering key; raises :class:`Refusal` ``not-authorised``."""
        self._seen = seen
        self._authority = authority
        self._officer = officer
        self._setting = setting
        self._root_list = b""
        tables = sa.MetaData()
        for table in (*repository_store.TABLES.sorted_tables, *status_store.TABLES.sorted_tables):
            table.to_metadata(tables)
        self._database = Database.open(seen.folder / DATABASE, tables)
        self._files = Repository(seen.folder / PUBLIC)
        outbox = Outbox(repository_store.OUTBOX)
        self._responder = Responder(self._database, clock=setting.clock, prefix=OCSP_PATH)
        self._door = PublicDoor(
            self._files,
            self._database,
            component=seen.component,
            clock=setting.clock,
            outbox=outbox,
            others={OCSP_PATH: self._responder.handle},
        )
        answers = _RESPONDER in authority.profile.issues
        if answers:
            self._delegate()
        self._publish_above()
        self._following = Following(
            Feed(authority),
            seen.own,
            files=self._files,
            lookup=self._door.lookup,
            database=self._database,
            outbox=outbox,
            clock=setting.clock,
            component=seen.component,
            statuses=self._responder if answers else None,
        )
        self.tick()

    def handle(self, request: Request) -> Response:
        """One request of anyone."""
        return self._door.handle(request)

    def quick(self, request: Request) -> bool:
        """Whether it is answered at once."""
        return self._responder.quick(request)

    def tick(self) -> None:
        """Publish what is new, and renew the answering key's certificate in time."""
        if self._responder.due(self._setting.clock.now()):
            self._delegate()
        self._publish_root_list()
        self._following.tick()
        self._responder.tick()
        self._door.tick()

    def close(self) -> None:
        """Give back the database; the CA stays open."""
        self._database.close()

    def _delegate(self) -> None:
        """Let a new key answer in the CA's name (RFC 6960, 4.2.2.2)."""
        key = generate(self._setting.suite, self._setting.random)
        name = f"{self._seen.own.name}:ocsp"
        certificate = self._authority.issue(_RESPONDER, key.public_key(), (name,), officer=self._officer)
        self._responder.speak(self._seen.own, KeySigner(certificate, (), key))

    def _publish_above(self) -> None:
        """The root, and the CAs between."""
        self._files.publish_anchor(self._seen.root)
        with self._database.transaction() as connection:
            for one in dict.fromkeys((self._seen.root, *self._seen.issuers)):
                self._files.publish_certificate(one)
                self._door.lookup.add_certificate(connection, one)

    def _publish_root_list(self) -> None:
        """The root's list as it lies in the folder, when it is another one and the root's."""
        path = self._seen.folder / ROOT_LIST
        found = path.read_bytes() if path.exists() else b""
        if not found or found == self._root_list:
            return
        self._root_list = found
        root = self._seen.root
        if CrlIndex.read(found).signed_by(root):
            self._files.publish_crl(root, found)
            with self._database.transaction() as connection:
                self._door.lookup.add_list(connection, root, found, None, delta=False)


def export(seen: Look, lists: Iterable[Listed], certificates: Iterable[Certificate], target: Path) -> int:
    """Write what a CA publishes as static files under ``target``; how many certificates.

    Any web server may serve them: each stands at the path that certificates name.
    """
    files = Repository(target, reserve=0)
    files.publish_anchor(seen.root)
    for one in dict.fromkeys((seen.root, *seen.issuers)):
        files.publish_certificate(one)
    for listed in lists:
        files.publish_crl(seen.own, listed.der, listed.shard, delta=listed.delta)
    root_list = seen.folder / ROOT_LIST
    if root_list.exists() and seen.own != seen.root:
        files.publish_crl(seen.root, root_list.read_bytes())
    number = 0
    for certificate in certificates:
        files.publish_certificate(certificate)
        number += 1
    return number
