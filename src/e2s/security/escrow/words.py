"""What is said about an escrow: canonical documents, each signed by whoever says it.

Officers, owners and recipients say words; the vault says deposits and entries.  Each names by its digest
what it follows from, so that a case's words hang together from the policy to the receipt.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.base.wire import Document
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES
from e2s.crypto.forms import (
    Check,
    Form,
    boolean,
    digest,
    instant,
    integer,
    list_of,
    octets,
    octets_max,
    one_of,
    record,
    text,
    token,
)
from e2s.crypto.ports import Signer
from e2s.security.escrow.sharing import MAX_SHARES
from e2s.security.registration.documents import Word, read_word, sign_document

__all__ = [
    "ACCEPT",
    "AGREE",
    "APPROVAL",
    "CASE",
    "DEPOSIT",
    "ENTRY",
    "MAX_KEYS",
    "MAX_OFFICERS",
    "NONE",
    "POLICY",
    "RECEIPT",
    "RESHARE",
    "STOP",
    "Word",
    "case_id",
    "digest_of",
    "kept",
    "read",
    "sign_at",
]

#: Officers of one policy; keys that one case recovers.
MAX_OFFICERS: Final = 16
MAX_KEYS: Final = 16
#: In place of a digest where there is nothing before.
NONE: Final = "sha-256:" + "A" * 43

_CERTIFICATE: Final = octets_max(MAX_CERTIFICATE_BYTES, min_size=1)
_INDEX: Final = integer(1, MAX_SHARES)
_NAME: Final = text(255)
_ANY: Final[Mapping[str, Check]] = {
    "community": text(64),
    "vault": text(64),
    "officer": _NAME,
    "at": instant,
}


def _form(label: str, members: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Form:
    return Form(f"e2s/1/escrow-{label}", {**_ANY, **members}, optional, envelope=False)


#: A legal basis: after how many hours, whether the owner is told at once, and whether it is hers alone.
BASIS: Final = record({"name": token, "hours": integer(0, 8760), "notify": boolean, "own": boolean})
POLICY: Final = _form(
    "policy",
    {
        "version": integer(1, 9999),
        "previous": digest,
        "party": text(64),
        "domain": text(64),
        "jurisdiction": text(64),
        "location": text(120),
        "threshold": integer(1, MAX_OFFICERS),
        "alone": boolean,
        "persons": integer(1, 2 * MAX_OFFICERS),
        "caseDays": integer(1, 3660),
        "bases": list_of(BASIS, 32, 1),
        "officers": list_of(record({"name": _NAME, "certificate": _CERTIFICATE}), MAX_OFFICERS, 1),
    },
)
AGREE: Final = _form("agree", {"of": digest})
#: Of the vault: ``key`` commits to the key that sealed the private key, ``sealed`` is the digest of that.
DEPOSIT: Final = _form(
    "deposit",
    {
        "policy": digest,
        "holder": _NAME,
        "certificate": _CERTIFICATE,
        "key": digest,
        "sealed": digest,
        "drill": boolean,
        "shares": list_of(
            record({"officer": _NAME, "index": _INDEX, "commitment": digest, "sealed": digest}),
            MAX_OFFICERS,
            1,
        ),
    },
)
#: Who opens a case: an officer; the owner, signing; an officer for the owner, who was identified again.
#: ``recipient`` is the certificate that the key goes to, then its issuers.
PATHS: Final = ("officers", "owner", "identified", "drill")
CASE: Final = _form(
    "case",
    {
        "policy": digest,
        "path": one_of(*PATHS),
        "number": text(64),
        "basis": token,
        "reason": text(300),
        "deposits": list_of(digest, MAX_KEYS, 1),
        "recipient": list_of(_CERTIFICATE, 8, 1),
        "fresh": octets(16),
    },
    {"registration": octets_max(256 * 1024, min_size=1)},
)
APPROVAL: Final = _form(
    "approval",
    {
        "case": digest,
        "shares": list_of(
            record({"deposit": digest, "generation": digest, "index": _INDEX, "sealed": digest}), MAX_KEYS, 1
        ),
    },
)
STOP: Final = _form("stop", {"case": digest, "why": text(300)})
RECEIPT: Final = _form("receipt", {"case": digest, "release": digest})
#: Of the vault: what it took or did in a case, when, after what, and by which revocation lists.
KINDS: Final = ("opened", "notified", "approved", "stopped", "released", "received")
ENTRY: Final = _form(
    "entry",
    {
        "case": digest,
        "number": integer(1, 9999),
        "previous": digest,
        "kind": one_of(*KINDS),
        "of": digest,
        "lists": list_of(digest, 256),
    },
    {"to": _NAME, "approvals": list_of(digest, MAX_OFFICERS, 1)},
)
#: An officer's share of one deposit, shared again among the officers of another policy.
RESHARE: Final = _form(
    "reshare",
    {
        "deposit": digest,
        "generation": digest,
        "policy": digest,
        "index": _INDEX,
        "parts": list_of(
            record({"officer": _NAME, "index": _INDEX, "commitment": digest, "sealed": digest}),
            MAX_OFFICERS,
            1,
        ),
    },
)
#: What an officer made of her parts: her share of the deposit from now on.
ACCEPT: Final = _form(
    "accept",
    {
        "deposit": digest,
        "policy": digest,
        "index": _INDEX,
        "commitment": digest,
        "sealed": digest,
        "of": list_of(digest, MAX_OFFICERS, 1),
    },
)
MAX_WORD_BYTES: Final = 1024 * 1024


def read(octets_: bytes, *forms: Form) -> Word:
    """A signed document of one of ``forms``; raises what :func:`read_word` does."""
    return read_word(octets_, {form.type: form for form in forms}, max_bytes=MAX_WORD_BYTES)


@lru_cache(maxsize=512)
def kept(octets_: bytes, *forms: Form) -> Word:
    """As :func:`read`, of what a vault has: it reads the same words again and again."""
    return read(octets_, *forms)


def sign_at(document: Document, signer: Signer) -> bytes:
    """The document, signed at the instant that it states."""
    if document["officer"] != signer.certificate.name:
        raise Refusal(
            "other-signer", "the document is said in another's name", name=document["officer"][:255]
        )
    return sign_document(document, signer, parse_instant(document["at"]))


def digest_of(octets_: bytes) -> str:
    """``sha-256:`` and the digest, as documents write it."""
    return "sha-256:" + wire.b64u(hashlib.sha256(octets_).digest())


def case_id(case: str) -> str:
    """A case is called by what opened it: short, from its digest."""
    raw = wire.unb64u(case.removeprefix("sha-256:"))
    return "e-" + base64.b32encode(raw[:10]).decode("ascii").lower()
