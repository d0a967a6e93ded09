"""What was seen to identify a person: kind, issuer, by whom, when and where; never the number itself.

A document's number is kept only as a digest under the registration authority's own secret, so that the same
document is recognised and its number cannot be found by trying.  The scan stays with the officer: its digest
proves which one it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant
from e2s.crypto.forms import Form, octets, octets_max, text
from e2s.security.registration.policy import Policy

SALT_BYTES = 32
_NUMBER = re.compile(r"[A-Z0-9]{3,40}", re.ASCII)
#: A spreadsheet shows a long number so, and what it was is lost.
_SPOILT = re.compile(r"[0-9][.,]?[0-9]*E\+?[0-9]+", re.ASCII)

_FORM = Form(
    "e2s/1/evidence",
    {
        "kind": text(40),
        "issuer": text(120),
        "document": octets(32),
        "expires": text(10, min_length=0),
        "seen": text(20),
        "place": text(120),
        "at": text(20),
        "officer": text(255),
        "scan": octets_max(32),
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One document as ``officer`` saw it; ``document`` and ``scan`` (perhaps empty) are digests."""

    kind: str
    issuer: str
    document: str
    expires: str
    seen: str
    place: str
    at: str
    officer: str
    scan: str = ""

    def said(self) -> wire.Document:
        """The record as a document."""
        return {"type": "e2s/1/evidence", **{name: getattr(self, name) for name in _MEMBERS}}

    def encoded(self) -> bytes:
        """The record's canonical octets."""
        return wire.encode(self.said())

    @property
    def digest(self) -> bytes:
        """SHA-256 of the record: what approvals and orders name."""
        return hashlib.sha256(self.encoded()).digest()


_MEMBERS = tuple(one.name for one in fields(Evidence))


def read_evidence(document: wire.Document) -> Evidence:
    """The record in a document; raises :class:`Refusal` ``bad-document`` or ``wrong-label``."""
    _FORM.check(document)
    return Evidence(**{name: value for name, value in document.items() if name != "type"})


def document_digest(salt: bytes, kind: str, issuer: str, number: str) -> str:
    """The keyed digest of a document, whatever way its number was typed; raises ``document-number``."""
    folded = unicodedata.normalize("NFKC", number).upper()
    if _SPOILT.fullmatch(folded.strip()):
        raise Refusal("document-number", "a spreadsheet shortened this number: format the column as text")
    plain = re.sub(r"[\s./-]", "", folded)
    if not _NUMBER.fullmatch(plain):
        raise Refusal("document-number", "a document's number is 3 to 40 letters and digits")
    said = wire.encode({"kind": kind, "issuer": " ".join(issuer.casefold().split()), "number": plain})
    return wire.b64u(hmac.digest(salt, said, "sha256"))


def check_evidence(evidence: Evidence, policy: Policy, at: datetime) -> None:
    """Raise unless the policy takes it now.

    :class:`Refusal` ``evidence-kind``, ``evidence-seen``, ``evidence-expired``, ``evidence-old``,
    ``bad-date``, ``bad-instant``.
    """
    policy.level(evidence.kind, evidence.seen)
    seen_at = parse_instant(evidence.at)
    if seen_at > at + DELTA:
        raise Refusal("evidence-old", "it was seen at a time to come", at=evidence.at)
    if at - seen_at > timedelta(days=policy.evidence_days):
        sentence = f"it was seen more than {policy.evidence_days} days ago"
        raise Refusal("evidence-old", sentence, at=evidence.at)
    if not evidence.expires:
        if policy.kind(evidence.kind).expires:
            raise Refusal("bad-date", f"a {evidence.kind} has a day on which it expires: YYYY-MM-DD")
        return
    if read_date(evidence.expires) < at.date():
        raise Refusal("evidence-expired", "it was no longer valid", expires=evidence.expires)


def read_date(written: str) -> date:
    """``YYYY-MM-DD``; raises :class:`Refusal` ``bad-date``."""
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", written, re.ASCII):
            raise ValueError(written)
        return date.fromisoformat(written)
    except ValueError as error:
        raise Refusal("bad-date", "a day is written YYYY-MM-DD", date=written[:40]) from error


def seen_now(at: datetime) -> str:
    """How a record writes the instant of seeing."""
    return format_instant(at)
