"""A certificate as far as the directory asks: read once, when it is taken, and without its key.

There may be hundreds of thousands, and their issuer is our own CA; whether one is to be trusted is for who
reads it to judge.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from cryptography import x509

from e2s.base.errors import Refusal
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES, UNREADABLE

#: How many names of one kind are taken from a certificate.
MAX_NAMES: Final = 32
_NAMES: Final = (x509.UniformResourceIdentifier, x509.RFC822Name, x509.DNSName, x509.IPAddress)


class Facts(NamedTuple):
    """What an entry says of one of its certificates beside its octets; texts as they stand in it."""

    common: str = ""
    units: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Sight(NamedTuple):
    """A certificate as far as its place and its entry ask; its key is not read, which nobody here uses."""

    facts: Facts
    subject: x509.Name
    parsed: x509.Certificate
    ca: bool
    uses: frozenset[str]
    ends: datetime
    serial: int


def sight(octets: bytes) -> Sight:
    """Read a certificate, DER, for the directory; raises :class:`Refusal` ``bad-certificate``."""
    if len(octets) > MAX_CERTIFICATE_BYTES:
        raise Refusal("bad-certificate", "the certificate is larger than may be read", size=len(octets))
    try:
        return _seen(x509.load_der_x509_certificate(octets))
    except UNREADABLE as error:
        raise Refusal("bad-certificate", "the octets are not a certificate that can be read") from error


def _seen(parsed: x509.Certificate) -> Sight:
    values: dict[type, Any] = {type(one.value): one.value for one in parsed.extensions}
    names: dict[type, list[str]] = {}
    for name in values.get(x509.SubjectAlternativeName, ()):
        names.setdefault(type(name), []).append(str(name.value))
    common, units = "", list[str]()
    subject = parsed.subject
    for attribute in subject:
        if attribute.oid == x509.NameOID.COMMON_NAME:
            common = common or str(attribute.value)
        elif attribute.oid == x509.NameOID.ORGANIZATIONAL_UNIT_NAME:
            units.append(str(attribute.value))
    uris, mails, hosts, ips = (tuple(names.get(kind, ())[:MAX_NAMES]) for kind in _NAMES)
    basic = values.get(x509.BasicConstraints)
    return Sight(
        facts=Facts(common, tuple(units[:MAX_NAMES]), tuple(filter(str.isascii, mails)), uris, hosts + ips),
        subject=subject,
        parsed=parsed,
        ca=basic is not None and basic.ca,
        uses=frozenset(one.dotted_string for one in values.get(x509.ExtendedKeyUsage, ())),
        ends=parsed.not_valid_after_utc,
        serial=parsed.serial_number,
    )
