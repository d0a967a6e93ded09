"""Another community's authority is certified within limits: for which names, and which policies count.

Its subject, key and key identifier are taken as it has them, so that what it certified is found beneath; and
it certifies nobody of our own community, whatever else it may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PublicKey
from e2s.crypto.ports import Signer
from e2s.security.ceremonies.occasion import PLAIN, Occasion, certified
from e2s.security.ceremonies.root import Root
from e2s.security.certificates.certify import Wish, read_request
from e2s.security.certificates.profiles import Limits, profile
from e2s.security.keys.lent import built, lent
from e2s.security.pki.ca import Authority
from e2s.security.verification.traits import traits

PROFILE = "cross"


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Another community's authority, by its certificate or by a request that proves possession."""

    subject: x509.Name
    public_key: PublicKey
    key_id: bytes = b""
    not_after: datetime | None = None

    @classmethod
    def of_certificate(cls, certificate: Certificate) -> Foreign:
        """Who the certificate names; raises :class:`Refusal` ``not-a-ca``."""
        known = traits(certificate)
        if not known.ca or not known.may("key_cert_sign"):
            raise Refusal("not-a-ca", "only an authority is cross-certified", certificate=certificate.id)
        return cls(
            subject=certificate.x509.subject,
            public_key=certificate.public_key,
            key_id=certificate.key_id or b"",
            not_after=certificate.not_after,
        )

    @classmethod
    def of_request(cls, octets: bytes) -> Foreign:
        """Who asks (PKCS #10, DER); raises :class:`Refusal` ``bad-request`` or ``no-possession``."""
        key = read_request(octets)
        subject = x509.load_der_x509_csr(octets).subject
        if not subject.rdns:
            raise Refusal("bad-request", "the request names nobody")
        return cls(subject=subject, public_key=key)


def cross_certify(
    issuer: Root | Authority,
    foreign: Foreign,
    limits: Limits,
    *,
    officer: str,
    not_after: datetime | None = None,
    any_name: bool = False,
    occasion: Occasion = PLAIN,
) -> Certificate:
    """Certify ``foreign`` within ``limits``; a root does so in a ceremony.

    Raises :class:`Misuse` ``unconfined`` where no subtree is permitted and ``any_name`` is not said,
    :class:`Refusal` ``own-community`` for an authority of our own, ``not-authorised``, ``wrong-profile``.
    """
    authority = issuer.authority if isinstance(issuer, Root) else issuer
    community = _organisation(authority.certificate.x509.subject)
    if community and _organisation(foreign.subject) == community:
        raise Refusal("own-community", "an authority of the same community is not cross-certified")
    if not limits.permitted and not any_name:
        raise Misuse("unconfined", "say whose names it may certify, or that it may be anybody's")
    if PROFILE not in authority.profile.issues:
        raise Refusal("wrong-profile", "this CA does not certify for that purpose", profile=PROFILE)
    ends = [end for end in (not_after, foreign.not_after) if end is not None]
    wish = Wish(
        profile=profile(PROFILE),
        names=(),
        subject=foreign.subject,
        public_key=foreign.public_key,
        key_id=foreign.key_id,
        not_after=min([*ends, authority.clock.now() + profile(PROFILE).lifetime]),
        limits=_without_ours(limits, community),
    )
    if isinstance(issuer, Authority):
        return issuer.issue_wish(wish, officer=officer)
    with issuer.ceremony(
        "cross-certifying", officer=officer, present=occasion.present, note=occasion.note
    ) as held:
        made = issuer.authority.issue_wish(wish, officer=officer)
        held.items.append(certified(made, PROFILE, made.subject))
        if occasion.list_too:
            issuer.crl()
    return made


def ask(signer: Signer) -> bytes:
    """A PKCS #10 request by an authority's own key, for another community to cross-certify it, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(signer.certificate.x509.subject)
    return built(builder, lent(signer), signer.suite).public_bytes(Encoding.DER)


def _without_ours(limits: Limits, community: str) -> Limits:
    """The limits, and none of our own community's names."""
    ours = (f"dir:{x509.Name(_named(community)).rfc4514_string()}",) if community else ()
    return Limits(**{**vars(limits), "excluded": tuple(dict.fromkeys((*limits.excluded, *ours)))})


def _named(community: str) -> Sequence[x509.NameAttribute[str]]:
    return [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, community)]


def _organisation(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return str(found[0].value) if found else ""
