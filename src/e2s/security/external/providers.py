"""Another provider is trusted for names and purposes that are written down, and for nothing else.

RFC 5937: the constraints come from who trusts.  Of alternative names those forms alone count of which
something is permitted, so that no provider speaks for this community's own names, which are URNs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from cryptography import x509

from e2s.base.errors import Misuse
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.names import subtree
from e2s.security.certificates.profile_file import EKUS, POLICIES
from e2s.security.verification.anchors import Anchor
from e2s.security.verification.traits import traits

MAX_ROOTS: Final = 8
MAX_LIMITS: Final = 32
#: What is for this community's own people and components, which no other certifies.
_OWN: Final = frozenset({*oids.SIGNING.values(), *oids.AGREEMENT.values(), oids.COMPONENT})
_READERS: Final[dict[str, Callable[[str], x509.GeneralName]]] = {
    "dns": x509.DNSName,
    "mail": x509.RFC822Name,
    "uri": x509.UniformResourceIdentifier,
    "ip": lambda value: x509.IPAddress(ip_network(value)),
    "dir": lambda value: x509.DirectoryName(x509.Name.from_rfc4514_string(value)),
}


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider, by its roots; ``permitted`` and ``excluded`` as :func:`~..certificates.names.subtree`.

    ``purposes`` are names or object identifiers of extended key usages, ``policies`` the same of policies,
    none for any.
    """

    name: str
    roots: tuple[Certificate, ...] = field(repr=False)
    purposes: tuple[str, ...]
    permitted: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-provider``, ``unconfined``, ``own-purpose`` or ``bad-subtree``."""
        if not 0 < len(self.roots) <= MAX_ROOTS or not all(traits(one).ca for one in self.roots):
            raise Misuse(
                "bad-provider", f"a provider has 1 to {MAX_ROOTS} roots, each a CA's", name=self.name
            )
        if not self.purposes or not self.permitted:
            raise Misuse("unconfined", "another's root is trusted for purposes and names that are said")
        if max(map(len, (self.purposes, self.permitted, self.excluded, self.policies))) > MAX_LIMITS:
            raise Misuse("bad-provider", f"at most {MAX_LIMITS} of each are said", name=self.name)
        own = _OWN & self.eku_oids
        if own:
            raise Misuse("own-purpose", "this purpose is for whom this community certifies", eku=min(own))
        for text in (*self.permitted, *self.excluded):
            subtree(text)
        _dotted(self.policies, POLICIES)

    @property
    def eku_oids(self) -> frozenset[str]:
        """The purposes, dotted."""
        return frozenset(_dotted(self.purposes, EKUS))

    def anchors(self) -> tuple[Anchor, ...]:
        """Its roots, within the limits."""
        permitted = [_general_name(text) for text in self.permitted]
        excluded = [_general_name(text) for text in self.excluded]
        limits = x509.NameConstraints(permitted, excluded or None)
        policies = frozenset(_dotted(self.policies, POLICIES)) or None
        return tuple(
            Anchor(certificate=root, purposes=self.eku_oids, names=limits, policies=policies, closed=True)
            for root in self.roots
        )

    def said(self) -> dict[str, Any]:
        """As it stands in a record, without its roots."""
        return {
            "purposes": list(self.purposes),
            "permitted": list(self.permitted),
            "excluded": list(self.excluded),
            "policies": list(self.policies),
        }


def _general_name(text: str) -> x509.GeneralName:
    form, _, value = text.partition(":")
    return _READERS[form](value)


def _dotted(names: Iterable[str], known: Any) -> list[str]:
    """Object identifiers of names; raises :class:`Misuse` ``bad-provider``."""
    found = []
    for name in names:
        dotted = known.get(name, name)
        try:
            x509.ObjectIdentifier(dotted)
        except ValueError as error:
            raise Misuse(
                "bad-provider", "a purpose or policy is a known name or an OID", name=name[:80]
            ) from error
        found.append(dotted)
    return found
