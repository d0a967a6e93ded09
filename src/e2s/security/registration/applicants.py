"""Applicants of a batch are judged one by one, against the others and the register; nothing is changed.

A trial ledger gives names beside the register, so that two rows that want one name are told apart before any
is registered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.security.certificates.attestation import protection_of
from e2s.security.certificates.certify import read_request
from e2s.security.pki.approvals import LEVEL
from e2s.security.registration import naming, sheets, store
from e2s.security.registration.acts import give_names
from e2s.security.registration.evidence import Evidence, check_evidence, document_digest, read_date
from e2s.security.registration.naming import Owner
from e2s.security.registration.office import Office, check_wish, names_of
from e2s.security.registration.sheets import Row, column

REPORT: Final = ("line", "result", "name", "rule", "message", "column")


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """A row that is good in itself."""

    line: int
    title: str
    party: str
    label: str
    profile: str
    protection: str
    wanted: str
    confidence: str
    further: tuple[str, ...]
    evidence: Evidence
    document: str
    request: bytes
    key: PublicKey = field(repr=False)
    spki: bytes
    eyes: bool


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is said of one row: ``result`` is ok, refused or done (registered before)."""

    line: int
    result: str
    name: str = ""
    rule: str = ""
    message: str = ""
    column: str = ""

    def cells(self) -> list[str]:
        """The row of the report."""
        said = (self.line, self.result, self.name, self.rule, self.message, self.column)
        return sheets.safe_row(said)


@dataclass(kw_only=True)
class Tally:
    """How many rows there are of each result."""

    ok: int = 0
    refused: int = 0
    done: int = 0
    first: Judged | None = field(default=None, repr=False)

    def count(self, judged: Judged) -> None:
        """One more."""
        setattr(self, judged.result, getattr(self, judged.result) + 1)
        if judged.result == "refused" and self.first is None:
            self.first = judged


def judge_rows(
    office: Office, file: BinaryIO, folder: Path, officer: str, batch: str
) -> Iterator[tuple[Judged, Applicant | None]]:
    """Judge every row against the others and the register; nothing is changed."""
    now, salt = office.now(), office.salt()
    keys: dict[bytes, int] = {}
    with office.database.reading() as connection:
        known = store.batch_lines(connection, batch)
        ledger = _Trial(store.Register(connection))
        for row in sheets.read_rows(file):
            if not isinstance(row, Row):
                yield refused(row[0], row[1]), None
            elif row.line in known:
                yield Judged(line=row.line, result="done"), None
            else:
                try:
                    applicant = read_applicant(office, row, folder, officer, salt, now)
                    with column("request"):
                        check_key(connection, applicant, keys)
                    name, _ = named(office, ledger, applicant, now)
                    with column("request"):
                        wanted = office.profile(applicant.profile)
                        names = names_of(name, list(applicant.further), wanted)
                        check_wish(wanted, names, applicant.key, applicant.confidence)
                except Refusal as refusal:
                    yield refused(row.line, refusal), None
                else:
                    yield Judged(line=row.line, result="ok", name=name), applicant


def read_applicant(
    office: Office, row: Row, folder: Path, officer: str, salt: bytes, now: datetime
) -> Applicant:
    """A row judged by itself; raises :class:`Refusal` with ``column``."""
    cells = row.cells
    with column("profile"):
        profile = office.profile(cells["profile"])
    with column("party"):
        party = naming.check_label(cells["party"], "party's name")
        office.check_party(party)
    with column("name"):
        title = naming.check_title(cells["name"])
    with column("person"):
        label = naming.check_label(cells["person"]) if cells["person"] else ""
    with column("further"):
        further = tuple(cells["further"].split())
        if len(further) > naming.MAX_FURTHER:
            raise Refusal("too-many", f"a certificate has at most {naming.MAX_FURTHER} further names")
        for one in further:
            naming.further_key(one, party, office.community)
    with column("further"):
        if not names_of("urn", list(further), profile):
            raise Refusal("no-name", "a server's certificate names a host")
    evidence = _evidence(office, cells, folder, officer, salt, now)
    with column("request"):
        request = sheets.read_request_cell(cells["request"], folder)
        key = read_request(request)
    with column("protection"):
        protection = protection_of(request, office.makers, now, cells["protection"] or "software")
    with column("confidence"):
        LEVEL(cells["confidence"], "")
        confidence = office.policy.confidence(
            [(evidence.kind, evidence.seen)], protection, cells["confidence"]
        )
    return Applicant(
        line=row.line,
        title=title,
        party=party,
        label=label,
        profile=profile.name,
        protection=protection,
        wanted=cells["confidence"],
        confidence=confidence,
        further=further,
        evidence=evidence,
        document=evidence.document if office.policy.kind(evidence.kind).person else "",
        request=request,
        key=key,
        spki=hashlib.sha256(spki_of(key)).digest(),
        eyes=profile.four_eyes,
    )


