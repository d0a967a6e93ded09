"""Two distinguished names are one when they say the same, whatever string types and spaces they use.

RFC 5280, 7.1 with the preparation of RFC 4518: characters are composed (NFKC), case is folded, spaces are
insignificant at the ends and count once within.  What is no text is compared by its octets.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto import der

#: A name as compared: each RDN's attributes in their order, as octets.
Form: TypeAlias = tuple[bytes, ...]

DIRECTORY_NAME = 0xA4
_MAX_RDNS = 64
_MAX_NAMES = 64

# Universal tags of strings, with how their octets are read.
_STRINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


@lru_cache(maxsize=4096)
def form_of(name: bytes) -> Form:
    """The form of a Name (DER); raises :class:`Refusal` ``der-...`` for octets that are none."""
    outer = der.Reader(name)
    rdns = outer.enter()
    outer.done()
    found: list[bytes] = []
    while rdns.pos != rdns.end:
        if len(found) >= _MAX_RDNS:
            raise Refusal("der-count", "a name has more parts than may be read", most=_MAX_RDNS)
        found.append(_rdn(rdns.enter(der.SET)))
    return tuple(found)


def relative(issuer: Form, rdn: bytes) -> Form:
    """The name that an RDN (the content of a SET) makes below ``issuer`` (4.2.1.13)."""
    return (*issuer, _rdn(der.Reader(rdn)))


def general_names(reader: der.Reader) -> frozenset[tuple[int, Form]]:
    """GeneralNames, each as its tag and what is compared: directory names by form, others by octets."""
    found: set[tuple[int, Form]] = set()
    while reader.pos != reader.end:
        if len(found) >= _MAX_NAMES:
            raise Refusal("der-count", "more names than may be read", most=_MAX_NAMES)
        tag = reader.peek()
        if tag == DIRECTORY_NAME:
            held = reader.enter(tag)
            found.add((tag, form_of(held.element(der.SEQUENCE))))
            held.done()
        else:
            found.add((tag, (reader.content(tag),)))
    return frozenset(found)


def _rdn(attributes: der.Reader) -> bytes:
    """One RDN: its attributes sorted, so that their order does not matter."""
    return b"".join(sorted(_attributes(attributes)))


def _attributes(reader: der.Reader) -> Iterator[bytes]:
    while reader.pos != reader.end:
        attribute = reader.enter()
        kind = attribute.element(der.OID)
        tag = attribute.peek()
        value = attribute.content(tag)
        attribute.done()
        yield der.sequence(kind, _compared(tag, value))


def _compared(tag: int, value: bytes) -> bytes:
    """An attribute's value as it is compared."""
    encoding = _STRINGS.get(tag)
    if encoding is None:
        return der.tlv(tag, value)
    try:
        text = value.decode(encoding)
    except UnicodeDecodeError:
        return der.tlv(tag, value)
    prepared = unicodedata.normalize("NFKC", text).casefold()
    return der.utf8(" ".join(unicodedata.normalize("NFKC", prepared).split()))
