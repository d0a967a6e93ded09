"""Cases are approved by an officer's signature over exactly what the register says of them, or by two.

The octets to be signed are kept first; only what was drafted here is taken, and only if the register still
says the same: evidence that was altered in between, or after, is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.base.wire import Document
from e2s.security.pki.approvals import APPROVAL, MAX_APPROVAL_BYTES, MAX_ORDERS, REGISTRATION
from e2s.security.pki.ca import RIGHTS
from e2s.security.registration import store
from e2s.security.registration.cases import follow
from e2s.security.registration.documents import Word, approval_document, inner_of, read_word
from e2s.security.registration.office import Office, names_of

_FIRST: Final = {REGISTRATION.type: REGISTRATION}
_SECOND: Final = {APPROVAL.type: APPROVAL}


def draft(office: Office, cases: Sequence[str], officer: str) -> Document:
    """The order for ``cases``, to be signed by ``officer`` at the instant that it states.

    Raises :class:`Refusal` ``no-such-case``, ``out-of-order``, ``evidence-altered``, ``mixed-eyes``,
    ``too-many``.
    """
    now = office.now()
    with office.database.transaction() as connection:
        rows = []
        for ident in cases:
            row = store.case(connection, ident)
            if row is None:
                raise Refusal("no-such-case", "there is no such case", case=ident)
            rows.append(row)
        return draft_of(office, connection, rows, officer, now)


def draft_of(
    office: Office,
    connection: sa.Connection,
    rows: Sequence[sa.Row[Any]],
    officer: str,
    now: datetime,
    batch: str = "",
) -> Document:
    """As :func:`draft`, within a transaction: the intent that is committed before it is signed."""
    if not 0 < len(rows) <= MAX_ORDERS:
        raise Refusal("too-many", f"an approval is for 1 to {MAX_ORDERS} cases")
    eyes = {bool(row.eyes) for row in rows}
    if len(eyes) > 1:
        raise Refusal("mixed-eyes", "cases that need a second officer are approved apart from others")
    until = now + timedelta(days=office.policy.approval_days)
    document: Document = {
        "type": REGISTRATION.type,
        "community": office.community,
        "ca": office.ca,
        "case": batch or rows[0].id,
        "officer": officer,
        "at": format_instant(now),
        "until": format_instant(until),
        "orders": [order(office, connection, row, officer) for row in rows],
    }
    content = wire.encode(document)
    digest = hashlib.sha256(content).digest()
    if store.approval(connection, digest) is None:
        values = {
            "digest": digest,
            "state": "drafted",
            "content": content,
            "officer": officer,
            "at": document["at"],
            "until": document["until"],
            "eyes": int(eyes.pop()),
            "orders": len(rows),
            "batch": batch,
        }
        store.add_approval(connection, values)
    return document


def order(office: Office, connection: sa.Connection, row: sa.Row[Any], officer: str) -> Document:
    """What the register says of a case now, for an officer who may approve it.

    Raises :class:`Refusal` ``out-of-order``, ``evidence-altered``, ``own-case``.
    """
    follow(row.state, "approve")
    if row.name == officer:
        raise Refusal("own-case", "nobody approves her own registration", case=row.id)
    return store.order_of(row, digests(connection, row), _names(office, row))


def digests(connection: sa.Connection, row: sa.Row[Any]) -> list[bytes]:
    """The digests of a case's evidence, computed anew; raises :class:`Refusal` ``evidence-altered``."""
    found = []
    for one in store.evidence(connection, row.n):
        digest = hashlib.sha256(one.record).digest()
        if digest != one.digest:
            raise Refusal("evidence-altered", "the record of what was seen was altered", case=row.id)
        found.append(digest)
    return found


def take_first(office: Office, octets: bytes) -> Document:
    """Take an officer's signature of a draft; gives ``approval``, ``state`` and ``orders``.

    Raises :class:`Refusal` of the word, ``not-drafted``, ``approval-lapsed``, and ``register-changed`` where
    the register no longer says what was signed.
    """
    word = read_word(octets, _FIRST)
    with office.database.reading() as connection:
        known = store.approval(connection, word.digest)
        if known is not None and known.state not in {"drafted", "lapsed"}:
            return _answer(known)
    now = office.check_word(word, RIGHTS.register)
    try:
        with office.database.transaction() as connection:
            row = store.approval(connection, word.digest)
            if row is None or row.officer != word.officer:
                raise Refusal("not-drafted", "this approval was not drafted here for this officer")
            if row.state == "drafted":
                _apply_first(office, connection, row, word, now)
            elif row.state == "lapsed":
                raise Refusal("approval-lapsed", "the approval was not used in time, or was dropped")
            row = store.approval(connection, word.digest)
            return _answer(row)
    except Refusal as refusal:
        office.refused(refusal, now, type=REGISTRATION.type, officer=word.officer)
        raise


def _apply_first(
    office: Office, connection: sa.Connection, row: sa.Row[Any], word: Word, now: datetime
) -> None:
    _check_until(row, now)
    event = "approve-first" if row.eyes else "approve"
    for said in word.document["orders"]:
        case = store.case(connection, said["case"])
        if case is None or order(office, connection, case, word.officer) != said:
            raise Refusal("register-changed", "the register says otherwise now", case=said["case"])
        state = follow(case.state, event)
        store.change_case(connection, case.n, state=state, approval=row.n, rule="", message="")
    state = "once" if row.eyes else "ready"
    store.change_approval(connection, row.n, state=state, first=word.octets)
    facts = {
        "approval": row.n,
        "digest": wire.b64u(row.digest),
        "officer": word.officer,
        "orders": row.orders,
    }
    office.event(connection, "approval.signed", now, facts)