def named(office: Office, ledger: naming.Ledger, applicant: Applicant, now: datetime) -> tuple[str, int]:
    """Give the applicant her names in ``ledger``; raises :class:`Refusal` with ``column``."""
    with column("person" if applicant.label else "name"):
        name, holder = give_names(
            office,
            ledger,
            party=applicant.party,
            label=applicant.label,
            title=applicant.title,
            further=list(applicant.further),
            documents=[applicant.document] if applicant.document else [],
            same=False,
            at=now,
        )
        if name == applicant.evidence.officer:
            raise Refusal("own-case", "nobody approves her own registration")
        return name, holder


def check_key(connection: sa.Connection, applicant: Applicant, keys: dict[bytes, int]) -> None:
    """Raise :class:`Refusal` ``key-twice``, ``key-known`` unless the key is new; ``keys`` are other rows'."""
    first = keys.setdefault(applicant.spki, applicant.line)
    if first != applicant.line:
        raise Refusal("key-twice", "this key stands in another row already", first=first)
    other = store.case_of_key(connection, applicant.spki)
    if other:
        raise Refusal("key-known", "this key is registered already", case=other)


def refused(line: int, refusal: Refusal) -> Judged:
    """What is said of a row that was refused."""
    facts = dict(refusal.facts)
    where = str(facts.pop("column", "") or "")
    shown = " ".join(f"{name}={value}" for name, value in facts.items() if value not in {None, ""})
    message = f"{refusal.message} ({shown})" if shown else refusal.message
    return Judged(line=line, result="refused", rule=refusal.rule, message=message, column=where)


def _evidence(office: Office, cells: Any, folder: Path, officer: str, salt: bytes, now: datetime) -> Evidence:
    with column("evidence"):
        kind = office.policy.kind(cells["evidence"])
    with column("seen"):
        office.policy.level(kind.name, cells["seen"])
    with column("number"):
        document = document_digest(salt, kind.name, cells["issuer"], cells["number"])
    with column("expires"):
        if cells["expires"]:
            read_date(cells["expires"])
    with column("scan"):
        scan = sheets.scan_digest(cells["scan"], folder)
    for name in ("issuer", "place"):
        if len(cells[name]) > naming.MAX_TITLE:
            raise Refusal("bad-cell", "the cell holds more than is read", column=name)
    with column("seen-at"):
        at = cells["seen-at"] or format_instant(now)
        if len(at) == len("YYYY-MM-DD"):
            at = f"{read_date(at).isoformat()}T00:00:00Z"
        parse_instant(at)
    evidence = Evidence(
        kind=kind.name,
        issuer=cells["issuer"],
        document=document,
        expires=cells["expires"],
        seen=cells["seen"],
        place=cells["place"],
        at=at,
        officer=officer,
        scan=wire.b64u(scan),
    )
    with column("expires" if cells["expires"] or kind.expires else "seen-at"):
        check_evidence(evidence, office.policy, now)
    return evidence


class _Trial:
    """A ledger that gives names on trial: beside the register, and forgotten with it."""

    def __init__(self, register_: store.Register) -> None:
        self._register = register_
        self._owners: dict[str, Owner] = {}
        self._holders: dict[bytes, int] = {}
        self._names: dict[tuple[int, str], str] = {}
        self._last = 0

    def owner(self, key: str) -> Owner | None:
        return self._owners.get(key) or self._register.owner(key)

    def holder(self, document: bytes) -> int | None:
        found = self._holders.get(document)
        return found if found is not None else self._register.holder(document)

    def name_of(self, holder: int, party: str) -> str:
        return self._names.get((holder, party)) or (
            self._register.name_of(holder, party) if holder > 0 else ""
        )

    def give(self, key: str, name: str, party: str, holder: int | None, at: datetime) -> int:
        del at
        if holder is None:
            self._last -= 1
            holder = self._last
        self._owners[key] = Owner(name, holder)
        if key.startswith("urn:"):
            self._names[holder, party] = name
        return holder

    def identify(self, documents: Sequence[str], holder: int) -> None:
        for document in documents:
            self._holders.setdefault(wire.unb64u(document), holder)
