"""Reports on the certificates of one CA: a row for each finding, in the order of issue, streamed.

What each of them means is said by its line in :data:`REPORTS`; none of them decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.crypto.suites.policy import Policy, table
from e2s.security.administration.book_tables import ENTRY, MARK
from e2s.security.administration.registered import chunks, every_state, named, party, states
from e2s.security.administration.weakness import weak_hash, weak_key, weak_terms
from e2s.security.certificates.profile import Profile
from e2s.security.pki.store import instant, seconds
from e2s.security.registration.cases import ENDED

#: The most rows that are given at once, where who asks comes again for the next.
MOST: Final = 1000
_E = ENTRY.c


@dataclass(frozen=True, kw_only=True)
class Row:
    """One finding about one certificate; ``id`` is its place in the register."""

    id: int
    serial: str
    profile: str
    name: str
    until: str
    state: str
    case: str
    finding: str
    detail: str = ""


COLUMNS: Final = tuple(name for name in Row.__dataclass_fields__ if name != "id")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a report looks at: as of ``at``, ``days`` of each report's meaning, weak on the day ``by``.

    ``after`` is the certificate behind which it goes on; ``location`` that of the table of suites.
    """

    at: datetime
    days: int = 30
    by: date | None = None
    after: int = 0
    location: str = "*"
    suites: Policy = field(default_factory=table)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where reports read: the book, the registration's register, and what there is.

    ``enrolment`` has the requests of those who enrolled; ``names`` are those of components that were founded
    without a case; ``parties`` those that there are, or none where that is not known.
    """

    book: Database
    registration: Database
    profiles: Mapping[str, Profile]
    enrolment: Database | None = None
    names: frozenset[str] = frozenset()
    parties: frozenset[str] = frozenset()


def report(kind: str, sources: Sources, scope: Scope) -> Iterator[Row]:
    """The rows of a report; raises :class:`Refusal` ``no-such-report``."""
    make = _MAKERS.get(kind)
    if make is None:
        raise Refusal("no-such-report", f"the reports are {' '.join(REPORTS)}", report=kind[:64])
    return make(sources, scope)


def counts(sources: Sources, at: datetime) -> Mapping[str, int]:
    """How many certificates there are in each state, expired ones apart."""
    over = _E.not_after < seconds(at)
    state = sa.case((sa.and_(over, _E.state != "revoked"), "expired"), else_=_E.state)
    with sources.book.reading() as connection:
        found = connection.execute(sa.select(state, sa.func.count()).group_by(state))
        return {row[0]: row[1] for row in found}


def _live(scope: Scope) -> sa.Select[Any]:
    """Certificates that are neither revoked nor over, behind where the report goes on."""
    return (
        sa.select(ENTRY)
        .where(_E.id > scope.after, _E.state != "revoked", _E.not_after >= seconds(scope.at))
        .order_by(_E.id)
    )


def _row(entry: Any, finding: str, detail: str = "") -> Row:
    return Row(
        id=entry.id,
        serial=entry.serial,
        profile=entry.profile,
        name=entry.name,
        until=format_instant(instant(entry.not_after)),
        state=entry.state,
        case=entry.case,
        finding=finding,
        detail=detail,
    )


def _expiring(sources: Sources, scope: Scope) -> Iterator[Row]:
    until = scope.at + timedelta(days=scope.days)
    later = ENTRY.alias("later")
    renewed = (
        sa.exists()
        .where(
            later.c.name == _E.name,
            later.c.profile == _E.profile,
            later.c.id > _E.id,
            later.c.state != "revoked",
            later.c.not_after > _E.not_after,
        )
        .label("renewed")
    )
    chosen = _live(scope).add_columns(renewed).where(_E.not_after <= seconds(until))
    with sources.book.reading() as connection:
        for entry in connection.execute(chosen):
            left = (instant(entry.not_after) - scope.at).days
            finding = "renewed" if entry.renewed else "expiring"
            yield _row(entry, finding, f"{left} days left")


def _orphaned(sources: Sources, scope: Scope) -> Iterator[Row]:
    with sources.book.reading() as connection, sources.registration.reading() as registered:
        for chunk in chunks(connection.execute(_live(scope))):
            known_states = every_state(registered, sources.enrolment, chunk)
            names = named(registered, [entry.name for entry in chunk])
            for entry in chunk:
                finding = _orphan(entry, known_states, names, sources)
                if finding:
                    yield _row(entry, *finding)


def _orphan(
    entry: Any, states: Mapping[str, str], known: frozenset[str], sources: Sources
) -> tuple[str, str] | None:
    """Why nobody answers for a certificate."""
    whose = party(entry.name)
    if sources.parties and whose and whose not in sources.parties:
        return "party-unknown", f"there is no party {whose}"
    if entry.name in sources.names:
        return None
    if entry.case:
        state = states.get(entry.case)
        if state is None:
            return "case-unknown", "registration has no such case"
        return ("case-ended", f"the case is {state}") if state in ENDED else None
    if entry.name in known:
        return None
    return "no-registration", "certified without a case, under a name that registration does not know"


def _unused(sources: Sources, scope: Scope) -> Iterator[Row]:
    before = seconds(scope.at - timedelta(days=scope.days))
    later = ENTRY.alias("later")
    same = sa.and_(later.c.name == _E.name, later.c.profile == _E.profile, later.c.id > _E.id)
    chosen = _live(scope).where(
        _E.not_before <= before,
        ~sa.exists().where(same),
        ~sa.exists().where(MARK.c.spki == _E.spki),
    )
    with sources.book.reading() as connection, sources.registration.reading() as registered:
        for chunk in chunks(connection.execute(chosen)):
            known_states = states(registered, [entry.case for entry in chunk])
            for entry in chunk:
                state = known_states.get(entry.case, "")
                if state == "certified":
                    yield _row(entry, "not-delivered", "the holder was never given it")
                else:
                    yield _row(entry, "no-sign-of-use", "neither renewed nor signed with, on record here")


def _weak(sources: Sources, scope: Scope) -> Iterator[Row]:
    day = scope.by or scope.at.date()
    strengths = sa.select(_E.key, _E.bits, _E.hash, _E.agree).distinct()
    with sources.book.reading() as connection:
        judged = {
            (one.key, one.bits, one.hash, one.agree): _strength(one, scope, day)
            for one in connection.execute(strengths)
        }
        for entry in connection.execute(_live(scope)):
            found = judged[entry.key, entry.bits, entry.hash, entry.agree]
            terms = weak_terms(
                sources.profiles,
                profile=entry.profile,
                seconds=entry.not_after - entry.not_before,
                places=bool(entry.places),
            )
            every = (*found, *terms)
            if every:
                yield _row(entry, " ".join(rule for rule, _ in every), "; ".join(said for _, said in every))


def _strength(one: Any, scope: Scope, day: date) -> tuple[tuple[str, str], ...]:
    key = weak_key(scope.suites, scope.location, day, key=one.key, bits=one.bits, agree=bool(one.agree))
    hashing = weak_hash(scope.suites, scope.location, day, one.hash)
    return tuple((rule, said) for rule, said in (("key", key), ("signature", hashing)) if said)


def _held(sources: Sources, scope: Scope) -> Iterator[Row]:
    before = seconds(scope.at - timedelta(days=scope.days))
    chosen = _live(scope).where(_E.state == "held", _E.since <= before)
    with sources.book.reading() as connection:
        for entry in connection.execute(chosen):
            since = instant(entry.since)
            yield _row(entry, "held", f"since {format_instant(since)}, {(scope.at - since).days} days")


def _duplicates(sources: Sources, scope: Scope) -> Iterator[Row]:
    good = (_E.state != "revoked", _E.not_after >= seconds(scope.at))
    twice = sa.select(_E.spki).where(*good).group_by(_E.spki).having(sa.func.count() > 1)
    names = sa.select(sa.func.count(sa.distinct(_E.name))).where(*good)
    with sources.book.reading() as connection:
        for entry in connection.execute(_live(scope).where(_E.spki.in_(twice))):
            several = connection.execute(names.where(_E.spki == entry.spki)).scalar() or 0
            if several > 1:
                yield _row(entry, "other-name", f"the same key is certified for {several} names")
            else:
                yield _row(entry, "same-name", "the same key is certified again for this name")


_Maker = Callable[[Sources, Scope], Iterator[Row]]
_MAKERS: Final[Mapping[str, _Maker]] = MappingProxyType(
    {
        "expiring": _expiring,
        "orphaned": _orphaned,
        "unused": _unused,
        "weak": _weak,
        "held": _held,
        "duplicates": _duplicates,
    }
)
#: Each report in one line.
REPORTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "expiring": "ends within so many days; renewed: a later one of its name and profile is there",
        "orphaned": "registration has no case, or an ended one, or nobody of the name",
        "unused": "issued so many days ago, and nothing on record shows that anybody has it or used it",
        "weak": "key, signature, lifetime or missing revocation place below policy, now or by a day",
        "held": "suspended for more than so many days",
        "duplicates": "one key in several certificates that are good",
    }
)
assert set(_MAKERS) == set(REPORTS)  # noqa: S101 - one table is the other's
__all__ = ["COLUMNS", "MOST", "REPORTS", "Row", "Scope", "Sources", "counts", "report"]
