"""A revocation list is made from values alone: entries, number, instants and the issuer's signer.

Each revocation keeps its entry's DER from the day it was made, so that a list is those joined, with a head
and a signature: a million of them cost what copying and hashing them costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from cryptography import x509

from e2s.base.errors import Misuse
from e2s.crypto import der
from e2s.crypto.ports import Signer
from e2s.security.status.entries import Entry, encode

_AUTHORITY_KEY, _NUMBER, _BASE = "2.5.29.35", "2.5.29.20", "2.5.29.27"
_SCOPE, _FRESHEST = "2.5.29.28", "2.5.29.46"
#: RFC 5280, 5.2.3: a number has at most 20 octets.
_MAX_NUMBER = 1 << 159
_TRUE = b"\x01\x01\xff"
#: How many entries are joined at a time, and how many octets are not one entry but many.
_JOINED, _LONG = 4096, 4096
#: The reason removeFromCRL as it stands in an entry.
_REMOVED = der.oid("2.5.29.21") + der.octet_string(der.tlv(der.ENUMERATED, b"\x08"))


#: Entries come singly, or many of them joined.
Octets: TypeAlias = bytes | bytearray


class Shard(NamedTuple):
    """One part of a CA's list: ``url`` is the distribution point that the certificates of the part name."""

    url: str
    users_only: bool = False
    cas_only: bool = False


def shard_of(serial: int, shards: int) -> int:
    """The part, from 0, in which a certificate of this serial is listed where there are ``shards`` parts."""
    return serial % shards


def write_list(
    entries: Iterable[Octets],
    issuer: Signer,
    *,
    number: int,
    at: datetime,
    until: datetime,
    shard: Shard | None = None,
    base: int | None = None,
    freshest: str = "",
) -> bytes:
    """A CRL over :func:`~e2s.security.status.entries.encode`'d entries, in their order, DER (RFC 5280, 5.1).

    With ``shard`` it covers the certificates of that distribution point alone (5.2.5); with ``base`` it is a
    delta list, over what changed since the complete list of that number (5.2.4); ``freshest`` is where a
    complete list says that its delta lists are (5.2.6).  Only a delta list removes what stood in a list.
    Raises :class:`Misuse` ``bad-number``, ``bad-delta``, ``bad-scope``, ``bad-instant`` or ``bad-reason``.
    """
    _check(number, at, until, shard, base, freshest)
    parts = list(_parts(entries))
    if base is None and any(_REMOVED in part for part in parts):
        raise Misuse("bad-reason", "only a delta list removes what stood in a list (5.3.1)")
    joined = sum(map(len, parts))
    head = (
        der.integer(1),
        issuer.suite.signature_algorithm,
        issuer.certificate.slices.subject,
        der.time(at),
        der.time(until),
        # 5.1.2.6: where nothing is revoked the list of the revoked is absent
        der.header(der.SEQUENCE, joined) if joined else b"",
    )
    tail = der.tlv(0xA0, der.sequence(*_extensions(issuer, number, shard, base, freshest)))
    size = sum(map(len, head)) + joined + len(tail)
    tbs = b"".join((der.header(der.SEQUENCE, size), *head, *parts, tail))
    parts.clear()
    rest = issuer.suite.signature_algorithm + der.tlv(der.BIT_STRING, b"\0" + issuer.sign(tbs))
    return b"".join((der.header(der.SEQUENCE, len(tbs) + len(rest)), tbs, rest))


def revocation_list(
    revoked: Iterable[tuple[int, datetime, str]],
    issuer: Signer,
    *,
    number: int,
    at: datetime,
    lifetime: timedelta,
) -> bytes:
    """A complete CRL over (serial, instant, reason), DER; reasons as in RFC 5280, 5.3.1."""
    entries = (encode(Entry(serial, since, reason_flag(reason).value)) for serial, since, reason in revoked)
    return write_list(entries, issuer, number=number, at=at, until=at + lifetime)


def reason_flag(reason: str) -> x509.ReasonFlags:
    """The reason as RFC 5280 knows it; raises :class:`Misuse` ``bad-reason``."""
    try:
        flag = x509.ReasonFlags(reason)
    except ValueError as error:
        raise Misuse("bad-reason", "RFC 5280, 5.3.1 names the reasons", reason=reason) from error
    if flag is x509.ReasonFlags.remove_from_crl:
        raise Misuse("bad-reason", "a revocation is not taken back", reason=reason)
    return flag


def _parts(entries: Iterable[Octets]) -> Iterator[Octets]:
    """The entries, joined some at a time; what comes joined already is not copied."""
    waiting: list[Octets] = []
    for entry in entries:
        if len(entry) > _LONG:
            yield b"".join(waiting)
            yield entry
            waiting = []
            continue
        waiting.append(entry)
        if len(waiting) == _JOINED:
            yield b"".join(waiting)
            waiting = []
    yield b"".join(waiting)


def _check(
    number: int, at: datetime, until: datetime, shard: Shard | None, base: int | None, freshest: str
) -> None:
    if not 0 <= number < _MAX_NUMBER:
        raise Misuse("bad-number", "a CRL number is not negative and has at most 20 octets (5.2.3)")
    if at >= until:
        raise Misuse("bad-instant", "a list ends after it began (5.1.2.5)")
    if base is not None and not 0 <= base < number:
        raise Misuse("bad-delta", "a delta list is later than the list that it changes (5.2.4)")
    if base is not None and freshest:
        raise Misuse("bad-delta", "a delta list does not name another (5.2.6)")
    if shard is not None and (shard.users_only + shard.cas_only > 1 or not any(shard)):
        raise Misuse("bad-scope", "a list covers something, and not users alone and CAs alone (5.2.5)")


def _extensions(
    issuer: Signer, number: int, shard: Shard | None, base: int | None, freshest: str
) -> list[bytes]:
    made = [_extension(_NUMBER, der.integer(number))]
    key_id = issuer.certificate.key_id
    if key_id is not None:
        made.insert(0, _extension(_AUTHORITY_KEY, der.sequence(der.tlv(0x80, key_id))))
    if base is not None:
        made.append(_extension(_BASE, der.integer(base), critical=True))
    if shard is not None:
        flags = (b"\x81\x01\xff" if shard.users_only else b"", b"\x82\x01\xff" if shard.cas_only else b"")
        scope = der.sequence(_place(shard.url) if shard.url else b"", *flags)
        made.append(_extension(_SCOPE, scope, critical=True))
    if freshest:
        made.append(_extension(_FRESHEST, der.sequence(der.sequence(_place(freshest)))))
    return made


def _place(url: str) -> bytes:
    """A DistributionPointName of one URI (4.2.1.13)."""
    return der.tlv(0xA0, der.tlv(0xA0, der.tlv(0x86, url.encode("ascii"))))


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return der.sequence(der.oid(oid), _TRUE if critical else b"", der.octet_string(value))
