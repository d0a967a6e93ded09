"""What a certificate is to look like, or which it is (CertTemplate, RFC 4211, 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.security.certificates.names import alternative_name
from e2s.security.cmp.pieces import any_value, within

_VERSION, _SERIAL, _SIGNING, _ISSUER, _VALIDITY, _SUBJECT, _KEY, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = range(
    10
)
_PRIMITIVE, _CONSTRUCTED = 0x80, 0xA0
_MOST_EXTENSIONS: Final = 16
_MOST_NAMES: Final = 16
_MAX_SERIAL: Final = 20
_MAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_ADDRESSES: Final = (4, 16)


@dataclass(frozen=True, eq=False, kw_only=True)
class Template:
    """CertTemplate: what it says of a certificate, each DER and empty where it says nothing.

    ``extensions`` is the Extensions' content, its ``names`` those of the subject's alternative name.
    """

    serial: int = 0
    issuer: bytes = b""
    subject: bytes = b""
    spki: bytes = b""
    not_before: datetime | None = None
    not_after: datetime | None = None
    extensions: bytes = b""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are wished for; raises :class:`Refusal` ``cmp-template`` or ``der-...``."""
        return _names_wished(self.extensions)

    @property
    def der(self) -> bytes:
        """The template, DER; the module's tags are implicit but those of choices (RFC 4211, B)."""
        times = ((0, self.not_before), (1, self.not_after))
        validity = b"".join(der.tlv(_CONSTRUCTED | n, der.time(at)) for n, at in times if at)
        parts = (
            der.tlv(_PRIMITIVE | _SERIAL, _content(der.integer(self.serial))) if self.serial else b"",
            der.tlv(_CONSTRUCTED | _ISSUER, self.issuer) if self.issuer else b"",
            der.tlv(_CONSTRUCTED | _VALIDITY, validity) if validity else b"",
            der.tlv(_CONSTRUCTED | _SUBJECT, self.subject) if self.subject else b"",
            der.tlv(_CONSTRUCTED | _KEY, _content(self.spki)) if self.spki else b"",
            der.tlv(_CONSTRUCTED | _EXTENSIONS, self.extensions) if self.extensions else b"",
        )
        return der.sequence(*parts)


def names_extension(names: Sequence[str]) -> bytes:
    """The extension that wishes for these names, DER; nothing without any."""
    if not names:
        return b""
    value = der.sequence(*map(alternative_name, names))
    return der.sequence(der.oid(oids.SUBJECT_ALT_NAME), der.octet_string(value))


def read_template(reader: der.Reader) -> Template:
    """The template that comes next.

    What it says of version, algorithm and unique identifiers is the CA's to say, and refused.  Raises
    :class:`Refusal` ``cmp-template`` or ``der-...``.
    """
    inside = reader.enter()
    serial = 0
    if inside.peek() == _PRIMITIVE | _SERIAL:
        serial = der.Reader(der.tlv(der.INTEGER, inside.content(_PRIMITIVE | _SERIAL))).integer(_MAX_SERIAL)
        if serial <= 0:
            raise _bad("a serial number is positive")
    issuer = within(inside, _ISSUER, _name) or b""
    validity = within(inside, _VALIDITY, _read_validity) or (None, None)
    subject = within(inside, _SUBJECT, _name) or b""
    spki = b""
    if inside.peek() == _CONSTRUCTED | _KEY:
        spki = der.tlv(der.SEQUENCE, inside.content(_CONSTRUCTED | _KEY))
        der.check(spki)
    extensions = b""
    if inside.peek() == _CONSTRUCTED | _EXTENSIONS:
        extensions = inside.content(_CONSTRUCTED | _EXTENSIONS)
        der.check(der.tlv(der.SEQUENCE, extensions))
    if inside.pos != inside.end:
        raise _bad("the template says what is the CA's to say")
    return Template(
        serial=serial,
        issuer=issuer,
        subject=subject,
        spki=spki,
        not_before=validity[0],
        not_after=validity[1],
        extensions=extensions,
    )


def _name(reader: der.Reader) -> bytes:
    if reader.peek() != der.SEQUENCE:
        raise _bad("issuer and subject are distinguished names")
    return any_value(reader)


def _read_validity(reader: der.Reader) -> tuple[datetime | None, datetime | None]:
    begin, end = within(reader, 0, der.Reader.time), within(reader, 1, der.Reader.time)
    if begin is None and end is None:
        raise _bad("a validity has a beginning or an end")
    return begin, end


def _names_wished(extensions: bytes) -> tuple[str, ...]:
    for one in der.Reader(extensions).elements(der.SEQUENCE, _MOST_EXTENSIONS):
        extension = der.Reader(one).enter()
        oid = extension.oid()
        if extension.peek() == der.BOOLEAN and not extension.boolean():
            raise _bad("a default is not written in DER")
        value = extension.content(der.OCTET_STRING)
        extension.done()
        if oid == oids.SUBJECT_ALT_NAME:
            return tuple(
                _name_of(general) for general in der.Reader(value).enter().elements(None, _MOST_NAMES)
            )
    return ()


def _name_of(general: bytes) -> str:
    """A GeneralName as the text that the rest of E2S knows it by."""
    tag, content = general[0], _content(general)
    if tag == _IP and len(content) in _ADDRESSES:
        return str(ip_address(content))
    if tag in {_MAIL, _DNS, _URI} and content.isascii():
        return content.decode()
    raise _bad("a name that is wished for is a URI, a host, an address or a mail address")


def _content(element: bytes) -> bytes:
    """What is inside one element."""
    return der.Reader(element).content(element[0])


def _bad(why: str) -> Refusal:
    return Refusal("cmp-template", why)
