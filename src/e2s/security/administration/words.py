"""Whatever an officer signs is drafted here, shown before it is signed, and taken by the room it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.crypto.forms import Form
from e2s.security.administration import policies, views
from e2s.security.administration.desk import Desk
from e2s.security.administration.documents import FORMS
from e2s.security.administration.effects import Effect
from e2s.security.enrolment import deciding
from e2s.security.pki.approvals import APPROVAL, MAX_APPROVAL_BYTES, REGISTRATION, WITHDRAWAL
from e2s.security.pki.rights import RIGHTS
from e2s.security.registration import acts, approving, withdrawing
from e2s.security.registration.documents import CASE_FORMS, Word, read_word

#: Every document that is taken here.
TAKEN: Final[Mapping[str, Form]] = MappingProxyType(
    {
        **{form.type: form for form in (REGISTRATION, APPROVAL, WITHDRAWAL, deciding.DECISION)},
        **CASE_FORMS,
        **FORMS,
    }
)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """An officer's word that was taken: her name, its type, what became of it."""

    officer: str
    type: str
    answer: Document


def read(octets: bytes) -> Word:
    """The word, its signature good for the certificate within; who signed it is judged where it is taken."""
    return read_word(octets, TAKEN, max_bytes=MAX_APPROVAL_BYTES)


def take(desk: Desk, octets: bytes) -> Taken:
    """Take an officer's word, each by its own act; raises what that act raises."""
    word = read(octets)
    kind = word.document["type"]
    return Taken(officer=word.officer, type=kind, answer=_taker(kind)(desk, octets))


def _taker(kind: str) -> Callable[[Desk, bytes], Document]:
    if kind in FORMS:
        return policies.take
    if kind == deciding.DECISION.type:
        return _decided
    act = {
        REGISTRATION.type: approving.take_first,
        APPROVAL.type: approving.take_second,
        WITHDRAWAL.type: withdrawing.take_withdrawal,
    }.get(kind, acts.take)
    return lambda desk, octets: act(desk.office, octets)


def _decided(desk: Desk, octets: bytes) -> Document:
    row = deciding.decide(desk.enrolling, octets)
    return {"request": row.case, "state": row.state, "officer": row.decided_by}


# ---------------------------------------------------------------- drafts
def approve_cases(desk: Desk, officer: str, cases: list[str]) -> Document:
    """The first approval of cases."""
    _require(desk, officer, RIGHTS.register)
    return approving.draft(desk.office, cases, officer)


def countersign(desk: Desk, officer: str, approval: int) -> Document:
    """The second approval of what another officer approved."""
    _require(desk, officer, RIGHTS.approve)
    return approving.second_document(desk.office, approval, officer)


def refuse_case(desk: Desk, officer: str, case: str, why: str) -> Document:
    """The end of a case."""
    _require(desk, officer, RIGHTS.register)
    return acts.refuse_document(desk.office, officer, case, why)


def withdraw(
    desk: Desk, officer: str, serial: str, act: str, reason: str = "", invalidity: datetime | None = None
) -> Document:
    """A certificate's revocation, hold or release."""
    _require(desk, officer, RIGHTS.revoke)
    try:
        number = int(serial, 16)
    except ValueError as error:
        raise Refusal("no-such-certificate", "a serial is written in hexadecimal") from error
    return withdrawing.withdrawal_document(desk.office, officer, number, act, reason, invalidity=invalidity)


def withdrawing_of(
    desk: Desk, officer: str, serial: str, act: str, reason: str = ""
) -> tuple[Document, Effect]:
    """The same, with the certificate that it is about; raises ``no-such-certificate``, ``already-...``."""
    said = withdraw(desk, officer, serial, act, reason)
    found = views.certificate(desk, serial)
    line = found.line
    if (act, line.state) in _NO_PLACE:
        raise Refusal("out-of-order", f"the certificate is {line.state}", serial=serial)
    more = f"{len(found.same_key)} other certificates have the same key" if found.same_key else ""
    about = f"{line.name}, {line.profile}, {line.state}, until {line.until}"
    return said, Effect(lines=(), values=(), concerns=tuple(filter(None, (about, more))))


#: What is not done with a certificate in a state.
_NO_PLACE: Final = frozenset(
    {
        ("revoke", "revoked"),
        ("hold", "revoked"),
        ("release", "revoked"),
        ("hold", "held"),
        ("release", "good"),
        ("hold", "expired"),
        ("release", "expired"),
    }
)


def propose(desk: Desk, officer: str, policy: str, content: bytes, why: str) -> Document:
    """A change of a policy."""
    _require(desk, officer, policies.right_of(policy))
    return policies.propose(desk, officer, policy, content, why)


def decide(desk: Desk, officer: str, proposal: int, decision: str, why: str = "") -> Document:
    """The decision on a proposal."""
    _require(desk, officer, RIGHTS.policy, RIGHTS.officers)
    return policies.decide(desk, officer, proposal, decision, why)


def decide_request(desk: Desk, officer: str, request: str, decision: str, why: str = "") -> Document:
    """The decision on a request for enrolment."""
    _require(desk, officer, RIGHTS.approve)
    return deciding.decision_document(desk.enrolling, request, officer, decision, why)


def _require(desk: Desk, officer: str, *rights: str) -> None:
    """The officer may do what she is to sign; raises :class:`Refusal` ``not-authorised``..., an event."""
    desk.require(officer, *rights)
