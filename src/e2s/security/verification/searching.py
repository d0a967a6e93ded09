"""Looking certificates and lists up over HTTP (RFC 4387): what they are found by, how an answer is read."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import Final
from urllib.parse import quote

from e2s.base.errors import Refusal
from e2s.base.http import Exchange, Request, expect

#: The two stores, where RFC 4387, 3.2 looks for them.
CERTIFICATES_PATH: Final = "/certificates/search.cgi"
CRLS_PATH: Final = "/crls/search.cgi"
#: How many one answer may hold.
MAX_FOUND: Final = 32
KINDS: Final = frozenset({"application/pkix-cert", "application/pkix-crl"})

_BOUNDARY = re.compile(r"multipart/mixed\s*;\s*boundary=\"?([0-9A-Za-z'()+_,./:=?-]{1,70})\"?", re.ASCII)
_TYPE = re.compile(rb"content-type:[ \t]*([!-~]{1,64})[ \t]*", re.IGNORECASE)
_MAX_HEAD_BYTES: Final = 1024
_NONE: Final = 404


def search_key(octets: bytes) -> str:
    """The key that stands for ``octets``: base64 of their SHA-1 hash, without padding (2.1)."""
    return b64encode(sha1(octets, usedforsecurity=False).digest()).decode("ascii").rstrip("=")


def look_up(
    exchange: Exchange, origin: str, attribute: str, value: str, *, path: str = CERTIFICATES_PATH
) -> tuple[bytes, ...]:
    """What the repository at ``origin`` finds by one attribute, if anything: DER and unchecked.

    Raises :class:`Unreachable` where it does not answer, :class:`Refusal` of its rule or ``bad-look-up``.
    """
    response = exchange.send(origin, Request("GET", f"{path}?{attribute}={quote(value, safe='')}"))
    if response.status == _NONE:
        return ()
    return read_found(response.headers.get("content-type", ""), expect(response, what="look-up"))


def read_found(content_type: str, body: bytes) -> tuple[bytes, ...]:
    """The certificates or lists of an answer, DER and unchecked; raises :class:`Refusal` ``bad-look-up``."""
    if content_type.split(";", 1)[0].strip().lower() in KINDS:
        return (body,)
    match = _BOUNDARY.fullmatch(content_type.strip())
    if match is None:
        raise Refusal("bad-look-up", "the answer is neither a certificate or list nor several in parts")
    return _parts(body, b"--" + match[1].encode("ascii"))


def _parts(body: bytes, line: bytes) -> tuple[bytes, ...]:
    """The bodies of multipart/mixed (RFC 2046, 5.1.1), each of a known kind."""
    first, *parts = (b"\r\n" + body).split(b"\r\n" + line)
    if len(parts) < 2 or len(parts) > MAX_FOUND + 1 or not parts[-1].startswith(b"--") or first.strip():
        raise Refusal("bad-look-up", "the answer's parts do not begin or do not end")
    return tuple(_part(part) for part in parts[:-1])


def _part(part: bytes) -> bytes:
    head, separator, octets = part.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not separator or len(head) > _MAX_HEAD_BYTES or lines[0].strip():
        raise Refusal("bad-look-up", "a part of the answer has no head")
    kinds = [match[1].lower() for text in lines[1:] if (match := _TYPE.fullmatch(text))]
    if len(kinds) != 1 or kinds[0].decode("ascii") not in KINDS:
        raise Refusal("bad-look-up", "a part of the answer is neither a certificate nor a list")
    return octets
