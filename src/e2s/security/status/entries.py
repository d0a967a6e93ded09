"""One revocation: what a list says of one certificate (RFC 5280, 5.3)."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der
from e2s.security.verification.revoked import REASONS
from e2s.security.verification.structures import each_extension

#: RFC 5280, 4.1.2.2: a serial has at most 20 octets.
_SERIAL_OCTETS = 20
_REASON, _INVALIDITY = "2.5.29.21", "2.5.29.24"
_CODES = {name: code for code, name in REASONS.items()}


class Entry(NamedTuple):
    """``reason`` as RFC 5280, 5.3.1 names it; ``invalidity``: since when the key may be lost (5.3.2)."""

    serial: int
    at: datetime
    reason: str = "unspecified"
    invalidity: datetime | None = None


def encode(entry: Entry) -> bytes:
    """The entry as it stands in a list, DER: lists are made by joining these.

    An unspecified reason is not written (5.3.1).  Raises :class:`Misuse` ``bad-reason`` or ``bad-serial``.
    """
    serial, at, reason, invalidity = entry
    if not 0 < serial < 1 << 8 * _SERIAL_OCTETS - 1:
        raise Misuse("bad-serial", "a serial number is positive and has at most 20 octets (4.1.2.2)")
    more = _extensions(reason, invalidity) if invalidity is not None or reason != "unspecified" else b""
    return der.tlv(der.SEQUENCE, der.integer(serial) + der.time(at) + more)


def decode(octets: bytes) -> Entry:
    """The entry that :func:`encode` wrote; raises :class:`Refusal` ``bad-entry`` or ``der-...``."""
    outer = der.Reader(octets)
    held = outer.enter()
    outer.done()
    serial, at, reason, invalidity = held.integer(_SERIAL_OCTETS), held.time(), "unspecified", None
    if serial <= 0:
        raise Refusal("bad-entry", "a serial number is positive (4.1.2.2)")
    if held.pos != held.end:
        for oid, _critical, value in each_extension(held.enter()):
            inner = der.Reader(value)
            if oid == _REASON:
                code = inner.content(der.ENUMERATED)
                reason = REASONS.get(code[0], "") if len(code) == 1 else ""
            elif oid == _INVALIDITY:
                invalidity = inner.generalized_time()
            else:
                raise Refusal("bad-entry", "an entry has an extension that is not written here", oid=oid)
            inner.done()
        held.done()
    if not reason:
        raise Refusal("bad-entry", "there is no such reason (5.3.1)")
    return Entry(serial, at, reason, invalidity)


@lru_cache(maxsize=256)
def _extensions(reason: str, invalidity: datetime | None) -> bytes:
    """The crlEntryExtensions, none of them critical."""
    parts = []
    if reason not in _CODES:
        raise Misuse("bad-reason", "RFC 5280, 5.3.1 names the reasons", reason=reason)
    if reason != "unspecified":
        parts.append(_extension(_REASON, der.tlv(der.ENUMERATED, bytes((_CODES[reason],)))))
    if invalidity is not None:
        parts.append(_extension(_INVALIDITY, der.generalized_time(invalidity)))
    return der.sequence(*parts)


def _extension(oid: str, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.octet_string(value))
