"""A name says by its form what it is: URN or URL, address, mail address, or host.

A subject's distinguished name follows from its URN alone, so the several certificates of one person have
one subject.
"""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from e2s.base.errors import Misuse

MAX_NAME = 255
_ATTRIBUTE_MAX = 64


def general_name(name: str) -> x509.GeneralName:
    """The subject alternative name for ``name``; raises :class:`Misuse` ``bad-name``."""
    if not name or len(name) > MAX_NAME or not name.isascii() or any(c <= " " for c in name):
        raise Misuse("bad-name", "a name is short, ASCII and without spaces", name=name[:MAX_NAME])
    if name.startswith("urn:") or "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)


def subject_of(name: str) -> x509.Name:
    """The distinguished name for ``urn:e2s:<community>:<party>[:<person or card>]``, else just a CN."""
    parts = name.split(":")
    if not name.startswith("urn:e2s:") or len(parts) < 4 or not all(parts):
        return distinguished(common=name)
    community, party, *rest = parts[2:]
    return distinguished(community=community, party=party, common=":".join(rest) or party)


def distinguished(*, community: str = "", party: str = "", common: str = "") -> x509.Name:
    """O = community, OU = party, CN = person or component; empty parts are left out."""
    kinds = (
        (NameOID.ORGANIZATION_NAME, community),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, party),
        (NameOID.COMMON_NAME, common),
    )
    return x509.Name([x509.NameAttribute(kind, value[:_ATTRIBUTE_MAX]) for kind, value in kinds if value])
