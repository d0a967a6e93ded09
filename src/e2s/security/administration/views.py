"""What officers are shown of their domain: read from the registers, the records and the policies."""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.security.administration import answers, policies, store
from e2s.security.administration.book_tables import ENTRY
from e2s.security.administration.desk import Desk
from e2s.security.administration.effects import effect
from e2s.security.administration.officers import KNOWN
from e2s.security.enrolment import deciding
from e2s.security.pki.rights import DUTIES, mixed
from e2s.security.pki.store import instant, seconds
from e2s.security.registration import store as registration
from e2s.security.registration.service import shown_case, summary

#: The most that is listed at once.
MOST: Final = 1000
_E = ENTRY.c


# ---------------------------------------------------------------- registration
def cases(desk: Desk, *, state: str = "", most: int = 200) -> answers.Cases:
    """The newest cases, of a state where given."""
    with desk.office.database.reading() as connection:
        rows = registration.cases(connection, state=state, most=min(most, MOST))
    return answers.Cases(cases=[_case(row) for row in rows])


def case(desk: Desk, ident: str) -> answers.Case:
    """A case with what was seen; raises :class:`Refusal` ``no-such-case``."""
    shown = shown_case(desk.office, ident)
    return answers.Case(case=shown["case"], state=shown["state"], shown=shown)


def approvals(desk: Desk) -> answers.Approvals:
    """The approvals that wait for a second officer."""
    with desk.office.database.reading() as connection:
        rows = registration.approvals(connection, "once", MOST)
        found = [
            answers.ApprovalLine(
                approval=row.n,
                officer=row.officer,
                orders=row.orders,
                until=row.until,
                cases=[_case(one) for one in registration.cases_of(connection, row.n)[:MOST]],
            )
            for row in rows
        ]
    return answers.Approvals(approvals=found)


def _case(row: Any) -> answers.CaseLine:
    return answers.CaseLine(**summary(row))


def requests(desk: Desk) -> answers.Requests:
    """Requests for enrolment that wait; none where nobody enrols here."""
    if desk.enrolment is None:
        return answers.Requests(requests=[])
    rows = deciding.waiting(desk.enrolment)[:MOST]
    return answers.Requests(
        requests=[
            answers.RequestLine(
                request=row.case,
                door=row.door,
                profile=row.profile,
                names=json.loads(row.names),
                confidence=row.confidence,
                officer=row.officer,
                at=row.at,
            )
            for row in rows
        ]
    )


# ---------------------------------------------------------------- certificates
def certificates(
    desk: Desk, *, name: str = "", state: str = "", after: int = 0, most: int = 200
) -> answers.Certificates:
    """Certificates in the order of issue: whose name or serial begins so, of a state where given."""
    desk.book.follow()
    now, most = seconds(desk.now()), min(most, MOST)
    chosen = sa.select(ENTRY).where(_E.id > after).order_by(_E.id).limit(most + 1)
    if name:
        chosen = chosen.where(sa.or_(_begins(_E.name, name), _begins(_E.serial, name.lower())))
    if state == "expired":
        chosen = chosen.where(_E.not_after < now, _E.state != "revoked")
    elif state:
        chosen = chosen.where(_E.state == state)
        if state != "revoked":
            chosen = chosen.where(_E.not_after >= now)
    with desk.book.database.reading() as connection:
        rows = list(connection.execute(chosen))
    lines = [_line(row, now) for row in rows[:most]]
    return answers.Certificates(certificates=lines, next=lines[-1].id if len(rows) > most else 0)


def certificate(desk: Desk, serial: str) -> answers.Certificate:
    """One certificate; raises :class:`Refusal` ``no-such-certificate``."""
    desk.book.follow()
    with desk.book.database.reading() as connection:
        row = connection.execute(sa.select(ENTRY).where(_E.serial == serial)).first()
        if row is None:
            raise Refusal("no-such-certificate", "this CA issued no certificate of this serial")
        same = sa.select(_E.serial).where(_E.spki == row.spki, _E.id != row.id).limit(MOST)
        others = list(connection.execute(same).scalars())
    size = f"-{row.bits}" if row.bits else ""
    return answers.Certificate(
        line=_line(row, seconds(desk.now())),
        reason=row.reason,
        since=format_instant(instant(row.since)) if row.since else "",
        key=f"{row.key}{size}",
        hash=row.hash,
        same_key=others,
    )


def _begins(column: Any, text: str) -> Any:
    """That a column begins with a text, by its index: between it and what comes next."""
    return sa.and_(column >= text, column < text + "\U0010ffff")


def _line(row: Any, now: int) -> answers.CertificateLine:
    over = row.not_after < now and row.state != "revoked"
    return answers.CertificateLine(
        id=row.id,
        serial=row.serial,
        profile=row.profile,
        name=row.name,
        begins=format_instant(instant(row.not_before)),
        until=format_instant(instant(row.not_after)),
        state="expired" if over else row.state,
        case=row.case,
    )


