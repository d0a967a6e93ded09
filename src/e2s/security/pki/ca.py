"""A certification authority certifies what its profile lets it, for officers who hold the right, on record.

Each act commits its intent first, signs outside of any transaction, and commits the result with its
event.  A serial that was intended when the process died is revoked at the next start: if a certificate of
it exists anywhere, it is good for nothing.  The root works the same way, in its own folder, and is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from e2s.base.database import Database
from e2s.base.errors import Fact, Misuse, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.base.rights import Authoriser, Refused
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.crypto.ports import Signer
from e2s.security.pki import store
from e2s.security.pki.certify import Wish, certify, read_request
from e2s.security.pki.profiles import CRL_LIFETIME, ROOT_CRL_LIFETIME, Profile, profile
from e2s.security.status.lists import reason_flag, revocation_list

#: A new list is made when half of the last one's time is over, or at once after a revocation.
_RENEWAL = 2


@dataclass(frozen=True, kw_only=True)
class Rights:
    """The rights at a CA, by name; the context of each is the CA's component name."""

    certify: str = "ca.certify"
    revoke: str = "ca.revoke"
    register: str = "ra.register"
    approve: str = "ra.approve"


RIGHTS = Rights()


class Authority:
    """One CA: a key behind a signer, a register, and the rights of its officers."""

    def __init__(
        self,
        signer: Signer,
        database: Database,
        *,
        kind: str,
        component: str,
        clock: Clock,
        random: Callable[[int], bytes],
        authoriser: Authoriser,
    ) -> None:
        """``database`` has :data:`store.TABLES`; ``kind`` is the CA's own profile (``root``...)."""
        self.profile = profile(kind)
        if not self.profile.is_ca:
            raise Misuse("not-a-ca", "this profile certifies nobody", profile=kind)
        self._signer: Signer | None = signer
        self.certificate = signer.certificate
        self.database = database
        self.outbox = Outbox(store.OUTBOX)
        self.component = component
        self._clock = clock
        self._random = random
        self._authoriser = authoriser
        self._void_unfinished()

    @property
    def signer(self) -> Signer:
        """The CA's key, until :meth:`close`; raises :class:`Refusal` ``ca-closed``."""
        if self._signer is None:
            raise Refusal("ca-closed", "this CA was closed", ca=self.component)
        return self._signer

    def issue(
        self,
        kind: str,
        key: PublicKey | bytes,
        names: Sequence[str],
        *,
        officer: str,
        pan_commit: bytes | None = None,
        not_after: datetime | None = None,
        subject: x509.Name | None = None,
    ) -> Certificate:
        """Certify ``key`` (a public key, or a PKCS #10 request) for profile ``kind`` under ``names``.

        Raises :class:`Refusal` ``not-authorised``, ``wrong-profile``, ``foreign-name``, ``key-reused``, and
        for a bad request.
        """
        wanted = profile(kind)
        public_key = read_request(key) if isinstance(key, bytes) else key
        self._authorise(officer, RIGHTS.certify, profile=kind, name=names[0] if names else "")
        self._check_wish(wanted, names)
        wish = Wish(
            profile=wanted,
            names=tuple(names),
            public_key=public_key,
            pan_commit=pan_commit,
            not_after=not_after,
            subject=subject,
        )
        signer, at, serial = self.signer, self._clock.now(), serial_number(self._random)
        spki = spki_of(public_key)
        with self.database.transaction() as connection:
            others = store.uses_of_key(connection, spki) - {wanted.use.value}
            if others:
                raise Refusal("key-reused", "a key serves one use, and this one already has another")
            name = names[0] if names else ""
            use = wanted.use.value
            store.intend(connection, serial, profile=kind, use=use, name=name, spki=spki, at=at)
        certificate = certify(wish, signer, serial=serial, at=at)
        with self.database.transaction() as connection:
            store.issued(connection, certificate)
            facts = {"serial": f"{serial:x}", "profile": kind, "name": name, "officer": officer}
            facts["certificate"] = certificate.id
            self._event(connection, "certificate.issued", at, facts)
        return certificate

    def revoke(self, serial: int, reason: str, *, officer: str) -> None:
        """Revoke for good, from now on; repeating it changes nothing.

        Raises :class:`Refusal` ``not-authorised`` or ``no-such-certificate``.
        """
        reason_flag(reason)
        self._authorise(officer, RIGHTS.revoke, serial=f"{serial:x}")
        at = self._clock.now()
        with self.database.transaction() as connection:
            known, before = store.revocation(connection, serial)
            if not known:
                raise Refusal("no-such-certificate", "this CA issued no certificate of that serial")
            if before is None:
                store.revoke(connection, serial, at, reason)
                facts = {"serial": f"{serial:x}", "reason": reason, "officer": officer}
                self._event(connection, "certificate.revoked", at, facts)

    def crl(self) -> bytes:
        """A new complete list as of now."""
        at = self._clock.now()
        with self.database.transaction() as connection:
            number = store.intend_crl(connection, at, at + self._crl_lifetime)
            entries = store.revoked(connection)
        der = revocation_list(entries, self.signer, number=number, at=at, lifetime=self._crl_lifetime)
        with self.database.transaction() as connection:
            store.put_crl(connection, number, der, len(entries))
            self._event(connection, "crl.issued", at, {"number": number, "entries": len(entries)})
        return der

    def current_crl(self) -> bytes:
        """The newest list; a new one when something was revoked since or half its time is over."""
        with self.database.reading() as connection:
            newest = store.newest_crl(connection)
            entries = store.revocations(connection)
        if newest is not None:
            since, listed, der = newest
            half = since + self._crl_lifetime / _RENEWAL
            if since <= self._clock.now() < half and listed == entries:
                return der
        return self.crl()

    def close(self) -> None:
        """Forget the key and give back the register."""
        self._signer = None
        self.database.close()

    @property
    def _crl_lifetime(self) -> timedelta:
        return ROOT_CRL_LIFETIME if self.profile.name == "root" else CRL_LIFETIME

    def _check_wish(self, wanted: Profile, names: Sequence[str]) -> None:
        """Only profiles that this CA issues, only names of its own community or party."""
        if wanted.name not in self.profile.issues:
            raise Refusal("wrong-profile", "this CA does not certify for that purpose", profile=wanted.name)
        realm = _realm(self.certificate, confined=self.profile.confined)
        for name in names:
            urn = name.startswith("urn:")
            if (urn and not name.startswith(realm)) or (self.profile.confined and not urn):
                raise Refusal("foreign-name", "this CA does not certify names outside its realm", name=name)

    def _authorise(self, officer: str, right: str, **facts: Fact) -> None:
        """Raise unless the officer holds the right; the refusal is an event of its own."""
        decision = self._authoriser.decide(officer, right, self.component)
        if isinstance(decision, Refused):
            with self.database.transaction() as connection:
                seen = {**facts, "officer": officer, "right": right}
                self._event(connection, "refused", self._clock.now(), seen, outcome="not-authorised")
            raise Refusal("not-authorised", decision.because, officer=officer, right=right)

    def _void_unfinished(self) -> None:
        with self.database.transaction() as connection:
            at = self._clock.now()
            for serial in store.unfinished(connection):
                store.revoke(connection, serial, at, "cessationOfOperation")
                self._event(connection, "certificate.voided", at, {"serial": f"{serial:x}"})

    def _event(
        self, connection: object, kind: str, at: datetime, facts: Mapping[str, Fact], outcome: str = "done"
    ) -> None:
        event = Event(kind=kind, at=at, component=self.component, outcome=outcome, facts=facts)
        self.outbox.sink(connection).append(event)  # type: ignore[arg-type]


def _realm(certificate: Certificate, *, confined: bool) -> str:
    """What the URNs that a CA certifies begin with: its community's, or its party's, name and a colon."""
    if confined:
        return f"{certificate.name}:"
    organisation = certificate.x509.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return f"urn:e2s:{organisation[0].value!s}:" if organisation else "urn:e2s:"
