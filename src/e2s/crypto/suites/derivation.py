"""A key-encryption key comes from a common secret by one derivation, which also says what it wraps with.

Two families: ANSI X9.63 (RFC 5753, 7.2) and HKDF (RFC 5869), the latter for X25519, X448 (RFC 8418, 2.2)
and for encapsulated secrets (RFC 9629, 5).  What the key is for is always part of what it is derived from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from e2s.crypto import der, oids
from e2s.crypto.suites.identifiers import algorithm

#: AES key wrap (RFC 3565, 2.3.2: parameters absent) by the size of its key in octets.
WRAPS: Final[Mapping[int, bytes]] = {
    16: algorithm(oids.AES128_WRAP),
    24: algorithm(oids.AES192_WRAP),
    32: algorithm(oids.AES256_WRAP),
}
#: The wrap that is written.
WRAP_ALGORITHM: Final = WRAPS[32]

_INNER, _OUTER = (bytes(octet ^ pad for octet in range(256)) for pad in (0x36, 0x5C))


def _hmac_states(digest: str, key: bytes) -> tuple[Any, Any]:
    """The inner and the outer hash of HMAC (RFC 2104) after the padded key alone."""
    new = getattr(hashlib, digest)
    padded = key.ljust(new().block_size, b"\0")
    return new(padded.translate(_INNER)), new(padded.translate(_OUTER))


@dataclass(frozen=True, eq=False)
class Derivation:
    """A digest, its family (``hkdf`` or X9.63) and the size of the key in octets, at most two digests."""

    digest: str
    hkdf: bool
    size: int
    #: What the secret becomes a key for when the sender adds nothing of its own; encoded once.
    agreement_info: bytes = field(init=False)
    encapsulation_info: bytes = field(init=False)
    _new: Callable[..., Any] = field(init=False, repr=False)
    _states: tuple[Any, Any] = field(init=False, repr=False)
    _pads: tuple[bytes, bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Encode and hash once what never changes: a salt that is absent is a block of zeros."""
        new = getattr(hashlib, self.digest)
        rest = new().block_size - new().digest_size
        for name, value in (
            ("agreement_info", shared_info(self.size)),
            ("encapsulation_info", other_info(self.size)),
            ("_new", new),
            ("_states", _hmac_states(self.digest, b"")),
            ("_pads", (b"\x36" * rest, b"\x5c" * rest)),
        ):
            object.__setattr__(self, name, value)

    def key(self, secret: bytes, info: bytes, salt: bytes = b"") -> bytes:
        """The key for ``info``; X9.63 knows no ``salt``."""
        new = self._new
        if not self.hkdf:
            found: bytes = new(secret + b"\x00\x00\x00\x01" + info).digest()
            if len(found) < self.size:
                found += new(secret + b"\x00\x00\x00\x02" + info).digest()
            return found[: self.size]
        # HKDF-Extract, then the first block of HKDF-Expand: no key here is longer than a digest
        inner, outer = self._states if not salt else _hmac_states(self.digest, _short(new, salt))
        inner, outer = inner.copy(), outer.copy()
        inner.update(secret)
        outer.update(inner.digest())
        extracted = outer.digest()
        i_rest, o_rest = self._pads
        within = new(extracted.translate(_INNER) + i_rest + info + b"\x01").digest()
        block: bytes = new(extracted.translate(_OUTER) + o_rest + within).digest()
        return block[: self.size]


def _short(new: Callable[..., Any], key: bytes) -> bytes:
    """A key of HMAC in at most one block (RFC 2104, 2)."""
    digest: bytes = new(key).digest()
    return digest if len(key) > new().block_size else key


def shared_info(size: int, ukm: bytes = b"") -> bytes:
    """ECC-CMS-SharedInfo (RFC 5753, 7.2): the wrap, the sender's octets, the key's size in bits."""
    entity = der.tlv(0xA0, der.octet_string(ukm)) if ukm else b""
    bits = der.tlv(0xA2, der.octet_string((8 * size).to_bytes(4, "big")))
    return der.sequence(WRAPS[size], entity, bits)


def other_info(size: int, ukm: bytes = b"") -> bytes:
    """CMSORIforKEMOtherInfo (RFC 9629, 5): the wrap, the key's size in octets, the sender's octets."""
    entity = der.tlv(0xA0, der.octet_string(ukm)) if ukm else b""
    return der.sequence(WRAPS[size], der.integer(size), entity)


def _agreements() -> dict[bytes, Derivation]:
    """Derivations by KeyEncryptionAlgorithmIdentifier (RFC 5753, 7.1.4; RFC 8418, 2.3)."""
    return {
        algorithm(oid, wrap): Derivation(digest, hkdf, size)
        for oid, digest, hkdf in (
            (oids.STD_DH_SHA1, "sha1", False),
            (oids.STD_DH_SHA256, "sha256", False),
            (oids.STD_DH_SHA384, "sha384", False),
            (oids.STD_DH_SHA512, "sha512", False),
            (oids.STD_DH_HKDF_SHA256, "sha256", True),
            (oids.STD_DH_HKDF_SHA384, "sha384", True),
            (oids.STD_DH_HKDF_SHA512, "sha512", True),
        )
        for size, wrap in WRAPS.items()
    }


#: Every derivation after an agreement that may be read, by its AlgorithmIdentifier.
AGREEMENTS: Final[Mapping[bytes, Derivation]] = _agreements()

#: Every derivation after an encapsulation that may be read, by its identifier (RFC 8619, 3) and size.
ENCAPSULATIONS: Final[Mapping[tuple[bytes, int], Derivation]] = {
    (algorithm(oid), size): Derivation(digest, True, size)  # noqa: FBT003  # HKDF
    for oid, digest in (
        (oids.HKDF_SHA256, "sha256"),
        (oids.HKDF_SHA384, "sha384"),
        (oids.HKDF_SHA512, "sha512"),
    )
    for size in WRAPS
}
