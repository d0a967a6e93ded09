"""Names are given by who invites, by the certificate that is held, or by proof; a request may repeat them.

What a request asks for beyond that is refused, and not left out silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import UNREADABLE, Certificate
from e2s.security.certificates.names import subject_of

_COMMON: Final = NameOID.COMMON_NAME
_MAIL: Final = NameOID.EMAIL_ADDRESS


def names_in(certificate: Certificate) -> tuple[str, ...]:
    """Every alternative name of a certificate, as they stand there; raises ``names-differ`` for odd ones."""
    extension = certificate.values.get(x509.SubjectAlternativeName)
    return () if extension is None else tuple(_written(one) for one in extension)


def subject_in(certificate: Certificate, names: tuple[str, ...]) -> str:
    """The subject of a certificate (RFC 4514), where it does not follow from ``names``; else nothing."""
    subject = certificate.x509.subject
    return "" if names and subject_of(names[0]) == subject else subject.rfc4514_string()


def level_in(certificate: Certificate) -> str | None:
    """The level of confidence that a certificate states."""
    extension = certificate.values.get(x509.CertificatePolicies)
    stated = set() if extension is None else {one.policy_identifier.dotted_string for one in extension}
    return next((level for level, oid in oids.CONFIDENCE.items() if oid in stated), None)


def check_request(octets: bytes, given: tuple[str, ...]) -> None:
    """Raise :class:`Refusal` ``names-differ`` unless what a PKCS #10 request names was given.

    Its alternative names, its common names and mail addresses, and those parts of its subject that the
    certificate's subject has.
    """
    try:
        request = x509.load_der_x509_csr(octets)
        subject = [(one.oid, str(one.value)) for one in request.subject]
        asked = next(
            (one.value for one in request.extensions if isinstance(one.value, x509.SubjectAlternativeName)),
            (),
        )
    except UNREADABLE as error:
        raise Refusal("bad-request", "the octets are not a request that can be read") from error
    known = _known(given)
    follows = subject_of(given[0]) if given else x509.Name([])
    check_names((_written(one) for one in asked), given)
    for oid, value in subject:
        own = {str(one.value) for one in follows.get_attributes_for_oid(oid)}
        named = value in own or (oid in {_COMMON, _MAIL} and _key(value) in known)
        if not named and (own or oid in {_COMMON, _MAIL}):
            raise _differ(value)


def check_names(asked: Iterable[str], given: tuple[str, ...]) -> None:
    """Raise :class:`Refusal` ``names-differ`` unless every name that is asked for was given."""
    known = _known(given)
    for name in asked:
        if _key(name) not in known:
            raise _differ(name)


def chosen(wanted: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """The names given, or those of them that are wanted, in the order in which they were given."""
    known = _known(wanted)
    return tuple(name for name in given if _key(name) in known) if wanted else given


def _known(given: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_key, given))


def _key(name: str) -> str:
    """Hosts are the same in any case (RFC 4343), and an address however it is written; a URI is not."""
    if name.startswith("urn:") or "://" in name:
        return name
    if name[:1].isdigit() or ":" in name:
        with suppress(ValueError):
            return str(ip_address(name))
    return name if ":" in name else name.lower()


def _written(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier | x509.IPAddress):
        return str(name.value)
    raise _differ(type(name).__name__)


def _differ(name: str) -> Refusal:
    shown = name[:80] if name.isprintable() else ""
    return Refusal("names-differ", "the request names what was not given", name=shown)
