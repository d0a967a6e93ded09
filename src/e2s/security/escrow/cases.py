"""A case: opened, approved by one officer after the other, released to its recipient, received; or stopped.

Each is a word of who does it; the vault takes it once, signs an entry that names the one before, and keeps
both in one transaction with the event.  A word that was taken already is answered again and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Fact, Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.crypto.certificates import Certificate
from e2s.security.escrow import store
from e2s.security.escrow.casefile import File, case_file, case_row
from e2s.security.escrow.rules import (
    Judge,
    check_approval,
    check_case,
    check_in_time,
    check_receipt,
    check_release,
    check_stop,
    recipient_of,
)
from e2s.security.escrow.sealing import MAX_SEALED_BYTES
from e2s.security.escrow.states import follow
from e2s.security.escrow.tables import OUTBOX
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import (
    APPROVAL,
    CASE,
    ENTRY,
    NONE,
    RECEIPT,
    STOP,
    Word,
    case_id,
    digest_of,
    read,
    sign_at,
)

#: The outbox topic of what owners are told.
NOTICE: Final = "notice"
_TRIES: Final = 8


def case_document(
    vault: Vault,
    officer: str,
    deposits: Sequence[str],
    recipient: Sequence[Certificate],
    *,
    number: str,
    basis: str,
    reason: str,
    path: str = "officers",
    registration: bytes = b"",
) -> Document:
    """The document that opens a case, to be signed by ``officer``, or by the owner herself."""
    with vault.database.reading() as connection:
        policy = vault.in_force(connection)
    more = {"registration": wire.b64u(registration)} if registration else {}
    members = {
        "policy": policy.id,
        "path": path,
        "number": number,
        "basis": basis,
        "reason": reason,
        "deposits": list(deposits),
        "recipient": [wire.b64u(one.der) for one in recipient],
        "fresh": wire.b64u(vault.random(16)),
    }
    return vault.asked(CASE.type, officer, members | more)


def stop_document(vault: Vault, officer: str, case: str, why: str) -> Document:
    """The document that stops a case."""
    return vault.asked(STOP.type, officer, {"case": case_row(vault, case).id, "why": why})


def receipt_document(vault: Vault, officer: str, case: str) -> Document:
    """The recipient's word that she has the key; raises :class:`Refusal` ``not-released``."""
    file = case_file(vault, case)
    if not file.releases:
        raise Refusal("not-released", "nothing was released yet in this case", case=case)
    members = {"case": file.row.id, "release": file.releases[-1].id}
    return vault.asked(RECEIPT.type, officer, members)


def take(vault: Vault, octets: bytes, boxes: Sequence[bytes] = ()) -> Document:
    """Take a word about a case; gives ``case``, ``id``, ``state`` and ``approvals``.

    ``boxes``: an approval's shares, sealed to the recipient.  Raises :class:`Refusal` of the word's form,
    ``other-vault``, ``stale-word``, ``no-such-case``, ``out-of-order``, ``case-lapsed`` and of the rules.
    """
    word = read(octets, CASE, APPROVAL, STOP, RECEIPT)
    try:
        with vault.database.reading() as connection:
            known = _taken(connection, word)
        if known is not None:
            return known
        at = vault.now()
        vault.judge().here(word, at)
        if word.document["type"] == CASE.type:
            return _open(vault, word, at)
        for _ in range(_TRIES):
            answer = _follow(vault, word, boxes, at)
            if answer is not None:
                return answer
    except Refusal as refusal:
        case = str(word.document.get("case", ""))
        vault.refused(refusal, type=word.document["type"], officer=word.officer, case=case)
        raise
    raise Misuse("too-busy", "other words about this case came in between, again and again")


