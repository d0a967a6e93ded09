"""An officer's acts on one case: open, evidence, name, refuse, withdraw, deliver; each her own signed word.

Each word but the first names the one before it, so that nobody can move one to another case, leave one out
or repeat one; a word that was taken already is answered again and changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.base.wire import Document
from e2s.crypto.keys import spki_of
from e2s.crypto.ports import Signer
from e2s.security.certificates.attestation import protection_of
from e2s.security.certificates.certify import read_request
from e2s.security.pki.ca import RIGHTS
from e2s.security.registration import documents, naming, store
from e2s.security.registration.cases import follow
from e2s.security.registration.documents import CASE_FORMS, Word, case_id, read_word, sign_document
from e2s.security.registration.evidence import Evidence, check_evidence, read_evidence
from e2s.security.registration.office import Office, check_wish, names_of

NONE = "sha-256:" + "A" * 43


def open_document(
    office: Office,
    officer: str,
    *,
    profile: str,
    party: str,
    title: str,
    request: bytes,
    protection: str,
    confidence: str = "",
    further: tuple[str, ...] = (),
) -> Document:
    """The document that opens a case, to be signed by ``officer`` now."""
    return {
        **_any(office, documents.OPEN.type, officer),
        "profile": profile,
        "party": party,
        "title": title,
        "request": wire.b64u(request),
        "protection": protection,
        "confidence": confidence,
        "further": list(further),
        "fresh": wire.b64u(office.random(16)),
    }


def evidence_document(office: Office, officer: str, case: str, evidence: Evidence) -> Document:
    """The document that adds what was seen."""
    return {**_later(office, documents.EVIDENCE.type, officer, case), "evidence": evidence.said()}


def name_document(
    office: Office, officer: str, case: str, label: str = "", *, same: bool = False
) -> Document:
    """The document that asks for a name, or for the first free one where ``label`` is empty."""
    return {**_later(office, documents.NAME.type, officer, case), "label": label, "same": same}


def refuse_document(office: Office, officer: str, case: str, why: str) -> Document:
    """The document that refuses an application."""
    return {**_later(office, documents.REFUSE.type, officer, case), "why": why}


def withdraw_document(office: Office, officer: str, case: str, why: str) -> Document:
    """The document that withdraws an application before anything was asked of the CA."""
    return {**_later(office, documents.WITHDRAW.type, officer, case), "why": why}


def deliver_document(office: Office, officer: str, case: str, certificate: str, how: str) -> Document:
    """The document that says that the holder has her certificate."""
    later = _later(office, documents.DELIVER.type, officer, case)
    return {**later, "certificate": certificate, "how": how}


def signed(document: Document, signer: Signer) -> bytes:
    """The document, signed at its own instant by the officer's tool."""
    return sign_document(document, signer, parse_instant(document["at"]))


def take(office: Office, octets: bytes) -> Document:
    """Take one officer's word about a case; gives ``case``, ``state`` and ``name``.

    Raises :class:`Refusal`: of the word (:func:`~documents.read_word`, :meth:`Office.check_word`),
    ``no-such-case``, ``other-word`` when it does not follow the case's last word, ``out-of-order``, and of
    what the word asks for.
    """
    word = read_word(octets, CASE_FORMS)
    with office.database.reading() as connection:
        if store.knows_word(connection, word.id):
            return _answer(connection, word)
    at = office.check_word(word, RIGHTS.register)
    try:
        with office.database.transaction() as connection:
            if not store.knows_word(connection, word.id):
                _apply(office, connection, word, at)
            return _answer(connection, word)
    except Refusal as refusal:
        office.refused(refusal, at, type=word.document["type"], officer=word.officer)
        raise


