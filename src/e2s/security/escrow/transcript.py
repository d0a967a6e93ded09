"""All of a case in one file, signed by the vault: whoever has it and the root needs nobody else to judge it.

The ceremonies' records, the policies, the deposits and what became of their shares, the case, every word and
every entry, and the revocation lists by which they were judged; no share and no sealed key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import Limits, check_signature, read_signed
from e2s.crypto.forms import Form, instant, list_of, octets_max, one_of, record, text
from e2s.security.escrow import store
from e2s.security.escrow.casefile import case_file
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import MAX_KEYS, MAX_OFFICERS, MAX_WORD_BYTES, Word, sign_at

MAX_TRANSCRIPT_BYTES: Final = 32 * 1024 * 1024
_WORD: Final = octets_max(2 * MAX_WORD_BYTES, min_size=1)
_WORDS: Final = list_of(_WORD, 1024)
TRANSCRIPT: Final = Form(
    "e2s/1/escrow-transcript",
    {
        "community": text(64),
        "vault": text(64),
        "officer": text(255),
        "at": instant,
        "state": one_of("open", "stopped", "released", "received"),
        "records": list_of(_WORD, 9999, 1),
        "policies": list_of(record({"policy": _WORD, "agreed": _WORD}), 9999, 1),
        "deposits": list_of(record({"deposit": _WORD, "moves": _WORDS}), MAX_KEYS, 1),
        "case": _WORD,
        "words": list_of(_WORD, 4 * MAX_OFFICERS),
        "entries": list_of(_WORD, 8 * MAX_OFFICERS, 1),
        "lists": list_of(octets_max(MAX_TRANSCRIPT_BYTES, min_size=1), 1024),
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """A transcript as read: its signature is good for the certificate within, nothing else is judged yet."""

    document: Document
    certificate: Certificate
    certificates: tuple[Certificate, ...]
    at: datetime

    def octets(self, name: str) -> list[bytes]:
        """The octets in one list."""
        return [wire.unb64u(one) for one in self.document[name]]


def transcript(vault: Vault, case: str) -> bytes:
    """The transcript of a case as of now; on record.  Raises ``no-such-case``, ``too-large``."""
    file, now = case_file(vault, case), vault.now()
    with vault.database.transaction() as connection:
        words = store.words(connection, file.row.n)
        moves = [[one.word for one in store.moves(connection, row.n)] for row in file.rows]
        members = {
            "state": file.row.state,
            "records": [wire.b64u(one) for one in vault.records()],
            "policies": [
                {"policy": wire.b64u(policy.octets), "agreed": wire.b64u(agreed.octets)}
                for policy, agreed in vault.word_pairs(connection)
            ],
            "deposits": [
                {"deposit": wire.b64u(row.word), "moves": [wire.b64u(one) for one in some]}
                for row, some in zip(file.rows, moves, strict=True)
            ],
            "case": wire.b64u(file.word.octets),
            "words": [wire.b64u(one.octets) for one in words],
            "entries": [wire.b64u(one.octets) for one in file.entries],
            "lists": [wire.b64u(one) for one in store.lists(connection, file.row.n)],
        }
        vault.event(connection, "transcript", now, {"case": file.row.short, "state": file.row.state})
    octets = sign_at(vault.said(TRANSCRIPT.type, now, members), vault.signer)
    if len(octets) > MAX_TRANSCRIPT_BYTES:
        raise Refusal("too-large", "the transcript is larger than may be read", size=len(octets))
    return octets


def read_transcript(octets: bytes) -> Transcript:
    """Read a transcript; raises what is wrong with its form or signature, ``wrong-label``, ``wrong-time``."""
    if len(octets) > MAX_TRANSCRIPT_BYTES:
        raise Refusal("too-large", "the transcript is larger than may be read", size=len(octets))
    signed = read_signed(octets, Limits(max_bytes=MAX_TRANSCRIPT_BYTES))
    if signed.content_type != oids.DATA:
        raise Refusal("wrong-label", "the signed content is no document", found=signed.content_type)
    document = wire.decode(signed.octets, MAX_TRANSCRIPT_BYTES)
    TRANSCRIPT.check(document)
    if document["at"] != format_instant(signed.at):
        raise Refusal("wrong-time", "the document's time is not its signature's")
    check_signature(signed)
    return Transcript(
        document=document,
        certificate=signed.signer_certificate,
        certificates=signed.certificates,
        at=signed.at,
    )


def word_of(given: Transcript) -> Word:
    """The transcript as a word of the vault."""
    return Word(
        document=given.document,
        octets=b"",
        content=b"",
        certificate=given.certificate,
        certificates=given.certificates,
    )
