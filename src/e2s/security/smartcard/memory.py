"""What a card remembers: one value, sealed as a whole, so that a power cut leaves the old one or the new one.

The sealing key is the card's own, 32 octets in a file that its user alone may read: it stands for the chip's
protection of a real card.  Who has both files has the card, but for its PIN, which only the card compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base.errors import Refusal
from e2s.security.smartcard import piv

CardKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"
MAGIC: Final = b"E2SCARD1"
SECRET_BYTES: Final = 32
MAX_BYTES: Final = 1024 * 1024
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True)
class Code:
    """A PIN or PUK, padded, and its tries: ``left`` of ``most``."""

    octets: bytes = field(repr=False)
    left: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """A key on the card: whether it was made there or brought, and when it asks for the PIN."""

    algorithm: int
    key: CardKey = field(repr=False)
    made: bool
    need: piv.Need


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A card: ``serial`` (16 octets), its codes, the key of who personalises it, keys and objects.

    ``effective`` is the latest instant that the card was shown proof of, in seconds of the epoch: it has no
    clock.  ``erase_when_blocked``: its keys go when both codes are blocked.
    """

    serial: bytes
    pin: Code
    puk: Code
    management: bytes = field(repr=False)
    management_algorithm: int = piv.AES256
    keys: Mapping[int, Held] = field(default_factory=dict)
    objects: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    effective: int = 0
    erase_when_blocked: bool = True


class _Code(msgspec.Struct, array_like=True):
    octets: bytes
    left: int
    most: int


class _Held(msgspec.Struct, array_like=True):
    algorithm: int
    key: bytes
    made: bool
    need: int


class _Memory(msgspec.Struct, array_like=True):
    serial: bytes
    pin: _Code
    puk: _Code
    management: bytes
    management_algorithm: int
    keys: dict[int, _Held]
    objects: dict[int, bytes]
    effective: int
    erase_when_blocked: bool


def seal(memory: Memory, secret: bytes, random: Callable[[int], bytes]) -> bytes:
    """The memory under the card's secret (AES-256-GCM)."""
    plain = msgspec.msgpack.encode(
        _Memory(
            serial=memory.serial,
            pin=_Code(memory.pin.octets, memory.pin.left, memory.pin.most),
            puk=_Code(memory.puk.octets, memory.puk.left, memory.puk.most),
            management=memory.management,
            management_algorithm=memory.management_algorithm,
            keys={
                reference: _Held(held.algorithm, _octets(held.key), held.made, held.need.value)
                for reference, held in memory.keys.items()
            },
            objects=dict(memory.objects),
            effective=memory.effective,
            erase_when_blocked=memory.erase_when_blocked,
        )
    )
    nonce = random(_NONCE_BYTES)
    return MAGIC + nonce + AESGCM(secret).encrypt(nonce, plain, MAGIC)


def unseal(octets: bytes, secret: bytes) -> Memory:
    """The memory as it was sealed; raises :class:`Refusal` ``bad-card`` or ``altered-card``."""
    start = len(MAGIC) + _NONCE_BYTES
    if not start < len(octets) <= MAX_BYTES or octets[: len(MAGIC)] != MAGIC or len(secret) != SECRET_BYTES:
        raise Refusal("bad-card", "this is not a card's memory, or not its secret")
    try:
        plain = AESGCM(secret).decrypt(octets[len(MAGIC) : start], octets[start:], MAGIC)
    except InvalidTag as error:
        raise Refusal("altered-card", "the memory was altered, or belongs to another secret") from error
    try:
        read = msgspec.msgpack.decode(plain, type=_Memory)
        return Memory(
            serial=read.serial,
            pin=Code(octets=read.pin.octets, left=read.pin.left, most=read.pin.most),
            puk=Code(octets=read.puk.octets, left=read.puk.left, most=read.puk.most),
            management=read.management,
            management_algorithm=read.management_algorithm,
            keys={
                reference: Held(
                    algorithm=one.algorithm, key=_key(one.key), made=one.made, need=piv.Need(one.need)
                )
                for reference, one in read.keys.items()
            },
            objects=read.objects,
            effective=read.effective,
            erase_when_blocked=read.erase_when_blocked,
        )
    except (msgspec.MsgspecError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("bad-card", "this is not a card's memory") from error


def _octets(key: CardKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _key(octets: bytes) -> CardKey:
    key = load_der_private_key(octets, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("a card holds no key of this kind")  # noqa: TRY004 - read as one of its faults
    return key
