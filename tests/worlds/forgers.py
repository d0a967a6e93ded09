"""Signers whom nobody should believe: of the right names, but expired, revoked, for another purpose, or foreign."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography import x509

from e2s.community.authority import open_component_ca
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import KeySigner
from e2s.crypto.ports import Signer
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.profiles import profile
from e2s.security.keys.generation import generate
from e2s.security.pki.ca import Authority
from tests.worlds.pki import Pki, make_pki
from tests.worlds.whole import Whole

_SUITE = "p256-sha256"
_HOLDER = "card-holder"


@dataclass
class Forgers:
    """Makes them; the CAs of the community are at hand, and a second community of the same name."""

    whole: Whole

    def __post_init__(self) -> None:
        self.authorities: dict[str, Authority] = {
            kind: open_component_ca(self.whole.place(component), kind=kind)
            for kind, component in (("operating-ca", "authority-ca"), ("card-ca", "issuer-desk"))
        }
        self.others: Pki = make_pki("components-market", at=self.whole.clock.now(), bank="issuer")

    def close(self) -> None:
        for authority in self.authorities.values():
            authority.close()

    def _authority(self, kind: str) -> Authority:
        return self.authorities["card-ca" if kind.startswith(_HOLDER) else "operating-ca"]

    def _commitment(self, like: Certificate, kind: str) -> bytes | None:
        if kind != _HOLDER:
            return None
        wanted = x509.ObjectIdentifier(oids.PAN_COMMIT)
        return like.x509.extensions.get_extension_for_oid(wanted).value.public_bytes()[2:]

    def expired(self, like: Certificate, kind: str) -> Signer:
        """Good until yesterday."""
        now = self.whole.clock.now()
        return self._certified(like, kind, born=now - timedelta(days=1), dies=now - timedelta(hours=1))

    def wrong_purpose(self, like: Certificate, _kind: str) -> Signer:
        """Good, of the same names, for catalogues."""
        return self._certified(like, "catalogue", born=self.whole.clock.now() - timedelta(minutes=1))

    def revoked(self, like: Certificate, kind: str) -> Signer:
        """Revoked in a list that everybody has seen."""
        authority, key = self._authority(kind), generate(_SUITE, secrets.token_bytes)
        bank = self.whole.community.urn("issuer")
        officer = bank if kind.startswith(_HOLDER) else self.whole.community.urn("authority")
        made = authority.issue(
            kind,
            key.public_key(),
            like.names,
            officer=officer,
            pan_commit=self._commitment(like, kind),
            subject=like.x509.subject,
        )
        authority.revoke(made.serial, "keyCompromise", officer=officer)
        self.whole.tick(2)
        self.whole.clock.forward(seconds=61)
        return KeySigner(made, (authority.certificate,), key)

    def other_community(self, like: Certificate, kind: str) -> Signer:
        """Of the same names in another community that took the same name."""
        return self.others.signer(kind, like.names, at=self.whole.clock.now() - timedelta(minutes=1))

    def _certified(
        self, like: Certificate, kind: str, *, born: datetime, dies: datetime | None = None
    ) -> Signer:
        key, ca = generate(_SUITE, secrets.token_bytes), self._authority(kind)
        wish = Wish(
            profile=profile(kind),
            names=like.names,
            public_key=key.public_key(),
            not_after=dies,
            pan_commit=self._commitment(like, kind),
            subject=like.x509.subject,
        )
        made = certify(wish, ca.signer, serial=serial_number(secrets.token_bytes), at=born)
        return KeySigner(made, (ca.certificate,), key)


Making = Callable[[Forgers, Certificate, str], Signer]
MAKING: Mapping[str, Making] = MappingProxyType(
    {
        "expired": Forgers.expired,
        "revoked": Forgers.revoked,
        "wrong-purpose": Forgers.wrong_purpose,
        "unknown-root": Forgers.other_community,
    }
)
