"""Many are registered at once: every row is judged first, then a thousand at a time are approved by one word.

A batch is called by the digest of its file, a case by batch and line, so a batch that was cut short anywhere
goes on where it stood: a row is registered once, whoever runs it again.  Within a thousand, cases and the
octets to be signed are committed first, then signed, then the signature is committed.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, TextIO

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Fact, Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.crypto import oids
from e2s.crypto.pem import armoured
from e2s.crypto.ports import Signer
from e2s.security.pki.approvals import MAX_ORDERS
from e2s.security.pki.rights import RIGHTS, require
from e2s.security.registration import sheets, store
from e2s.security.registration.acts import NONE
from e2s.security.registration.applicants import (
    Applicant,
    Judged,
    Tally,
    check_key,
    judge_rows,
    named,
    refused,
)
from e2s.security.registration.approving import draft_of, take_first
from e2s.security.registration.documents import sign_document
from e2s.security.registration.office import Office

RESULT: Final = ("line", "case", "state", "name", "serial", "rule", "message", "certificate")


def batch_id(file: BinaryIO, office: Office) -> str:
    """What a batch of this file is called at this office; the file stands at its beginning afterwards."""
    file.seek(0)
    digest = hashlib.sha256(f"{office.community}\n{office.ca}\n".encode())
    while piece := file.read(1 << 20):
        digest.update(piece)
    file.seek(0)
    return "b-" + base64.b32encode(digest.digest()[:10]).decode("ascii").lower()


def register(
    office: Office,
    file: BinaryIO,
    folder: Path,
    signer: Signer,
    batch: str,
    told: Callable[[int], None] = lambda _rows: None,
) -> Tally:
    """Register and approve the good rows by the officer's signature; ``told`` how many rows were read.

    What was registered before a kill is approved first.  Raises :class:`Refusal` ``not-authorised``, and of
    the signer's certificate.
    """
    officer = signer.certificate.name
    check_signer(office, signer)
    tally = Tally()
    _approve_named(office, signer, batch)
    chunk: list[Applicant] = []
    for rows, (judged, applicant) in enumerate(judge_rows(office, file, folder, officer, batch), 1):
        if applicant is None:
            tally.count(judged)
        else:
            chunk.append(applicant)
        if len(chunk) == MAX_ORDERS:
            _register(office, chunk, signer, batch, tally)
            chunk = []
            told(rows)
    _register(office, chunk, signer, batch, tally)
    return tally


def check_signer(office: Office, signer: Signer) -> None:
    """Raise unless this officer is good now and may register: before anything is kept."""
    certificate = signer.certificate
    now = office.now()
    purpose = oids.SIGNING["officer"]
    office.trust.check_certificate(certificate, signer.chain, purpose=purpose, name=certificate.name, at=now)
    try:
        require(office.authoriser, certificate.name, RIGHTS.register, office.ca)
    except Refusal as refusal:
        office.refused(refusal, now, officer=certificate.name)
        raise


def write_results(office: Office, batch: str, out: TextIO) -> int:
    """Write what became of each row of a batch that was registered; how many."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(RESULT)
    number = 0
    with office.database.reading() as connection:
        for row in store.batch_cases(connection, batch):
            pem = armoured(row.certificate, b"CERTIFICATE").decode() if row.certificate else ""
            said = (row.line, row.id, row.state, row.name, row.serial or "", row.rule, row.message)
            writer.writerow([*sheets.safe_row(said), pem])
            number += 1
    return number


def _register(office: Office, chunk: Sequence[Applicant], signer: Signer, batch: str, tally: Tally) -> None:
    """Commit the cases with what is to be signed, sign, commit the signature."""
    if not chunk:
        return
    now = office.now()
    with office.database.transaction() as connection:
        register_ = store.Register(connection)
        known = store.batch_lines(connection, batch, chunk[0].line)
        for applicant in chunk:
            if applicant.line in known:
                tally.count(Judged(line=applicant.line, result="done"))
                continue
            try:
                check_key(connection, applicant, {})
                name, holder = named(office, register_, applicant, now)
            except Refusal as refusal:
                tally.count(refused(applicant.line, refusal))
                continue
            _add(office, connection, applicant, name, holder, signer.certificate.name, batch, now)
            tally.count(Judged(line=applicant.line, result="ok", name=name))
    _approve_named(office, signer, batch)


def _add(
    office: Office,
    connection: sa.Connection,
    applicant: Applicant,
    name: str,
    holder: int,
    officer: str,
    batch: str,
    now: datetime,
) -> None:
    ident = _case_id(batch, applicant.line)
    values = {
        "id": ident,
        "state": "named",
        "profile": applicant.profile,
        "party": applicant.party,
        "title": applicant.title,
        "further": json.dumps(list(applicant.further)),
        "name": name,
        "holder": holder,
        "request": applicant.request,
        "spki": applicant.spki,
        "protection": applicant.protection,
        "wanted": applicant.wanted,
        "confidence": applicant.confidence,
        "eyes": int(applicant.eyes),
        "officer": officer,
        "at": format_instant(now),
        "before": NONE,
        "batch": batch,
        "line": applicant.line,
    }
    n = store.add_case(connection, values)
    seen = applicant.evidence.encoded()
    digest = hashlib.sha256(seen).digest()
    store.add_evidence(connection, n, seen, digest, applicant.document)
    facts: dict[str, Fact] = {
        "case": ident,
        "name": name,
        "profile": applicant.profile,
        "confidence": applicant.confidence,
        "officer": officer,
        "evidence": wire.b64u(digest),
        "batch": batch,
        "line": applicant.line,
    }
    office.event(connection, "case.registered", now, facts)


def _approve_named(office: Office, signer: Signer, batch: str) -> None:
    """Have the officer sign for the cases of her batch that wait for it."""
    officer = signer.certificate.name
    while True:
        now = office.now()
        documents = []
        with office.database.transaction() as connection:
            rows = store.batch_named(connection, batch, officer, MAX_ORDERS)
            for eyes in (0, 1):
                some = [row for row in rows if row.eyes == eyes]
                if some:
                    documents.append(draft_of(office, connection, some, officer, now, batch))
        if not documents:
            return
        for document in documents:
            take_first(office, sign_document(document, signer, parse_instant(document["at"])))


def _case_id(batch: str, line: int) -> str:
    digest = hashlib.sha256(f"{batch}\n{line}".encode()).digest()
    return "c-" + base64.b32encode(digest[:10]).decode("ascii").lower()
