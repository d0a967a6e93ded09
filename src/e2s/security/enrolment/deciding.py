"""An officer decides on a request that waits, by her own signed word over what it would certify.

She is another than who invited, holds the right to approve at the CA, and is good now; who is certified by it
decides nothing.  The word is judged when it is given and again when it is carried out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.forms import Form, digest, instant, list_of, octets, one_of, text
from e2s.crypto.ports import Signer
from e2s.security.enrolment import store
from e2s.security.enrolment.granting import claim_of
from e2s.security.enrolment.office import Office
from e2s.security.enrolment.requests import follow
from e2s.security.pki.rights import RIGHTS
from e2s.security.registration.documents import Word, read_word, sign_document
from e2s.security.registration.office import FRESH

DECISION: Final = Form(
    "e2s/1/enrolment-decision",
    {
        "ca": text(64),
        "issuer": digest,
        "officer": text(255),
        "at": instant,
        "request": text(64),
        "decision": one_of("approve", "decline"),
        "why": text(300, min_length=0),
        "profile": text(64),
        "names": list_of(text(255), 18),
        "spki": octets(32),
        "confidence": text(20),
    },
    envelope=False,
)
_FORMS: Final = {DECISION.type: DECISION}
MAX_WORD_BYTES: Final = 64 * 1024


def waiting(office: Office) -> list[sa.Row[Any]]:
    """The requests that wait for an officer, the oldest first."""
    with office.database.reading() as connection:
        return store.in_state(connection, "waiting")


def decision_document(office: Office, case: str, officer: str, decision: str, why: str = "") -> Document:
    """What an officer signs, now, about the request called ``case``; raises ``no-such-request``."""
    return {
        "type": DECISION.type,
        "officer": officer,
        "at": format_instant(office.now()),
        "decision": decision,
        "why": why,
        **_said(office, _row(office, case)),
    }


def decide(office: Office, octets_: bytes) -> sa.Row[Any]:
    """Take an officer's signed decision, once; gives the request as it is then.

    Raises :class:`Refusal`: of the word, ``no-such-request``, ``other-request``, ``stale-word``,
    ``own-case``, ``same-officer``, ``not-authorised``, ``out-of-order``, or the verifier's rule.
    """
    if len(octets_) > MAX_WORD_BYTES:
        raise Refusal("too-large", "the decision is larger than may be read", size=len(octets_))
    word = read_word(octets_, _FORMS)
    row, now = _row(office, word.document["request"]), office.now()
    if row.decision is not None and read_word(bytes(row.decision), _FORMS).digest == word.digest:
        return row
    try:
        at = parse_instant(word.document["at"])
        if not now - FRESH <= at <= now + DELTA:
            raise Refusal("stale-word", "the word was signed too long ago, or in time to come")
        _check(office, row, word, now)
        approved = word.document["decision"] == "approve"
        state = follow(row.state, word.document["decision"])
        values = {"state": state, "decision": octets_, "decided_by": word.officer}
        if not approved:
            values |= {"rule": "declined", "message": word.document["why"] or "an officer declined it"}
        with office.database.transaction() as connection:
            if not store.change_request(connection, row.n, row.state, **values):
                raise Refusal("out-of-order", "this request was decided on meanwhile", request=row.case)
            if not approved and row.claimed:
                store.unclaim(connection, row.reference, row.profile, claim_of(row))
            kind = "enrolment.approved" if approved else "enrolment.declined"
            facts = {"request": row.case, "officer": word.officer, "digest": wire.b64u(word.digest)}
            office.event(connection, kind, now, facts)
    except Refusal as refusal:
        office.refused(refusal, now, request=row.case, officer=word.officer)
        raise
    return _row(office, row.case)


def sign_decision(document: Document, signer: Signer) -> bytes:
    """The decision, signed at its own instant by the officer's tool."""
    return sign_document(document, signer, parse_instant(document["at"]))


def check_decided(office: Office, row: sa.Row[Any]) -> None:
    """Raise :class:`Refusal` unless an officer's word, good now, says that the request is approved."""
    word = read_word(bytes(row.decision or b""), _FORMS)
    if word.document["decision"] != "approve":
        raise Refusal("declined", "the officer did not approve it")
    _check(office, row, word, office.now())


def late(office: Office, at: datetime) -> list[sa.Row[Any]]:
    """What has waited for too long."""
    oldest = format_instant(at - timedelta(days=office.policy.waiting_days))
    return [row for row in waiting(office) if row.at < oldest]


def lapse(office: Office, rows: Iterable[sa.Row[Any]], at: datetime) -> None:
    """Decline what has waited for too long."""
    for row in rows:
        with office.database.transaction() as connection:
            state = follow(row.state, "lapse")
            said = {"rule": "lapsed", "message": "no officer decided on it in time"}
            if store.change_request(connection, row.n, row.state, state=state, **said):
                if row.claimed:
                    store.unclaim(connection, row.reference, row.profile, claim_of(row))
                office.event(connection, "enrolment.lapsed", at, {"request": row.case})


def _check(office: Office, row: sa.Row[Any], word: Word, now: datetime) -> None:
    """The word is about this request as it is kept, by an officer who may decide on it."""
    said = {name: word.document[name] for name in _said(office, row)}
    if said != _said(office, row):
        raise Refusal("other-request", "the word is about another request than this one", request=row.case)
    if word.officer == row.officer:
        raise Refusal(
            "same-officer", "another officer decides than the one who invited", officer=word.officer
        )
    if word.officer in json.loads(row.names):
        raise Refusal("own-case", "nobody decides on her own request", officer=word.officer)
    office.trust.check_certificate(
        word.certificate, word.certificates, purpose=oids.SIGNING["officer"], name=word.officer, at=now
    )
    office.authorise(word.officer, RIGHTS.approve)


def _said(office: Office, row: sa.Row[Any]) -> Document:
    """What a decision says of its request."""
    return {
        "ca": office.ca.component,
        "issuer": office.ca.certificate.id,
        "request": row.case,
        "profile": row.profile,
        "names": json.loads(row.names),
        "spki": wire.b64u(row.spki),
        "confidence": row.confidence,
    }


def _row(office: Office, case: str) -> sa.Row[Any]:
    with office.database.reading() as connection:
        found = store.of_case(connection, case)
    if found is None:
        raise Refusal("no-such-request", "there is no such request", request=case[:64])
    return found
