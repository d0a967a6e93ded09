"""What is particular of one ceremony, and how its record and what it signed are written down."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.ceremonies import ceremony_record
from e2s.security.ceremonies.ceremony_record import Item, Record
from e2s.security.ceremonies.folder import CEREMONIES
from e2s.security.keys.durable import replace_file
from e2s.security.pki.rights import Right
from e2s.security.verification.crls import CrlIndex


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """What is particular of one ceremony: who is there, a note, whether the list is signed, rights given.

    A CA that is ``lost`` is revoked in it for ``reason``.
    """

    present: tuple[str, ...] = ()
    note: str = ""
    list_too: bool = False
    rights: frozenset[Right] = frozenset()
    lost: Certificate | None = None
    reason: str = ""


PLAIN: Final = Occasion()


def put_record(folder: Path, record: Record, signer: Signer) -> Record:
    """Sign the next record into the folder; raises ``ceremony-forked`` where there is one already."""
    path = folder / CEREMONIES / f"{record.number:04d}.cms"
    if path.exists():
        raise Refusal("ceremony-forked", "there already is a record of this number", number=record.number)
    octets = ceremony_record.sign_record(record, signer)
    put = ceremony_record.read(octets, signer.certificate)
    replace_file(path, octets, 0o644)
    return put


def certified(certificate: Certificate, kind: str, component: str = "") -> Item:
    """A certificate of profile ``kind`` as a record names it."""
    name = certificate.name or certificate.subject
    return Item(kind="certificate", digest=certificate.id, profile=kind, name=name, component=component)


def listed(der: bytes) -> Item:
    """A list as a record names it."""
    index = CrlIndex.read(der)
    said = f"number {index.number}, until {format_instant(index.next_update)}"
    return Item(kind="list", digest="sha-256:" + wire.b64u(sha256(der).digest()), detail=said)
