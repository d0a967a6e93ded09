"""A document has exactly one encoding: canonical JSON (RFC 8785, restricted), compared octet by octet.

Restrictions (protocol, section 1): UTF-8 in NFC, ASCII member names, no floats, no null, no
duplicate members, integers below 2**53, depth at most 16, size at most 128 KiB by default.
"""

from __future__ import annotations

import binascii
import unicodedata
from typing import Annotated, Any, TypeAlias, Union

import msgspec

from e2s.base.errors import Misuse, Refusal

#: A document as read: member names to values.
Document: TypeAlias = dict[str, Any]

MAX_DOCUMENT_BYTES = 128 * 1024
MAX_DEPTH = 16
MAX_INTEGER = 2**53 - 1
#: Commas and opening brackets of a document that is larger than most: so many values are costly to hold.
MAX_MARKS = 32 * 1024
_SHALLOW = 4


def _decoder() -> msgspec.json.Decoder[Document]:
    """Reads nothing but values of the good kinds, nested no deeper than most documents are."""
    plain: Any = str | bool | Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    value = plain
    for _ in range(_SHALLOW):  # its work doubles with each level
        value = Union[plain, list.__class_getitem__(value), dict.__class_getitem__((str, value))]  # noqa: UP007
    return msgspec.json.Decoder(dict.__class_getitem__((str, value)))


_GOOD = _decoder()
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def encode(document: Document) -> bytes:
    """The canonical octets of ``document``; raises :class:`Misuse` for what has no canonical form."""
    try:
        octets = msgspec.json.encode(document, order="sorted")
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        octets = b""
    # What reads back as what it was has but these kinds of values; anything else is looked through.
    if octets and _quick(octets) == document:
        return octets
    fault = _fault(document, MAX_DEPTH)
    if fault:
        raise Misuse("not-canonical", fault)
    if not octets:
        raise Misuse("not-canonical", "text holds half a surrogate pair")
    return octets


def decode(octets: bytes, max_bytes: int = MAX_DOCUMENT_BYTES) -> Document:
    """Read canonical octets; raises :class:`Refusal` ``not-canonical`` or ``too-large``."""
    if len(octets) > max_bytes:
        raise Refusal("too-large", "the document is larger than may be read", size=len(octets))
    if len(octets) > MAX_DOCUMENT_BYTES and sum(map(octets.count, (b",", b"[", b"{"))) > MAX_MARKS:
        raise Refusal("too-large", "the document holds more values than may be read", size=len(octets))
    known = _quick(octets)
    if known is not None and msgspec.json.encode(known, order="sorted") == octets:
        return known
    if octets.count(b"[") + octets.count(b"{") > max_bytes // 2:
        raise Refusal("not-canonical", "too many nested values")
    try:
        value = msgspec.json.decode(octets)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal("not-canonical", "the document is not JSON") from error
    if not isinstance(value, dict):
        raise Refusal("not-canonical", "a document is a JSON object")
    fault = _fault(value, MAX_DEPTH)
    if fault:
        raise Refusal("not-canonical", fault)
    if msgspec.json.encode(value, order="sorted") != octets:
        raise Refusal("not-canonical", "the octets differ from the document's only encoding")
    return value


def _quick(octets: bytes) -> Document | None:
    """The document, if its octets are ASCII and so in NFC, and what the decoder takes is all there is."""
    if not octets.isascii():
        return None
    try:
        return _GOOD.decode(octets)
    except (msgspec.DecodeError, RecursionError):
        return None


def copied(document: Document) -> Document:
    """A copy of a canonical document that shares nothing that can change."""
    return {
        name: _copied(value) if type(value) in (list, dict) else value for name, value in document.items()
    }


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value


def _fault(value: object, depth: int) -> str:  # noqa: C901 - one case for each kind of value
    """Why ``value`` has no canonical form, or the empty string; level by level, without recursion."""
    level: list[Any] = [value]
    while level:
        if depth < 0:
            return "nested too deep"
        depth -= 1
        below: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is str:
                if not one.isascii() and not unicodedata.is_normalized("NFC", one):
                    return "text is not in NFC"
            elif kind is dict:
                for name in one:
                    if type(name) is not str or not name.isascii():
                        return "member names are ASCII"
                below += one.values()
            elif kind is list:
                below += one
            elif kind is int:
                if not -MAX_INTEGER <= one <= MAX_INTEGER:
                    return "integer out of range"
            elif kind is not bool:
                return "null, floating numbers and other kinds have no place in a document"
        level = below
    return ""


def b64u(octets: bytes) -> str:
    """Base64url without padding (RFC 4648, 5)."""
    text = binascii.b2a_base64(octets, newline=False).translate(_TO_URL, b"=")
    return text.decode("ascii")


def unb64u(text: str) -> bytes:
    """Read :func:`b64u`'s only form; raises :class:`Refusal` ``bad-base64``."""
    try:
        plain = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
        octets = binascii.a2b_base64(plain, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise Refusal("bad-base64", "octets are written in base64url without padding") from error
    if b64u(octets) != text:
        raise Refusal("bad-base64", "octets are written in base64url without padding")
    return octets


def len4(octets: bytes) -> bytes:
    """A four-byte big-endian length, then the octets (protocol, section 1)."""
    return len(octets).to_bytes(4, "big") + octets
