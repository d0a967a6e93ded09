"""A new card: no keys, codes that whoever makes it chose, and the objects that every reader looks for."""

from __future__ import annotations

from typing import Final

from e2s.base.errors import Misuse
from e2s.security.smartcard import codes, piv, tlv
from e2s.security.smartcard.memory import Code, Memory

#: A card of nobody's agency: the FASC-N of SP 800-73-5, part 1, 3.1.2, for those who are not federal.
_FASCN: Final = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")
_NEVER: Final = b"20991231"
_TRIES: Final = 3


def blank(
    serial: bytes,
    *,
    pin: bytes,
    puk: bytes,
    management: bytes,
    management_algorithm: int = piv.AES256,
    erase_when_blocked: bool = True,
) -> Memory:
    """A card without keys; ``serial`` has 16 octets, ``pin`` six to eight digits, ``puk`` eight octets.

    Raises :class:`Misuse` ``bad-card-codes``.
    """
    padded = codes.padded(pin)
    if len(serial) != 16 or not codes.is_pin(padded) or len(puk) != codes.SIZE:
        raise Misuse("bad-card-codes", "a PIN has six to eight digits, a PUK eight octets, a serial sixteen")
    if len(management) != piv.SYMMETRIC.get(management_algorithm):
        raise Misuse("bad-card-codes", "the management key is of another size")
    return Memory(
        serial=serial,
        pin=Code(octets=padded, left=_TRIES, most=_TRIES),
        puk=Code(octets=puk, left=_TRIES, most=_TRIES),
        management=management,
        management_algorithm=management_algorithm,
        objects={piv.CHUID: _holder(serial), piv.CAPABILITIES: _capabilities(serial), piv.HISTORY: _HISTORY},
        erase_when_blocked=erase_when_blocked,
    )


_HISTORY: Final = tlv.write(0xC1, b"\0") + tlv.write(0xC2, b"\0") + tlv.write(0xFE, b"")


def _holder(serial: bytes) -> bytes:
    """The card-holder unique identifier (part 1, table 9); its serial is a random UUID."""
    return (
        tlv.write(0x30, _FASCN)
        + tlv.write(0x34, serial)
        + tlv.write(0x35, _NEVER)
        + tlv.write(0x3E, b"")
        + tlv.write(0xFE, b"")
    )


def _capabilities(serial: bytes) -> bytes:
    """The card capability container (part 1, table 8)."""
    return (
        tlv.write(0xF0, bytes.fromhex("A000000116FF02") + serial[:14])
        + tlv.write(0xF1, b"\x21")
        + tlv.write(0xF2, b"\x21")
        + tlv.write(0xF3, b"")
        + tlv.write(0xF4, b"\0")
        + tlv.write(0xF5, b"\x10")
        + b"".join(tlv.write(tag, b"") for tag in (0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE))
    )
