"""Where in the tree each entry stands: a unit for each party, its people and components beneath.

::

    o=market                                   the suffix, as the directory is set up
      cn=root                                  the root
      ou=authority
        cn=ca                                  a CA, with its list
          cn=7                                 a part of its certificates, with the part's list
      ou=alpha                                 a party, with its own certificates
        uid=anna                               urn:e2s:market:alpha:anna
        cn=wallet                              a component of the same party
      cn=shop.example                          what names no party: hosts, addresses

An entry is called by its name below the suffix; that is its *key*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.profiles import PROFILES
from e2s.security.directory import entries
from e2s.security.directory.entries import Entry, Held, HeldList, Role
from e2s.security.directory.names import Dn, label, read_dn, same, write_dn
from e2s.security.directory.sights import Sight

_URN: Final = "urn:e2s:"
#: Who has a certificate for one of these is a process, not a person.
_PROCESSES: Final = frozenset({
    oids.EKU_SERVER,
    oids.EKU_TIME_STAMPING,
    oids.EKU_OCSP,
    *PROFILES["component"].ekus,
})  # fmt: skip
_SUBJECT: Final = (NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME)


@dataclass(frozen=True)
class Place:
    """One certificate's entry, and as what it stands there."""

    key: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class Tree:
    """One community's entries below ``suffix``."""

    suffix: Dn
    community: str

    @cached_property
    def _top(self) -> str:
        return write_dn(self.suffix)

    @cached_property
    def _same(self) -> Dn:
        return same(self.suffix)

    def place(self, seen: Sight) -> Place:
        """Where a certificate of this community's CAs stands."""
        if not seen.ca:
            return Place(self._of_name(seen), Role.USER)
        # one of another community's CA stands with its issuer (RFC 4523, 2.3)
        if _values(seen.subject)[0] == self.community:
            return Place(self._named(seen.subject), Role.CA)
        return Place(self._named(seen.parsed.issuer), Role.PAIR)

    def of_ca(self, certificate: Certificate) -> str:
        """The key of a CA's own entry, by its subject."""
        return self._named(certificate.x509.subject)

    def of_part(self, authority: Certificate, shard: int | None) -> str:
        """The key of the entry that has a CA's list, whole or of one part."""
        above = self.of_ca(authority)
        return above if shard is None else f"cn={shard},{above}"

    def entry(self, key: str, held: Sequence[Held], lists: Sequence[HeldList]) -> Entry | None:
        """The entry of that key with what it holds; None where it is not to be there."""
        kind, value = key.partition(",")[0].split("=", 1)
        if kind == "ou":
            found = entries.party(value, held)
        elif not held and not lists:
            return None
        elif kind == "uid":
            found = entries.person(value, held)
        elif key.partition(",")[2].startswith("cn="):
            found = entries.part(value, lists)
        else:
            found = entries.application(value, held, lists)
        return Entry(dn=self.dn(key), attributes=found)

    def bare(self, key: str) -> Entry:
        """The entry of that key without anything that it could hold."""
        kind, value = key.partition(",")[0].split("=", 1)
        makers = {"ou": entries.party, "uid": entries.person, "cn": entries.application}
        return Entry(dn=self.dn(key), attributes=makers.get(kind, entries.application)(value, ()))

    def dn(self, key: str) -> str:
        """The whole name of an entry."""
        return f"{key},{self._top}" if key else self._top

    def key(self, dn: str) -> str | None:
        """The key in a name that a directory gives; None of one that lies elsewhere."""
        try:
            name, above = same(read_dn(dn)), self._same
        except Refusal:
            return None
        if len(name) < len(above) or name[len(name) - len(above) :] != above:
            return None
        return write_dn(name[: len(name) - len(above)])

    def top(self) -> Entry:
        """The entry at the top."""
        kind, value = self.suffix[0][0]
        return Entry(dn=self._top, attributes=entries.top(kind.lower(), value))

    def _of_name(self, seen: Sight) -> str:
        facts = seen.facts
        name = facts.uris[0] if facts.uris else ""
        community, party, holder = _parts(name)
        if not party:
            shown = name or next(iter(facts.hosts), "") or f"subject {seen.subject.public_bytes().hex()}"
            return f"cn={label(shown)}"
        above = self._unit(community, party)
        if not holder:
            return above
        return f"{'uid' if _PROCESSES.isdisjoint(seen.uses) else 'cn'}={label(holder)},{above}"

    def _unit(self, community: str, party: str) -> str:
        """The key of a party; one of another community never is that of ours."""
        return f"ou={label(party if community == self.community else f'{community}:{party}')}"

    def _named(self, name: x509.Name) -> str:
        """The key of a CA's name; one of another form than ours is told apart by its octets."""
        community, unit, common = _values(name)
        if community != self.community or not common or len(list(name)) != 2 + bool(unit):
            return "cn=" + label(f"{common or 'ca'} {name.public_bytes().hex()}")
        own = f"cn={label(common)}"
        return f"{own},{self._unit(community, unit)}" if unit else own


def _values(name: x509.Name) -> tuple[str, str, str]:
    """Organisation, unit and common name, empty where there is none."""
    found = [name.get_attributes_for_oid(oid) for oid in _SUBJECT]
    community, unit, common = (str(some[0].value) if some else "" for some in found)
    return community, unit, common


def _parts(name: str) -> tuple[str, str, str]:
    """Community, party and holder of a URN; empty of any other name."""
    parts = name.split(":", 4)
    if not name.startswith(_URN) or len(parts) < 4 or not all(parts[2:4]):
        return "", "", ""
    return parts[2], parts[3], parts[4] if len(parts) > 4 else ""
