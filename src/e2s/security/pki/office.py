"""What the acts of one CA share: its key, its register, its clock, and who may do what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography import x509

from e2s.base.database import Database
from e2s.base.errors import Fact, Misuse, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.base.rights import Authoriser, Refused
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.certificates.places import NOWHERE, Places
from e2s.security.certificates.possession import Proven, prove_here
from e2s.security.certificates.profiles import CRL_LIFETIME, PROFILES, ROOT_CRL_LIFETIME, Profile, profile
from e2s.security.pki import rights, store
from e2s.security.pki.rights import RIGHTS, Rights
from e2s.security.status.lists import shard_of

__all__ = ["RIGHTS", "Lifetimes", "Office", "Prove", "Rights"]

#: Reads requests: for each its key, or why it proves nothing.
Prove = Callable[[Sequence[bytes]], list[Proven | Refusal]]


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """How long a complete list and a delta list are good; each is renewed when half of it is over."""

    complete: timedelta = CRL_LIFETIME
    delta: timedelta = CRL_LIFETIME / 4


_ROOT = Lifetimes(complete=ROOT_CRL_LIFETIME, delta=ROOT_CRL_LIFETIME)


class Office:
    """One CA: a key behind a signer, a register, and the rights of its officers."""

    def __init__(  # noqa: PLR0913 - a CA is what all of these are
        self,
        signer: Signer,
        database: Database,
        *,
        kind: str,
        component: str,
        clock: Clock,
        random: Callable[[int], bytes],
        authoriser: Authoriser,
        places: Places = NOWHERE,
        lifetimes: Lifetimes | None = None,
        prove: Prove = prove_here,
        profiles: Mapping[str, Profile] = PROFILES,
    ) -> None:
        """``database`` has :data:`store.TABLES`; ``kind`` is the CA's own profile (``root``...).

        ``profiles`` are those by which it certifies, its own among them; ``places`` is what its certificates
        say of its lists and answers; ``prove`` reads the requests of a group: a
        :class:`~e2s.security.pki.proving.Prover`, where many come.
        """
        self.profile = profile(kind, profiles)
        self.profiles = profiles
        if not self.profile.is_ca:
            raise Misuse("not-a-ca", "this profile certifies nobody", profile=kind)
        if places.shards < 1 or (not places.base and (places.deltas or places.shards != 1)):
            raise Misuse("bad-places", "parts and delta lists of a list have a place of their own")
        self._signer: Signer | None = signer
        self.certificate = signer.certificate
        self.chain = signer.chain
        self.realm = _realm(signer.certificate, confined=self.profile.confined)
        self.database = database
        self.outbox = Outbox(store.OUTBOX)
        self.finder = store.finder()
        self.component = component
        self.places = places
        self.lifetimes = lifetimes or (_ROOT if kind == "root" else Lifetimes())
        self.authoriser = authoriser
        self.clock = clock
        self.random = random
        self.prove = prove
        #: Gives back what holds the key: a token stays open until then.
        self.on_close: Callable[[], None] | None = None
        #: Intents whose certificates could not be recorded; the next act voids them.
        self.abandoned: list[bytes] = []
        self.opened()

    def opened(self) -> None:
        """What is done once, before the first act."""

    @property
    def signer(self) -> Signer:
        """The CA's key, until :meth:`close`; raises :class:`Refusal` ``ca-closed``."""
        if self._signer is None:
            raise Refusal("ca-closed", "this CA was closed", ca=self.component)
        return self._signer

    def shard(self, serial: int) -> int | None:
        """In which part of the list a certificate of this serial stands."""
        return None if self.places.shards == 1 else shard_of(serial, self.places.shards)

    def close(self) -> None:
        """Forget the key and give back the register."""
        self._signer = None
        self.database.close()
        if self.on_close is not None:
            self.on_close()

    def denied(self, officer: str, right: str) -> Refusal | None:
        """Why the officer may not do it; the refusal is to be recorded by :meth:`note_denied`.

        At the root, and at a CA that is confined to its own party, one officer may hold all duties.
        """
        alone = self.profile.confined or self.profile.name == "root"
        decision = rights.decide(self.authoriser, officer, right, self.component, alone=alone)
        if isinstance(decision, Refused):
            return Refusal(decision.rule, decision.because, officer=officer, right=right)
        return None

    def note_denied(self, connection: sa.Connection, refusal: Refusal, facts: Mapping[str, Fact]) -> None:
        """The event of a refusal."""
        seen = {**facts, **refusal.facts}
        self.event(connection, "refused", self.clock.now(), seen, outcome=refusal.rule)

    def authorise(self, officer: str, right: str, **facts: Fact) -> None:
        """Raise unless the officer holds the right; the refusal is an event of its own."""
        refusal = self.denied(officer, right)
        if refusal is not None:
            with self.database.transaction() as connection:
                self.note_denied(connection, refusal, facts)
            raise refusal

    def event(
        self,
        connection: sa.Connection,
        kind: str,
        at: datetime,
        facts: Mapping[str, Fact],
        outcome: str = "done",
    ) -> None:
        """Record what happened, in the transaction of its effect."""
        event = Event(kind=kind, at=at, component=self.component, outcome=outcome, facts=facts)
        self.outbox.sink(connection).append(event)

    def events(
        self, connection: sa.Connection, kind: str, at: datetime, all_facts: Iterable[Mapping[str, Fact]]
    ) -> None:
        """Record that the same happened several times."""
        self.outbox.sink(connection).append_all(
            [Event(kind=kind, at=at, component=self.component, facts=facts) for facts in all_facts]
        )


def _realm(certificate: Certificate, *, confined: bool) -> str:
    """What the URNs that a CA certifies begin with: its community's, or its party's, name and a colon."""
    if confined:
        return f"{certificate.name}:"
    organisation = certificate.x509.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return f"urn:e2s:{organisation[0].value!s}:" if organisation else "urn:e2s:"