def release(vault: Vault, case: str) -> Document:
    """Release the case's keys to its recipient if every condition is met now; once more, the same answer.

    Raises :class:`Refusal` ``no-such-case``, ``out-of-order``, ``waiting-time``, ``case-lapsed``,
    ``too-few-officers``, ``too-few-persons``, and the verifier's for who is not good any more.
    """
    at = vault.now()
    for _ in range(_TRIES):
        file = case_file(vault, case)
        members = {"approvals": [one.id for one in file.approvals]}
        if file.row.state != "open" and file.releases:
            last = file.releases[-1].document["approvals"]
            if file.row.state == "received" or last == members["approvals"]:
                return _answer(file.row, len(file.approvals))
        used: dict[str, bytes] = {}
        try:
            state = follow(file.row.state, "released")
            judge = vault.judge(used)
            given = (file.word, file.kept, file.policy, file.approvals)
            check_release(*given, opened=file.opened, at=at, judge=judge)
            vault.check_self(judge, at)
        except Refusal as refusal:
            vault.refused(refusal, case=file.row.id)
            raise
        more = {**members, "lists": sorted(used)}
        entries = [_entry(vault, file, "released", file.row.id, at, more)]
        with vault.database.transaction() as connection:
            if _moved(connection, file):
                continue
            _keep(connection, file.row.n, state, entries, used)
            facts: dict[str, Fact] = {"case": file.row.short, "recipient": file.row.recipient}
            vault.event(connection, "released", at, {**facts, "approvals": len(file.approvals)})
        return {**_answer(file.row, len(file.approvals)), "state": state}
    raise Misuse("too-busy", "other words about this case came in between, again and again")


def _open(vault: Vault, word: Word, at: datetime) -> Document:
    used: dict[str, bytes] = {}
    with vault.database.reading() as connection:
        policy = vault.in_force(connection)
        deposits = [vault.kept(connection, one)[1] for one in word.document["deposits"]]
    judge = vault.judge(used)
    basis = check_case(word, deposits, policy, judge, at)
    vault.check_self(judge, at)
    holder = deposits[0].holder
    lists = {"lists": sorted(used)}
    entries = [_signed_entry(vault, word.id, 1, NONE, "opened", word.id, at, lists)]
    if basis.notify:
        told = {**lists, "to": holder}
        entries.append(_signed_entry(vault, word.id, 2, entries[0].id, "notified", word.id, at, told))
    with vault.database.transaction() as connection:
        known = _taken(connection, word)
        if known is not None:
            return known
        if vault.in_force(connection).id != policy.id:
            raise Refusal("other-policy", "another policy came into force meanwhile")
        values = {
            "id": word.id,
            "short": case_id(word.id),
            "state": "open",
            "policy": policy.id,
            "path": word.document["path"],
            "holder": holder,
            "officer": word.officer,
            "recipient": recipient_of(word)[0].name,
            "at": format_instant(at),
            "word": word.octets,
        }
        n = store.add_case(connection, values)
        _keep(connection, n, "open", entries, used)
        facts: dict[str, Fact] = {"case": case_id(word.id), "number": word.document["number"]}
        facts |= {"basis": basis.name, "officer": word.officer, "holder": holder}
        vault.event(connection, "opened", at, {**facts, "recipient": str(values["recipient"])})
        if basis.notify:
            _notify(vault, connection, word, holder, at)
        return _answer(store.case(connection, word.id), 0)


def _follow(vault: Vault, word: Word, boxes: Sequence[bytes], at: datetime) -> Document | None:
    """Take a word about a case that is open; None where another came in between."""
    file, used = case_file(vault, word.document["case"]), dict[str, bytes]()
    event = _EVENTS[word.document["type"]]
    state = follow(file.row.state, event)
    if file.row.state == "open":
        check_in_time(file.policy, file.opened, at)
    judge = vault.judge(used)
    _check(word, file, judge, at, boxes)
    vault.check_self(judge, at)
    entries = [_entry(vault, file, event, word.id, at, {"lists": sorted(used)})]
    with vault.database.transaction() as connection:
        known = _taken(connection, word)
        if known is not None:
            return known
        if _moved(connection, file):
            return None
        values = {"id": word.id, "case": file.row.n, "kind": event, "officer": word.officer}
        store.add_word(connection, {**values, "octets": word.octets}, boxes)
        _keep(connection, file.row.n, state, entries, used)
        facts: dict[str, Fact] = {"case": file.row.short, "officer": word.officer}
        if event == "stopped":
            facts["why"] = word.document["why"]
        vault.event(connection, event, at, facts)
        return _answer(store.case(connection, file.row.id), len(file.approvals) + (event == "approved"))