def _apply(office: Office, connection: sa.Connection, word: Word, at: datetime) -> None:
    kind = word.document["type"]
    if kind == documents.OPEN.type:
        _open(office, connection, word, at)
        return
    row = store.case(connection, word.document["case"])
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=word.document["case"])
    if row.before != word.document["before"]:
        raise Refusal("other-word", "something else was said about this case since", case=row.id)
    {
        documents.EVIDENCE.type: _evidence,
        documents.NAME.type: _name,
        documents.REFUSE.type: _end,
        documents.WITHDRAW.type: _end,
        documents.DELIVER.type: _deliver,
    }[kind](office, connection, row, word, at)
    store.change_case(connection, row.n, before=word.id)
    store.add_word(connection, word.id, row.n, word.octets)


def _open(office: Office, connection: sa.Connection, word: Word, at: datetime) -> None:
    said = word.document
    request = wire.unb64u(said["request"])
    wanted = office.profile(said["profile"])
    office.check_party(naming.check_label(said["party"], "party's name"))
    naming.check_title(said["title"])
    protection = protection_of(request, office.makers, at, said["protection"])
    office.policy.kept(protection)
    for name in said["further"]:
        naming.further_key(name, said["party"], office.community)
    spki = hashlib.sha256(spki_of(read_request(request))).digest()
    other = store.case_of_key(connection, spki)
    if other:
        raise Refusal("key-known", "this key is registered already", case=other)
    ident = case_id(word.content)
    values = {
        "id": ident,
        "state": "opened",
        "profile": said["profile"],
        "party": said["party"],
        "title": said["title"],
        "further": json.dumps(said["further"]),
        "request": request,
        "spki": spki,
        "protection": protection,
        "wanted": said["confidence"],
        "eyes": int(wanted.four_eyes),
        "officer": word.officer,
        "at": format_instant(at),
        "before": word.id,
    }
    n = store.add_case(connection, values)
    store.add_word(connection, word.id, n, word.octets)
    facts = {"case": ident, "profile": said["profile"], "party": said["party"], "officer": word.officer}
    office.event(connection, "case.opened", at, facts)


def _evidence(office: Office, connection: sa.Connection, row: sa.Row[Any], word: Word, at: datetime) -> None:
    state = follow(row.state, "evidence")
    evidence = read_evidence(word.document["evidence"])
    if evidence.officer != word.officer:
        raise Refusal(
            "evidence-officer", "an officer vouches for what she saw herself", officer=evidence.officer
        )
    check_evidence(evidence, office.policy, at)
    known = store.evidence(connection, row.n)
    if len(known) >= 16:
        raise Refusal("too-many", "a case has at most 16 pieces of evidence", case=row.id)
    person = office.policy.kind(evidence.kind).person
    document = evidence.document if person else ""
    store.add_evidence(connection, row.n, evidence.encoded(), evidence.digest, document)
    store.change_case(connection, row.n, state=state)
    facts = {"case": row.id, "officer": word.officer, "kind": evidence.kind, "seen": evidence.seen}
    facts["evidence"] = wire.b64u(evidence.digest)
    office.event(connection, "case.evidence", at, facts)


def _name(office: Office, connection: sa.Connection, row: sa.Row[Any], word: Word, at: datetime) -> None:
    state = follow(row.state, "name")
    rows = store.evidence(connection, row.n)
    seen = [json.loads(one.record) for one in rows]
    confidence = office.policy.confidence(
        [(one["kind"], one["seen"]) for one in seen], row.protection, row.wanted
    )
    name, holder = give_names(
        office,
        store.Register(connection),
        party=row.party,
        label=word.document["label"],
        title=row.title,
        further=store.further_of(row),
        documents=[one.document for one in rows if one.document],
        same=word.document["same"],
        at=at,
    )
    eyes = int(row.eyes or word.document["same"])  # only her word says that it is the same person
    wanted = office.profile(row.profile)
    names = names_of(name, store.further_of(row), wanted)
    if not names:
        raise Refusal("no-name", "a server's certificate names a host", case=row.id)
    check_wish(wanted, names, read_request(row.request), confidence)
    store.change_case(
        connection, row.n, state=state, name=name, holder=holder, confidence=confidence, eyes=eyes
    )
    facts = {"case": row.id, "officer": word.officer, "name": name, "confidence": confidence}
    office.event(connection, "case.named", at, facts)


