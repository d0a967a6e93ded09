"""The entries of a revocation list, read where they stand: what is kept of each is eight octets.

All entries are read once, so that a list with one that cannot be read is no list; entries of the usual shape
by one expression.  A look-up searches sorted places by halving, and reads the entry again that it finds.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.security.verification.name_forms import DIRECTORY_NAME, Form, general_names
from e2s.security.verification.structures import each_extension

_SERIAL_OCTETS = 21
_REASON, _INVALIDITY, _ENTRY_ISSUER = "2.5.29.21", "2.5.29.24", "2.5.29.29"
REMOVED, HELD = "removeFromCRL", "certificateHold"
#: RFC 5280, 5.3.1.
REASONS = MappingProxyType(
    {
        0: "unspecified",
        1: "keyCompromise",
        2: "cACompromise",
        3: "affiliationChanged",
        4: "superseded",
        5: "cessationOfOperation",
        6: HELD,
        8: REMOVED,
        9: "privilegeWithdrawn",
        10: "aACompromise",
    }
)


@dataclass(frozen=True)
class Revocation:
    """When a certificate was revoked, and why (``unspecified``, ``keyCompromise``...)."""

    at: datetime
    reason: str


class Revoked(Mapping[int, Revocation]):
    """The revoked certificates of one issuer, by serial; of two entries of one serial the first counts."""

    __slots__ = ("_data", "_places")

    def __init__(self, data: bytes, places: list[int]) -> None:
        """``places`` are those of the entries in ``data``, each under the mark of its serial."""
        self._data = data
        places.sort()
        self._places = array("Q", places)

    def get(self, serial: int, default: object = None) -> Revocation | None:  # type: ignore[override]
        """What the list says of ``serial``, or None; steps grow with the logarithm of the list."""
        del default
        mark = _mark(der.integer(serial))
        places = self._places
        for index in range(bisect_left(places, mark), len(places)):
            place = places[index]
            if place & _MARKS != mark:
                return None
            found, revocation, _issuer = _entry(der.Reader(self._data, place & _PLACES).enter())
            if found == serial:
                return revocation
        return None

    def __getitem__(self, serial: int) -> Revocation:
        """What the list says of ``serial``; raises KeyError where it says nothing."""
        found = self.get(serial)
        if found is None:
            raise KeyError(serial)
        return found

    def __contains__(self, serial: object) -> bool:
        """Whether ``serial`` is revoked."""
        return isinstance(serial, int) and self.get(serial) is not None

    def __bool__(self) -> bool:
        """Whether anything is revoked."""
        return bool(self._places)

    def __len__(self) -> int:
        """How many certificates are revoked."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[int]:
        """Their serials, each once."""
        alike: set[int] = set()
        before = -1
        for place in self._places:
            if place & _MARKS != before:
                alike.clear()
                before = place & _MARKS
            serial = der.Reader(self._data, place & _PLACES).enter().integer(_SERIAL_OCTETS)
            if serial not in alike:
                alike.add(serial)
                yield serial


Index: TypeAlias = Mapping[Form, Revoked]


def index_of(data: bytes, start: int, stop: int, *, own: Form, indirect: bool) -> Index:
    """The entries in ``data[start:stop]`` by the issuer of their certificates (5.3 and 5.3.3).

    ``own`` is the list's issuer.  Raises :class:`Refusal` ``bad-crl`` or ``der-...``.
    """
    found: dict[Form, list[int]] = {own: []}
    places = found[own]
    usual, pos = _USUAL.match, start
    while pos != stop:
        match = usual(data, pos, stop)
        if match is not None and match.end() == pos + 2 + data[pos + 1]:
            places.append(_mark(match[1]) | pos)
            pos = match.end()
            continue
        reader = der.Reader(data, pos, stop)
        serial, _revocation, issuer = _entry(reader.enter())
        if issuer:
            if not indirect:
                raise Refusal("bad-crl", "an entry of another issuer in a list that is not indirect")
            places = found.setdefault(issuer, [])
        places.append(_mark(der.integer(serial)) | pos)
        pos = reader.pos
    return {issuer: Revoked(data, held) for issuer, held in found.items()}


#: A place and, above it, the mark of a serial: its hash by Python, under a key that nobody else knows.
_PLACES, _MARKS = 0xFFFF_FFFF, 0xFFFF_FFFF_0000_0000


def _mark(serial: bytes) -> int:
    return hash(serial) << 32 & _MARKS


def _entry(entry: der.Reader) -> tuple[int, Revocation, Form]:
    """One revoked certificate (5.3), and the issuer that it names for itself and those after it."""
    serial, at, reason = entry.integer(_SERIAL_OCTETS), entry.time(), "unspecified"
    issuer: Form = ()
    if entry.pos != entry.end:
        for oid, critical, value in each_extension(entry.enter()):
            if oid == _REASON:
                reason = _reason(value)
            elif oid == _ENTRY_ISSUER:
                issuer = _entry_issuer(value)
            elif critical and oid != _INVALIDITY:
                raise Refusal("bad-crl", "a critical extension is not processed", oid=oid)
        entry.done()
    return serial, Revocation(at, reason), issuer


def _entry_issuer(value: bytes) -> Form:
    """CertificateIssuer (5.3.3): its one directory name."""
    outer = der.Reader(value)
    names = [form for tag, form in general_names(outer.enter()) if tag == DIRECTORY_NAME]
    outer.done()
    if len(names) != 1:
        raise Refusal("bad-crl", "an entry's issuer is one directory name (5.3.3)")
    return names[0]


def _reason(value: bytes) -> str:
    code = der.Reader(value).content(der.ENUMERATED)
    reason = REASONS.get(code[0]) if len(code) == 1 else None
    if reason is None:
        raise Refusal("bad-crl", "there is no such reason (5.3.1)")
    return reason


def _usual() -> re.Pattern[bytes]:
    """An entry with a serial of 1 to 20 octets, a UTCTime, perhaps a reason and an invalidity date.

    What it matches, but for the length in its second octet, is what :func:`_entry` would read.
    """
    octet, high = rb"[\x00-\xff]", rb"[\x80-\xff]"
    long = [
        b"\\x%02x(?:[\\x01-\\x7f]%s|\\x00%s)%s{%d}" % (size, octet, high, octet, size - 2)
        for size in (17, 16, 20, *range(2, 16), 18, 19)
    ]
    serial = b"\\x02(?:%s|\\x01[\\x00-\\x7f])" % b"|".join(long)
    day = rb"(?:(?:0[13578]|1[02])31|(?:0[13-9]|1[0-2])(?:29|30)|(?:0[1-9]|1[0-2])(?:0[1-9]|1[0-9]|2[0-8]))"
    time = rb"\x17\x0d[0-9]{2}%s(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z" % day
    reason = rb"0\x0a\x06\x03U\x1d\x15\x04\x03\x0a\x01[\x00-\x06\x08-\x0a]"
    invalidity = rb"0\x18\x06\x03U\x1d\x18\x04\x11\x18\x0f%s{15}" % octet
    said = rb"(?:0\x0c%s|0\x1a%s|0\x26%s%s)?" % (reason, invalidity, reason, invalidity)
    return re.compile(rb"0%s(%s)%s%s" % (octet, serial, time, said), re.DOTALL)


_USUAL = _usual()
