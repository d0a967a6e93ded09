"""A card judges certificates by roots that it holds (ISO/IEC 7816-8, 11.3): no host can lie to it about them.

It has no clock: the latest beginning of a CA's certificate that it found good is an instant that it knows to
be past.  Each CA whose certificate is good may be the issuer of the next one, until the card is reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2s.security.smartcard import apdu, attesting, piv, tlv
from e2s.security.smartcard.memory import CardKey
from e2s.security.smartcard.session import Kept, Session, stop

_SELF_DESCRIPTIVE, _CONTENT = 0xBE, 0xAE
_MAX_JUDGED: Final = 8
_LEAST_DIGEST: Final = 32
_CURVES: Final = {piv.P256: ec.SECP256R1(), piv.P384: ec.SECP384R1()}


def forget(session: Session, command: apdu.Command) -> None:
    """MANAGE SECURITY ENVIRONMENT: RESTORE (ISO/IEC 7816-4, 11.5.11): issuers are the card's roots again."""
    if (command.p1, command.p2) != (0xF3, 0):
        raise stop(apdu.BAD_PARAMETERS)
    session.judged.clear()


def judge(kept: Kept, session: Session, command: apdu.Command) -> None:
    """Raise unless the certificate in the command is good by a root on the card, or by one judged before."""
    if command.p1 or command.p2 not in {_SELF_DESCRIPTIVE, _CONTENT}:
        raise stop(apdu.BAD_PARAMETERS)
    octets = tlv.inside(command.data, 0x7F21) if command.p2 == _SELF_DESCRIPTIVE else command.data
    try:
        certificate = x509.load_der_x509_certificate(octets)
        key = certificate.public_key()
        critical = {one.oid for one in certificate.extensions if one.critical}
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise stop(apdu.BAD_DATA) from error
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise stop(apdu.NOT_SUPPORTED)
    authority = _certifies(certificate)
    below = _below(kept, session, certificate)
    if not critical <= _KNOWN or below is None or (authority and below < 1):
        raise stop(apdu.NOT_VERIFIED)
    begin, end = (
        int(at.timestamp()) for at in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    if end < max(begin, kept.memory.effective):
        raise stop(apdu.NOT_VERIFIED)
    if authority:
        # only CAs' certificates move the card's time: a holder's may begin when somebody likes
        if begin > kept.memory.effective:
            kept.change(replace(kept.memory, effective=begin))
        judged = (certificate, min(below - 1, _most_below(certificate)))
        session.judged = [*session.judged, judged][-_MAX_JUDGED:]


_KNOWN: Final = frozenset(
    {
        x509.OID_BASIC_CONSTRAINTS,
        x509.OID_KEY_USAGE,
        x509.OID_EXTENDED_KEY_USAGE,
        x509.OID_SUBJECT_ALTERNATIVE_NAME,
    }
)


def _below(kept: Kept, session: Session, certificate: x509.Certificate) -> int | None:
    """How many CAs may stand below the one that signed it: a root, or a CA judged good; None for neither."""
    issuers = list(session.judged)
    for tag in piv.ANCHORS:
        if tag in kept.memory.objects:
            octets = attesting.certificate_in(kept.memory.objects[tag])
            root = x509.load_der_x509_certificate(octets)
            issuers.append((root, _most_below(root)))
    found = [below for issuer, below in issuers if _signed_by(certificate, issuer)]
    return max(found, default=None)


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    digest = certificate.signature_hash_algorithm
    if digest is None or digest.digest_size < _LEAST_DIGEST:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _most_below(certificate: x509.Certificate) -> int:
    """The path length (RFC 5280, 4.2.1.9), bounded."""
    try:
        length = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:
        return 0
    return _MAX_JUDGED if length is None else min(length, _MAX_JUDGED)


def _certifies(certificate: x509.Certificate) -> bool:
    """Whether it is a CA's."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and usage.key_cert_sign


def private_key(algorithm: int, parts: Mapping[int, bytes]) -> CardKey:
    """A key that is brought: tags 01 and 02 are primes, 06 the scalar; raises for anything else."""
    try:
        if algorithm in piv.CURVES:
            scalar = parts.get(6, b"")
            if len(scalar) != piv.CURVES[algorithm]:
                raise stop(apdu.BAD_DATA)
            return ec.derive_private_key(int.from_bytes(scalar, "big"), _CURVES[algorithm])
        if algorithm in piv.RSA:
            p, q = (int.from_bytes(parts.get(tag, b""), "big") for tag in (1, 2))
            return _rsa(p, q, piv.RSA[algorithm])
    except ValueError as error:
        raise stop(apdu.BAD_DATA) from error
    raise stop(apdu.BAD_PARAMETERS)


def _rsa(p: int, q: int, size: int) -> rsa.RSAPrivateKey:
    e, n = 65537, p * q
    if n.bit_length() != size * 8 or p == q:
        raise stop(apdu.BAD_DATA)
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e, n),
    )
    return numbers.private_key()
