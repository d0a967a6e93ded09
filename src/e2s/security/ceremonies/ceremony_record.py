"""What a ceremony did stands in a record signed by the root; each record names the one before by its digest.

Who was there, when, what was signed and by which software; and the officers' rights from then on, whole: the
newest record is all that has to be asked.  A chain that was altered, forked, cut or put in another order is
refused; that its newest records were taken away shows to who remembers the head, and to the root's register.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.base.rights import TableAuthoriser
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.ports import Signer
from e2s.security.pki.rights import Right

TYPE: Final = "e2s/1/ceremony"
MAX_RECORD_BYTES: Final = 256 * 1024
MAX_RECORDS: Final = 9999
#: What a ceremony is held for.
ACTS: Final = (
    "founding",
    "certifying",
    "cross-certifying",
    "listing",
    "revoking",
    "officers",
    "replacing",
    "renewing",
    "recovering",
)
#: What a ceremony signs or changes.
KINDS: Final = ("certificate", "list", "revocation", "anchor")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that was signed: a certificate or list by its digest, a revocation by the certificate's.

    ``profile``, ``name`` and ``component`` say whose certificate it is; ``detail`` a number or reason.
    """

    kind: str
    digest: str
    profile: str = ""
    name: str = ""
    component: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-item`` for a kind that no ceremony knows."""
        if self.kind not in KINDS:
            raise Misuse("bad-item", "a ceremony signs nothing of this kind", kind=self.kind)


_ITEM: Final = tuple(Item.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One ceremony; ``digest`` (of the record's content) is empty until it was signed or read."""

    number: int
    previous: str
    act: str
    at: datetime
    community: str
    root: str
    rights: frozenset[Right]
    officer: str = ""
    present: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    software: str = ""
    note: str = ""
    digest: str = ""

    def document(self) -> wire.Document:
        """The record as a canonical document."""
        return {
            "type": TYPE,
            "number": self.number,
            "previous": self.previous,
            "act": self.act,
            "at": format_instant(self.at),
            "community": self.community,
            "root": self.root,
            "officer": self.officer,
            "present": list(self.present),
            "rights": [list(right) for right in sorted(self.rights)],
            "signed": [{name: getattr(item, name) for name in _ITEM} for item in self.items],
            "software": self.software,
            "note": self.note,
        }


_MEMBERS: Final = frozenset(
    {
        "type",
        "number",
        "previous",
        "act",
        "at",
        "community",
        "root",
        "officer",
        "present",
        "rights",
        "signed",
        "software",
        "note",
    }
)


def sign_record(record: Record, signer: Signer) -> bytes:
    """The record signed by the root, that certifies and signs lists besides; raises ``too-large``."""
    octets = wire.encode(record.document())
    signed = sign(octets, oids.DATA, signer, record.at)
    if len(signed) > MAX_RECORD_BYTES:
        raise Misuse("too-large", "one ceremony's record is larger than may be read", size=len(signed))
    return signed


def read(octets: bytes, root: Certificate) -> Record:
    """The record that ``root`` signed; raises :class:`Refusal` ``bad-ceremony`` and of the signature."""
    if len(octets) > MAX_RECORD_BYTES:
        raise _bad("the record is larger than may be read")
    signed = read_signed(octets)
    own = signed.signer_certificate
    # A root whose certificate was renewed keeps its key and its records.
    if own != root and (own.spki, own.x509.subject) != (root.spki, root.x509.subject):
        raise _bad("the record is not signed by this root")
    check_signature(signed)
    record = _record(wire.decode(signed.octets, MAX_RECORD_BYTES))
    if record.at != signed.at:
        raise _bad("the record's instant is not that of its signature")
    if record.root != own.id:
        raise _bad("the record names another root")
    return replace(record, digest=wire.b64u(signed.digest))


