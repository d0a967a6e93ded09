"""What every act of registration needs: the register, whom it believes, and the rights of officers.

The registration authority's process has no key that counts: whatever takes effect was signed by an officer
who holds the right at the CA, and is judged here and by the CA again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Fact, Misuse, Refusal
from e2s.base.events import Event
from e2s.base.instants import DELTA, Clock, parse_instant
from e2s.base.rights import Authoriser
from e2s.crypto import oids
from e2s.crypto.kinds import PublicKey
from e2s.security.certificates.attestation import Maker
from e2s.security.certificates.profiles import PROFILES, Profile, profile
from e2s.security.certificates.wish import Wish
from e2s.security.pki.rights import require
from e2s.security.registration import store
from e2s.security.registration.documents import Word
from e2s.security.registration.evidence import SALT_BYTES, document_digest
from e2s.security.registration.policy import Policy, shipped
from e2s.security.registration.tables import OUTBOX
from e2s.security.verification.trust import Trust

#: An officer's word is taken within this time of its signature.
FRESH: Final = timedelta(days=1)
_SALT: Final = "salt"


@dataclass(frozen=True, kw_only=True)
class Office:
    """One registration authority: ``component`` is its name, ``ca`` that of the CA it serves."""

    community: str
    component: str
    ca: str
    database: Database
    trust: Trust
    authoriser: Authoriser
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    policy: Policy = field(default_factory=shipped)
    profiles: Mapping[str, Profile] = field(default_factory=lambda: PROFILES, repr=False)
    parties: frozenset[str] = frozenset()
    makers: tuple[Maker, ...] = field(default=(), repr=False)

    def now(self) -> datetime:
        """The instant by the office's clock."""
        return self.clock.now()

    def check_word(self, word: Word, right: str) -> datetime:
        """Raise unless ``word`` is fresh, for here, and of an officer who is good now and holds ``right``.

        Gives the instant of now.  :class:`Refusal` ``other-community``, ``other-ca``, ``stale-word``,
        ``not-authorised``, ``duties-not-separate``, or the verifier's rule; each is an event.
        """
        now = self.now()
        try:
            document = word.document
            if document.get("community", self.community) != self.community:
                raise Refusal("other-community", "the word is for another community")
            if document.get("ca", self.ca) != self.ca:
                raise Refusal("other-ca", "the word is for another CA", ca=str(document["ca"]))
            at = parse_instant(document["at"])
            if not now - FRESH <= at <= now + DELTA:
                raise Refusal("stale-word", "the word was signed too long ago, or in time to come")
            self.check_officer(word, right, now)
        except Refusal as refusal:
            self.refused(refusal, now, type=word.document["type"], officer=word.officer, right=right)
            raise
        return now

    def check_officer(self, word: Word, right: str, now: datetime) -> None:
        """Raise unless the word's signer is the officer it names, good now, and holds ``right`` at the CA."""
        self.trust.check_certificate(
            word.certificate,
            word.certificates,
            purpose=oids.SIGNING["officer"],
            name=word.officer,
            at=now,
        )
        require(self.authoriser, word.officer, right, self.ca)

    def event(
        self,
        connection: sa.Connection,
        kind: str,
        at: datetime,
        facts: Mapping[str, Fact],
        outcome: str = "done",
    ) -> None:
        """Write an event in the transaction of its effect."""
        event = Event(kind=kind, at=at, component=self.component, outcome=outcome, facts=facts)
        OUTBOX.sink(connection).append(event)

    def refused(self, refusal: E2SError, at: datetime, **facts: Fact) -> None:
        """The event of a refusal."""
        with self.database.transaction() as connection:
            self.event(connection, "refused", at, {**facts, "rule": refusal.rule}, outcome="refused")

    def salt(self) -> bytes:
        """The office's own secret, under which documents' numbers are digested; made at its first use."""
        with self.database.reading() as connection:
            known = store.setting(connection, _SALT)
        if known is not None:
            return known
        with self.database.transaction() as connection:
            known = store.setting(connection, _SALT)
            if known is None:
                known = self.random(SALT_BYTES)
                store.put_setting(connection, _SALT, known)
        return known

    def document_digest(self, kind: str, issuer: str, number: str) -> str:
        """The keyed digest of a document's number; raises :class:`Refusal` ``document-number``."""
        return document_digest(self.salt(), kind, issuer, number)

    def profile(self, name: str) -> Profile:
        """A profile that is registered for; raises ``no-such-profile`` or ``wrong-profile``."""
        try:
            known = profile(name, self.profiles)
        except E2SError as error:
            raise Refusal("no-such-profile", error.message, profile=name[:64]) from error
        if known.is_ca or known.pan_commit:
            raise Refusal("wrong-profile", "CAs and cards are certified elsewhere", profile=name)
        return known

    def check_party(self, party: str) -> None:
        """Raise :class:`Refusal` ``unknown-party`` where the office knows its parties and this is none."""
        if self.parties and party not in self.parties:
            raise Refusal("unknown-party", "this community has no such party", party=party[:64])


def check_wish(wanted: Profile, names: Sequence[str], key: PublicKey, confidence: str) -> None:
    """Raise :class:`Refusal` for what no CA certifies: a kind of key that the profile does not take, say."""
    try:
        Wish(profile=wanted, names=tuple(names), public_key=key, confidence=confidence or None)
    except Misuse as misuse:
        raise Refusal(misuse.rule, misuse.message, **misuse.facts) from misuse


def names_of(row_name: str, further: list[str], wanted: Profile) -> list[str]:
    """The names in the certificate: a server's are hosts, everybody else's begin with the URN."""
    if oids.EKU_SERVER in wanted.ekus:
        return [name for name in further if not name.startswith("urn:") and "@" not in name]
    return [row_name, *further]
