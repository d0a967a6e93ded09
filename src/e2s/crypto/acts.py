"""What parties must prove is an act: a document, signed, over the whole acts it answers.

Identity of an act is ``#X`` = SHA-256 of its eContent (the Act), never of its signature: signatures
are malleable.  ``over`` holds whole inner ContentInfos byte for byte (protocol, section 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import MAX_DOCUMENT_BYTES, Document, b64u, copied, decode, encode
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import Limits, Signed, check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.ports import Signer

MAX_OVER = 4
MAX_ITEMS = 16
MAX_NESTING = 12
MAX_PARCEL_BYTES = 1024 * 1024
_LIMITS = Limits(max_bytes=1024 * 1024)
_MAX_TYPE_BYTES = 64
_KEPT = 256


@dataclass(frozen=True, eq=False, kw_only=True)
class Act:
    """An act as read: its form is good and ``from`` and ``at`` are its signer's; nothing is proven yet.

    ``document`` is the reader's own copy of what was ``said``, which all readers share and none changes;
    ``doc_octets`` are the canonical octets that were signed.
    """

    octets: bytes = field(repr=False)
    said: Document = field(repr=False)
    doc_octets: bytes = field(repr=False)
    over: tuple[bytes, ...] = field(repr=False)
    id: str
    digest: bytes = field(repr=False)
    type: str
    signed: Signed = field(repr=False)
    depth: int = 0

    @cached_property
    def document(self) -> Document:
        """The document, for this reader alone."""
        return copied(self.said)

    @property
    def certificate(self) -> Certificate:
        """The signer's certificate."""
        return self.signed.signer_certificate

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """All certificates inside."""
        return self.signed.certificates

    @property
    def signature(self) -> bytes:
        """The signature value, which a time stamp is over."""
        return self.signed.signature

    @property
    def at(self) -> datetime:
        """When the signer says to have signed."""
        return self.signed.at

    def inner(self, index: int = 0) -> Act:
        """The act at ``index`` of ``over``; raises :class:`Refusal` ``bad-act`` where there is none."""
        if not 0 <= index < len(self.over):
            raise Refusal("bad-act", "the act is not over another at this place", type=self.type, index=index)
        return _read(self.over[index], self.depth + 1)


def digest_id(octets: bytes) -> str:
    """``sha-256:<base64url>`` of ``octets``: how documents name what came before, and certificates."""
    return "sha-256:" + b64u(hashlib.sha256(octets).digest())


def sign_act(document: Document, over: Sequence[bytes], signer: Signer, at: datetime) -> bytes:
    """The act of ``signer`` on a complete ``document`` over the whole acts ``over``.

    Raises :class:`Misuse` ``bad-act`` unless ``from`` is the signer's certificate and ``at`` this instant.
    """
    if document.get("from") != signer.certificate.id or document.get("at") != format_instant(at):
        raise Misuse("bad-act", "the document's from and at are not those of its signature")
    if len(over) > MAX_OVER:
        raise Misuse("bad-act", "an act is over at most four others")
    return sign(write_content(encode(document), over), oids.ACT, signer, at)


def write_content(doc_octets: bytes, over: Sequence[bytes]) -> bytes:
    """The eContent of an act: what ``#X`` is the digest of."""
    return der.sequence(der.octet_string(doc_octets), der.sequence(*map(der.octet_string, over)))


def act_id(document: Document, over: Sequence[bytes]) -> str:
    """``#X`` of the act that ``document`` over ``over`` will be, whoever signs it."""
    return digest_id(write_content(encode(document), over))


def read_act(octets: bytes) -> Act:
    """Read an act strictly; its signature is not checked here (:func:`check_act_signature` does).

    Raises :class:`Refusal`: ``der-...``, ``cms-...``, ``not-canonical``, ``too-large``, ``bad-act``,
    ``wrong-certificate`` when ``from`` is not the signing certificate, ``wrong-time`` when ``at`` is not
    the signing time.
    """
    return _read(octets, 0)


def _read(octets: bytes, depth: int) -> Act:
    """The act, for one reader."""
    if depth > MAX_NESTING:
        raise Refusal("bad-act", "acts are nested too deep")
    known = _parsed(octets)
    act = object.__new__(Act)  # what dataclasses.replace does, without reading every field anew
    act.__dict__.update(known.__dict__, depth=depth)
    return act


@lru_cache(maxsize=_KEPT)
def _parsed(octets: bytes) -> Act:
    """Acts nest acts, so the same octets are read again and again; what was read strictly once is kept."""
    signed = read_signed(octets, _LIMITS)
    if signed.content_type != oids.ACT:
        raise Refusal("bad-act", "the signed content is no act", found=signed.content_type)
    reader = der.Reader(signed.octets)
    content = reader.enter()
    reader.done()
    doc_octets = content.content(der.OCTET_STRING)
    inner = content.enter()
    content.done()
    over: list[bytes] = []
    while inner.pos != inner.end:
        if len(over) == MAX_OVER:
            raise Refusal("bad-act", "an act is over at most four others")
        over.append(inner.content(der.OCTET_STRING))
    document = decode(doc_octets, MAX_DOCUMENT_BYTES)
    label = document.get("type")
    if not isinstance(label, str) or len(label) > _MAX_TYPE_BYTES:
        raise Refusal("bad-act", "the document has no type")
    if document.get("from") != signed.signer_certificate.id:
        raise Refusal("wrong-certificate", "another certificate signed than the document is from", type=label)
    if document.get("at") != format_instant(signed.at):
        raise Refusal("wrong-time", "the document's time is not its signature's", type=label)
    return Act(
        octets=octets,
        said=document,
        doc_octets=doc_octets,
        over=tuple(over),
        id="sha-256:" + b64u(signed.digest),
        digest=signed.digest,
        type=label,
        signed=signed,
    )


def check_act_signature(act: Act) -> None:
    """Prove that the act's signer signed it; raises what :func:`~e2s.crypto.cms.check_signature` does."""
    check_signature(act.signed)


def write_parcel(label: str, items: Sequence[bytes]) -> bytes:
    """An unsigned Parcel of 1 to 16 octet strings; raises :class:`Misuse` ``bad-parcel``."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise Misuse("bad-parcel", "a parcel holds 1 to 16 items")
    return der.sequence(der.utf8(label), der.sequence(*map(der.octet_string, items)))


def read_parcel(octets: bytes, label: str, max_bytes: int = MAX_PARCEL_BYTES) -> tuple[bytes, ...]:
    """The items of a Parcel of type ``label``; raises :class:`Refusal` ``bad-parcel`` or ``der-...``."""
    if len(octets) > max_bytes:
        raise Refusal("too-large", "the parcel is larger than may be read", size=len(octets))
    reader = der.Reader(octets)
    parcel = reader.enter()
    reader.done()
    if parcel.text() != label:
        raise Refusal("bad-parcel", "the parcel is of another type", expected=label)
    items = parcel.enter()
    parcel.done()
    found: list[bytes] = []
    while items.pos != items.end:
        if len(found) == MAX_ITEMS:
            break
        found.append(items.content(der.OCTET_STRING))
    if not found or items.pos != items.end:
        raise Refusal("bad-parcel", "a parcel holds 1 to 16 items")
    return tuple(found)
