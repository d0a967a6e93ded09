"""What is certified is a host: its name (RFC 8555, 9.7.7) or its address (RFC 8738), in one form each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from cryptography import x509

from e2s.base.errors import Refusal
from e2s.base.wire import Document

MAX_IDENTIFIERS: Final = 100
_MAX_NAME: Final = 253
#: Letters, digits and hyphens, not at the ends; others' alphabets as RFC 5890 writes them.
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


class Identifier(NamedTuple):
    """``kind`` is ``dns`` or ``ip``, ``value`` the host in its one form."""

    kind: str
    value: str

    def document(self) -> Document:
        """As messages have it."""
        return {"type": self.kind, "value": self.value}


def read_identifiers(value: Any) -> tuple[Identifier, ...]:
    """The identifiers of an order, each once; raises as :func:`read_identifier`, or ``bad-identifier``."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_IDENTIFIERS:
        raise Refusal("bad-identifier", "an order has 1 to 100 identifiers")
    found = tuple(map(read_identifier, value))
    if len(set(found)) < len(found):
        raise Refusal("bad-identifier", "an identifier stands once in an order")
    return found


def read_identifier(value: Any) -> Identifier:
    """One; raises :class:`Refusal` ``identifier-not-supported``, ``wildcard`` or ``bad-identifier``."""
    if not isinstance(value, dict):
        raise Refusal("bad-identifier", "an identifier has a type and a value")
    kind, said = value.get("type"), value.get("value")
    if not isinstance(kind, str) or not isinstance(said, str):
        raise Refusal("bad-identifier", "an identifier has a type and a value")
    if kind == "dns":
        return Identifier(kind, host_name(said))
    if kind == "ip":
        return Identifier(kind, _address(said))
    raise Refusal("identifier-not-supported", "identifiers are dns or ip", kind=kind[:32])


def host_name(text: str) -> str:
    """A host's name in small letters; raises :class:`Refusal` ``wildcard`` or ``bad-identifier``."""
    if text.startswith("*."):
        raise Refusal("wildcard", "a wildcard is proven by dns-01 alone, which is not offered here")
    name = text.lower()
    labels = name.split(".")
    if (
        not name.isascii()
        or len(name) > _MAX_NAME
        or not all(map(_LABEL.fullmatch, labels))
        or _NUMBER.fullmatch(labels[-1])
    ):
        raise Refusal("bad-identifier", "this is no name of a host", name=name[:64])
    return name


def _address(text: str) -> str:
    """RFC 8738, 3: the one form of each kind of address."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise Refusal("bad-identifier", "this is no address") from error
    scoped = isinstance(address, IPv6Address) and address.scope_id is not None
    if scoped or str(address) != text:
        raise Refusal("bad-identifier", "an address is written in its shortest form (RFC 5952)")
    return text


def names_of_request(octets: bytes) -> frozenset[str]:
    """The hosts that a PKCS #10 request asks for (RFC 8555, 7.4), its common name among them.

    Raises :class:`Refusal` ``bad-csr``: for a request that cannot be read, or asks for other kinds of names.
    """
    try:
        request = x509.load_der_x509_csr(octets)
        common = request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(one.value).lower() for one in common]
        for extension in request.extensions:
            if extension.oid == x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME:
                names += map(_host_of, extension.value)
    except Refusal:
        raise
    except (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise Refusal("bad-csr", "the request cannot be read") from error
    except x509.UnsupportedGeneralNameType as error:
        raise Refusal("bad-csr", "the request asks for a name of an unknown kind") from error
    return frozenset(names)


def _host_of(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DNSName):
        return name.value.lower()
    if isinstance(name, x509.IPAddress):
        return str(name.value)
    raise Refusal("bad-csr", "the request asks for a name that is no host")


def check_request(octets: bytes, identifiers: Sequence[Identifier]) -> None:
    """Refuse a request for other hosts than the order's, more or fewer: ``names-differ``."""
    if names_of_request(octets) != {one.value for one in identifiers}:
        raise Refusal("names-differ", "the request asks for other hosts than the order")
