"""Certificates are made from values alone: profile, names, key, serial and instant are arguments.

What a profile does not say, no certificate says.  Each is linted (:mod:`~e2s.security.certificates.lint`)
before it is signed.
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
from e2s.security.certificates.names import general_name, subject_of
from e2s.security.certificates.places import NOWHERE, Places
from e2s.security.certificates.possession import MAX_REQUEST_BYTES, read_proof
from e2s.security.certificates.template import BACKDATED, Template, template_of
from e2s.security.certificates.wish import Wish
from e2s.security.keys.lent import built

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
    tbs = template_of(wish, issuer.certificate, issuer.suite, places).tbs(wish, serial, at)
    return _with_signatures([tbs], issuer.suite.signature_algorithm, [issuer.sign(tbs)])[0]


def certify_all(
    wishes: Sequence[tuple[Wish, int]], issuer: Signer, *, at: datetime, places: Places = NOWHERE
) -> list[bytes | Refusal]:
    """The certificates for ``wishes``, each with its serial, DER, in their order; or why one must not be.

    What is to be signed is made of all first, then all are signed: each stays in the processor's caches.
    """
    suite, certificate = issuer.suite, issuer.certificate
    good: list[bytes] = []
    refused: dict[int, Refusal] = {}
    template: Template | None = None
    for place, (wish, serial) in enumerate(wishes):
        try:
            if template is None or not template.serves(wish):
                template = template_of(wish, certificate, suite, places)
            good.append(template.tbs(wish, serial, at))
        except Refusal as refusal:
            refused[place] = refusal
    signed: list[bytes | Refusal] = [*_all_signed(good, issuer)]
    for place, why in refused.items():
        signed.insert(place, why)
    return signed


def _all_signed(all_tbs: list[bytes], issuer: Signer) -> list[bytes]:
    """The certificates; a signer that signs many at once does."""
    if isinstance(issuer, SignerOfMany):
        signatures = issuer.sign_all(all_tbs)
    else:
        signatures = [issuer.sign(tbs) for tbs in all_tbs]
    return _with_signatures(all_tbs, issuer.suite.signature_algorithm, signatures)


def _with_signatures(all_tbs: list[bytes], algorithm: bytes, signatures: list[bytes]) -> list[bytes]:
    """Certificates (RFC 5280, 4.1)."""
    header, around, certificates = der.header, len(algorithm) + 1, []
    for tbs, signature in zip(all_tbs, signatures, strict=True):
        bits = header(0x03, len(signature) + 1)
        whole = header(0x30, len(tbs) + around + len(bits) + len(signature))
        certificates.append(b"".join((whole, tbs, algorithm, bits, b"\0", signature)))
    return certificates


def certify_root(wish: Wish, key: PrivateKey, *, serial: int, at: datetime) -> Certificate:
    """A self-signed root."""
    own, suite = signing(key), signature_suite_of(key)
    tbs = template_of(wish, None, suite, NOWHERE).tbs(wish, serial, at)
    (made,) = _with_signatures([tbs], suite.signature_algorithm, [suite.sign(own, tbs)])
    return Certificate.read(made)


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
