"""Certificates are revoked, held and released for an officer's signed word, or but for release the holder's.

The word waits in the register until the CA has answered; it is sent again until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.errors import Refusal, Unreachable
from e2s.base.instants import format_instant, parse_instant
from e2s.base.wire import Document
from e2s.crypto.certificates import Certificate
from e2s.security.pki.approvals import WITHDRAWAL
from e2s.security.pki.ca import RIGHTS
from e2s.security.pki.service import REVOKE
from e2s.security.registration import store
from e2s.security.registration.cases import follow
from e2s.security.registration.documents import (
    Word,
    read_withdrawn,
    read_word,
    write_withdraw,
)
from e2s.security.registration.office import Office
from e2s.security.registration.ordering import Ask

_FORMS: Final = {WITHDRAWAL.type: WITHDRAWAL}
_VALID: Final = timedelta(days=14)
#: RFC 5280, 5.3.1; what remains is not for a holder's certificate.
REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
)


@dataclass(kw_only=True)
class Withdrawn:
    """What became of withdrawals."""

    done: int = 0
    declined: int = 0
    waiting: int = 0
    why: str = ""


def withdrawal_document(
    office: Office,
    officer: str,
    serial: int,
    act: str,
    reason: str = "",
    *,
    invalidity: datetime | None = None,
) -> Document:
    """The document that asks the CA to ``revoke``, ``hold`` or ``release`` a certificate, to be signed now.

    Raises :class:`Refusal` ``bad-reason``.
    """
    if (act == "revoke") != (reason in REASONS) or (act != "revoke" and (reason or invalidity)):
        raise Refusal("bad-reason", f"a revocation has one of the reasons {' '.join(REASONS)}", reason=reason)
    now = office.now()
    with office.database.reading() as connection:
        row = store.case_of_serial(connection, f"{serial:x}")
    document: Document = {
        "type": WITHDRAWAL.type,
        "community": office.community,
        "ca": office.ca,
        "case": row.id if row is not None else "",
        "serial": f"{serial:x}",
        "act": act,
        "reason": reason,
        "officer": officer,
        "at": format_instant(now),
        "until": format_instant(now + _VALID),
    }
    if invalidity is not None:
        document["invalidity"] = format_instant(invalidity)
    return document


def take_withdrawal(office: Office, octets: bytes) -> Document:
    """Take a signed withdrawal; it waits for the CA.  Gives ``serial``, ``act`` and ``state``.

    Raises :class:`Refusal` of the word, ``not-authorised``, ``not-the-holder``, ``holder-cannot-release``.
    """
    word = read_word(octets, _FORMS)
    with office.database.reading() as connection:
        known = store.withdrawal(connection, word.digest)
        serial = word.document["serial"]
        row = store.case_of_serial(connection, serial)
    if known is not None:
        return _answer(known)
    holders = row is not None and word.certificate.der == row.certificate
    now = _check_holder(office, word) if holders else office.check_word(word, RIGHTS.revoke)
    with office.database.transaction() as connection:
        if store.withdrawal(connection, word.digest) is None:
            values = {
                "digest": word.digest,
                "state": "waiting",
                "serial": serial,
                "act": word.document["act"],
                "officer": word.officer,
                "at": word.document["at"],
                "octets": octets,
            }
            store.add_withdrawal(connection, values)
            facts = {"serial": serial, "act": word.document["act"], "officer": word.officer}
            office.event(connection, "withdrawal.asked", now, {**facts, "reason": word.document["reason"]})
        return _answer(store.withdrawal(connection, word.digest))


def send_withdrawals(office: Office, ask: Ask) -> Withdrawn:
    """Send every withdrawal that waits; never raises for an absent CA: they wait on."""
    found = Withdrawn()
    with office.database.reading() as connection:
        rows = store.withdrawals(connection, "waiting", 10_000)
    for number, row in enumerate(rows):
        try:
            answer = read_withdrawn(ask(REVOKE, write_withdraw(row.octets)))
            if (answer["serial"], answer["act"]) != (row.serial, row.act):
                raise Refusal("wrong-answer", "the CA answered for another certificate")
        except Unreachable as error:
            found.waiting, found.why = found.waiting + 1, str(error)
            if error.rule != "order-waits":
                found.waiting += len(rows) - number - 1
                break
        except Refusal as refusal:
            _decline(office, row, refusal)
            found.declined, found.why = found.declined + 1, str(refusal)
        else:
            _done(office, row, answer)
            found.done += 1
    return found


def _check_holder(office: Office, word: Word) -> datetime:
    """Raise unless the holder may say this with the key to be withdrawn; gives now.

    Her certificate needs no path here: that it is the very one that the CA gave her is known.
    """
    now = office.now()
    if (word.document["community"], word.document["ca"]) != (office.community, office.ca):
        raise Refusal("other-ca", "the word is for another CA", ca=word.document["ca"])
    if word.officer != word.certificate.name and word.officer not in word.certificate.dns:
        raise Refusal("not-the-holder", "the word names another than its signer", officer=word.officer)
    if word.document["act"] == "release":
        raise Refusal("holder-cannot-release", "whoever has the key could release it: an officer does")
    if not now - _VALID <= parse_instant(word.document["at"]) or now >= parse_instant(word.document["until"]):
        raise Refusal("stale-word", "the word was signed too long ago")
    return now


def _done(office: Office, row: sa.Row[Any], answer: Document) -> None:
    now = office.now()
    with office.database.transaction() as connection:
        store.change_withdrawal(connection, row.n, state="done", done_at=answer["at"], rule="")
        case = store.case_of_serial(connection, row.serial)
        if case is not None and row.act == "revoke" and case.state in {"certified", "delivered"}:
            store.change_case(connection, case.n, state=follow(case.state, "revoked"))
        facts = {"serial": row.serial, "act": row.act, "officer": row.officer, "since": answer["at"]}
        office.event(connection, "withdrawal.done", now, facts)


def _decline(office: Office, row: sa.Row[Any], refusal: Refusal) -> None:
    now = office.now()
    with office.database.transaction() as connection:
        store.change_withdrawal(connection, row.n, state="declined", rule=refusal.rule)
        facts = {"serial": row.serial, "act": row.act, "rule": refusal.rule}
        office.event(connection, "withdrawal.declined", now, facts, "refused")


def _answer(row: sa.Row[Any] | None) -> Document:
    if row is None:
        raise Refusal("no-such-withdrawal", "there is no such withdrawal")
    return {"serial": row.serial, "act": row.act, "state": row.state, "rule": row.rule}


def certificate_of(office: Office, case: str) -> Certificate:
    """The certificate of a case; raises :class:`Refusal` ``no-such-case``, ``not-certified``."""
    with office.database.reading() as connection:
        row = store.case(connection, case)
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=case)
    if row.certificate is None:
        raise Refusal("not-certified", "this case has no certificate", case=case, state=row.state)
    return Certificate.read(row.certificate)
