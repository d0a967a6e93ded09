"""Keys in this process's memory that reach secrets: by agreement, by encapsulation or by transport.

Ephemeral keys are made from random octets that the caller gives.  What PKCS#1 v1.5 carries is never
refused: where it is nothing, a key that nobody knows takes its place, the same one each time (RFC 3218, 2.3).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cached_property, lru_cache
from hashlib import sha512
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.suites import OAEP, SealingSuite, Transport

_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
    "secp521r1": int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  # in OAEP of old peers, where it need not resist collisions
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_AGREEING = frozenset(("ec", "x25519", "x448"))
_PKCS1, _ECDH = padding.PKCS1v15(), ec.ECDH()


class RsaKey:
    """What RSA brings out of ciphertexts; a key of another kind is refused at each use."""

    def __init__(self, private_key: PrivateKey) -> None:
        """Nothing is checked before the first use."""
        self._key: Any = private_key
        self._kind = kind_of(private_key.__class__)

    def unwrap(self, wrapped: bytes, transport: Transport = OAEP) -> bytes:
        """The content key in an RSA-OAEP ciphertext."""
        key = self._transporting()
        try:
            found: bytes = key.decrypt(wrapped, oaep_of(transport))
        except ValueError as error:
            raise Refusal("bad-envelope", "the content key does not open") from error
        return found

    def unwrap_old(self, wrapped: bytes, size: int) -> bytes:
        """A content key of ``size`` octets from PKCS#1 v1.5, or one that nobody knows in its place."""
        key = self._transporting()
        stand_in = hmac.digest(self._secret, wrapped, "sha512")[:size]
        try:
            # the library itself hides a wrong padding behind random octets of a random size
            found: bytes = key.decrypt(wrapped, _PKCS1)
        except ValueError:
            found = b""
        return found if len(found) == size else stand_in

    def _transporting(self) -> Any:
        if self._kind != "rsa":
            raise Refusal("wrong-key", "the key is not for key transport")
        meter.count("agree")
        return self._key

    @cached_property
    def _secret(self) -> bytes:
        """What only the holder of the key can compute."""
        octets = self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return sha512(b"e2s: in place of a content key\0" + octets).digest()


class KeyOpener(RsaKey):
    """An :class:`~e2s.crypto.ports.Opener` on a private key in memory."""

    def __init__(self, certificate: Certificate, private_key: PrivateKey) -> None:
        """Raises :class:`Misuse` ``wrong-key`` when the key is not the certificate's."""
        check_pair(certificate, private_key)
        super().__init__(private_key)
        self.certificate = certificate

    def agree(self, peer_spki: bytes) -> bytes:
        """The raw shared secret with ``peer_spki``; its point is checked to be on the curve."""
        return agree(self._key, peer_spki)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The secret in a ciphertext; an altered one gives one that nobody knows (FIPS 203, 6.3)."""
        if not self._kind.startswith("ml-kem"):
            raise Refusal("wrong-key", "the key is not for encapsulation")
        meter.count("agree")
        try:
            secret: bytes = self._key.decapsulate(ciphertext)
        except ValueError as error:
            raise Refusal("bad-envelope", "the content key does not open") from error
        return secret


def _no_point() -> Refusal:
    return Refusal("invalid-point", "the peer's key is not a point on the curve")


@lru_cache(maxsize=64)
def oaep_of(transport: Transport) -> padding.OAEP:
    """The library's padding of ``transport``."""
    mask = padding.MGF1(_HASHES[transport.mask_digest])
    return padding.OAEP(mask, _HASHES[transport.digest], transport.label or None)


def agree(key: PrivateKey, peer_spki: bytes) -> bytes:
    """The secret of a private key with a peer's public one; raises ``invalid-point`` or ``wrong-key``.

    A point of small order, which would give a secret known to all, is an invalid one (RFC 7748, 6.1).
    """
    holder: Any = key
    kind = kind_of(key.__class__)
    if kind not in _AGREEING:
        raise Refusal("wrong-key", "the key is not for key agreement")
    try:
        peer: Any = load_der_public_key(peer_spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_point() from error
    meter.count("agree")
    try:
        secret: bytes = holder.exchange(_ECDH, peer) if kind == "ec" else holder.exchange(peer)
    except (ValueError, TypeError) as error:
        if kind_of(peer.__class__) != kind or (kind == "ec" and peer.curve.name != holder.curve.name):
            raise Refusal("wrong-key", "the peer's key is on another curve") from error
        raise _no_point() from error
    return secret


def ephemeral(curve: ec.EllipticCurve, random: Callable[[int], bytes]) -> ec.EllipticCurvePrivateKey:
    """A fresh key on ``curve`` from 64 surplus random bits (FIPS 186-5, A.2.1)."""
    order = _ORDERS[curve.name]
    surplus = random((order.bit_length() + 64 + 7) // 8)
    return ec.derive_private_key(int.from_bytes(surplus, "big") % (order - 1) + 1, curve)


def key_for(suite: SealingSuite, random: Callable[[int], bytes]) -> PrivateKey:
    """A fresh private key of a suite by agreement or encapsulation, from the caller's octets.

    Raises :class:`Misuse` ``suite-unknown`` for transport: RSA keys are not made for one message.
    """
    if suite.curve is not None:
        return ephemeral(suite.curve, random)
    if suite.kind == "x25519":
        return x25519.X25519PrivateKey.from_private_bytes(random(32))
    if suite.kind == "x448":
        return x448.X448PrivateKey.from_private_bytes(random(56))
    # FIPS 203, 7.1: the seeds d and z
    if suite.kind == "ml-kem-768":
        return mlkem.MLKEM768PrivateKey.from_seed_bytes(random(64))
    if suite.kind == "ml-kem-1024":
        return mlkem.MLKEM1024PrivateKey.from_seed_bytes(random(64))
    raise Misuse("suite-unknown", "keys of this suite are not made here", suite=suite.name)


def check_pair(certificate: Certificate, key: PrivateKey) -> None:
    """Raise unless ``key`` is the private half of the certificate's key."""
    if key.public_key() != certificate.public_key:
        raise Misuse("wrong-key", "the private key is not the certificate's", certificate=certificate.id)
