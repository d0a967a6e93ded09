"""A message: header, body, protection over both, and certificates beside them (RFC 9810, 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.cmp.header import Header, read_header
from e2s.security.cmp.pieces import tagged, within
from e2s.security.cmp.vocabulary import MAX_MESSAGE_BYTES, Body

MAX_CERTIFICATES: Final = 16
_PROTECTION, _CERTIFICATES = 0, 1
_NUMBER, _EXPLICIT = 0x1F, 0xA0


class Part(NamedTuple):
    """A body: its kind, and its content as DER."""

    kind: Body
    content: bytes


@dataclass(frozen=True, eq=False, kw_only=True)
class Message:
    """One PKIMessage as read; :mod:`~e2s.security.cmp.protection` proves who wrote it.

    ``protection`` is empty where there is none; ``protected`` is what it is over (5.1.3).
    """

    header: Header
    body: Part
    protection: bytes = b""
    certificates: tuple[Certificate, ...] = field(default=(), repr=False)
    protected: bytes = field(default=b"", repr=False)


def protected_part(header: Header, body: Part) -> bytes:
    """ProtectedPart (5.1.3), DER."""
    return der.sequence(header.der, tagged(body.kind, body.content))


def write_message(
    header: Header, body: Part, protection: bytes = b"", certificates: Sequence[Certificate] = ()
) -> bytes:
    """A PKIMessage, DER."""
    return der.sequence(
        header.der,
        tagged(body.kind, body.content),
        tagged(_PROTECTION, der.tlv(der.BIT_STRING, b"\0" + protection) if protection else b""),
        tagged(_CERTIFICATES, der.sequence(*(one.der for one in certificates)) if certificates else b""),
    )


def read_message(octets: bytes) -> Message:
    """Read one message strictly; its protection is not looked at, nor its body's content.

    Raises :class:`Refusal` ``too-large``, ``cmp-body``, ``cmp-protection``, ``bad-certificate``, what
    :func:`~e2s.security.cmp.header.read_header` raises, or ``der-...``.
    """
    if len(octets) > MAX_MESSAGE_BYTES:
        raise Refusal("too-large", "the message is larger than may be read", size=len(octets))
    outer = der.Reader(octets)
    inside = outer.enter()
    outer.done()
    begin = inside.pos
    header = read_header(inside)
    body = _body(inside)
    protected = der.tlv(der.SEQUENCE, octets[begin : inside.pos])
    protection = within(inside, _PROTECTION, _bits) or b""
    if bool(protection) != bool(header.algorithm):
        raise Refusal("cmp-protection", "a protection has an algorithm, and an algorithm its protection")
    certificates = within(inside, _CERTIFICATES, _certificates) or ()
    inside.done()
    return Message(
        header=header, body=body, protection=protection, certificates=certificates, protected=protected
    )


def _bits(reader: der.Reader) -> bytes:
    """PKIProtection: whole octets."""
    bits = reader.content(der.BIT_STRING)
    if len(bits) < 2 or bits[0]:
        raise Refusal("cmp-protection", "the protection is no whole octets")
    return bits[1:]


def _certificates(reader: der.Reader) -> tuple[Certificate, ...]:
    found = reader.enter().elements(der.SEQUENCE, MAX_CERTIFICATES)
    if not found:
        raise Refusal("cmp-body", "a list of certificates has one at least")
    return tuple(Certificate.read(one) for one in found)


def _body(reader: der.Reader) -> Part:
    """The one body; raises ``cmp-body`` for a kind that is not spoken here."""
    tag = reader.peek()
    if tag & ~_NUMBER != _EXPLICIT or tag & _NUMBER not in Body.__members__.values():
        raise Refusal("cmp-body", "a message of this kind is not spoken here", tag=tag & _NUMBER)
    held = reader.enter(tag)
    content = held.element()
    held.done()
    return Part(Body(tag & _NUMBER), content)
