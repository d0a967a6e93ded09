"""A request as a row, and the row as an order: both say the same, so that a later process orders the same."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, cast

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from e2s.base import wire
from e2s.base.instants import format_instant, parse_instant
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PublicKey
from e2s.crypto.suites import SEALINGS, SIGNATURES
from e2s.security.certificates.possession import Proven, read_proven
from e2s.security.certificates.profile import Profile, Use
from e2s.security.enrolment.asking import Asked
from e2s.security.enrolment.certifying import CASE
from e2s.security.enrolment.granting import Grant, who_of
from e2s.security.enrolment.naming import chosen
from e2s.security.pki.orders import Order

_CASE_CHARACTERS: Final = 22


def row_of(asked: Asked, given: Grant, proven: Proven, *, ident: bytes, at: datetime) -> dict[str, object]:
    """What is kept of a request: all that its order says."""
    by_request = isinstance(asked.request, bytes)
    return {
        "id": ident,
        "case": CASE + wire.b64u(ident)[:_CASE_CHARACTERS],
        "state": "waiting" if given.waits else "intended",
        "door": asked.door,
        "transaction": asked.transaction,
        "who": who_of(asked.shown),
        "reference": given.reference,
        "officer": given.officer,
        "profile": given.profile,
        "names": json.dumps(chosen(asked.names, given.names)),
        "subject": given.subject,
        "confidence": given.confidence,
        "protection": asked.protection,
        "spki": sha256(proven.spki).digest(),
        "request": asked.request if by_request else proven.spki,
        "proven": int(not by_request),
        "stated": None if by_request or proven.stated is None else proven.stated.der,
        "not_after": "" if asked.not_after is None else format_instant(asked.not_after),
        "at": format_instant(at),
        "claimed": int(bool(given.claimant)),
    }


def approval_of(row: sa.Row[Any]) -> bytes:
    """The digest from which one certificate follows: of door, who asks, transaction, and the key."""
    said = {"type": "e2s/1/enrolment", "request": wire.b64u(row.id), "spki": wire.b64u(row.spki)}
    return sha256(wire.encode(said)).digest()


def proven_of(row: sa.Row[Any]) -> Proven:
    """The key of a request; its proof was read before it was kept."""
    if not row.proven:
        return read_proven(bytes(row.request))
    spki = bytes(row.request)
    stated = None if row.stated is None else Certificate.read(bytes(row.stated))
    return Proven(cast("PublicKey", load_der_public_key(spki)), spki, stated)


def order_of(row: sa.Row[Any]) -> Order:
    """The order that a request leads to."""
    return Order(
        profile=row.profile,
        key=proven_of(row),
        names=tuple(json.loads(row.names)),
        officer=row.officer,
        not_after=parse_instant(row.not_after) if row.not_after else None,
        subject=x509.Name.from_rfc4514_string(row.subject) if row.subject else None,
        confidence=row.confidence,
        case=row.case,
        approval=approval_of(row),
    )


def suites_for(wanted: Profile) -> tuple[str, ...]:
    """The suites of the keys that a profile certifies."""
    known = SEALINGS if wanted.use is Use.AGREE else SIGNATURES
    return tuple(name for name in known if not wanted.suites or name in wanted.suites)
