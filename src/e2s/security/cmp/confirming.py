"""The digest by which a certificate is confirmed (RFC 9810, 5.3.18; RFC 9481, 2)."""

from __future__ import annotations

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.suites.digests import BY_IDENTIFIER, Digest
from e2s.crypto.suites.identifiers import SHA256
from e2s.crypto.suites.signature import digest_under

#: For signatures that fix no digest: said beside it then.
ALGORITHM = SHA256


def certificate_digest(certificate: bytes, algorithm: bytes = b"") -> bytes:
    """The digest of a certificate, DER, by ``algorithm``, or by that of the signature in it.

    Raises :class:`Refusal` ``suite-unknown``.
    """
    digest = BY_IDENTIFIER.get(algorithm) if algorithm else fixed(certificate)
    if digest is None:
        raise Refusal("suite-unknown", "the certificate's digest is by none that is accepted")
    found: bytes = digest.new(certificate).digest()
    return found


def fixed(certificate: bytes) -> Digest | None:
    """The digest that the signature in a certificate fixes."""
    return digest_under(Certificate.read(certificate).slices.algorithm)
