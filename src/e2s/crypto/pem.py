"""A message may travel in PEM (RFC 7468): one block, strictly base64; what is inside is DER as ever."""

from __future__ import annotations

import base64
import binascii
import re

from e2s.base.errors import Refusal

_LABELS = rb"CMS|PKCS7"
_BLOCK = re.compile(
    # possessive throughout: nothing is tried twice, however the lines are broken
    rb"\s*+-----BEGIN (" + _LABELS + rb")-----[\r\n]([A-Za-z0-9+/=\r\n]*+)-----END \1-----\s*+",
    re.ASCII,
)
_BEGIN = re.compile(rb"\s*-----BEGIN ")
_WIDTH = 64


def unarmoured(octets: bytes) -> bytes:
    """The DER of a message in PEM, or ``octets`` themselves; raises :class:`Refusal` ``bad-pem``."""
    if not _BEGIN.match(octets[:128]):
        return octets
    block = _BLOCK.fullmatch(octets)
    if not block:
        raise Refusal("bad-pem", "the file is not one PEM block of a CMS message")
    try:
        return base64.b64decode(block.group(2).translate(None, b"\r\n"), validate=True)
    except binascii.Error as error:
        raise Refusal("bad-pem", "the block is not base64") from error


def armoured(message: bytes, label: bytes = b"CMS") -> bytes:
    """``message`` as one PEM block of that label."""
    text = base64.b64encode(message)
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return b"\n".join((b"-----BEGIN %s-----" % label, *lines, b"-----END %s-----" % label, b""))
