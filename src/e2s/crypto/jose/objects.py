"""Others' JSON is read strictly: one object, no member twice, bounded in size, depth and number of values.

It need not be canonical (:mod:`e2s.base.wire` is for our own), so what is signed is the octets as they came.
"""

from __future__ import annotations

import json
from typing import Any, Final

from e2s.base.errors import Refusal
from e2s.base.wire import Document

MAX_BYTES: Final = 64 * 1024
#: Commas, colons and opening brackets: so many values are costly to hold.
_MAX_MARKS: Final = 4096
_MAX_DEPTH: Final = 8
_EXACT: Final = 1 << 53


def read_object(octets: bytes, most: int = MAX_BYTES) -> Document:
    """The object in ``octets``; raises :class:`Refusal` ``bad-json`` or ``too-large``.

    Members that stand twice, floating and very large numbers, half surrogate pairs and deep nesting are
    refused.
    """
    if len(octets) > most:
        raise Refusal("too-large", "the object is larger than may be read", size=len(octets))
    if sum(map(octets.count, (b",", b"[", b"{"))) > _MAX_MARKS:
        raise Refusal("too-large", "the object holds more values than may be read")
    try:
        value = _DECODER.decode(octets.decode())
    except (ValueError, RecursionError) as error:
        raise _bad("the octets are not one JSON object") from error
    if not isinstance(value, dict):
        raise _bad("the octets are not one JSON object")
    if not _plain(value, _MAX_DEPTH):
        raise _bad("the object is nested too deep, or holds what may not be sent")
    return value


def text_of(document: Document, name: str, most: int = 2048) -> str:
    """The member ``name``, text of at most ``most`` characters; raises :class:`Refusal` ``bad-member``."""
    value = document.get(name)
    if not isinstance(value, str) or len(value) > most:
        raise Refusal("bad-member", "a member is missing, or is no text of a fair length", member=name)
    return value


def _once(pairs: list[tuple[str, Any]]) -> Document:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _bad("a member stands twice (RFC 7515, 4)")
    return members


def _never(_text: str) -> Any:
    raise _bad("no number with a fraction has a place here")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_float=_never, parse_constant=_never)


def _plain(value: Any, depth: int) -> bool:
    """Whether the value nests no deeper, its integers are exact anywhere and its text is whole."""
    kind = type(value)
    if kind is str:
        return value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
    if kind is dict:
        for name, one in value.items():
            if not _plain(name, 0) or not _plain(one, depth - 1):
                return False
        return depth > 0
    if kind is list:
        for one in value:
            if not _plain(one, depth - 1):
                return False
        return depth > 0
    return kind is not int or -_EXACT < value < _EXACT


def _bad(message: str) -> Refusal:
    return Refusal("bad-json", message)
