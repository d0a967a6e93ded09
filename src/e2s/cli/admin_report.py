"""``e2s admin init``, ``report``, ``officers``, ``ceremonies`` and ``requests``: what there is."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from e2s.base.errors import Misuse
from e2s.cli.admin_home import At, Json, OfficerMaybe, PhraseFile, Yes, confirm, desk_in, officer_of
from e2s.cli.report import document, say, table
from e2s.security.administration import home as administration
from e2s.security.administration import views, words
from e2s.security.administration.reports import REPORTS, Scope, counts
from e2s.security.administration.sheets import lines, rows
from e2s.security.registration import acts


class Report(StrEnum):
    """The reports that there are."""

    expiring = "expiring"
    orphaned = "orphaned"
    unused = "unused"
    weak = "weak"
    held = "held"
    duplicates = "duplicates"


_SHOWN = ("finding", "profile", "name", "until", "serial", "detail")


def init(
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="DIR", help="The CA's folder, whose register is read.")
    ] = None,
    enrolment: Annotated[
        Path | None,
        typer.Option("--enrolment", metavar="DIR", help="Enrolment's folder; the CA's if left out."),
    ] = None,
    escrow: Annotated[
        Path | None,
        typer.Option("--escrow", metavar="DIR", help="An escrow's home, to show its policy."),
    ] = None,
    eyes: Annotated[
        int, typer.Option("--eyes", metavar="N", min=1, max=2, help="How many officers change a policy.")
    ] = 2,
    home: At = Path(),
    as_json: Json = False,
) -> None:
    """Set administration up beside a registration authority; said again, it changes the settings."""
    settings = administration.found(home, ca=ca, enrolment=enrolment, escrow=escrow, eyes=eyes)
    with desk_in(home) as desk:
        number = desk.book.follow()
    if as_json:
        document({"ca": str(settings.ca or ""), "changes": number})
        return
    say(f"administration of {home}: {number} changes of the CA's register read")


def report(
    kind: Annotated[
        Report | None, typer.Argument(metavar="[REPORT]", help=f"One of: {', '.join(REPORTS)}.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=0, help="How many days the report means.")
    ] = 30,
    by: Annotated[
        str, typer.Option("--by", metavar="DAY", help="weak: on which day (YYYY-MM-DD); now if left out.")
    ] = "",
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    home: At = Path(),
    as_json: Json = False,
) -> None:
    """Report on certificates; without a name, count them and say which reports there are."""
    with desk_in(home) as desk:
        if kind is None:
            desk.book.follow()
            _overview(dict(counts(desk.sources, desk.now())), as_json=as_json)
            return
        desk.told("admin.read", officer="", what="report", which=kind.value)
        scope = Scope(at=desk.now(), days=days, by=_day(by))
        if csv:
            for text in lines(desk, kind.value, scope):
                sys.stdout.write(text)
            return
        found = rows(desk, kind.value, scope)
        if as_json:
            for row in found:
                document(asdict(row))
            return
        shown = [tuple(getattr(row, name) for name in _SHOWN) for row in found]
    if shown:
        table(_SHOWN, shown)
    say(f"{len(shown)} found")


def officers(home: At = Path(), as_json: Json = False) -> None:
    """List the officers of this domain, their rights and duties, by the newest ceremony's record."""
    with desk_in(home) as desk:
        found = views.officers(desk)
    if as_json:
        document(msgspec.to_builtins(found))
        return
    table(
        ("officer", "rights", "duties"),
        [
            (one.officer, " ".join(one.rights), ", ".join(one.duties) + (" (mixed)" if one.mixed else ""))
            for one in found.officers
        ],
    )
    say(f"record {found.record}")


def ceremonies(home: At = Path(), as_json: Json = False) -> None:
    """Verify the ceremonies' records, and list them; compare the head with what was written down."""
    with desk_in(home) as desk:
        found = views.ceremonies(desk)
    if as_json:
        document(msgspec.to_builtins(found))
        return
    rows_ = [
        (str(one.number), one.at, one.act, one.officer, ", ".join(one.present)) for one in found.ceremonies
    ]
    table(("no", "held", "act", "by", "present"), rows_)
    say(f"{len(rows_)} records, each good; head {found.head}")


def requests(
    approve: Annotated[
        str, typer.Option("--approve", metavar="REQUEST", help="Approve one that waits.")
    ] = "",
    decline: Annotated[str, typer.Option("--decline", metavar="REQUEST", help="Decline one.")] = "",
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why it is declined.")] = "",
    officer: OfficerMaybe = None,
    home: At = Path(),
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """List the requests for enrolment that wait for an officer; approve or decline one."""
    with desk_in(home) as desk:
        if not approve and not decline:
            found = views.requests(desk).requests
            if as_json:
                document(msgspec.to_builtins(found))
                return
            for one in found:
                say(f"{one.request}  {one.profile}  {' '.join(one.names)}  by {one.door}, {one.at}")
            say(f"{len(found)} wait")
            return
        if officer is None or (approve and decline):
            raise Misuse("what-for", "an --officer approves or declines one request")
        with officer_of(officer, phrase_file) as signer:
            act = "approve" if approve else "decline"
            said = words.decide_request(desk, signer.certificate.name, approve or decline, act, why)
            say(f"{act} {said['request']}: {said['profile']}  {' '.join(said['names'])}")
            confirm("Sign it?", yes=yes)
            done = words.take(desk, acts.signed(said, signer))
    if as_json:
        document(done.answer)
    else:
        say(f"{done.answer['request']}: {done.answer['state']}")


def _overview(found: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        document({"counts": found, "reports": dict(REPORTS)})
        return
    say(", ".join(f"{number} {state}" for state, number in sorted(found.items())) or "no certificates")
    table(("report", "finds"), list(REPORTS.items()))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Misuse("bad-day", "write the day as 2030-01-31", given=text[:20]) from error
