"""Card verifiable certificates (SP 800-73-5, part 2, 4.1.5): a card's key for messaging and its signer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.security.smartcard import tlv

MAX_BYTES: Final = 1024
_PROFILE, _ISSUER, _SUBJECT, _KEY, _ROLE, _SIGNED = 0x5F29, 0x42, 0x5F20, 0x7F49, 0x5F4C, 0x5F37
_VERSION: Final = b"\x80"
#: Of a card's own key.
_CARD: Final = b"\0"
_CURVES: Final = {oids.P256: ec.SECP256R1(), oids.P384: ec.SECP384R1()}
_DIGESTS: Final = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384()}
_ALGORITHMS: Final = {"secp256r1": "1.2.840.10045.4.3.2", "secp384r1": "1.2.840.10045.4.3.3"}


@dataclass(frozen=True, kw_only=True)
class Verifiable:
    """One as read; nothing of it is believed before :meth:`check`."""

    issuer: bytes
    subject: bytes
    key: ec.EllipticCurvePublicKey = field(repr=False)
    body: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def check(self, signer: ec.EllipticCurvePublicKey) -> None:
        """Raise :class:`Refusal` ``foreign-card`` unless ``signer`` signed it."""
        wanted = _ALGORITHMS.get(signer.curve.name)
        try:
            if wanted is None or self.algorithm != der.sequence(der.oid(wanted)):
                raise InvalidSignature
            signer.verify(self.signature, self.body, ec.ECDSA(_DIGESTS[signer.curve.name]))
        except InvalidSignature as error:
            raise Refusal("foreign-card", "the card's key is not certified by its issuer") from error


def write_verifiable(
    key: ec.EllipticCurvePublicKey, *, issuer: bytes, subject: bytes, signer: ec.EllipticCurvePrivateKey
) -> bytes:
    """The certificate of a card's key; ``issuer`` has 8 octets, ``subject`` is the card's serial."""
    curve = next((oid for oid, one in _CURVES.items() if one.name == key.curve.name), None)
    if curve is None or len(issuer) != 8 or len(subject) != 16 or signer.curve.name not in _ALGORITHMS:
        raise Misuse("bad-card-key", "a card's key is on P-256 or P-384, its names have 8 and 16 octets")
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    body = (
        tlv.write(_PROFILE, _VERSION)
        + tlv.write(_ISSUER, issuer)
        + tlv.write(_SUBJECT, subject)
        + tlv.write(_KEY, der.oid(curve) + tlv.write(0x86, point))
        + tlv.write(_ROLE, _CARD)
    )
    signature = signer.sign(body, ec.ECDSA(_DIGESTS[signer.curve.name]))
    algorithm = der.sequence(der.oid(_ALGORITHMS[signer.curve.name]))
    signed = der.sequence(algorithm, der.tlv(der.BIT_STRING, b"\0" + signature))
    return tlv.write(0x7F21, body + tlv.write(_SIGNED, signed))


def read_verifiable(octets: bytes) -> Verifiable:
    """Read one; raises :class:`Refusal` ``bad-card-certificate``."""
    try:
        if len(octets) > MAX_BYTES:
            raise Refusal("bad-card-certificate", "it is larger than may be read")
        inner = tlv.inside(octets, 0x7F21)
        parts = list(tlv.objects(inner))
        if [tag for tag, _ in parts] != [_PROFILE, _ISSUER, _SUBJECT, _KEY, _ROLE, _SIGNED]:
            raise Refusal("bad-card-certificate", "its parts are others")
        profile, issuer, subject, key, role, signed = (value for _, value in parts)
        if profile != _VERSION or role != _CARD or len(issuer) != 8 or len(subject) != 16:
            raise Refusal("bad-card-certificate", "it is not of a card's own key")
        reader = der.Reader(signed).enter()
        algorithm = reader.element(der.SEQUENCE)
        bits = reader.content(der.BIT_STRING)
        reader.done()
        (_, curve), (tag, point) = tlv.objects(key)
        dotted = next((oid for oid in _CURVES if der.oid(oid)[2:] == curve), "")
        if tag != 0x86 or not dotted or not bits.startswith(b"\0"):
            raise Refusal("bad-card-certificate", "its key is of another kind")
        public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[dotted], point)
    except ValueError as error:
        raise Refusal("bad-card-certificate", "its key is no point of its curve") from error
    except Refusal as refusal:
        raise Refusal("bad-card-certificate", refusal.message) from refusal
    body = inner[: len(inner) - len(tlv.write(_SIGNED, signed))]
    return Verifiable(
        issuer=issuer, subject=subject, key=public, body=body, algorithm=algorithm, signature=bits[1:]
    )
