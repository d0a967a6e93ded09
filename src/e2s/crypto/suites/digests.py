"""The digests of signatures, by name: how to make one, its size, and its AlgorithmIdentifiers.

SHAKE256 gives 512 bits here, so that it can stand where any other digest stands (RFC 8419, 2.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes

from e2s.crypto import der, oids
from e2s.crypto.suites.identifiers import NULL, algorithm

_SHAKE_OCTETS: Final = 64


class Shake256:
    """SHAKE256 with 512 bits of output, used like any digest of hashlib."""

    __slots__ = ("_state",)

    def __init__(self, data: bytes = b"") -> None:
        """Begin with ``data``."""
        self._state = hashlib.shake_256(data)

    def update(self, data: bytes) -> None:
        """Go on with ``data``."""
        self._state.update(data)

    def digest(self) -> bytes:
        """The 64 octets."""
        return self._state.digest(_SHAKE_OCTETS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Digest:
    """A digest: ``identifiers`` are the AlgorithmIdentifiers that name it, the first as it is written.

    ``strength`` is that against collisions in bits; ``hashing`` is the library's, where it signs over one.
    """

    name: str
    new: Callable[..., Any]
    size: int
    strength: int
    identifiers: tuple[bytes, ...]
    hashing: hashes.HashAlgorithm | None = None


def _sha(oid: str, hashing: hashes.HashAlgorithm, *, null: bool = True) -> Digest:
    """RFC 5754, 2: parameters are absent as written, and may be NULL."""
    name = hashing.name.replace("-", "_")
    return Digest(
        name=name,
        new=getattr(hashlib, name),
        size=hashing.digest_size,
        strength=4 * hashing.digest_size,
        identifiers=(algorithm(oid), algorithm(oid, NULL)) if null else (algorithm(oid),),
        hashing=hashing,
    )


DIGESTS: Final[Mapping[str, Digest]] = {
    one.name: one
    for one in (
        _sha(oids.SHA256, hashes.SHA256()),
        _sha(oids.SHA384, hashes.SHA384()),
        _sha(oids.SHA512, hashes.SHA512()),
        _sha(oids.SHA3_256, hashes.SHA3_256(), null=False),
        _sha(oids.SHA3_384, hashes.SHA3_384(), null=False),
        _sha(oids.SHA3_512, hashes.SHA3_512(), null=False),
        Digest(
            name="shake256",
            new=Shake256,
            size=_SHAKE_OCTETS,
            strength=256,
            # with its length in bits, or as RFC 8702, 3.1 fixes it
            identifiers=(
                algorithm(oids.SHAKE256_LEN, der.integer(8 * _SHAKE_OCTETS)),
                algorithm(oids.SHAKE256),
            ),
        ),
    )
}
#: Digests by each AlgorithmIdentifier that names them.
BY_IDENTIFIER: Final[Mapping[bytes, Digest]] = {
    identifier: one for one in DIGESTS.values() for identifier in one.identifiers
}
