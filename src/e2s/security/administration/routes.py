"""What officers read by the interface: cases, certificates, reports, officers, ceremonies, requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Final, TypeAlias

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, PathParameter, QueryParameter, SkipValidation
from litestar.response import Stream

from e2s.base.instants import format_instant
from e2s.security.administration import answers, asked, views
from e2s.security.administration.answers import Problem
from e2s.security.administration.desk import Desk
from e2s.security.administration.logins import Logins, Session
from e2s.security.administration.problems import MEDIA_TYPE, STATUSES
from e2s.security.administration.reports import REPORTS, Scope, counts
from e2s.security.administration.sheets import lines, page
from e2s.security.pki.rights import RIGHTS

#: What the application gives each path: they are ours, and not read from a request.
Here: TypeAlias = SkipValidation[NamedDependency[Desk]]
Known: TypeAlias = SkipValidation[NamedDependency[Session]]
Doors: TypeAlias = SkipValidation[NamedDependency[Logins]]

CASES: Final = (RIGHTS.register, RIGHTS.approve, RIGHTS.audit)
CERTIFICATES: Final = (RIGHTS.register, RIGHTS.approve, RIGHTS.revoke, RIGHTS.audit)
POLICIES: Final = (RIGHTS.policy, RIGHTS.officers, RIGHTS.audit)

_MOST: Final = QueryParameter(ge=1, le=views.MOST, description="At most so many.")
_AFTER: Final = QueryParameter(ge=0, le=2**53 - 1, description="Go on behind this place.")
_CASE: Final = PathParameter(pattern=r"^[a-z0-9-]{1,64}$", max_length=64)
_SERIAL: Final = PathParameter(pattern=r"^[1-9a-f][0-9a-f]{0,39}$", max_length=40)
_STATE: Final = QueryParameter(name="state")
_DAYS: Final = QueryParameter(ge=0, le=36_500, description="How many days the report means.")


def problems() -> Mapping[int, ResponseSpec]:
    """Every refusal, as each path may answer."""
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description="A refusal, by its rule.", media_type=MEDIA_TYPE
        )
        for status in STATUSES
    }


def reading(path: str, *rights: str, **more: Any) -> get:
    """A path that is read by who holds one of the rights; by whoever is logged in, where none is said."""
    return get(path, rights=rights, responses=problems(), sync_to_thread=True, **more)


@reading("/v1/me")
def me(desk: Here, session: Known) -> answers.Me:
    """Who is logged in, with which rights."""
    return me_of(desk, session)


@reading("/v1/cases", *CASES)
def cases(
    desk: Here,
    session: Known,
    now: Annotated[asked.CaseState | None, _STATE] = None,
    most: Annotated[int, _MOST] = 200,
) -> answers.Cases:
    """The newest cases of registration."""
    _noted(desk, session, "cases", now or "")
    return views.cases(desk, state=now or "", most=most)


@reading("/v1/cases/{case:str}", *CASES)
def case(desk: Here, session: Known, case: Annotated[str, _CASE]) -> answers.Case:
    """A case, with what was seen."""
    _noted(desk, session, "case", case)
    return views.case(desk, case)


@reading("/v1/approvals", *CASES)
def approvals(desk: Here, session: Known) -> answers.Approvals:
    """Approvals that wait for a second officer."""
    _noted(desk, session, "approvals")
    return views.approvals(desk)


@reading("/v1/requests", *CASES)
def requests(desk: Here, session: Known) -> answers.Requests:
    """Requests for enrolment that wait for an officer."""
    _noted(desk, session, "requests")
    return views.requests(desk)


@reading("/v1/certificates", *CERTIFICATES)
def certificates(
    desk: Here,
    session: Known,
    name: Annotated[str, QueryParameter(max_length=255, description="How name or serial begin.")] = "",
    now: Annotated[asked.CertificateState | None, _STATE] = None,
    after: Annotated[int, _AFTER] = 0,
    most: Annotated[int, _MOST] = 200,
) -> answers.Certificates:
    """Certificates in the order of issue."""
    _noted(desk, session, "certificates", name)
    return views.certificates(desk, name=name, state=now or "", after=after, most=most)


@reading("/v1/certificates/{serial:str}", *CERTIFICATES)
def certificate(desk: Here, session: Known, serial: Annotated[str, _SERIAL]) -> answers.Certificate:
    """One certificate, and others of its key."""
    _noted(desk, session, "certificate", serial)
    return views.certificate(desk, serial)


@reading("/v1/reports", *CERTIFICATES)
def reports(desk: Here, session: Known) -> answers.Reports:
    """The reports that there are, and how many certificates are in each state."""
    del session
    desk.book.follow()
    return answers.Reports(
        reports=[answers.ReportLine(report=name, finds=finds) for name, finds in REPORTS.items()],
        counts=dict(counts(desk.sources, desk.now())),
    )


@reading("/v1/reports/{kind:str}", *CERTIFICATES)
def report(
    desk: Here,
    session: Known,
    kind: FromPath[asked.ReportKind],
    days: Annotated[int, _DAYS] = 30,
    by: FromQuery[date | None] = None,
    after: Annotated[int, _AFTER] = 0,
    most: Annotated[int, _MOST] = 200,
) -> answers.Report:
    """A report's findings."""
    _noted(desk, session, "report", kind)
    return page(desk, kind, Scope(at=desk.now(), days=days, by=by, after=after), most)


@reading("/v1/reports/{kind:str}/csv", *CERTIFICATES, media_type="text/csv")
def report_csv(
    desk: Here,
    session: Known,
    kind: FromPath[asked.ReportKind],
    days: Annotated[int, _DAYS] = 30,
    by: FromQuery[date | None] = None,
) -> Stream:
    """A report whole, as comma-separated values."""
    _noted(desk, session, "report", kind)
    found: Iterator[str] = lines(desk, kind, Scope(at=desk.now(), days=days, by=by))
    return Stream(found, media_type="text/csv")


@reading("/v1/officers", *POLICIES)
def officers(desk: Here, session: Known) -> answers.Officers:
    """The officers of this domain, by the newest record."""
    del session
    return views.officers(desk)


@reading("/v1/ceremonies", *POLICIES)
def ceremonies(desk: Here, session: Known) -> answers.Ceremonies:
    """The ceremonies, each record verified."""
    del session
    return views.ceremonies(desk)


def me_of(desk: Desk, session: Session) -> answers.Me:
    """Who a session is of."""
    return answers.Me(
        officer=session.officer,
        community=desk.office.community,
        ca=desk.office.ca,
        rights=views.rights_of(desk, session.officer),
        until=format_instant(session.until),
    )


def _noted(desk: Desk, session: Session, what: str, which: str = "") -> None:
    """That somebody read what is about people is an event."""
    desk.told("admin.read", officer=session.officer, what=what, which=which[:64] or None)


HANDLERS: Final = (
    me,
    cases,
    case,
    approvals,
    requests,
    certificates,
    certificate,
    reports,
    report,
    report_csv,
    officers,
    ceremonies,
)
