"""Approved cases are ordered from the CA until it has answered: what was sent and not answered is sent again.

That a case is ordered is committed before anything is sent; the CA gives the same certificate for the same
approval and key, so a kill or a lost answer at any moment neither loses nor doubles one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from cryptography import x509

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.wire import Document
from e2s.crypto.certificates import Certificate
from e2s.security.pki.service import ISSUE
from e2s.security.registration import store
from e2s.security.registration.approving import approved_orders, check_unaltered, lapse
from e2s.security.registration.cases import follow
from e2s.security.registration.documents import (
    MAX_SENT,
    MAX_SENT_BYTES,
    read_issued,
    write_orders,
)
from e2s.security.registration.office import Office
from e2s.security.verification.signatures import good

#: How the office reaches its CA: a link's ``ask``, or a spool's.
Ask: TypeAlias = Callable[[str, bytes], bytes]
#: Refusals by which the CA says that nothing will come of an approval: its cases wait for a new one.
FINAL: Final = frozenset(
    {
        "approval-lapsed",
        "not-authorised",
        "revoked",
        "four-eyes",
        "same-officer",
        "own-case",
        "other-ca",
        "other-community",
        "wrong-purpose",
        "wrong-name",
    }
)


@dataclass(kw_only=True)
class Sent:
    """What became of the orders: certified, declined, and those that wait with the last reason."""

    certified: int = 0
    declined: int = 0
    waiting: int = 0
    why: str = ""


def submit(office: Office, ask: Ask, told: Callable[[Sent], None] = lambda _sent: None) -> Sent:
    """Order every case that is approved, and ask again for those without an answer; ``told`` after each part.

    Never raises for an absent CA or its refusal: those orders wait.
    """
    lapse(office)
    sent = Sent()
    with office.database.reading() as connection:
        numbers = [row.n for row in store.approvals(connection, "ready", 100_000)]
    away = False
    for n in numbers:
        rows, most = _intended(office, n)
        for part in _parts(rows, most):
            if away:
                sent.waiting += len(part)
                continue
            try:
                _order(office, ask, n, part, sent)
            except Unreachable as error:
                sent.waiting, sent.why = sent.waiting + len(part), str(error)
                away = error.rule != "order-waits"  # a spool takes every question at once
            except Refusal as refusal:
                sent.why = str(refusal)
                _note(office, n, refusal)
                if refusal.rule in FINAL and len(part) == 1:
                    said = {"rule": refusal.rule, "message": refusal.message}
                    _keep(office, n, [(part[0], said)], b"", sent)
                else:
                    sent.waiting += len(part)
            told(sent)
        _finish(office, n)
    return sent


def _intended(office: Office, n: int) -> tuple[list[sa.Row[Any]], int]:
    """The approval's cases without a certificate, now ordered: committed before anything is sent.

    Also how many go into one message: each alone once the CA refused the approval, since it still gives what
    it had issued before.
    A case whose evidence no longer is what was approved stays where it is, and that is an event.
    """
    now = office.now()
    found: list[sa.Row[Any]] = []
    with office.database.transaction() as connection:
        row = store.approval_numbered(connection, n)
        if row is None:
            return [], MAX_SENT
        most = 1 if row.rule in FINAL else MAX_SENT
        approved = approved_orders(row)
        new = 0
        for case in store.cases_of(connection, n):
            if case.state not in {"approved", "ordered"}:
                continue
            try:
                check_unaltered(connection, case, approved)
            except Refusal as refusal:
                if case.rule != refusal.rule:
                    store.change_case(connection, case.n, rule=refusal.rule, message=refusal.message)
                    office.event(
                        connection, "refused", now, {"case": case.id, "rule": refusal.rule}, "refused"
                    )
                continue
            if case.state == "approved":
                store.change_case(connection, case.n, state=follow(case.state, "order"))
                new += 1
            found.append(case)
        if new:
            office.event(connection, "approval.ordered", now, {"approval": n, "orders": new})
    return found, most


def _parts(rows: Sequence[sa.Row[Any]], most: int) -> Iterator[list[sa.Row[Any]]]:
    """As many cases as one message carries."""
    part: list[sa.Row[Any]] = []
    size = 0
    for row in rows:
        if part and (len(part) == most or size + len(row.request) > MAX_SENT_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row.request)
    if part:
        yield part


def _order(office: Office, ask: Ask, n: int, rows: Sequence[sa.Row[Any]], sent: Sent) -> None:
    """Send one message and keep its answer."""
    with office.database.reading() as connection:
        row = store.approval_numbered(connection, n)
    if row is None:
        return
    answer = ask(ISSUE, write_orders(row.second or row.first, [case.request for case in rows]))
    chain_octets, results = read_issued(answer)
    chain = tuple(Certificate.read(one) for one in chain_octets)
    now = office.now()
    office.trust.check_certificate(chain[0], chain[1:], purpose=None, name=None, at=now)
    waiting = {wire.b64u(case.spki): case for case in rows}
    approved = approved_orders(row)
    taken: list[tuple[sa.Row[Any], Certificate | Document]] = []
    for result in results:
        case = waiting.pop(result["spki"], None)
        if case is None:
            raise Refusal("wrong-answer", "the CA answered for a key that was not asked for")
        if "certificate" not in result:
            taken.append((case, result))
            continue
        certificate = Certificate.read(wire.unb64u(result["certificate"]))
        _check(certificate, chain[0], approved[case.id])
        taken.append((case, certificate))
    _keep(office, n, taken, b"".join(one.pem for one in chain), sent)
    if waiting:
        raise Refusal("wrong-answer", "the CA did not answer for every key", missing=len(waiting))


def _check(certificate: Certificate, ca: Certificate, said: Mapping[str, Any]) -> None:
    """Raise :class:`Refusal` ``wrong-certificate`` unless the CA certified what was approved."""
    slices = certificate.slices
    signed = slices.signature is not None and good(
        ca.public_key, slices.algorithm, slices.signature, slices.tbs, ca.spki
    )
    key = wire.b64u(hashlib.sha256(certificate.spki).digest())
    if not signed or key != said["spki"] or not set(said["names"]) <= _names(certificate):
        raise Refusal("wrong-certificate", "the certificate is not what was approved", case=said["case"])


def _names(certificate: Certificate) -> set[str]:
    """Every name in it."""
    try:
        extension = certificate.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(one.value) for one in extension.value}


def _keep(
    office: Office,
    n: int,
    taken: Sequence[tuple[sa.Row[Any], Certificate | Document]],
    chain: bytes,
    sent: Sent,
) -> None:
    """Commit certificates and refusals with their events."""
    now = office.now()
    with office.database.transaction() as connection:
        if chain and store.setting(connection, "chain") != chain:
            store.set_setting(connection, "chain", chain)
        for before, result in taken:
            case = store.case(connection, before.id)
            if case is None or case.state != "ordered":
                continue  # another process was faster
            if isinstance(result, Certificate):
                state = follow(case.state, "certified")
                serial = f"{result.serial:x}"
                store.change_case(
                    connection,
                    case.n,
                    state=state,
                    serial=serial,
                    certificate=result.der,
                    rule="",
                    message="",
                )
                facts = {"case": case.id, "name": case.name, "serial": serial, "certificate": result.id}
                office.event(connection, "case.certified", now, {**facts, "approval": n})
                sent.certified += 1
            else:
                rule, message = result["rule"], result.get("message", "")
                state = follow(case.state, "declined")
                store.change_case(connection, case.n, state=state, approval=None, rule=rule, message=message)
                office.event(connection, "case.declined", now, {"case": case.id, "rule": rule}, "refused")
                sent.declined += 1


def _note(office: Office, n: int, refusal: Refusal) -> None:
    """Keep why the CA, or what it answered, was refused: once for each rule."""
    now = office.now()
    with office.database.transaction() as connection:
        row = store.approval_numbered(connection, n)
        if row is not None and row.rule != refusal.rule:
            store.change_approval(connection, n, rule=refusal.rule)
            office.event(connection, "refused", now, {"approval": n, "rule": refusal.rule}, "refused")


def _finish(office: Office, n: int) -> None:
    """An approval is done when none of its cases waits."""
    with office.database.transaction() as connection:
        rows = store.cases_of(connection, n)
        if not any(row.state in {"approved", "ordered"} for row in rows):
            store.change_approval(connection, n, state="done", rule="")
