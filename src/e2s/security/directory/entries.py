"""From certificates and lists to entries of LDAP and back (RFC 4523, RFC 2798).

A person is an inetOrgPerson and a pkiUser, a party an organizationalUnit, a host or component an
applicationProcess, a CA one with pkiCA; a part of a CA's list is a cRLDistributionPoint.  What an entry says
follows from what it holds, so making it anew always gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.security.directory.sights import MAX_NAMES, Facts

#: RFC 4523, 2 and 5: values whose transfer is the DER, for which the option stands.
USER: Final = "userCertificate;binary"
CA: Final = "cACertificate;binary"
PAIR: Final = "crossCertificatePair;binary"
LIST: Final = "certificateRevocationList;binary"
AUTHORITY_LIST: Final = "authorityRevocationList;binary"
DELTA_LIST: Final = "deltaRevocationList;binary"
#: What a publisher writes, and what of an entry it therefore compares; all else is not its own.
OWNED: Final = (
    "objectClass",
    "cn",
    "sn",
    "uid",
    "o",
    "ou",
    "mail",
    "labeledURI",
    USER,
    CA,
    PAIR,
    LIST,
    AUTHORITY_LIST,
    DELTA_LIST,
)
BINARY: Final = frozenset({USER, CA, PAIR, LIST, AUTHORITY_LIST, DELTA_LIST})
#: How long a text of an entry may be.
MAX_TEXT: Final = 256
_MAX_PAIR_BYTES: Final = 80 * 1024

Attributes = Mapping[str, tuple[bytes, ...]]


class Role(Enum):
    """As what a certificate stands in an entry; as it is kept."""

    USER = 0
    CA = 1
    PAIR = 2


class Held(NamedTuple):
    """One certificate of an entry, DER."""

    role: Role
    der: bytes
    facts: Facts


class HeldList(NamedTuple):
    """One list of an entry; ``delta``: it changes another."""

    delta: bool
    der: bytes


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry as it is to stand: its name, and its values by attribute, without order."""

    dn: str
    attributes: Attributes = field(default_factory=dict)

    def differs(self, standing: Attributes) -> dict[str, tuple[bytes, ...]]:
        """What of a standing entry is to be replaced: new values by attribute, none to take it away.

        Classes and names that others added to it stay.
        """
        held = {name.lower(): values for name, values in standing.items()}
        changed: dict[str, tuple[bytes, ...]] = {}
        for name in OWNED:
            wanted, found = self.attributes.get(name, ()), held.get(name.lower(), ())
            if name == "objectClass":
                wanted = _with_classes(wanted, found)
            if {*map(_compared(name), wanted)} != {*map(_compared(name), found)}:
                changed[name] = wanted
        return changed


