"""Two ends agree on a secret that neither chose and that nobody can ask them for later.

Ephemerals are used once; a peer's share is checked to be a point of the suite's curve (SP 800-56A, 5.6.2.3).
Keys come from the secret by HKDF (RFC 5869) with the suite's hash, records are sealed with its cipher.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.openers import ephemeral
from e2s.crypto.suites import SESSIONS, SessionSuite

KEY_SIZE = 32
NONCE_SIZE = 12
TAG_SIZE = 16


class Ephemeral:
    """One end's single-use key: ``share`` goes to the peer, :meth:`secret` works once."""

    __slots__ = ("_key", "share", "suite")

    def __init__(self, suite: str, random: Callable[[int], bytes]) -> None:
        """Raises :class:`Misuse` ``suite-unknown``."""
        key = ephemeral(session_suite(suite).curve, random)
        self.suite = suite
        self.share = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._key: ec.EllipticCurvePrivateKey | None = key

    def secret(self, peer_share: bytes) -> bytes:
        """The x-coordinate of the common point, of fixed length; forgets the key.

        Raises :class:`Refusal` ``invalid-point``, and :class:`Misuse` ``ephemeral-used`` the second time.
        """
        key, self._key = self._key, None
        if key is None:
            raise Misuse("ephemeral-used", "an ephemeral key is used once")
        suite = session_suite(self.suite)
        if len(peer_share) != suite.share_size or peer_share[:1] != b"\x04":
            raise Refusal("invalid-point", "the share is no uncompressed point of the suite's curve")
        if peer_share == self.share:
            raise Refusal("invalid-point", "the share is our own, reflected")
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(suite.curve, peer_share)
            meter.count("agree")
            return key.exchange(ec.ECDH(), peer)
        except ValueError as error:
            raise Refusal("invalid-point", "the share is not a point on the curve") from error


class Schedule:
    """Keys derived from one secret, bound to one transcript."""

    __slots__ = ("_prk", "_suite")

    def __init__(self, suite: str, secret: bytes, salt: bytes) -> None:
        """``PRK = HKDF-Extract(salt, secret)``."""
        self._suite = session_suite(suite)
        self._prk = HKDF.extract(self._suite.hash, salt, secret)

    def derive(self, info: bytes, size: int) -> bytes:
        """``HKDF-Expand(PRK, info, size)``."""
        meter.count("derive")
        return HKDFExpand(self._suite.hash, size, info).derive(self._prk)


class Cipher:
    """The suite's authenticated cipher under one key; the caller never repeats a nonce."""

    __slots__ = ("_aead",)

    def __init__(self, suite: str, key: bytes) -> None:
        """Raises :class:`Misuse` ``suite-unknown`` or ``wrong-key``."""
        session_suite(suite)
        if len(key) != KEY_SIZE:
            raise Misuse("wrong-key", "the cipher's key has 32 octets")
        self._aead = AESGCM(key)

    def seal(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext and tag."""
        return self._aead.encrypt(nonce, plaintext, associated)

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext; raises :class:`Refusal` ``bad-record``."""
        try:
            return self._aead.decrypt(nonce, sealed, associated)
        except InvalidTag:
            raise Refusal("bad-record", "the record was altered or is not of this session") from None


def session_suite(name: str) -> SessionSuite:
    """The session suite called ``name``; raises :class:`Misuse` ``suite-unknown``."""
    if name not in SESSIONS:
        raise Misuse("suite-unknown", "no such session suite", suite=name)
    return SESSIONS[name]
