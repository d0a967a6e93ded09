"""Which CRL speaks for which certificates: distribution points and the scope of a list (RFC 5280).

A certificate's points (4.2.1.13) and a list's scope (5.2.5) name places in the same way; they belong together
when one name is common to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.security.verification.name_forms import DIRECTORY_NAME, Form, general_names, relative

Names: TypeAlias = frozenset[tuple[int, Form]]

#: Bits of ReasonFlags that a status needs an answer for (4.2.1.13): all but the unused first.
ALL_REASONS: Final = frozenset(range(1, 9))
_MAX_POINTS = 32


@dataclass(frozen=True)
class Point:
    """A DistributionPoint; without ``names`` or ``rdn`` its list is found by the CRL's issuer."""

    names: Names = frozenset()
    rdn: bytes = b""
    reasons: frozenset[int] = ALL_REASONS
    crl_issuer: Names = frozenset()

    def places(self, issuer: Form) -> Names:
        """The names of the place, where ``issuer`` issued the certificate."""
        return _places(self.names, self.rdn, self.issuers(issuer))

    def issuers(self, issuer: Form) -> tuple[Form, ...]:
        """Who may issue the list: the directory names of cRLIssuer, or the certificate's issuer."""
        named = tuple(form for tag, form in self.crl_issuer if tag == DIRECTORY_NAME)
        return named or (() if self.crl_issuer else (issuer,))


@dataclass(frozen=True)
class Scope:
    """An IssuingDistributionPoint: what a list covers."""

    names: Names = frozenset()
    rdn: bytes = b""
    users_only: bool = False
    cas_only: bool = False
    attributes_only: bool = False
    reasons: frozenset[int] = ALL_REASONS
    indirect: bool = False

    def covers(self, *, ca: bool) -> bool:
        """Whether certificates of this kind are in the list's scope (6.3.3 b 2)."""
        return not (self.attributes_only or (self.users_only and ca) or (self.cas_only and not ca))

    def at(self, point: Point, certificate_issuer: Form, crl_issuer: Form) -> bool:
        """Whether the list is that of ``point`` (6.3.3 b 2 i)."""
        own = _places(self.names, self.rdn, (crl_issuer,))
        if not own:
            return True
        theirs = point.places(certificate_issuer) or point.crl_issuer
        return not own.isdisjoint(theirs)


WHOLE: Final = Scope()


@lru_cache(maxsize=1024)
def read_points(value: bytes) -> tuple[Point, ...]:
    """CRLDistributionPoints; raises :class:`Refusal` ``der-...``.  A CA's certificates share them: kept."""
    outer = der.Reader(value)
    points = outer.enter()
    outer.done()
    found: list[Point] = []
    while points.pos != points.end:
        if len(found) >= _MAX_POINTS:
            raise Refusal("der-count", "more distribution points than may be read", most=_MAX_POINTS)
        found.append(_point(points.enter()))
    return tuple(found)


def read_scope(value: bytes) -> Scope:
    """IssuingDistributionPoint; raises :class:`Refusal` ``der-...``."""
    outer = der.Reader(value)
    scope = outer.enter()
    outer.done()
    names, rdn = _name(scope)
    users, cas = _flag(scope, 0x81), _flag(scope, 0x82)
    reasons = _reasons(scope, 0x83)
    indirect, attributes = _flag(scope, 0x84), _flag(scope, 0x85)
    scope.done()
    return Scope(names, rdn, users, cas, attributes, reasons, indirect)


def _point(point: der.Reader) -> Point:
    names, rdn = _name(point)
    reasons = _reasons(point, 0x81)
    crl_issuer: Names = frozenset()
    if point.peek() == 0xA2:
        crl_issuer = general_names(point.enter(0xA2))
    point.done()
    return Point(names, rdn, reasons, crl_issuer)


def _name(reader: der.Reader) -> tuple[Names, bytes]:
    """DistributionPointName: full names, or the content of an RDN relative to the CRL's issuer."""
    if reader.peek() != 0xA0:
        return frozenset(), b""
    explicit = reader.enter(0xA0)
    if explicit.peek() == 0xA0:
        named = general_names(explicit.enter(0xA0)), b""
    else:
        named = frozenset(), explicit.content(0xA1)
    explicit.done()
    return named


def _places(names: Names, rdn: bytes, issuers: tuple[Form, ...]) -> Names:
    if not rdn:
        return names
    return frozenset((DIRECTORY_NAME, relative(issuer, rdn)) for issuer in issuers)


def _flag(reader: der.Reader, tag: int) -> bool:
    """A BOOLEAN DEFAULT FALSE, written only when true."""
    if reader.peek() != tag:
        return False
    if reader.content(tag) != b"\xff":
        raise Refusal("der-boolean", "a flag is written only where it is set")
    return True


def _reasons(reader: der.Reader, tag: int) -> frozenset[int]:
    """ReasonFlags: a named bit string, or all reasons where it is absent."""
    if reader.peek() != tag:
        return ALL_REASONS
    content = reader.content(tag)
    if not 2 <= len(content) <= 3 or content[0] > 7:
        raise Refusal("der-bits", "reason flags are one or two octets")
    bits = {8 * at + bit for at, octet in enumerate(content[1:]) for bit in range(8) if octet & 0x80 >> bit}
    return frozenset(bits) & ALL_REASONS
