"""A name says by its form what it is: URN or URL, address, mail address, or host.

A subject's distinguished name follows from its URN alone, so the several certificates of one person have
one subject.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.x509.oid import NameOID

from e2s.base.errors import Misuse
from e2s.crypto import der, oids

MAX_NAME = 255
#: X.520, upper bounds: of a common name, an organisation's and its units'.
MAX_ATTRIBUTE = 64
#: What stands before a URI of so many octets.
_URIS = tuple(bytes((0x86, size)) for size in range(128))
_MAIL, _DNS, _DIRECTORY, _URI, _IP = 0x81, 0x82, 0xA4, 0x86, 0x87


def alternative_name(name: str) -> bytes:
    """``name`` as a GeneralName (RFC 5280, 4.2.1.6), DER; raises :class:`Misuse` ``bad-name``."""
    size = len(name)
    if not 0 < size <= MAX_NAME or not name.isascii() or not name.isprintable() or " " in name:
        raise Misuse("bad-name", "a name is short, ASCII and without spaces", name=name[:MAX_NAME])
    if name.startswith("urn:") or "://" in name:
        return der.header(_URI, size) + name.encode()
    # an address begins with a digit, or has colons
    if name[0].isdigit() or ":" in name:
        try:
            return der.tlv(_IP, ip_address(name).packed)
        except ValueError:
            pass
    return der.header(_MAIL if "@" in name else _DNS, size) + name.encode()


def short_uri(name: str) -> bytes:
    """The same of a short URN, unchecked: for one that is linted; empty for any other name."""
    size = len(name)
    if size >= len(_URIS) or name[:4] != "urn:" or not name.isascii():
        return b""
    return _URIS[size] + name.encode()


def general_name(name: str) -> x509.GeneralName:
    """The same for the library's builders."""
    tag = alternative_name(name)[0]
    if tag == _IP:
        return x509.IPAddress(ip_address(name))
    if tag == _URI:
        return x509.UniformResourceIdentifier(name)
    return x509.RFC822Name(name) if tag == _MAIL else x509.DNSName(name)


def subject_of(name: str) -> x509.Name:
    """The distinguished name for ``urn:e2s:<community>:<party>[:<person or card>]``, else just a CN."""
    return distinguished(**_parts(name))


def subject_octets(name: str) -> bytes:
    """The same as :func:`subject_of`, DER."""
    party, _, common = name.rpartition(":")
    head = _head(party, len(common))
    if head and common.isascii():
        return head + common.encode()
    return _octets(**_parts(name))


@lru_cache(maxsize=4096)
def _head(name: str, size: int) -> bytes:
    """All that stands before a common name of ``size`` octets whose name extends the party's, ``name``.

    Empty for a name that is no party's, and for no or too long a common name.
    """
    parts = name.split(":")
    if len(parts) != 4 or not name.startswith("urn:e2s:") or not all(parts) or not 0 < size <= MAX_ATTRIBUTE:
        return b""
    return _octets(community=parts[2], party=parts[3], common="-" * size)[:-size]


def distinguished(*, community: str = "", party: str = "", common: str = "") -> x509.Name:
    """O = community, OU = party, CN = person or component; empty parts are left out.

    Raises :class:`Misuse` ``bad-name`` for a part of more than 64 characters.
    """
    kinds = (
        (NameOID.ORGANIZATION_NAME, community),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, party),
        (NameOID.COMMON_NAME, common),
    )
    return x509.Name([x509.NameAttribute(kind, _bounded(value)) for kind, value in kinds if value])


def _parts(name: str) -> dict[str, str]:
    parts = name.split(":", 4)
    if not name.startswith("urn:e2s:") or len(parts) < 4 or not all(parts) or name[-1] == ":" or "::" in name:
        # a host or address that is too long for an attribute stands among the alternative names alone
        return {"common": name if len(name) <= MAX_ATTRIBUTE else ""}
    community, party = parts[2:4]
    return {"community": community, "party": party, "common": parts[4] if len(parts) > 4 else party}


def _octets(*, community: str = "", party: str = "", common: str = "") -> bytes:
    return der.tlv(
        der.SEQUENCE,
        (_attribute(oids.ORGANISATION, community) if community else b"")
        + (_attribute(oids.ORGANISATIONAL_UNIT, party) if party else b"")
        + (_attribute(oids.COMMON_NAME, common) if common else b""),
    )


def _attribute(oid: str, value: str) -> bytes:
    """A RelativeDistinguishedName of one attribute."""
    return der.tlv(der.SET, der.sequence(der.oid(oid), der.utf8(_bounded(value))))


def _bounded(value: str) -> str:
    if len(value) > MAX_ATTRIBUTE:
        raise Misuse(
            "bad-name", "a part of a subject has at most 64 characters (X.520)", name=value[:MAX_NAME]
        )
    return value


def subtree(text: str) -> bytes:
    """The base of a subtree (RFC 5280, 4.2.1.10) as a GeneralName, DER.

    ``dns:a.example`` is the host and all below it, ``dns:`` every host; ``mail:`` and ``uri:`` name a host
    or, after a point, all below it; ``mail:`` also one address; ``ip:10.0.0.0/8``; ``dir:OU=volt,O=market``
    (RFC 4514).  Raises :class:`Misuse` ``bad-subtree``.
    """
    form, mark, value = text.partition(":")
    readers = {"dns": _host, "mail": _mail, "uri": _host_of_uri, "ip": _network, "dir": _directory}
    if not mark or form not in readers or len(text) > MAX_NAME:
        raise Misuse(
            "bad-subtree",
            "a subtree is written dns:, mail:, uri:, ip: or dir: and its base",
            subtree=text[:80],
        )
    try:
        return readers[form](value)
    except ValueError as error:
        raise Misuse(
            "bad-subtree", "the base of the subtree is not of its form", subtree=text[:80]
        ) from error


def _host(value: str) -> bytes:
    if value.startswith("."):
        raise ValueError(value)
    return der.tlv(_DNS, _domain(value, empty=True))


def _mail(value: str) -> bytes:
    local, at, host = value.rpartition("@")
    if at and (not local or host.startswith(".")):
        raise ValueError(value)
    return der.tlv(_MAIL, (local + at).encode("ascii") + _domain(host))


def _host_of_uri(value: str) -> bytes:
    return der.tlv(_URI, _domain(value))


def _domain(value: str, *, empty: bool = False) -> bytes:
    labels = value.removeprefix(".").split(".")
    good = all(label and len(label) < 64 and label.replace("-", "a").isalnum() for label in labels)
    if not (good or (empty and not value)) or any(label != label.strip("-") for label in labels):
        raise ValueError(value)
    return value.encode("ascii")


def _network(value: str) -> bytes:
    network = ip_network(value)
    return der.tlv(_IP, network.network_address.packed + network.netmask.packed)


def _directory(value: str) -> bytes:
    return der.tlv(_DIRECTORY, x509.Name.from_rfc4514_string(value).public_bytes())
