"""Certificates are made from values alone: profile, names, key, serial and instant are arguments.

What a profile does not say, no certificate says.  Each is linted (:mod:`e2s.security.pki.lint`) before it is
signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey, PublicKey, signing
from e2s.crypto.ports import Signer, SignerOfMany
from e2s.crypto.suites import signature_suite_of
from e2s.security.keys.lent import built
from e2s.security.pki.names import general_name, subject_of
from e2s.security.pki.places import NOWHERE, Places
from e2s.security.pki.possession import MAX_REQUEST_BYTES, read_proof
from e2s.security.pki.template import BACKDATED, Template, template_of
from e2s.security.pki.wish import Wish

__all__ = [
    "BACKDATED",
    "MAX_REQUEST_BYTES",
    "Wish",
    "certify",
    "certify_all",
    "certify_der",
    "certify_root",
    "read_request",
    "request",
]


def certify(
    wish: Wish, issuer: Signer, *, serial: int, at: datetime, places: Places = NOWHERE
) -> Certificate:
    """The certificate for ``wish`` signed by ``issuer``; never valid beyond the issuer's own certificate.

    It says ``places`` where its status is told.  Raises :class:`Refusal` ``lint-...`` for one that must not
    be signed.
    """
    return Certificate.read(certify_der(wish, issuer, serial=serial, at=at, places=places))


def certify_der(wish: Wish, issuer: Signer, *, serial: int, at: datetime, places: Places = NOWHERE) -> bytes:
    """The same as :func:`certify`, DER, without reading it back."""
    suite = issuer.suite
    tbs = template_of(wish, issuer.certificate, suite, places).tbs(wish, serial, at)
    return _signed(tbs, suite.signature_algorithm, issuer.sign(tbs))


def certify_all(
    wishes: Sequence[tuple[Wish, int]], issuer: Signer, *, at: datetime, places: Places = NOWHERE
) -> list[bytes | Refusal]:
    """The certificates for ``wishes``, each with its serial, DER, in their order; or why one must not be.

    What is to be signed is made of all first, then all are signed: each stays in the processor's caches.
    """
    suite, certificate = issuer.suite, issuer.certificate
    results: list[bytes | Refusal] = []
    good: list[bytes] = []
    template: Template | None = None
    for wish, serial in wishes:
        try:
            if template is None or not template.serves(wish):
                template = template_of(wish, certificate, suite, places)
            tbs = template.tbs(wish, serial, at)
        except Refusal as refusal:
            results.append(refusal)
        else:
            results.append(tbs)
            good.append(tbs)
    signed = iter(_all_signed(good, issuer))
    return [next(signed) if isinstance(one, bytes) else one for one in results]


def _all_signed(all_tbs: list[bytes], issuer: Signer) -> list[bytes]:
    """The certificates; a signer that signs many at once does."""
    algorithm = issuer.suite.signature_algorithm
    if isinstance(issuer, SignerOfMany):
        signatures = issuer.sign_all(all_tbs)
    else:
        signatures = [issuer.sign(tbs) for tbs in all_tbs]
    return [_signed(tbs, algorithm, signature) for tbs, signature in zip(all_tbs, signatures, strict=True)]


def certify_root(wish: Wish, key: PrivateKey, *, serial: int, at: datetime) -> Certificate:
    """A self-signed root."""
    own, suite = signing(key), signature_suite_of(key)
    tbs = template_of(wish, None, suite, NOWHERE).tbs(wish, serial, at)
    return Certificate.read(_signed(tbs, suite.signature_algorithm, suite.sign(own, tbs)))


def _signed(tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """The Certificate (RFC 5280, 4.1)."""
    bits = der.header(der.BIT_STRING, len(signature) + 1)
    size = len(tbs) + len(algorithm) + len(bits) + len(signature) + 1
    return b"".join((der.header(der.SEQUENCE, size), tbs, algorithm, bits, b"\0", signature))


def request(key: PrivateKey, names: tuple[str, ...]) -> bytes:
    """A PKCS #10 request, DER: proves possession of ``key`` (RFC 2986)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(names[0]))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([general_name(n) for n in names]), critical=False
    )
    return built(builder, signing(key), signature_suite_of(key)).public_bytes(Encoding.DER)


def read_request(octets: bytes) -> PublicKey:
    """The key whose possession the request proves; its wishes for names are not read.

    Raises :class:`Refusal` ``bad-request``, ``suite-unknown`` or ``no-possession``.
    """
    return read_proof(octets).key
