"""BER-TLV as cards use it (ISO/IEC 7816-4, annex E): tags of one to three octets, definite lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from e2s.base.errors import Misuse, Refusal

#: Of one string of objects.
MAX_OBJECTS: Final = 64
_LONG_TAG: Final = 0x1F
_MAX_LENGTH_OCTETS: Final = 3


def write(tag: int, value: bytes) -> bytes:
    """One object."""
    size = len(value)
    if size < 0x80:
        length = bytes((size,))
    elif size < 0x100:
        length = bytes((0x81, size))
    elif size < 0x10000:
        length = b"\x82" + size.to_bytes(2, "big")
    else:
        raise Misuse("too-large", "a card's object has less than 64 KiB", size=size)
    return tag.to_bytes((tag.bit_length() + 7) // 8, "big") + length + value


def objects(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """The objects, each its tag and value; raises :class:`Refusal` ``bad-tlv``."""
    place = 0
    for _ in range(MAX_OBJECTS):
        if place == len(octets):
            return
        tag, place = _tag(octets, place)
        size, place = _length(octets, place)
        if place + size > len(octets):
            raise Refusal("bad-tlv", "an object is cut off")
        yield tag, octets[place : place + size]
        place += size
    if place != len(octets):
        raise Refusal("bad-tlv", "these are more objects than are read")


def members(octets: bytes) -> dict[int, bytes]:
    """The objects by tag; raises :class:`Refusal` ``bad-tlv``, also where a tag stands twice."""
    found: dict[int, bytes] = {}
    for tag, value in objects(octets):
        if tag in found:
            raise Refusal("bad-tlv", "an object stands twice", tag=f"{tag:X}")
        found[tag] = value
    return found


def inside(octets: bytes, tag: int) -> bytes:
    """The value of the one object that there is, which has this tag; raises :class:`Refusal` ``bad-tlv``."""
    found = list(objects(octets))
    if len(found) != 1 or found[0][0] != tag:
        raise Refusal("bad-tlv", "another object was expected", tag=f"{tag:X}")
    return found[0][1]


def _tag(octets: bytes, place: int) -> tuple[int, int]:
    start, place = place, place + 1
    if octets[start] & _LONG_TAG == _LONG_TAG:
        while place < len(octets) and octets[place] & 0x80:
            place += 1
        place += 1
    if place > len(octets) or place - start > 3:
        raise Refusal("bad-tlv", "a tag is cut off, or too long")
    return int.from_bytes(octets[start:place], "big"), place


def _length(octets: bytes, place: int) -> tuple[int, int]:
    if place >= len(octets):
        raise Refusal("bad-tlv", "an object has no length")
    first, place = octets[place], place + 1
    if first < 0x80:
        return first, place
    count = first & 0x7F
    if not 1 <= count <= _MAX_LENGTH_OCTETS or place + count > len(octets):
        raise Refusal("bad-tlv", "a length is cut off, or of another form")
    return int.from_bytes(octets[place : place + count], "big"), place + count