def _with_classes(wanted: tuple[bytes, ...], found: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The classes of ours, and those of others that stand there."""
    ours = {one.lower() for one in wanted}
    others = tuple(one for one in found if one.lower() not in ours and one.decode("latin-1") not in _OURS)
    return (*wanted, *others)


def _compared(name: str) -> Callable[[bytes], bytes]:
    return bytes if name in BINARY or name == "labeledURI" else bytes.lower


def person(uid: str, held: Sequence[Held]) -> dict[str, tuple[bytes, ...]]:
    """A person's values (RFC 2798, RFC 4523, 4.1)."""
    known = [one.facts for one in held]
    names = _texts(one.common for one in known) or (uid.encode(),)
    return _filled(
        objectClass=(b"inetOrgPerson", b"pkiUser"),
        uid=(uid.encode(),),
        cn=names,
        sn=names[:1],
        ou=_texts(unit for one in known for unit in one.units),
        mail=_texts(mail for one in known for mail in one.mails),
        labeledURI=_texts(uri for one in known for uri in one.uris),
        **{USER: _ders(held, Role.USER)},
    )


def party(unit: str, held: Sequence[Held]) -> dict[str, tuple[bytes, ...]]:
    """A party's values: its unit, above its people, with the certificates of its own."""
    uris = _texts(uri for one in held for uri in one.facts.uris)
    classes = [b"organizationalUnit"]
    if held:
        classes += [b"pkiUser", *([b"labeledURIObject"] if uris else ())]
    return _filled(
        objectClass=tuple(classes),
        ou=(unit.encode(),),
        labeledURI=uris,
        **{USER: _ders(held, Role.USER)},
    )


def application(
    common: str, held: Sequence[Held], lists: Sequence[HeldList] = ()
) -> dict[str, tuple[bytes, ...]]:
    """A host's, component's or CA's values (RFC 4523, 4.1 and 4.2).

    A complete list stands under both attributes that clients look at; with one of it, a CA has the older
    class certificationAuthority as well, which asks for all three (4.5).
    """
    subjects = [one.facts for one in held if one.role is not Role.PAIR]
    uris = _texts(uri for one in subjects for uri in one.uris)
    authority, whole = _ders(held, Role.CA), _lists(lists, delta=False)
    delta, pairs, users = _lists(lists, delta=True), _ders(held, Role.PAIR), _ders(held, Role.USER)
    classes = [b"applicationProcess"]
    classes += [b"pkiUser"] if users else []
    classes += [b"pkiCA"] if authority or whole or pairs else []
    classes += [b"certificationAuthority"] if authority and whole else []
    classes += [b"deltaCRL"] if delta else []
    classes += [b"labeledURIObject"] if uris else []
    names = [common, *(one.common for one in subjects), *(host for one in subjects for host in one.hosts)]
    return _filled(
        objectClass=tuple(classes),
        cn=_texts(names),
        labeledURI=uris,
        **{
            USER: users,
            CA: authority,
            PAIR: pairs,
            LIST: whole,
            AUTHORITY_LIST: whole,
            DELTA_LIST: delta,
        },
    )


def part(common: str, lists: Sequence[HeldList]) -> dict[str, tuple[bytes, ...]]:
    """A part of a CA's certificates: its list, and what changes that (RFC 4523, 4.4)."""
    return _filled(
        objectClass=(b"cRLDistributionPoint",),
        cn=(common.encode(),),
        **{LIST: _lists(lists, delta=False), DELTA_LIST: _lists(lists, delta=True)},
    )


def top(kind: str, value: str) -> dict[str, tuple[bytes, ...]]:
    """The values of the entry at the top of a tree."""
    classes = {
        "o": (b"organization",),
        "ou": (b"organizationalUnit",),
        "c": (b"country",),
        "dc": (b"dcObject", b"organization"),
    }
    more = {"o": (value.encode(),)} if kind == "dc" else {}
    return {"objectClass": classes[kind], kind: (value.encode(),), **more}


def write_pair(issued: bytes) -> bytes:
    """A CertificatePair of a certificate, DER, that this CA gave to another (RFC 4523, 2.3)."""
    return der.sequence(der.tlv(0xA1, issued))


def read_pair(octets: bytes) -> tuple[bytes, bytes]:
    """What was issued to the CA and by it, DER, either may be empty; raises :class:`Refusal` ``bad-pair``."""
    if len(octets) > _MAX_PAIR_BYTES:
        raise Refusal("bad-pair", "the pair of certificates is larger than is read", size=len(octets))
    try:
        outer = der.Reader(octets)
        pair = outer.enter()
        outer.done()
        found = []
        for tag in (0xA0, 0xA1):
            one = b""
            if pair.pos != pair.end and pair.peek() == tag:
                explicit = pair.enter(tag)
                one = explicit.element(der.SEQUENCE)
                explicit.done()
            found.append(one)
        pair.done()
    except Refusal as refusal:
        raise Refusal("bad-pair", "the octets are no pair of certificates", because=refusal.rule) from refusal
    if not any(found):
        raise Refusal("bad-pair", "a pair has one certificate at least")
    return found[0], found[1]


def certificates_of(attributes: Attributes) -> tuple[bytes, ...]:
    """The certificates of an entry, DER and unchecked: its own, a CA's, and those of pairs, each once."""
    known = {name.lower(): values for name, values in attributes.items()}
    found = [*known.get(USER.lower(), ()), *known.get(CA.lower(), ())]
    for octets in known.get(PAIR.lower(), ()):
        try:
            found += [one for one in read_pair(octets) if one]
        except Refusal:
            continue
    return tuple(dict.fromkeys(found))


def lists_of(attributes: Attributes) -> tuple[bytes, ...]:
    """The lists of an entry, DER and unchecked, each once."""
    known = {name.lower(): values for name, values in attributes.items()}
    names = (LIST, AUTHORITY_LIST, DELTA_LIST)
    return tuple(dict.fromkeys(one for name in names for one in known.get(name.lower(), ())))


#: The classes that only a publisher gives.
_OURS: Final = frozenset({
    "inetOrgPerson",
    "organizationalUnit",
    "applicationProcess",
    "cRLDistributionPoint",
    "pkiUser",
    "pkiCA",
    "certificationAuthority",
    "deltaCRL",
    "labeledURIObject",
})  # fmt: skip


def _filled(**attributes: tuple[bytes, ...]) -> dict[str, tuple[bytes, ...]]:
    """Without what has no value: LDAP knows no empty attribute."""
    return {name: values for name, values in attributes.items() if values}


def _ders(held: Sequence[Held], role: Role) -> tuple[bytes, ...]:
    some = [one.der for one in held if one.role is role]
    return tuple(dict.fromkeys(map(write_pair, some) if role is Role.PAIR else some))


def _lists(lists: Sequence[HeldList], *, delta: bool) -> tuple[bytes, ...]:
    return tuple(one.der for one in lists if one.delta is delta)


def _texts(texts: Iterable[str]) -> tuple[bytes, ...]:
    """The texts that can be shown, each once without regard to case, in order."""
    kept: dict[str, bytes] = {}
    for text in texts:
        if 0 < len(text) <= MAX_TEXT and text.isprintable() and not text.isspace() and len(kept) < MAX_NAMES:
            kept.setdefault(text.casefold(), text.encode())
    return tuple(kept.values())
