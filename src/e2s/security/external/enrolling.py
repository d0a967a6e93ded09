"""Keys of ours are certified by another provider, by its protocol, and stay where they live.

A request is signed by the key in its file, token or card; nothing of a private key goes into a protocol.
What comes back counts once it is for that key and leads to the roots that were told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import SigningKey
from e2s.crypto.suites import SignatureSuite
from e2s.security.acme.client import AcmeClient, Responder
from e2s.security.certificates.names import general_name, subject_of
from e2s.security.certificates.possession import read_proof
from e2s.security.cmp.client import CmpClient
from e2s.security.cmp.enrolled import Enrolled as CmpEnrolled
from e2s.security.cmp.enrolled import Waiting
from e2s.security.est import client as est
from e2s.security.keys.lent import built
from e2s.security.verification.revoked import REASONS
from e2s.security.verification.verifier import Verifier

_ANSWERING: Final = frozenset({oids.EKU_CMC_RA, oids.COMPONENT})
_CODES: Final = {name: code for code, name in REASONS.items()}


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The certificate and its issuers, nearest first, without the root."""

    certificate: Certificate
    chain: tuple[Certificate, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Later:
    """The provider's officers have to say so first: ask again after so many seconds."""

    retry_seconds: int


class Way(Protocol):
    """Port: one provider's door, and how we show there who we are."""

    def enrol(self, request: bytes) -> Enrolled | Later:
        """A certificate for a PKCS #10 request."""

    def renew(self, request: bytes, held: Certificate) -> Enrolled | Later:
        """One in the place of ``held``."""

    def revoke(self, certificate: Certificate, reason: str) -> None:
        """End a certificate of ours; raises :class:`Refusal` ``not-by-this-protocol`` where none can."""


def request_for(key: SigningKey, suite: SignatureSuite, names: Sequence[str]) -> bytes:
    """A PKCS #10 request, DER, signed by ``key`` by ``suite``: it may be one that is lent by a token."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(names[0]))
    named = x509.SubjectAlternativeName([general_name(one) for one in names])
    return built(builder.add_extension(named, critical=False), key, suite).public_bytes(Encoding.DER)


@dataclass(frozen=True, kw_only=True)
class ByAcme:
    """RFC 8555: hosts, which ``responder`` proves."""

    client: AcmeClient
    responder: Responder
    names: tuple[str, ...]

    def enrol(self, request: bytes) -> Enrolled | Later:
        """As the port."""
        certificate, *chain = self.client.obtain(self.names, request, self.responder)
        return Enrolled(certificate=certificate, chain=tuple(chain))

    def renew(self, request: bytes, held: Certificate) -> Enrolled | Later:
        """As the port; the order says what it replaces (RFC 9773, 5)."""
        certificate, *chain = self.client.obtain(self.names, request, self.responder, replaces=held)
        return Enrolled(certificate=certificate, chain=tuple(chain))

    def revoke(self, certificate: Certificate, reason: str) -> None:
        """As the port."""
        self.client.revoke(certificate, _CODES[reason])


@dataclass(frozen=True, kw_only=True)
class ByEst:
    """RFC 7030; who renews shows her certificate in TLS."""

    client: est.EstClient

    def enrol(self, request: bytes) -> Enrolled | Later:
        """As the port."""
        return self._came(self.client.enroll(request))

    def renew(self, request: bytes, held: Certificate) -> Enrolled | Later:
        """As the port."""
        del held
        return self._came(self.client.reenroll(request))

    def revoke(self, certificate: Certificate, reason: str) -> None:
        """Refuses: EST ends nothing."""
        del certificate, reason
        raise Refusal("not-by-this-protocol", "EST has no message that ends a certificate")

    def _came(self, found: Certificate | est.Waiting) -> Enrolled | Later:
        if isinstance(found, est.Waiting):
            return Later(retry_seconds=found.retry_seconds)
        return Enrolled(certificate=found, chain=_above(found, self.client.cacerts()))


@dataclass(kw_only=True)
class ByCmp:
    """RFC 9810: messages under the secret that was told, or signed by the key that is renewed."""

    client: CmpClient
    _waiting: Waiting | None = field(default=None, repr=False)

    def enrol(self, request: bytes) -> Enrolled | Later:
        """As the port (p10cr, pollReq)."""
        if self._waiting is not None:
            return self._came(self.client.ask_again(self._waiting))
        return self._came(self.client.by_pkcs10(request, read_proof(request).spki))

    def renew(self, request: bytes, held: Certificate) -> Enrolled | Later:
        """As the port: the messages are signed under ``held``."""
        del held
        return self.enrol(request)

    def revoke(self, certificate: Certificate, reason: str) -> None:
        """As the port (rr)."""
        self.client.revoke(certificate, reason)

    def _came(self, found: CmpEnrolled | Waiting) -> Enrolled | Later:
        if isinstance(found, Waiting):
            self._waiting = found
            return Later(retry_seconds=found.seconds)
        return Enrolled(certificate=found.certificate, chain=found.chain)


def obtained(
    ask: Callable[[], Enrolled | Later],
    request: bytes,
    roots: Sequence[Certificate],
    *,
    now: Callable[[], datetime],
    wait_seconds: float = 0,
    pause: Callable[[float], None] = time.sleep,
) -> Enrolled | Later:
    """What ``ask`` gives, asked again while the provider's officers are waited for, and judged.

    Raises :class:`Refusal` ``key-mismatch``, or the verifier's rule where it leads to none of ``roots``.
    """
    found = ask()
    left = wait_seconds
    while isinstance(found, Later) and left > 0:
        step = min(float(found.retry_seconds), left)
        pause(step)
        left -= step
        found = ask()
    if isinstance(found, Enrolled):
        check_came(found, request, roots, now())
    return found


def check_came(found: Enrolled, request: bytes, roots: Sequence[Certificate], at: datetime) -> None:
    """Raise unless a certificate is for the request's key and stands under one of the roots."""
    if found.certificate.spki != read_proof(request).spki:
        raise Refusal("key-mismatch", "what came back is for another key than was asked for")
    Verifier(tuple(roots)).judge(
        found.certificate, found.chain, (), at=at, purpose=None, name=None, require_revocation=False
    ).or_refuse()


def answering(
    roots: Sequence[Certificate], known: Sequence[Certificate], now: Callable[[], datetime]
) -> Callable[[Certificate, Sequence[Certificate]], None]:
    """Who may sign a provider's CMP answers: a CA of ours there, or whom it certified for that.

    The latter's certificate says so (RFC 9483, 3.2: cmcRA; E2S's own: component), and leads to one of
    ``roots``, perhaps by ``known``, the issuers of our certificate.  Raises :class:`Refusal`
    ``wrong-purpose``, or the verifier's.
    """
    issuers = {one.spki for one in (*roots, *known)}

    def judge(certificate: Certificate, beside: Sequence[Certificate]) -> None:
        if certificate.spki not in issuers and certificate.ekus.isdisjoint(_ANSWERING):
            raise Refusal("wrong-purpose", "who signed the answer is not certified for that")
        Verifier(tuple(roots)).judge(
            certificate,
            (*beside, *known),
            (),
            at=now(),
            purpose=None,
            name=None,
            require_revocation=False,
        ).or_refuse()

    return judge


def _above(certificate: Certificate, known: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """The issuers, nearest first, as far as they are known and do not issue themselves."""
    found: list[Certificate] = []
    last = certificate
    while len(found) <= len(known):
        above = next((one for one in known if one.slices.subject == last.slices.issuer), None)
        if above is None or above.slices.subject == above.slices.issuer:
            break
        found.append(above)
        last = above
    return tuple(found)
