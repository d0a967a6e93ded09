"""What else stands in a PKCS #10 request: attributes by which a protocol says something beside the key.

They are signed with the request, so :func:`~.possession.read_proof` comes first; no name is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.security.certificates.possession import MAX_REQUEST_BYTES

_MOST: Final = 16
_MAX_TEXT: Final = 255
_ATTRIBUTES: Final = 0xA0
#: DirectoryString without the forms that no one uses (X.520), and IA5String.
_TEXTS: Final[Mapping[int, str]] = MappingProxyType({der.UTF8: "utf-8", 0x13: "ascii", 0x16: "ascii"})


def request_attributes(octets: bytes) -> Mapping[str, Sequence[bytes]]:
    """The values of each attribute of a request by its type, DER (RFC 2986, 4.1).

    Raises :class:`Refusal` ``bad-request`` for what cannot be read, or a type that stands there twice.
    """
    if len(octets) > MAX_REQUEST_BYTES:
        raise Refusal("bad-request", "the request is larger than may be read", size=len(octets))
    found: dict[str, Sequence[bytes]] = {}
    try:
        info = der.Reader(octets).enter().enter()
        info.span(der.INTEGER)
        info.span(der.SEQUENCE)
        info.span(der.SEQUENCE)
        for one in info.enter(_ATTRIBUTES).elements(der.SEQUENCE, _MOST):
            attribute = der.Reader(one).enter()
            oid = attribute.oid()
            values = attribute.enter(der.SET).elements(None, _MOST)
            attribute.done()
            if oid in found:
                raise Refusal("bad-request", "an attribute stands there twice", attribute=oid)
            found[oid] = values
    except Refusal as refusal:
        if refusal.rule == "bad-request":
            raise
        raise Refusal("bad-request", f"the request cannot be read: {refusal.message}") from refusal
    return MappingProxyType(found)


def challenge_in(octets: bytes) -> str:
    """The challenge password of a request (RFC 2985, 5.4.1), or nothing; raises ``bad-request``."""
    values = request_attributes(octets).get(oids.CHALLENGE_PASSWORD, ())
    if not values:
        return ""
    reader = der.Reader(values[0])
    form = _TEXTS.get(reader.peek(), "")
    try:
        text = reader.content(reader.peek()).decode(form or "ascii")
        reader.done()
    except (Refusal, UnicodeDecodeError):
        form = ""
    if not form or len(values) > 1 or len(text) > _MAX_TEXT:
        raise Refusal("bad-request", "a challenge password is one short text")
    return text