@dataclass(frozen=True)
class Chain:
    """Every ceremony of one root in order, as :func:`chain` checked it; never empty."""

    records: tuple[Record, ...]

    @property
    def newest(self) -> Record:
        """The record that is in force."""
        return self.records[-1]

    @property
    def head(self) -> str:
        """The newest record's digest: to be written down by all who were there."""
        return self.newest.digest

    @property
    def founder(self) -> str:
        """The officer who founded the root."""
        return self.records[0].officer

    def authoriser(self) -> TableAuthoriser:
        """The officers' rights in force."""
        return TableAuthoriser(self.newest.rights)

    def certified(self, certificate: Certificate) -> Item:
        """What a ceremony said of that certificate; raises :class:`Refusal` ``not-in-record``."""
        for record in reversed(self.records):
            for item in reversed(record.items):
                if (item.kind, item.digest) == ("certificate", certificate.id):
                    return item
        raise Refusal("not-in-record", "no ceremony certified this CA", certificate=certificate.id)

    def items(self, kind: str) -> tuple[Item, ...]:
        """Everything of one kind that was ever signed."""
        return tuple(item for record in self.records for item in record.items if item.kind == kind)

    def require_extends(self, known: Chain) -> None:
        """Raise ``ceremony-cut`` or ``ceremony-forked`` unless this chain only adds to the ``known`` one."""
        if len(self.records) < len(known.records):
            raise Refusal("ceremony-cut", "records that were known are missing", known=len(known.records))
        for old, new in zip(known.records, self.records, strict=False):
            if old.digest != new.digest:
                raise Refusal("ceremony-forked", "a record differs from the known one", number=old.number)


def chain(records: Sequence[Record]) -> Chain:
    """The records as a chain; raises ``ceremony-cut``, ``-order``, ``-forked`` or ``bad-ceremony``.

    They are of one community, numbered from one without a gap; each names the digest of the one before and is
    no older than it.
    """
    if not records:
        raise Refusal("ceremony-cut", "there is no record of the founding")
    if len(records) > MAX_RECORDS:
        raise _bad("there are more records than may be read")
    before: Record | None = None
    for number, record in enumerate(records, 1):
        if record.number != number:
            rule = "ceremony-cut" if record.number > number else "ceremony-order"
            raise Refusal(rule, "the records' numbers have a gap or another order", number=record.number)
        if record.previous != (before.digest if before else ""):
            raise Refusal("ceremony-forked", "the record does not follow the one before", number=number)
        if (record.act == "founding") != (before is None):
            raise _bad("the first record, and no other, is of the founding", number=number)
        if before is not None and record.at < before.at:
            raise Refusal("ceremony-order", "the record is older than the one before", number=number)
        if record.community != records[0].community:
            raise _bad("the record is of another community", number=number)
        before = record
    return Chain(tuple(records))


def _bad(sentence: str, **facts: int) -> Refusal:
    return Refusal("bad-ceremony", sentence, **facts)


def _record(document: wire.Document) -> Record:
    """The document's record; raises ``bad-ceremony`` for any other member or kind of value."""
    if set(document) != _MEMBERS or document["type"] != TYPE:
        raise _bad("the document is no ceremony's record")
    number = document["number"]
    if type(number) is not int or not 1 <= number <= MAX_RECORDS:
        raise _bad("a record has a number")
    if document["act"] not in ACTS:
        raise _bad("a ceremony of this kind is unknown")
    present, rights, items = document["present"], document["rights"], document["signed"]
    texts = [document[name] for name in ("previous", "community", "root", "officer", "software", "note")]
    if not isinstance(present, list) or not _are_texts([*texts, *present]):
        raise _bad("a record's names are text")
    return Record(
        number=number,
        previous=document["previous"],
        act=document["act"],
        at=_instant(document["at"]),
        community=document["community"],
        root=document["root"],
        officer=document["officer"],
        present=tuple(present),
        rights=_rights(rights),
        items=_items(items),
        software=document["software"],
        note=document["note"],
    )


def _instant(text: object) -> datetime:
    if not isinstance(text, str):
        raise _bad("an instant is text")
    return parse_instant(text)


def _rights(rights: object) -> frozenset[Right]:
    if not isinstance(rights, list):
        raise _bad("a record has rights")
    for right in rights:
        if not isinstance(right, list) or len(right) != 3 or not _are_texts(right):
            raise _bad("a right names subject, right and context")
    found = frozenset((subject, right, context) for subject, right, context in rights)
    if [list(right) for right in sorted(found)] != rights:
        raise _bad("rights stand in order, each once")
    return found


def _items(items: object) -> tuple[Item, ...]:
    if not isinstance(items, list):
        raise _bad("a record says what was signed")
    found = []
    for item in items:
        if not isinstance(item, dict) or set(item) != set(_ITEM) or not _are_texts(list(item.values())):
            raise _bad("what was signed has a kind, a digest and names")
        if item["kind"] not in KINDS:
            raise _bad("a ceremony signs nothing of this kind")
        found.append(Item(**item))
    return tuple(found)


def _are_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)
