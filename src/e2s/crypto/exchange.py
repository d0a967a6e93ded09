"""Two ends agree on a secret that neither chose and that nobody can ask them for later.

Ephemerals are used once; a peer's share is checked to be a point of the suite's curve (SP 800-56A, 5.6.2.3)
or a key of its parameter set (FIPS 203, 7.2).  In a hybrid suite the secret is that of the encapsulation,
then that of the agreement (SP 800-56C, 2), and a share is their two parts in that order.  Keys come from
the secret by HKDF (RFC 5869) with the suite's hash, records are sealed with its cipher.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
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
#: FIPS 203, 7.1: the seeds d and z.
_SEED_SIZE = 64


class Ephemeral:
    """The first end's single-use keys: ``share`` goes to the peer, :meth:`secret` takes its answer, once."""

    __slots__ = ("_kem", "_point", "share", "suite")

    def __init__(self, suite: str, random: Callable[[int], bytes]) -> None:
        """Raises :class:`Misuse` ``suite-unknown``."""
        about = session_suite(suite)
        self.suite = suite
        self._kem: mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey | None = None
        self._point: _Point | None = _Point(about, random)
        self.share = self._point.share
        if about.kem:
            self._kem = about.kem.private.from_seed_bytes(random(_SEED_SIZE))
            self.share = self._kem.public_key().public_bytes_raw() + self.share

    def secret(self, answer: bytes) -> bytes:
        """The secret of both ends, of fixed length; forgets the keys.

        An altered ciphertext gives a secret that nobody knows (FIPS 203, 6.3).  Raises :class:`Refusal`
        ``invalid-point``, and :class:`Misuse` ``ephemeral-used`` the second time.
        """
        point, kem = self._point, self._kem
        self._point = self._kem = None
        if point is None:
            raise Misuse("ephemeral-used", "an ephemeral key is used once")
        about = session_suite(self.suite)
        if len(answer) != about.answer_size:
            raise Refusal("invalid-point", "the share is not of the suite's size")
        meter.count("agree")
        if kem is None:
            return point.agree(answer)
        return kem.decapsulate(answer[: -about.point_size]) + point.agree(answer[-about.point_size :])


def respond(suite: str, share: bytes, random: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """The second end, which has the first one's ``share``: its own share, and the secret of both.

    Raises :class:`Refusal` ``invalid-point`` and :class:`Misuse` ``suite-unknown``.
    """
    about = session_suite(suite)
    if len(share) != about.share_size:
        raise Refusal("invalid-point", "the share is not of the suite's size")
    point = _Point(about, random)
    meter.count("agree")
    if about.kem is None:
        return point.share, point.agree(share)
    try:
        key = about.kem.public.from_public_bytes(share[: -about.point_size])
    except ValueError as error:
        raise Refusal("invalid-point", "the share is no encapsulation key of the suite") from error
    first, ciphertext = key.encapsulate()
    return ciphertext + point.share, first + point.agree(share[-about.point_size :])


class _Point:
    """One end's half of the agreement on a curve."""

    __slots__ = ("_key", "share")

    def __init__(self, suite: SessionSuite, random: Callable[[int], bytes]) -> None:
        self._key: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey
        if suite.curve is None:
            self._key = x25519.X25519PrivateKey.from_private_bytes(random(32))
            self.share = self._key.public_key().public_bytes_raw()
        else:
            self._key = ephemeral(suite.curve, random)
            self.share = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def agree(self, peer: bytes) -> bytes:
        """The fixed-length x-coordinate shared with ``peer``, which has this end's own size."""
        if peer == self.share:
            raise Refusal("invalid-point", "the share is our own, reflected")
        key = self._key
        try:
            if isinstance(key, x25519.X25519PrivateKey):
                # the library refuses a point of small order (RFC 7748, 6.1)
                return key.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
            if peer[:1] != b"\x04":
                raise Refusal("invalid-point", "the share is no uncompressed point")
            return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, peer))
        except ValueError as error:
            raise Refusal("invalid-point", "the share is not a point on the suite's curve") from error


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
        raise Misuse("suite-unknown", "no such session suite", suite=name[:64])
    return SESSIONS[name]
