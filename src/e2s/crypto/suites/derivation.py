"""A key-encryption key comes from a common secret by one derivation, which also says what it wraps with.

Two families: ANSI X9.63 (RFC 5753, 7.2) and HKDF (RFC 5869), the latter for X25519, X448 (RFC 8418, 2.2)
and for encapsulated secrets (RFC 9629, 5).  What the key is for is always part of what it is derived from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

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

#: A key from a secret, what it is for, and a salt.
_Keyed: TypeAlias = Callable[[bytes, bytes, bytes], bytes]


@dataclass(frozen=True, eq=False)
class Derivation:
    """A digest, its family (HKDF or X9.63) and the size of the key in octets, at most two digests."""

    digest: str
    hkdf: bool
    size: int
    #: ``key(secret, info, salt)`` is the key for ``info``; X9.63 knows no salt, HKDF's may be empty.
    key: _Keyed = field(init=False, repr=False)
    #: What the key is for when the sender adds nothing of its own, encoded once.
    agreement_info: bytes = field(init=False, repr=False)
    encapsulation_info: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Encode and hash once what never changes."""
        of = _hkdf if self.hkdf else _x963
        object.__setattr__(self, "key", of(getattr(hashlib, self.digest), self.size))
        object.__setattr__(self, "agreement_info", shared_info(self.size))
        object.__setattr__(self, "encapsulation_info", other_info(self.size))


def _x963(new: Callable[..., Any], size: int) -> _Keyed:
    """ANSI X9.63: one block, or two of a digest shorter than the key."""
    fresh = new()

    def key(secret: bytes, info: bytes, _salt: bytes) -> bytes:
        first = fresh.copy()
        first.update(secret + b"\x00\x00\x00\x01" + info)
        found: bytes = first.digest()
        if len(found) < size:
            second = fresh.copy()
            second.update(secret + b"\x00\x00\x00\x02" + info)
            found += second.digest()
        return found[:size]

    return key


def _hkdf(new: Callable[..., Any], size: int) -> _Keyed:
    """HKDF-Extract, then the first block of HKDF-Expand: no key here is longer than a digest.

    HMAC (RFC 2104) is written out on copies of prepared hashes, which costs half of what asking for it does.
    """
    fresh = new()
    block = fresh.block_size
    inner_rest, outer_rest = b"\x36" * (block - fresh.digest_size), b"\x5c" * (block - fresh.digest_size)

    def states(salt: bytes) -> tuple[Any, Any]:
        whole = (new(salt).digest() if len(salt) > block else salt).ljust(block, b"\0")
        return new(whole.translate(_INNER)), new(whole.translate(_OUTER))

    unsalted = states(b"")

    def key(secret: bytes, info: bytes, salt: bytes) -> bytes:
        inner, outer = states(salt) if salt else unsalted
        inner, outer = inner.copy(), outer.copy()
        inner.update(secret)
        outer.update(inner.digest())
        extracted = outer.digest()
        inner, outer = fresh.copy(), fresh.copy()
        inner.update(extracted.translate(_INNER) + inner_rest + info + b"\x01")
        outer.update(extracted.translate(_OUTER) + outer_rest + inner.digest())
        found: bytes = outer.digest()
        return found[:size]

    return key


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
            (oids.STD_DH_SHA224, "sha224", False),
            (oids.STD_DH_SHA256, "sha256", False),
            (oids.STD_DH_SHA384, "sha384", False),
            (oids.STD_DH_SHA512, "sha512", False),
            # the cofactor of every curve here is 1
            (oids.COFACTOR_DH_SHA1, "sha1", False),
            (oids.COFACTOR_DH_SHA224, "sha224", False),
            (oids.COFACTOR_DH_SHA256, "sha256", False),
            (oids.COFACTOR_DH_SHA384, "sha384", False),
            (oids.COFACTOR_DH_SHA512, "sha512", False),
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
    (algorithm(oid), size): Derivation(digest, hkdf=True, size=size)
    for oid, digest in (
        (oids.HKDF_SHA256, "sha256"),
        (oids.HKDF_SHA384, "sha384"),
        (oids.HKDF_SHA512, "sha512"),
    )
    for size in WRAPS
}