_EVENTS: Final = {APPROVAL.type: "approved", STOP.type: "stopped", RECEIPT.type: "received"}


def _check(word: Word, file: File, judge: Judge, at: datetime, boxes: Sequence[bytes]) -> None:
    if word.document["type"] == STOP.type:
        check_stop(word, file.word, file.kept, judge, at)
    elif word.document["type"] == RECEIPT.type:
        check_receipt(word, file.word, [one.id for one in file.releases], judge, at)
    else:
        check_approval(word, file.word, file.kept, file.policy, file.approvals, judge, at)
        sealed = [row["sealed"] for row in word.document["shares"]]
        if sealed != [digest_of(box) for box in boxes] or max(map(len, boxes)) > MAX_SEALED_BYTES:
            raise Refusal("other-shares", "the sealed shares are not those of the approval")


def _entry(vault: Vault, file: File, kind: str, of: str, at: datetime, more: Mapping[str, Any]) -> Word:
    number = len(file.entries) + 1
    return _signed_entry(vault, file.row.id, number, file.entries[-1].id, kind, of, at, more)


def _signed_entry(
    vault: Vault,
    case: str,
    number: int,
    previous: str,
    kind: str,
    of: str,
    at: datetime,
    more: Mapping[str, Any],
) -> Word:
    members = {"case": case, "number": number, "previous": previous, "kind": kind, "of": of, **more}
    return read(sign_at(vault.said(ENTRY.type, at, members), vault.signer), ENTRY)


def _keep(
    connection: sa.Connection, n: int, state: str, entries: Sequence[Word], used: Mapping[str, bytes]
) -> None:
    for entry in entries:
        said = entry.document
        values = {"case": n, "number": said["number"], "id": entry.id, "kind": said["kind"]}
        store.add_entry(connection, {**values, "octets": entry.octets})
    store.add_lists(connection, n, used.items())
    store.set_state(connection, n, state)


def _moved(connection: sa.Connection, file: File) -> bool:
    """Whether something was said about the case since ``file`` was read."""
    return len(store.entries(connection, file.row.n)) != len(file.entries)


def _notify(vault: Vault, connection: sa.Connection, word: Word, holder: str, at: datetime) -> None:
    """What the owner is told: that a case about her key was opened, and where she may stop it."""
    said = word.document
    notice: Document = {
        "type": "e2s/1/notice",
        "about": "escrow",
        "to": holder,
        "vault": vault.component,
        "case": case_id(word.id),
        "number": said["number"],
        "basis": said["basis"],
        "at": format_instant(at),
    }
    OUTBOX.put(connection, NOTICE, wire.encode(notice), at)
    vault.event(connection, "notified", at, {"case": case_id(word.id), "holder": holder})


def _taken(connection: sa.Connection, word: Word) -> Document | None:
    """The answer to a word that was taken before."""
    if word.document["type"] == CASE.type:
        row = store.case(connection, word.id)
    else:
        if store.word(connection, word.id) is None:
            return None
        row = store.case(connection, word.document["case"])
    if row is None:
        return None
    approvals = [one for one in store.words(connection, row.n) if one.kind == "approved"]
    return _answer(row, len(approvals))


def _answer(row: sa.Row[Any] | None, approvals: int) -> Document:
    if row is None:
        raise Refusal("no-such-case", "there is no such case")
    return {"case": row.short, "id": row.id, "state": row.state, "approvals": approvals}
