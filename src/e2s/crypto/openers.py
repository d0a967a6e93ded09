"""Keys in this process's memory that reach secrets: by agreement with a peer's key, or by transport.

Ephemeral keys are made from random octets that the caller gives.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey

#: RSA-OAEP as in RFC 4055, 4.1, with SHA-256 throughout and no label.
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}


class KeyOpener:
    """An :class:`~e2s.crypto.ports.Opener` on a private key in memory."""

    __slots__ = ("_key", "certificate")

    def __init__(self, certificate: Certificate, private_key: PrivateKey) -> None:
        """Raises :class:`Misuse` ``wrong-key`` when the key is not the certificate's."""
        check_pair(certificate, private_key)
        self.certificate = certificate
        self._key = private_key

    def agree(self, peer_spki: bytes) -> bytes:
        """The raw shared secret with ``peer_spki``; its point is checked to be on the curve."""
        return agree(self._key, peer_spki)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The content key in an RSA-OAEP ciphertext."""
        if not isinstance(self._key, rsa.RSAPrivateKey):
            raise Refusal("wrong-key", "the key is not for key transport")
        meter.count("agree")
        try:
            return self._key.decrypt(wrapped, OAEP)
        except ValueError as error:
            raise Refusal("bad-envelope", "the content key does not open") from error


def agree(key: PrivateKey, peer_spki: bytes) -> bytes:
    """ECDH with a peer's public key; raises :class:`Refusal` ``invalid-point`` or ``wrong-key``."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refusal("wrong-key", "the key is not for key agreement")
    try:
        peer = load_der_public_key(peer_spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refusal("invalid-point", "the peer's key is not a point on the curve") from error
    if not isinstance(peer, ec.EllipticCurvePublicKey) or peer.curve.name != key.curve.name:
        raise Refusal("wrong-key", "the peer's key is on another curve")
    meter.count("agree")
    try:
        return key.exchange(ec.ECDH(), peer)
    except ValueError as error:
        raise Refusal("invalid-point", "the peer's key is not a point on the curve") from error


def ephemeral(curve: ec.EllipticCurve, random: Callable[[int], bytes]) -> ec.EllipticCurvePrivateKey:
    """A fresh key on ``curve`` from 64 surplus random bits (FIPS 186-5, A.2.1)."""
    order = _ORDERS[curve.name]
    surplus = random((order.bit_length() + 64 + 7) // 8)
    return ec.derive_private_key(int.from_bytes(surplus, "big") % (order - 1) + 1, curve)


def check_pair(certificate: Certificate, key: PrivateKey) -> None:
    """Raise unless ``key`` is the private half of the certificate's key."""
    if key.public_key() != certificate.public_key:
        raise Misuse("wrong-key", "the private key is not the certificate's", certificate=certificate.id)
