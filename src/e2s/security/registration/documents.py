"""What officers sign and what goes to the CA: canonical documents, each an officer's own word.

A registration's order names, for each case, profile, names, the digest of the key, the level of confidence
and the digests of what was seen.  A second officer signs over the whole signed order.  So the CA believes
officers, and nothing that only the registration authority's process says.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.forms import (
    Check,
    Form,
    boolean,
    digest,
    instant,
    list_of,
    octets,
    octets_max,
    one_of,
    record,
    text,
)
from e2s.crypto.ports import Signer
from e2s.security.pki.approvals import APPROVAL, LEVEL, MAX_REGISTRATION_BYTES
from e2s.security.pki.service import MAX_MESSAGE_BYTES, MAX_REQUESTS

#: What one message to the CA carries of requests.
MAX_SENT: Final = MAX_REQUESTS
MAX_SENT_BYTES: Final = 512 * 1024
MAX_REQUEST_BYTES: Final = 16 * 1024
_CERTIFICATE: Final = octets_max(32 * 1024)

_ANY: Mapping[str, Check] = {"community": text(64), "ca": text(64), "officer": text(255), "at": instant}
_LATER: Mapping[str, Check] = {**_ANY, "case": text(64), "before": digest}


def _form(label: str, members: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Form:
    return Form(label, members, optional, envelope=False)


OPEN = _form(
    "e2s/1/case-open",
    {
        **_ANY,
        "profile": text(64),
        "party": text(64),
        "title": text(120),
        "request": octets_max(MAX_REQUEST_BYTES),
        "protection": text(20),
        "confidence": LEVEL,
        "further": list_of(text(255), 16),
        "fresh": octets(16),
    },
)
EVIDENCE = _form("e2s/1/case-evidence", {**_LATER, "evidence": lambda _value, _currency: None})
NAME = _form("e2s/1/case-name", {**_LATER, "label": text(64, min_length=0), "same": boolean})
REFUSE = _form("e2s/1/case-refuse", {**_LATER, "why": text(300)})
WITHDRAW = _form("e2s/1/case-withdraw", {**_LATER, "why": text(300)})
DELIVER = _form("e2s/1/case-deliver", {**_LATER, "certificate": digest, "how": text(120)})
#: The acts of one officer on one case, by type.
CASE_FORMS: Final = {form.type: form for form in (OPEN, EVIDENCE, NAME, REFUSE, WITHDRAW, DELIVER)}

_RESULT: Check = record(
    {"spki": octets(32)}, {"certificate": _CERTIFICATE, "rule": text(64), "message": text(500)}
)
_ISSUED = _form(
    "e2s/1/issued", {"chain": list_of(_CERTIFICATE, 8, 1), "results": list_of(_RESULT, MAX_SENT, 1)}
)
_WITHDRAWN = _form(
    "e2s/1/withdrawn", {"serial": text(40), "act": one_of("revoke", "hold", "release"), "at": instant}
)


@dataclass(frozen=True, kw_only=True)
class Word:
    """A document as its officer signed it; who that is was not judged yet.  ``id`` names its content."""

    document: Document
    octets: bytes = field(repr=False)
    content: bytes = field(repr=False)
    certificate: Certificate
    certificates: tuple[Certificate, ...]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).digest()

    @property
    def id(self) -> str:
        """``sha-256:`` and the digest."""
        return "sha-256:" + wire.b64u(self.digest)

    @property
    def officer(self) -> str:
        """Who says to have signed."""
        return str(self.document["officer"])


def sign_document(document: Document, signer: Signer, at: datetime) -> bytes:
    """The document, signed at the instant that it states."""
    return sign(wire.encode(document), oids.DATA, signer, at)


def read_word(octets_: bytes, forms: Mapping[str, Form], *, max_bytes: int = MAX_REGISTRATION_BYTES) -> Word:
    """A signed document of one of ``forms``, its signature good for the certificate within.

    Raises :class:`Refusal` ``cms-...``, ``too-large``, ``not-canonical``, ``wrong-label``, ``bad-document``,
    ``wrong-time`` where the document's instant is not its signature's.
    """
    signed = read_signed(octets_)
    if signed.content_type != oids.DATA:
        raise Refusal("wrong-label", "the signed content is no document", found=signed.content_type)
    document = wire.decode(signed.octets, max_bytes)
    form = forms.get(str(document.get("type")))
    if form is None:
        raise Refusal(
            "wrong-label", "a document of another type was expected", found=str(document.get("type"))[:64]
        )
    form.check(document)
    if document["at"] != format_instant(signed.at):
        raise Refusal("wrong-time", "the document's time is not its signature's")
    check_signature(signed)
    return Word(
        document=document,
        octets=octets_,
        content=signed.octets,
        certificate=signed.signer_certificate,
        certificates=signed.certificates,
    )


def case_id(content: bytes) -> str:
    """A case is called by what opened it."""
    short = base64.b32encode(hashlib.sha256(content).digest()[:10]).decode("ascii").lower()
    return f"c-{short}"


def approval_document(inner: bytes, officer: str, at: datetime) -> Document:
    """What the second officer signs: the whole of the first one's word."""
    return {
        "type": APPROVAL.type,
        "of": wire.b64u(hashlib.sha256(inner).digest()),
        "registration": wire.b64u(inner),
        "officer": officer,
        "at": format_instant(at),
    }


def inner_of(outer: Word) -> bytes:
    """The first officer's word within the second's; raises ``bad-approval`` where the digest is another's."""
    inner = wire.unb64u(outer.document["registration"])
    if wire.b64u(hashlib.sha256(inner).digest()) != outer.document["of"]:
        raise Refusal("bad-approval", "the approval is of another registration than it holds")
    return inner


def write_orders(approval: bytes, requests: Sequence[bytes]) -> bytes:
    """The message to the CA's door ``/issue``."""
    document = {
        "type": "e2s/1/issue",
        "approval": wire.b64u(approval),
        "requests": [wire.b64u(one) for one in requests],
    }
    return wire.encode(document)


def read_issued(answer: bytes) -> tuple[tuple[bytes, ...], list[Document]]:
    """The CA's chain and its results; raises :class:`Refusal` ``bad-document``, ``not-canonical``."""
    document = wire.decode(answer, MAX_MESSAGE_BYTES)
    _ISSUED.check(document)
    for result in document["results"]:
        if ("certificate" in result) == ("rule" in result):
            raise Refusal("bad-document", "a result is a certificate or a rule")
    return tuple(wire.unb64u(one) for one in document["chain"]), document["results"]


def write_withdraw(withdrawal: bytes) -> bytes:
    """The message to the CA's door ``/revoke``."""
    return wire.encode({"type": "e2s/1/withdraw", "withdrawal": wire.b64u(withdrawal)})


def read_withdrawn(answer: bytes) -> Document:
    """The CA's answer; raises :class:`Refusal` ``bad-document``, ``not-canonical``."""
    document = wire.decode(answer)
    _WITHDRAWN.check(document)
    return document