# ---------------------------------------------------------------- policies
def policies_(desk: Desk) -> answers.Policies:
    """The policies that there are, and which version of each stands."""
    found = []
    for subject in desk.subjects.values():
        policies.standing(desk, subject)
        with desk.database.reading() as connection:
            row = store.newest(connection, subject.name)
        found.append(
            answers.PolicyLine(
                policy=subject.name,
                title=subject.title,
                officers=subject.eyes,
                version=row.number if row is not None else 0,
                digest=row.digest if row is not None else "",
                at=row.at if row is not None else "",
            )
        )
    return answers.Policies(policies=found)


def policy(desk: Desk, name: str, version: int = 0) -> answers.Policy:
    """What a policy says, or said in a version; raises ``no-such-policy`` or ``no-such-version``."""
    subject = desk.subject(name)
    policies.standing(desk, subject)
    octets = policies.back_to(desk, name, version) if version else subject.octets()
    with desk.database.reading() as connection:
        rows = store.versions(connection, name, MOST)
    return answers.Policy(
        policy=name,
        content=octets.decode("utf-8", "replace"),
        versions=[
            answers.VersionLine(
                version=row.number, at=row.at, officers=row.officers, why=row.why, digest=row.digest
            )
            for row in rows
        ],
    )


def would(desk: Desk, name: str, content: bytes) -> answers.Effect:
    """What a text would change, or why its reader refuses it; raises ``no-such-policy``."""
    desk.subject(name)
    desk.book.follow()
    return _effect(desk, name, content)


def proposals(desk: Desk, *, state: str = "", most: int = 200) -> answers.Proposals:
    """The newest proposals."""
    with desk.database.reading() as connection:
        rows = store.proposals(connection, state=state, most=min(most, MOST))
    return answers.Proposals(proposals=[_proposal(row) for row in rows])


def proposal(desk: Desk, number: int) -> answers.Proposal:
    """One proposal; raises :class:`Refusal` ``no-such-proposal``.

    One that waits is compared with what stands, another with the version that it was proposed for.
    """
    with desk.database.reading() as connection:
        row = store.proposal(connection, number)
        if row is None:
            raise Refusal("no-such-proposal", "there is no such proposal", proposal=number)
        versions = store.versions(connection, row.subject, MOST)
    before = None
    if row.state != "waiting":
        before = next((bytes(one.octets) for one in versions if one.digest == row.base), None)
    return answers.Proposal(
        line=_proposal(row),
        content=bytes(row.octets).decode("utf-8", "replace"),
        effect=_effect(desk, row.subject, bytes(row.octets), before),
    )


def _proposal(row: Any) -> answers.ProposalLine:
    return answers.ProposalLine(
        proposal=row.n,
        policy=row.subject,
        state=row.state,
        officer=row.officer,
        at=row.at,
        why=row.why,
        decider=row.decider,
        decided=row.decided,
    )


def _effect(desk: Desk, name: str, content: bytes, before: bytes | None = None) -> answers.Effect:
    try:
        found = effect(desk, name, content, before)
    except Refusal as refusal:
        return answers.Effect(lines=[], values=[], concerns=[], refused=str(refusal))
    values = [answers.Value(place=place, now=now, then=then) for place, now, then in found.values]
    return answers.Effect(lines=list(found.lines), values=values, concerns=list(found.concerns), refused="")


# ---------------------------------------------------------------- officers and ceremonies
def officers(desk: Desk) -> answers.Officers:
    """The officers of this domain, their rights and duties."""
    newest = desk.chain().newest
    held: dict[str, set[str]] = {}
    for name, right, context in newest.rights:
        if context == desk.office.ca:
            held.setdefault(name, set()).add(right)
    both = {name for name, context, _, _ in mixed(newest.rights) if context == desk.office.ca}
    found = [
        answers.OfficerLine(
            officer=name,
            rights=sorted(some),
            duties=[duty for duty, rights in DUTIES.items() if rights & some],
            mixed=name in both,
        )
        for name, some in sorted(held.items())
    ]
    return answers.Officers(officers=found, record=newest.number)


def ceremonies(desk: Desk) -> answers.Ceremonies:
    """The ceremonies, each record verified; raises :class:`Refusal` ``bad-ceremony``, ``ceremony-cut``..."""
    chain = desk.chain()
    found = [
        answers.Ceremony(
            number=one.number,
            act=one.act,
            at=format_instant(one.at),
            officer=one.officer,
            present=list(one.present),
            signed=[" ".join(filter(None, (item.kind, item.name, item.detail))) for item in one.items],
            note=one.note,
            digest=one.digest,
        )
        for one in reversed(chain.records)
    ]
    return answers.Ceremonies(ceremonies=found, head=chain.head)


def rights_of(desk: Desk, officer: str) -> list[str]:
    """The rights that an officer may use in this domain."""
    return [right for right in KNOWN if desk.holds(officer, right)]