def give_names(
    office: Office,
    register: naming.Ledger,
    *,
    party: str,
    label: str,
    title: str,
    further: list[str],
    documents: list[str],
    same: bool,
    at: datetime,
) -> tuple[str, int]:
    """Give a person her URN and further names in the register; the URN and her number.

    Raises what :func:`naming.assigned` does, and ``name-given`` for another's mail address or host.
    """
    name, holder = naming.assigned(
        register,
        community=office.community,
        party=party,
        label=label,
        title=title,
        documents=[wire.unb64u(one) for one in documents],
        same=same,
    )
    keys: list[tuple[str, str, bool]] = []
    for one in further:  # all is judged before anything is given
        key, of_party = naming.further_key(one, party, office.community)
        owner = register.owner(key)
        if owner is not None and owner.holder != (party_holder(register, party) if of_party else holder):
            raise Refusal("name-given", "this name is another's", name=one)
        keys.append((key, one, of_party))
    given = naming.name_key(party, naming.label_in(name, office.community, party))
    if register.owner(given) is None:
        holder = register.give(given, name, party, holder, at)
    if holder is None:  # no free name has an owner, and whoever is known has a number
        raise Refusal("name-given", "this name is another person's", name=name)
    register.identify(documents, holder)
    for key, one, of_party in keys:
        if register.owner(key) is None:
            mine = holder
            if of_party:
                mine = party_holder(register, party) or register.give(f"party:{party}", "", party, None, at)
            register.give(key, one, party, mine, at)
    return name, holder


def party_holder(register: naming.Book, party: str) -> int | None:
    """The register's number of a party itself, to which hosts belong; None before its first."""
    owner = register.owner(f"party:{party}")
    return owner.holder if owner else None


def reserve(office: Office, names: Iterable[tuple[str, str]]) -> int:
    """Take note of (party, label) pairs that were named before there was this register; how many are new."""
    now, number = office.now(), 0
    with office.database.transaction() as connection:
        register = store.Register(connection)
        for party, label in names:
            key = naming.name_key(party, label)
            if register.owner(key) is None:
                name = naming.urn(office.community, party, label)
                register.give(key, name, party, None, now)
                office.event(connection, "name.reserved", now, {"name": name})
                number += 1
    return number


def _end(office: Office, connection: sa.Connection, row: sa.Row[Any], word: Word, at: datetime) -> None:
    event = "refuse" if word.document["type"] == documents.REFUSE.type else "withdraw"
    state = follow(row.state, event)
    store.change_case(connection, row.n, state=state, approval=None, rule=state, message=word.document["why"])
    facts = {"case": row.id, "officer": word.officer, "why": word.document["why"]}
    office.event(connection, f"case.{state}", at, facts)


def _deliver(office: Office, connection: sa.Connection, row: sa.Row[Any], word: Word, at: datetime) -> None:
    state = follow(row.state, "deliver")
    known = "sha-256:" + wire.b64u(hashlib.sha256(row.certificate).digest())
    if word.document["certificate"] != known:
        raise Refusal("other-certificate", "the certificate delivered is not this case's", case=row.id)
    store.change_case(connection, row.n, state=state)
    facts = {"case": row.id, "officer": word.officer, "certificate": known, "how": word.document["how"]}
    office.event(connection, "case.delivered", at, facts)


def _any(office: Office, kind: str, officer: str) -> Document:
    return {
        "type": kind,
        "community": office.community,
        "ca": office.ca,
        "officer": officer,
        "at": format_instant(office.now()),
    }


def _later(office: Office, kind: str, officer: str, case: str) -> Document:
    """What each word after the first begins with; raises :class:`Refusal` ``no-such-case``."""
    with office.database.reading() as connection:
        row = store.case(connection, case)
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=case)
    return {**_any(office, kind, officer), "case": case, "before": row.before}


def _answer(connection: sa.Connection, word: Word) -> Document:
    ident = word.document.get("case") or case_id(word.content)
    row = store.case(connection, ident)
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=ident)
    return {"case": row.id, "state": row.state, "name": row.name, "confidence": row.confidence}
