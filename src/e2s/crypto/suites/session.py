"""Suites of a session: ephemeral agreement, key derivation and record protection, agreed by name.

A hybrid has both an agreement and an encapsulation: whoever breaks one of them has nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem


@dataclass(frozen=True, eq=False, kw_only=True)
class Encapsulation:
    """A KEM's keys and sizes (FIPS 203, table 3), in octets."""

    private: type[mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey]
    public: type[mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey]
    key_size: int
    ciphertext_size: int


@dataclass(frozen=True, eq=False, kw_only=True)
class SessionSuite:
    """Ephemeral agreement, key derivation and record protection of a session.

    ``curve`` is None for X25519; ``kem`` is None unless the suite is a hybrid.  ``share_size`` is the size
    of what who begins sends, ``answer_size`` of what comes back.
    """

    name: str
    curve: ec.EllipticCurve | None
    hash: hashes.HashAlgorithm
    point_size: int
    kem: Encapsulation | None = None

    @property
    def share_size(self) -> int:
        """Octets of the first share."""
        return self.point_size + (self.kem.key_size if self.kem else 0)

    @property
    def answer_size(self) -> int:
        """Octets of the share that answers it."""
        return self.point_size + (self.kem.ciphertext_size if self.kem else 0)


_ML_KEM_1024: Final = Encapsulation(
    private=mlkem.MLKEM1024PrivateKey,
    public=mlkem.MLKEM1024PublicKey,
    key_size=1568,
    ciphertext_size=1568,
)
_ML_KEM_768: Final = Encapsulation(
    private=mlkem.MLKEM768PrivateKey,
    public=mlkem.MLKEM768PublicKey,
    key_size=1184,
    ciphertext_size=1088,
)
_P256, _P384 = ec.SECP256R1(), ec.SECP384R1()
_SHA256, _SHA384 = hashes.SHA256(), hashes.SHA384()

#: Suites of sessions, strongest first; both ends go by this order.
SESSIONS: Final[Mapping[str, SessionSuite]] = {
    suite.name: suite
    for suite in (
        SessionSuite(
            name="p384-ml-kem-1024-hkdf-sha384-aes256gcm",
            curve=_P384,
            hash=_SHA384,
            point_size=97,
            kem=_ML_KEM_1024,
        ),
        SessionSuite(
            name="x25519-ml-kem-768-hkdf-sha256-aes256gcm",
            curve=None,
            hash=_SHA256,
            point_size=32,
            kem=_ML_KEM_768,
        ),
        SessionSuite(name="p384-hkdf-sha384-aes256gcm", curve=_P384, hash=_SHA384, point_size=97),
        SessionSuite(name="x25519-hkdf-sha256-aes256gcm", curve=None, hash=_SHA256, point_size=32),
        SessionSuite(name="p256-hkdf-sha256-aes256gcm", curve=_P256, hash=_SHA256, point_size=65),
    )
}
#: The largest share of any suite.
MAX_SHARE_BYTES: Final = max(max(suite.share_size, suite.answer_size) for suite in SESSIONS.values())
