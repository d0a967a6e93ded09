"""A policy is changed by one officer's signed proposal and another's signed approval; every version is kept.

What was decided is committed before its file is written, and written again at the next start until it is
there.  A file that was changed by another way becomes a version of its own, without officers, and an event.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Fact, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.security.administration import documents, store
from e2s.security.administration.desk import Desk
from e2s.security.administration.subjects import Subject, digest_of
from e2s.security.keys.durable import replace_file
from e2s.security.pki.rights import RIGHTS
from e2s.security.registration.documents import Word, read_word

Facts = dict[str, Fact]
#: The policy whose changes a ceremony of the root carries out.
OFFICERS = "officers"
MAX_WORD_BYTES = 128 * 1024


def right_of(subject: str) -> str:
    """The right that proposing and approving a policy takes."""
    return RIGHTS.officers if subject == OFFICERS else RIGHTS.policy


def propose(desk: Desk, officer: str, subject: str, content: bytes, why: str) -> Document:
    """The proposal, to be signed by ``officer`` now.

    Raises :class:`Refusal` ``no-such-policy``, of the policy's reader, or ``nothing-changes``.
    """
    policy = desk.subject(subject)
    policy.check(content)
    base = standing(desk, policy)
    if digest_of(content) == base:
        raise Refusal("nothing-changes", "the policy says this already", policy=subject)
    return documents.proposal_document(
        desk.office, officer, policy=subject, base=base, content=content, why=why
    )


def back_to(desk: Desk, subject: str, number: int) -> bytes:
    """What a former version said, to be proposed again; raises :class:`Refusal` ``no-such-version``."""
    desk.subject(subject)
    with desk.database.reading() as connection:
        row = store.version(connection, subject, number)
    if row is None:
        raise Refusal("no-such-version", "there is no such version", policy=subject, version=number)
    return bytes(row.octets)


def decide(desk: Desk, officer: str, proposal: int, decision: str, why: str = "") -> Document:
    """The decision on a proposal, to be signed by ``officer`` now; raises ``no-such-proposal``..."""
    with desk.database.reading() as connection:
        row = store.proposal(connection, proposal)
        if row is None:
            raise Refusal("no-such-proposal", "there is no such proposal", proposal=proposal)
        _check_open(row, officer, decision)
    return documents.decision_document(desk.office, officer, proposal=row.id, decision=decision, why=why)


def take(desk: Desk, octets: bytes) -> Document:
    """Take an officer's proposal or decision; gives ``proposal``, ``policy``, ``state`` and ``version``.

    Raises :class:`Refusal` of the word, ``not-authorised``, ``duties-not-separate``, ``no-such-proposal``,
    ``same-officer``, ``decided``, ``policy-changed`` where another version stands by now.
    """
    word = read_word(octets, documents.FORMS, max_bytes=MAX_WORD_BYTES)
    proposing = word.document["type"] == documents.PROPOSAL.type
    with desk.database.reading() as connection:
        known = _known(connection, word)
    if known is not None:
        return answer(desk, known)
    with desk.database.reading() as connection:
        subject = word.document["policy"] if proposing else _subject(connection, word)
    desk.office.check_word(word, right_of(subject))
    policy = desk.subject(subject)
    try:
        if proposing:
            policy.check(wire.unb64u(word.document["content"]))
        base = standing(desk, policy)
        with desk.database.transaction() as connection:
            known = _known(connection, word)
            if known is None:
                act = _propose if proposing else _decide
                known = act(desk, connection, policy, word, base)
    except Refusal as refusal:
        desk.refused(refusal, type=word.document["type"], officer=word.officer, policy=subject)
        raise
    apply(desk)
    return answer(desk, known)


def apply(desk: Desk) -> int:
    """Write the files of versions that were decided; how many.  Called at each start."""
    with desk.database.reading() as connection:
        rows = store.applying(connection)
    for row in rows:
        policy = desk.subjects.get(row.subject)
        if policy is not None:
            for folder in policy.folders:
                replace_file(folder / policy.file, row.octets, 0o644)
        with desk.database.transaction() as connection:
            store.applied(connection, row.n)
            facts = {"policy": row.subject, "version": row.number, "digest": row.digest}
            desk.event(connection, "policy.applied", desk.now(), facts)
    return len(rows)


def answer(desk: Desk, n: int) -> Document:
    """What became of a proposal."""
    with desk.database.reading() as connection:
        row = store.proposal(connection, n)
        if row is None:
            raise Refusal("no-such-proposal", "there is no such proposal", proposal=n)
        newest = store.newest(connection, row.subject)
    found = {"proposal": row.n, "policy": row.subject, "state": row.state, "officer": row.officer}
    stands = newest is not None and newest.proposal == row.n
    return {**found, "version": newest.number if newest is not None and stands else 0}


def standing(desk: Desk, policy: Subject) -> str:
    """The digest of what stands, which is kept as a version, whoever wrote it."""
    octets = policy.octets()
    digest = digest_of(octets)
    with desk.database.reading() as connection:
        row = store.newest(connection, policy.name)
    if row is not None and (row.digest == digest or row.state == "applying"):
        return str(row.digest)
    with desk.database.transaction() as connection:
        row = store.newest(connection, policy.name)
        if row is None or row.digest != digest:
            now, number = desk.now(), row.number + 1 if row is not None else 1
            why = "as it was found" if row is None else _unproposed(policy)
            _add_version(
                connection, policy.name, number, octets, format_instant(now), (), why, None, "standing"
            )
            outcome = "unproposed" if row is not None and policy.folders else "done"
            facts = {"policy": policy.name, "version": number, "digest": digest}
            desk.event(connection, "policy.found", now, facts, outcome)
    return digest


def _unproposed(policy: Subject) -> str:
    return policy.elsewhere or "changed by another way than a proposal"


def _add_version(
    connection: sa.Connection,
    subject: str,
    number: int,
    octets: bytes,
    at: str,
    officers: tuple[str, ...],
    why: str,
    proposal: int | None,
    state: str,
) -> None:
    values = {"subject": subject, "number": number, "digest": digest_of(octets), "octets": octets, "at": at}
    more = {"officers": " ".join(officers), "why": why, "proposal": proposal, "state": state}
    store.add_version(connection, {**values, **more})


def _known(connection: sa.Connection, word: Word) -> int | None:
    """The proposal that this word made or decided, if it was taken before."""
    if word.document["type"] == documents.PROPOSAL.type:
        row = store.proposal_called(connection, word.id)
        return None if row is None else int(row.n)
    return store.decision(connection, word.id)


def _subject(connection: sa.Connection, word: Word) -> str:
    row = store.proposal_called(connection, word.document["proposal"])
    if row is None:
        raise Refusal("no-such-proposal", "there is no such proposal")
    return str(row.subject)


def _propose(desk: Desk, connection: sa.Connection, policy: Subject, word: Word, base: str) -> int:
    said, now = word.document, desk.now()
    content = wire.unb64u(said["content"])
    if said["base"] != base:
        raise Refusal("policy-changed", "another version stands by now: propose it again", policy=policy.name)
    values = {
        "id": word.id,
        "subject": policy.name,
        "state": "waiting",
        "base": base,
        "octets": content,
        "officer": word.officer,
        "at": said["at"],
        "why": said["why"],
        "word": word.octets,
    }
    n = store.add_proposal(connection, values)
    digest = digest_of(content)
    facts: Facts = {"policy": policy.name, "proposal": n, "officer": word.officer, "digest": digest}
    desk.event(connection, "policy.proposed", now, facts)
    if policy.eyes < 2:
        _approved(desk, connection, store.proposal(connection, n), word.officer)
    return n


def _decide(desk: Desk, connection: sa.Connection, policy: Subject, word: Word, base: str) -> int:
    row = store.proposal_called(connection, word.document["proposal"])
    if row is None:
        raise Refusal("no-such-proposal", "there is no such proposal")
    decision = word.document["decision"]
    _check_open(row, word.officer, decision)
    if decision == "approve":
        proposed = read_word(row.word, documents.FORMS, max_bytes=MAX_WORD_BYTES)
        if proposed.certificate.spki == word.certificate.spki:
            raise Refusal("same-officer", "another officer than the proposer approves", officer=word.officer)
        desk.office.check_officer(proposed, right_of(policy.name), desk.now())
        if row.base != base:
            raise Refusal("policy-changed", "another version stands by now: propose it again")
        _approved(desk, connection, row, word.officer)
    else:
        _ended(desk, connection, row, "declined", word)
    store.add_decision(connection, word.id, row.n, word.octets)
    return int(row.n)


def _check_open(row: Any, officer: str, decision: str) -> None:
    if row.state != "waiting":
        raise Refusal("decided", f"this proposal is {row.state}", proposal=row.n)
    if decision == "approve" and row.officer == officer:
        raise Refusal("same-officer", "another officer than the proposer approves", officer=officer)


def _approved(desk: Desk, connection: sa.Connection, row: Any, officer: str) -> None:
    now = desk.now()
    at = format_instant(now)
    store.decide(connection, row.n, {"state": "approved", "decider": officer, "decided": at})
    facts = {"policy": row.subject, "proposal": row.n, "officer": officer, "digest": digest_of(row.octets)}
    desk.event(connection, "policy.approved", now, facts)
    if row.subject != OFFICERS:
        newest = store.newest(connection, row.subject)
        number = newest.number + 1 if newest is not None else 1
        who = tuple(dict.fromkeys((row.officer, officer)))
        _add_version(connection, row.subject, number, row.octets, at, who, row.why, row.n, "applying")


def _ended(desk: Desk, connection: sa.Connection, row: Any, state: str, word: Word) -> None:
    now = desk.now()
    values = {"state": state, "decider": word.officer, "decided": format_instant(now)}
    store.decide(connection, row.n, {**values, "because": word.document["why"]})
    facts = {"policy": row.subject, "proposal": row.n, "officer": word.officer}
    desk.event(connection, f"policy.{state}", now, facts)
