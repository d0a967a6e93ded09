"""What EST carries is DER in base64, a key with its certificate two parts of it (RFC 7030, 4; RFC 8951, 3).

The transfer encoding is not asked for and not believed: it always is base64, and blanks in it mean nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import cms

REQUEST: Final = "application/pkcs10"
CERTIFICATES: Final = "application/pkcs7-mime; smime-type=certs-only"
ATTRIBUTES: Final = "application/csrattrs"
PLAIN_KEY: Final = "application/pkcs8"
SEALED_KEY: Final = "application/pkcs7-mime; smime-type=server-generated-key"
#: Hyphens never occur in base64, so no part can hold its own end.
_BOUNDARY: Final = "e2s-server-generated-key"
KEY_AND_CERTIFICATE: Final = f"multipart/mixed; boundary={_BOUNDARY}"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = 512 * 1024
_MAX_PARTS: Final = 4
_BLANK: Final = b" \t\r\n"
_PARAMETER: Final = re.compile(r'\s*boundary=(?:"([^"\\]{1,70})"|([0-9A-Za-z\'()+_,./:=?-]{1,70}))\s*')
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([ -~\t]{0,256})", re.ASCII)


class Part(NamedTuple):
    """One part of an answer: its media type in lower case, with parameters as they came, and its octets."""

    kind: str
    octets: bytes


def written(octets: bytes) -> bytes:
    """Base64 in one line, which every client reads."""
    return base64.b64encode(octets)


def read(body: bytes, most: int = MAX_BODY_BYTES) -> bytes:
    """The octets of a body; raises :class:`Refusal` ``bad-base64`` or ``too-large``."""
    if len(body) > most:
        raise Refusal("too-large", "the body is larger than may be read", size=len(body))
    try:
        return binascii.a2b_base64(body.translate(None, _BLANK), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal("bad-base64", "the body is not base64") from error


def bundled(*certificates: bytes) -> bytes:
    """Certificates alone, DER each, as CMS has them."""
    return cms.bundle(certificates)


def media_type(header: str) -> str:
    """The media type of a content-type header, without its parameters."""
    return header.partition(";")[0].strip().lower()


def joined(*parts: Part) -> bytes:
    """The body of :data:`KEY_AND_CERTIFICATE` (RFC 2046, 5.1)."""
    lines: list[bytes] = []
    for part in parts:
        head = f"--{_BOUNDARY}\r\nContent-Type: {part.kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        lines.append(head.encode("ascii") + written(part.octets))
    return b"\r\n".join((*lines, f"--{_BOUNDARY}--\r\n".encode("ascii")))


def parted(header: str, body: bytes) -> tuple[Part, ...]:
    """The parts of a multipart answer with this content-type; raises :class:`Refusal` ``bad-parts``."""
    if len(body) > MAX_ANSWER_BYTES:
        raise Refusal("too-large", "the answer is larger than may be read", size=len(body))
    kind, *parameters = header.split(";")
    found = [match for match in map(_PARAMETER.fullmatch, parameters) if match]
    if kind.strip().lower() != "multipart/mixed" or len(found) != 1:
        raise _bad("it is not multipart/mixed with one boundary")
    boundary = b"--" + (found[0][1] or found[0][2]).encode("ascii", "replace")
    pieces = (b"\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).split(b"\r\n" + boundary)
    if len(pieces) < 3 or len(pieces) > _MAX_PARTS + 2 or pieces[-1][:2] != b"--":
        raise _bad("its parts do not end")
    return tuple(map(_part, pieces[1:-1]))


def _part(piece: bytes) -> Part:
    """Headers, an empty line and base64."""
    blank, begin, rest = piece.partition(b"\r\n")
    head, gap, body = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if blank.strip(_BLANK) or not begin or not gap:
        raise _bad("a part has headers, an empty line and a body")
    kind = ""
    for line in head.split(b"\r\n")[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _bad("a part has headers, an empty line and a body")
        if header[1].lower() == b"content-type":
            kind = header[2].decode("ascii").strip().lower()
    return Part(kind, read(body, MAX_ANSWER_BYTES))


def _bad(why: str) -> Refusal:
    return Refusal("bad-parts", f"the answer in parts cannot be read: {why}")
