"""A private key as others write it into a file, made into the form that is read here (RFC 5958, RFC 8410).

Files may name the public key and attributes beside an Edwards or Montgomery key, and the expanded form beside
the seed of an ML-DSA or ML-KEM key.  What is said twice must agree; attributes say nothing that is needed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, mldsa, mlkem, x448, x25519

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.expansion import SEEDS, expanded

_MAX_ATTRIBUTES: Final = 32
_ATTRIBUTES, _PUBLIC, _SEED = 0xA0, 0x81, 0x80
#: Kinds whose private key is one octet string, and how it is made into a key.
_PLAIN: Final[Mapping[str, Callable[[bytes], Any]]] = MappingProxyType(
    {
        oids.ED25519: ed25519.Ed25519PrivateKey.from_private_bytes,
        oids.ED448: ed448.Ed448PrivateKey.from_private_bytes,
        oids.X25519: x25519.X25519PrivateKey.from_private_bytes,
        oids.X448: x448.X448PrivateKey.from_private_bytes,
    }
)
_SEEDED: Final[Mapping[str, tuple[str, Callable[[bytes], Any]]]] = MappingProxyType(
    {
        oids.ML_DSA_44: ("ml-dsa-44", mldsa.MLDSA44PrivateKey.from_seed_bytes),
        oids.ML_DSA_65: ("ml-dsa-65", mldsa.MLDSA65PrivateKey.from_seed_bytes),
        oids.ML_DSA_87: ("ml-dsa-87", mldsa.MLDSA87PrivateKey.from_seed_bytes),
        oids.ML_KEM_768: ("ml-kem-768", mlkem.MLKEM768PrivateKey.from_seed_bytes),
        oids.ML_KEM_1024: ("ml-kem-1024", mlkem.MLKEM1024PrivateKey.from_seed_bytes),
    }
)


def key_of(octets: bytes) -> Any | None:
    """The key of a OneAsymmetricKey (RFC 5958, 2), or None where it is of a kind that others read.

    Raises :class:`Refusal` ``bad-key``, or ``der-...`` for what is none.
    """
    outer = der.Reader(octets)
    info = outer.enter()
    outer.done()
    version = info.integer()
    algorithm = info.enter()
    oid = algorithm.oid()
    if oid not in _PLAIN and oid not in _SEEDED:
        return None
    algorithm.done()
    held = der.Reader(info.content(der.OCTET_STRING))
    if info.pos != info.end and info.peek() == _ATTRIBUTES:
        info.enter(_ATTRIBUTES).elements(der.SEQUENCE, _MAX_ATTRIBUTES)
    public = info.content(_PUBLIC) if info.pos != info.end else None
    info.done()
    # version 2 is said if and only if the public key is there
    if version != (0 if public is None else 1):
        raise _bad("its version is not that of what it holds (RFC 5958, 2)")
    key = _plain(_PLAIN[oid], held) if oid in _PLAIN else _seeded(*_SEEDED[oid], held)
    if public is not None and public != b"\0" + key.public_key().public_bytes_raw():
        raise _bad("the public key beside it is another's (RFC 5958, 2)")
    return key


def _plain(make: Callable[[bytes], Any], held: der.Reader) -> Any:
    """CurvePrivateKey (RFC 8410, 7)."""
    octets = held.content(der.OCTET_STRING)
    held.done()
    return _made(make, octets)


def _seeded(kind: str, make: Callable[[bytes], Any], held: der.Reader) -> Any:
    """The choice of seed, expandedKey or both (RFC 9881, 6; RFC 9935, 6)."""
    beside = None
    if held.peek() == der.OCTET_STRING:
        raise _bad("it has an expanded key without its seed, from which nothing is proven (RFC 9881, 8.1)")
    if held.peek() == der.SEQUENCE:
        both = held.enter()
        seed, beside = both.content(der.OCTET_STRING), both.content(der.OCTET_STRING)
        both.done()
    else:
        seed = held.content(_SEED)
    held.done()
    if len(seed) != SEEDS[kind]:
        raise _bad("its seed is of another size")
    key = _made(make, seed)
    if beside is not None and not hmac.compare_digest(
        beside, expanded(kind, seed, key.public_key().public_bytes_raw())
    ):
        raise _bad("seed and expanded key do not belong together (RFC 9881, 8.1)")
    return key


def _made(make: Callable[[bytes], Any], octets: bytes) -> Any:
    try:
        return make(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad("its octets are of another size") from error


def _bad(why: str) -> Refusal:
    return Refusal("bad-key", f"the key file cannot be read: {why}")