def second_document(office: Office, approval: int, officer: str) -> Document:
    """What the second officer signs.

    Raises :class:`Refusal` ``no-such-approval``, ``out-of-order``, ``same-officer``.
    """
    with office.database.reading() as connection:
        row = store.approval_numbered(connection, approval)
    if row is None:
        raise Refusal("no-such-approval", "there is no such approval", approval=approval)
    if row.state != "once":
        raise Refusal("out-of-order", "this approval does not wait for a second officer", state=row.state)
    if row.officer == officer:
        raise Refusal("same-officer", "the second officer is another person than the first", officer=officer)
    return approval_document(row.first, officer, office.now())


def take_second(office: Office, octets: bytes) -> Document:
    """Take the second officer's signature over the first one's.

    Raises :class:`Refusal` of the word, ``bad-approval``, ``not-drafted``, ``same-officer``, ``own-case``,
    ``approval-lapsed``, ``evidence-altered``.
    """
    word = read_word(octets, _SECOND, max_bytes=MAX_APPROVAL_BYTES)
    inner = read_word(inner_of(word), _FIRST)
    with office.database.reading() as connection:
        known = store.approval(connection, inner.digest)
        if known is not None and known.second == octets:
            return _answer(known)
    now = office.check_word(word, RIGHTS.approve)
    try:
        with office.database.transaction() as connection:
            row = store.approval(connection, inner.digest)
            _apply_second(office, connection, row, word, inner, now)
            return _answer(store.approval(connection, inner.digest))
    except Refusal as refusal:
        office.refused(refusal, now, type=APPROVAL.type, officer=word.officer)
        raise


def _apply_second(
    office: Office,
    connection: sa.Connection,
    row: sa.Row[Any] | None,
    word: Word,
    inner: Word,
    now: datetime,
) -> None:
    if row is None or row.first != inner.octets:
        raise Refusal("not-drafted", "the first officer's word is not one that was taken here")
    if word.officer == inner.officer or word.certificate.spki == inner.certificate.spki:
        raise Refusal(
            "same-officer", "the second officer is another person than the first", officer=word.officer
        )
    if row.state == "lapsed":
        raise Refusal("approval-lapsed", "the approval was not used in time, or was dropped")
    if row.state != "once":
        raise Refusal("out-of-order", "this approval does not wait for a second officer", state=row.state)
    _check_until(row, now)
    office.check_officer(inner, RIGHTS.register, now)
    approved = approved_orders(row)
    for case in store.cases_of(connection, row.n):
        if case.name == word.officer:
            raise Refusal("own-case", "nobody approves her own registration", case=case.id)
        check_unaltered(connection, case, approved)
        store.change_case(connection, case.n, state=follow(case.state, "approve-second"))
    store.change_approval(connection, row.n, state="ready", second=word.octets, second_officer=word.officer)
    facts = {"approval": row.n, "officer": word.officer, "orders": row.orders}
    office.event(connection, "approval.countersigned", now, {**facts, "digest": wire.b64u(row.digest)})


def approved_orders(row: sa.Row[Any]) -> dict[str, Document]:
    """What an approval says of each of its cases."""
    return {one["case"]: one for one in json.loads(row.content)["orders"]}


def check_unaltered(connection: sa.Connection, case: sa.Row[Any], approved: dict[str, Document]) -> None:
    """Raise :class:`Refusal` ``evidence-altered`` unless evidence and key are what was approved."""
    found = [wire.b64u(one) for one in digests(connection, case)]
    said = approved.get(case.id)
    if said is None or said["evidence"] != found or said["spki"] != wire.b64u(case.spki):
        raise Refusal("evidence-altered", "the register says other than was approved", case=case.id)


def lapse(office: Office) -> int:
    """Let approvals go whose time is over, and their cases wait for a new one; how many."""
    now = office.now()
    with office.database.transaction() as connection:
        numbers = store.lapsing(connection, format_instant(now))
        done = 0
        for n in numbers:
            rows = store.cases_of(connection, n)
            if any(row.state == "ordered" for row in rows):
                continue  # the CA may have issued already: only its answer ends this
            for row in rows:
                if row.state in {"countersign", "approved"}:
                    store.change_case(connection, row.n, state=follow(row.state, "lapse"), approval=None)
            store.change_approval(connection, n, state="lapsed")
            office.event(connection, "approval.lapsed", now, {"approval": n})
            done += 1
    return done


def _check_until(row: sa.Row[Any], now: datetime) -> None:
    if now >= parse_instant(row.until):
        raise Refusal("approval-lapsed", "the approval was not used in time", until=row.until)


def _names(office: Office, row: sa.Row[Any]) -> list[str]:
    return names_of(row.name, store.further_of(row), office.profile(row.profile))


def _answer(row: sa.Row[Any] | None) -> Document:
    if row is None:
        raise Refusal("no-such-approval", "there is no such approval")
    return {"approval": row.n, "state": row.state, "orders": row.orders, "officer": row.officer}
