"""Suites of a session: ephemeral agreement, key derivation and record protection, agreed by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True, eq=False)
class SessionSuite:
    """Ephemeral agreement, key derivation and record protection of a session."""

    name: str
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm
    share_size: int


SESSIONS: Final[Mapping[str, SessionSuite]] = {
    suite.name: suite
    for suite in (
        SessionSuite("p384-hkdf-sha384-aes256gcm", ec.SECP384R1(), hashes.SHA384(), 97),
        SessionSuite("p256-hkdf-sha256-aes256gcm", ec.SECP256R1(), hashes.SHA256(), 65),
    )
}
