"""A CA, and whoever publishes it in a directory of LDAP; each may be stopped and started again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.outbox import Outbox
from e2s.base.rights import TableAuthoriser
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.certificates.places import NOWHERE, Places
from e2s.security.directory import store
from e2s.security.directory.address import Address, Login
from e2s.security.directory.checking import Difference, differences
from e2s.security.directory.mirror import Mirror, Policy
from e2s.security.directory.names import read_suffix
from e2s.security.directory.publishing import Publisher
from e2s.security.directory.sending import Sender
from e2s.security.directory.session import Session
from e2s.security.directory.tree import Tree
from e2s.security.keys.generation import generate
from e2s.security.pki import store as register
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.reading import Register
from tests.worlds.pki import SetClock, make_pki

OFFICER = "urn:e2s:market:ca:officer"
PKI = make_pki()
KEYS = [generate("p256-sha256", secrets.token_bytes).public_key() for _ in range(8)]
_RIGHTS = TableAuthoriser(frozenset((OFFICER, right, "ca") for right in (RIGHTS.certify, RIGHTS.revoke)))
COMMUNITY = "market"


def opened_ca(
    folder: Path,
    clock: SetClock,
    places: Places = NOWHERE,
    *,
    signer: Signer = PKI.operating_ca.signer,
    kind: str = "operating-ca",
) -> Authority:
    return Authority(
        signer,
        Database.open(folder / "register.sqlite", register.TABLES),
        kind=kind,
        component="ca",
        clock=clock,
        random=secrets.token_bytes,
        authoriser=_RIGHTS,
        places=places,
    )


class Published:
    """The CA's register, its followed state and a directory at ``address``, below ``suffix``."""

    def __init__(
        self,
        folder: Path,
        address: Address,
        login: Login,
        suffix: str,
        *,
        places: Places = NOWHERE,
        keep_ended: timedelta | None = timedelta(0),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.address, self.login = folder, address, login
        self.clock = SetClock()
        self.tree = Tree(suffix=read_suffix(suffix), community=COMMUNITY)
        self.policy = Policy(keep_ended=keep_ended)
        self.ca = opened_ca(folder, self.clock, places)
        #: CAs that are published in the same tree.
        self.others: list[Authority] = []
        self.numbers = iter(range(10**6))
        self.start()

    def start(self, state: str = "directory.sqlite") -> None:
        """The publisher of this moment: as a new process would be."""
        self.database = Database.open(self.folder / state, store.TABLES)
        self.outbox = Outbox(store.OUTBOX)
        self.mirror = self.mirrored(self.ca)
        mirrors = [self.mirror, *map(self.mirrored, self.others)]
        self.session = Session(self.address, self.login)
        self.sender = Sender(
            self.session, self.tree, authorities=self.mirror.authorities, entries=self.mirror.entries
        )
        self.publisher = Publisher(
            mirrors, self.sender, outbox=self.outbox, clock=self.clock, component="directory"
        )

    def mirrored(self, ca: Authority) -> Mirror:
        return Mirror(
            Register(ca.database),
            ca.certificate,
            (PKI.root,),
            tree=self.tree,
            database=self.database,
            outbox=self.outbox,
            clock=self.clock,
            policy=self.policy,
        )

    def restart(self, state: str = "directory.sqlite") -> None:
        self.close()
        self.start(state)

    def close(self) -> None:
        self.session.close()
        self.database.close()

    def issue(self, *names: str, kind: str = "person") -> Certificate:
        key = generate("p256-sha256", secrets.token_bytes).public_key()
        return self.ca.issue(
            kind, key, names or (f"urn:e2s:market:alpha:p{next(self.numbers)}",), officer=OFFICER
        )

    def revoke(self, certificate: Certificate) -> None:
        self.ca.revoke(certificate.serial, "superseded", officer=OFFICER)

    def publish(self):
        """Make the lists that are due, and bring the directory up to date."""
        self.ca.current_lists()
        return self.publisher.all()

    def differ(self) -> list[Difference]:
        return list(differences(self.session, self.mirror, self.sender))

    def waiting(self) -> int:
        with self.database.reading() as connection:
            return store.counts(connection)["waiting"]

    def events(self) -> list[tuple[str, str]]:
        with self.database.reading() as connection:
            rows = self.outbox.waiting(connection, "audit", 10_000)
        return [(event["kind"], event["outcome"]) for event in (wire.decode(body) for _, body in rows)]

    def values(self, key: str, attributes: Sequence[str] = ("*",)):
        """What stands at a key: values by attribute, None where nothing stands."""
        return self.session.read(self.tree.dn(key), attributes)

    def stamps(self) -> dict[str, bytes]:
        """By each entry, what tells every change of it."""
        found = self.session.every(self.tree.dn(""), "(objectClass=*)", ("entryCSN",))
        return {dn: values["entryCSN"][0] for dn, values in found}
