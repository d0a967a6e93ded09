"""A whole trust centre in memory, made in milliseconds: the ground of every floor's tests."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from e2s.base.instants import Clock
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PrivateKey, PublicKey
from e2s.crypto.openers import KeyOpener
from e2s.security.certificates.certify import Wish, certify, certify_root
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import CRL_LIFETIME, ROOT_CRL_LIFETIME, profile
from e2s.security.keys.generation import generate
from e2s.security.status.lists import revocation_list
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

#: The instant at which test communities begin.
START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
DEFAULT_SUITE = "p256-sha256"


@dataclass
class SetClock:
    """A clock that stands until a test moves it."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def forward(self, **units: float) -> datetime:
        self.at += timedelta(**units)
        return self.at


@dataclass
class Ca:
    """One CA: its signer, its lists."""

    signer: KeySigner
    revoked: list[tuple[int, datetime, str]] = field(default_factory=list)
    number: int = 0

    @property
    def certificate(self) -> Certificate:
        return self.signer.certificate


@dataclass
class Pki:
    """The trust centre of one community: ``root`` over ``operating`` and ``card_ca`` (for card-holders)."""

    community: str
    at: datetime
    root_ca: Ca
    operating_ca: Ca
    bank_ca: Ca

    @property
    def root(self) -> Certificate:
        return self.root_ca.certificate

    @property
    def operating(self) -> Certificate:
        return self.operating_ca.certificate

    @property
    def card_ca(self) -> Certificate:
        return self.bank_ca.certificate

    @property
    def anchors(self) -> tuple[Certificate, ...]:
        return (self.root,)

    def issue(
        self,
        kind: str,
        names: str | Sequence[str],
        *,
        suite: str = DEFAULT_SUITE,
        not_after: datetime | None = None,
        at: datetime | None = None,
        pan_commit: bytes | None = None,
        private_key: PrivateKey | None = None,
    ) -> tuple[Certificate, tuple[Certificate, ...], PrivateKey]:
        """A certificate of profile ``kind``, the chain below the root, and its private key."""
        key = private_key or generate(suite, secrets.token_bytes)
        more: dict[str, Any] = {"not_after": not_after, "at": at, "pan_commit": pan_commit}
        return *self.certify(kind, names, key.public_key(), **more), key

    def certify(
        self,
        kind: str,
        names: str | Sequence[str],
        key: PublicKey,
        *,
        not_after: datetime | None = None,
        at: datetime | None = None,
        pan_commit: bytes | None = None,
    ) -> tuple[Certificate, tuple[Certificate, ...]]:
        """A certificate of profile ``kind`` for a key that is elsewhere, and the chain below the root."""
        wanted = profile(kind)
        ca = self.bank_ca if kind.startswith("card-holder") else self.operating_ca
        if wanted.pan_commit and pan_commit is None:
            pan_commit = sha256(b"a card number").digest()
        wish = Wish(
            profile=wanted,
            names=(names,) if isinstance(names, str) else tuple(names),
            public_key=key,
            not_after=not_after,
            pan_commit=pan_commit,
        )
        made = certify(wish, ca.signer, serial=serial_number(secrets.token_bytes), at=at or self.at)
        return made, (ca.certificate,)

    def signer(self, kind: str, names: str | Sequence[str], **more) -> KeySigner:
        """A signer with a new certificate of profile ``kind``."""
        return KeySigner(*self.issue(kind, names, **more))

    def opener(self, kind: str, names: str | Sequence[str], **more) -> KeyOpener:
        """An opener with a new certificate of profile ``kind`` (``merchant-agreement``...)."""
        certificate, _chain, key = self.issue(kind, names, **more)
        return KeyOpener(certificate, key)

    def revoke(
        self, certificate: Certificate, at: datetime | None = None, reason: str = "keyCompromise"
    ) -> None:
        """Revoke a certificate of any of the three CAs; stands in the next :meth:`crls`."""
        for ca in (self.root_ca, self.operating_ca, self.bank_ca):
            if certificate.x509.issuer == ca.certificate.x509.subject:
                ca.revoked.append((certificate.serial, at or self.at, reason))
                ca.number += 1

    def crls(self, at: datetime | None = None) -> tuple[bytes, ...]:
        """The lists of the three CAs as of ``at``."""
        return tuple(
            revocation_list(ca.revoked, ca.signer, number=ca.number, at=at or self.at, lifetime=lifetime)
            for ca, lifetime in (
                (self.root_ca, ROOT_CRL_LIFETIME),
                (self.operating_ca, CRL_LIFETIME),
                (self.bank_ca, CRL_LIFETIME),
            )
        )

    def verifier(self) -> Verifier:
        return Verifier(self.anchors)

    def trust(self, clock: Clock) -> Trust:
        """Trust in this community, with CRLs that always are of this instant and know every revocation."""
        return Trust(self.verifier(), LiveCrls(self, clock))


class LiveCrls:
    """The community's lists, made anew only when something was revoked or the day is over."""

    def __init__(self, pki: Pki, clock: Clock) -> None:
        self._pki = pki
        self._clock = clock
        self._key: tuple[object, ...] = ()
        self._crls: tuple[bytes, ...] = ()

    def crls(self, *_certificates: Certificate) -> Sequence[bytes]:
        pki, now = self._pki, self._clock.now()
        day = int(now.timestamp()) // 43_200
        key = (day, pki.root_ca.number, pki.operating_ca.number, pki.bank_ca.number)
        if key != self._key:
            self._key, self._crls = key, pki.crls(now)
        return self._crls


def make_pki(
    community: str = "market", *, at: datetime = START, bank: str = "bank", suite: str = DEFAULT_SUITE
) -> Pki:
    """Root, operating CA and the card CA of the issuing bank ``urn:e2s:<community>:<bank>``."""
    key = generate(suite, secrets.token_bytes)
    wish = Wish(
        profile=profile("root"),
        names=(),
        subject=distinguished(community=community, common="root"),
        public_key=key.public_key(),
    )
    made_at = at - timedelta(days=30)
    root = KeySigner(certify_root(wish, key, serial=serial_number(secrets.token_bytes), at=made_at), (), key)
    operating = _ca(root, "operating-ca", community, f"urn:e2s:{community}:ca", made_at, suite)
    card = _ca(root, "card-ca", community, f"urn:e2s:{community}:{bank}", made_at, suite)
    return Pki(community, at, Ca(root), Ca(operating), Ca(card))


def _ca(root: KeySigner, kind: str, community: str, name: str, at: datetime, suite: str) -> KeySigner:
    key = generate(suite, secrets.token_bytes)
    party = name.rsplit(":", 1)[1]
    wish = Wish(
        profile=profile(kind),
        names=(name,),
        subject=distinguished(community=community, party=party, common=kind),
        public_key=key.public_key(),
    )
    certificate = certify(wish, root, serial=serial_number(secrets.token_bytes), at=at)
    return KeySigner(certificate, (), key)
