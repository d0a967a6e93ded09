"""Alterations that keep a form: what only breaks the outermost length never reaches the code inside.

Each takes octets and a source of chance and gives octets; none raises, whatever it is given.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from copy import deepcopy
from random import Random
from typing import Any

from e2s.base import wire
from e2s.base.errors import E2SError
from e2s.commerce import archive, evidence
from e2s.crypto import der

_EDGES = (b"", b"\x00", b"\x7f", b"\x80", b"\xff", b"\x00\x80", b"\xff" * 8, b"\x00" * 33, b"\x80" * 70)
_TAGS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0C, 0x13, 0x17, 0x18, 0x24, 0x30, 0x31, 0x80, 0x81, 0xA0,
         0xA1, 0xA2, 0xA3)  # fmt: skip
_DEPTH = 24
_WRAPPED = {der.OCTET_STRING: b"", der.BIT_STRING: b"\x00"}
_TEXTS = ("", "0", "-0", "-1", "1.", "1e9", "9" * 40, "\x00", "a\u0301", "\u202e", "2026-02-30T00:00:00Z", "*",
          "sha-256:" + "A" * 43, "A" * 5000, "=", "e2s/1/offer")  # fmt: skip
_VALUES: tuple[Any, ...] = (0, -1, 1, True, False, 2**53 - 1, [], {}, "", [[]], {"": ""})


def bent(octets: bytes, random: Random) -> bytes:
    """A few octets changed, left out, put in, repeated or moved."""
    held = bytearray(octets)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(held) + 1)
        width = random.choice((1, 1, 2, 4, 16))
        match random.randrange(6):
            case 0 if at < len(held):
                held[at] ^= 1 << random.randrange(8)
            case 1:
                held[at : at + width] = random.randbytes(width)
            case 2:
                del held[at : at + width]
            case 3:
                held[at:at] = random.choice(_EDGES)
            case 4:
                begin = random.randrange(len(held) + 1)
                held[at:at] = held[begin : begin + 4 * width]
            case _:
                del held[at:]
    return bytes(held)


# ------------------------------------------------------------------ DER


def der_bent(octets: bytes, random: Random) -> bytes:
    """An element altered, its lengths and those around it right; now and then just octets."""
    if random.random() < 0.2:
        return bent(octets, random)
    tree = _tree(octets, _DEPTH)
    if not tree:
        return bent(octets, random)
    for _ in range(random.choice((1, 1, 2, 3))):
        _alter(tree, random)
    return _written(tree)


def _tree(octets: bytes, depth: int) -> list[list[Any]] | None:
    """Elements as ``[tag, wrapping, content]``; content a list where it is elements, too inside strings."""
    found: list[list[Any]] = []
    reader = der.Reader(octets)
    try:
        while reader.pos != reader.end:
            tag = reader.peek()
            content = reader.content(tag)
            below = None
            wrapping = b""
            if depth and len(content) > 1:
                if tag & 0x20:
                    below = _tree(content, depth - 1)
                elif tag in _WRAPPED and content.startswith(_WRAPPED[tag]):
                    wrapping = _WRAPPED[tag]
                    below = _tree(content[len(wrapping) :], depth - 1)
            found.append([tag, wrapping if below else b"", below or content])
    except E2SError:
        return None
    return found


def _places(tree: list[list[Any]]) -> list[tuple[list[list[Any]], int]]:
    """Every element, as its list and its place there."""
    found = [(tree, index) for index in range(len(tree))]
    for element in tree:
        if isinstance(element[2], list):
            found += _places(element[2])
    return found


def _alter(tree: list[list[Any]], random: Random) -> None:
    places = _places(tree)
    if not places:
        return
    holder, index = random.choice(places)
    element = holder[index]
    match random.randrange(10):
        case 0:
            del holder[index]
        case 1:
            holder[index:index] = [_copy(element)] * random.choice((1, 1, 2, 40))
        case 2:
            other, place = random.choice(places)
            holder[index] = _copy(other[place])
        case 3:
            other, place = random.choice(places)
            holder[index:index] = [_copy(other[place])]
        case 4:
            element[0] = random.choice(_TAGS)
        case 5:
            holder[index] = [random.choice(_TAGS), b"", [element]]
        case 6:
            random.shuffle(holder)
        case 7:
            element[2] = random.choice(_EDGES)
        case _ if isinstance(element[2], bytes):
            element[2] = bent(element[2], random)
        case _:
            element[2] = element[2][:-1] or b""


def _copy(element: list[Any]) -> list[Any]:
    tag, wrapping, content = element
    return [tag, wrapping, [_copy(one) for one in content] if isinstance(content, list) else content]


def _written(tree: list[list[Any]]) -> bytes:
    return b"".join(
        der.tlv(tag, wrapping + (_written(held) if isinstance(held, list) else held))
        for tag, wrapping, held in tree
    )


def pem_bent(octets: bytes, random: Random) -> bytes:
    """The DER inside a PEM block altered, its armour good; now and then just octets."""
    lines = octets.split(b"\n")
    begin = next((n for n, line in enumerate(lines) if line.startswith(b"-----BEGIN")), None)
    end = next((n for n, line in enumerate(lines) if line.startswith(b"-----END")), None)
    if begin is None or end is None or random.random() < 0.3:
        return bent(octets, random)
    try:
        held = der_bent(b64decode(b"".join(lines[begin + 1 : end])), random)
    except binascii.Error:
        return bent(octets, random)
    body = b64encode(held)
    wrapped = [body[at : at + 64] for at in range(0, len(body), 64)]
    return b"\n".join((*lines[: begin + 1], *wrapped, *lines[end:]))


# ------------------------------------------------------------------ documents


def document_bent(octets: bytes, random: Random) -> bytes:
    """A member altered, the octets canonical; now and then just octets."""
    if random.random() < 0.15:
        return bent(octets, random)
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        return bent(octets, random)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        document = _value_altered(document, random, _DEPTH)
    try:
        return wire.encode(document)
    except (E2SError, AttributeError, TypeError, ValueError):
        try:
            return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        except (ValueError, TypeError, RecursionError):
            return bent(octets, random)


def _value_altered(value: Any, random: Random, depth: int) -> Any:
    """``value`` with one place in it altered."""
    if isinstance(value, dict) and value and depth and random.random() < 0.9:
        name = random.choice(list(value))
        match random.randrange(12):
            case 0:
                del value[name]
            case 1:
                value[random.choice((*value, "type", "x", "A" * 80))] = deepcopy(value[name])
            case 2:
                value[random.choice(list(value))] = deepcopy(random.choice(_VALUES))
            case _:
                value[name] = _value_altered(value[name], random, depth - 1)
        return value
    if isinstance(value, list) and value and depth and random.random() < 0.85:
        at = random.randrange(len(value))
        match random.randrange(8):
            case 0:
                del value[at]
            case 1:
                value[at:at] = [deepcopy(value[at]) for _ in range(random.choice((1, 2, 30)))]
            case 2:
                random.shuffle(value)
            case _:
                value[at] = _value_altered(value[at], random, depth - 1)
        return value
    return _plain_altered(value, random)


def _plain_altered(value: Any, random: Random) -> Any:
    if isinstance(value, str) and random.random() < 0.6:
        if random.random() < 0.3:
            return random.choice(_TEXTS)
        return bent(value.encode("utf-8", "replace"), random).decode("utf-8", "replace")
    if isinstance(value, int) and random.random() < 0.6:
        return value + random.choice((-1, 1, -(2**31), 2**31))
    return deepcopy(random.choice((*_VALUES, *_TEXTS)))


# ------------------------------------------------------------------ archives


def bundle_bent(octets: bytes, random: Random) -> bytes:
    """A file of a bundle altered, left out or copied, and mostly listed and named as it then must be."""
    try:
        files = dict(archive.read_archive(octets))
        manifest = json.loads(files.pop(evidence.MANIFEST))
    except (E2SError, KeyError, ValueError, RecursionError):
        return bent(octets, random)
    if not files or random.random() < 0.15:
        return bent(octets, random)
    name = random.choice(list(files))
    other = random.choice(list(files))
    match random.randrange(8):
        case 0:
            del files[name]
        case 1:
            files[name] = files[other]
        case 2:
            manifest = _value_altered(manifest, random, 2)
        case _:
            alter = document_bent if name.endswith(".json") else der_bent
            files[name] = alter(files[name], random)
    try:
        return evidence.pack(
            files, trade=manifest["trade"], party=manifest["party"], suites=manifest["suites"]
        )
    except (E2SError, AttributeError, KeyError, TypeError, ValueError):
        return bent(octets, random)


def framed(start: int, mutate: Any) -> Any:
    """Alters with ``mutate`` what follows a frame of ``start`` octets and a four-octet length, kept right."""

    def altered(octets: bytes, random: Random) -> bytes:
        size = int.from_bytes(octets[start : start + 4], "big")
        body = octets[start + 4 : start + 4 + size]
        if not body or random.random() < 0.2:
            return bent(octets, random)
        made = mutate(body, random)
        return octets[:start] + wire.len4(made) + octets[start + 4 + size :]

    return altered
