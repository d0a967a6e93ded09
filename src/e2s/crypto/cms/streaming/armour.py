"""PEM (RFC 7468) a piece at a time, under the rule of :mod:`e2s.crypto.pem`: one block, strictly base64."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from e2s.base.errors import Refusal
from e2s.crypto.cms.streaming.spool import Told, pieces, untold, write

_HEAD: Final = 128
_LINE: Final = 48
_BEGIN: Final = re.compile(rb"\s*+-----BEGIN ")
_LABEL: Final = re.compile(rb"\s*+-----BEGIN (CMS|PKCS7)-----[\r\n]")
_OTHER: Final = re.compile(rb"[^A-Za-z0-9+/=]")
_DASHES: Final = b"-----"


def is_armoured(file: BinaryIO) -> bool:
    """Whether what follows in ``file`` is PEM; leaves it where it is."""
    here = file.tell()
    head = file.read(_HEAD)
    file.seek(here)
    return _BEGIN.match(head) is not None


def unarmour(source: BinaryIO, size: int, out: BinaryIO, told: Told = untold) -> None:
    """Write the DER of the one PEM block that the next ``size`` octets are.

    Raises :class:`Refusal` ``bad-pem``.
    """
    here = source.tell()
    head = _LABEL.match(source.read(min(size, _HEAD)))
    if head is None:
        raise _bad("the file is not one PEM block of a CMS message")
    source.seek(here + head.end())
    body = pieces(source, size - head.end(), told)
    text = b""
    for piece in body:
        lines, dashes, after = bytes(piece).partition(_DASHES[:1])
        text += lines.translate(None, b"\r\n")
        if dashes:
            write(out, _decoded(text))
            _check_end(dashes + after, head.group(1), body)
            return
        whole = len(text) - len(text) % 4
        write(out, _decoded(text[:whole], more=True))
        text = text[whole:]
    raise _bad("the block has no end")


def _decoded(text: bytes, *, more: bool = False) -> bytes:
    """The octets of base64; ``more`` follows."""
    if _OTHER.search(text) or (more and b"=" in text):
        raise _bad("the block is not base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise _bad("the block is not base64") from error


def _check_end(text: bytes, label: bytes, rest: Iterator[memoryview]) -> None:
    """The block's last line, and space."""
    end = b"-----END " + label + _DASHES
    for piece in rest:
        text += bytes(piece)
        if len(text) > _HEAD and text[_HEAD:].strip():
            break
        text = text[:_HEAD]
    if not text.startswith(end) or text[len(end) :].strip():
        raise _bad("the file is not one PEM block of a CMS message")


def _bad(why: str) -> Refusal:
    return Refusal("bad-pem", why)


def armour(source: BinaryIO, size: int, out: BinaryIO) -> None:
    """Write the next ``size`` octets as one PEM block labelled CMS."""
    write(out, b"-----BEGIN CMS-----\n")
    left = b""
    for piece in pieces(source, size, untold):
        held = left + bytes(piece)
        whole = len(held) - len(held) % _LINE
        write(out, _lines(held[:whole]))
        left = held[whole:]
    write(out, _lines(left) + b"-----END CMS-----\n")


def _lines(octets: bytes) -> bytes:
    """Base64 in lines of 64."""
    return b"".join(binascii.b2a_base64(octets[at : at + _LINE]) for at in range(0, len(octets), _LINE))
