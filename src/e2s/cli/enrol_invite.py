"""``e2s enrol invite``, ``invitations``, ``withdraw``: who may come to the doors."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.instants import SystemClock
from e2s.cli.ca_home import Folder, Json, Officer, PhraseFile, confirm, instant, write_new
from e2s.cli.ca_issue import Confidence
from e2s.cli.enrol_home import seen_office, unsealed
from e2s.cli.report import document, say, table
from e2s.security.enrolment import inviting, store
from e2s.security.enrolment.invitations import code_of


def invite(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="What for (e2s ca profiles).")],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Host, address, mail address or URN (again for more)."),
    ] = None,
    confidence: Annotated[
        Confidence | None, typer.Option("--confidence", help="The level at most; the policy's if left out.")
    ] = None,
    uses: Annotated[int, typer.Option("--uses", metavar="N", min=1, help="How often it may be used.")] = 1,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", min=1, help="How long it lasts; else as policy says.")
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Whom it is for, in words.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the code goes, for your eyes only.")
    ] = None,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Invite by a code that is good at every door; it is told once, here.

    It gives certificates of the profile, and of the agreement key beside it, under the names. An invitation
    for hosts without a name gives those that ACME proves. Hand the code over yourself, or by a way you trust.
    """
    until = SystemClock().now() + timedelta(days=days) if days else None
    with unsealed(folder, phrase_file, officer) as (office, acts):
        made, secret = inviting.invite(
            office,
            officer=acts,
            profile=profile,
            names=tuple(name or ()),
            confidence=confidence.value if confidence else "",
            uses=uses,
            until=until,
            title=title,
        )
    code = code_of(made.reference, secret)
    if out is not None:
        write_new(out, code.encode() + b"\n", private=True)
    if as_json:
        told = {"reference": made.reference, "profile": profile, "names": name or [], "uses": uses}
        document({**told, "until": instant(made.until), **({"file": str(out)} if out else {"code": code})})
        return
    say(f"reference    {made.reference}")
    say(f"until        {instant(made.until)}")
    say(f"code         {out or code}")


def invitations(folder: Folder, as_json: Json = False) -> None:
    """List invitations, the newest first: what they give, and how often they were used."""
    now = SystemClock().now()
    with seen_office(folder) as office, office.database.reading() as connection:
        found = store.invitations(connection)
    rows = [
        {
            "reference": one.reference,
            "state": "withdrawn" if one.withdrawn else "over" if now >= one.until else "good",
            "used": f"{used}/{one.uses}",
            "profile": one.profile,
            "names": list(one.names),
            "confidence": one.confidence,
            "until": instant(one.until),
            "officer": one.officer,
            "title": one.title,
        }
        for one, used in found
    ]
    if as_json:
        document(rows)
        return
    header = ("reference", "state", "used", "profile", "names", "until", "title")
    shown = [{**row, "names": " ".join(row["names"])} for row in rows]
    table(header, [[str(row[column]) for column in header] for row in shown])


def withdraw(
    folder: Folder,
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The invitation (e2s enrol invitations).")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
) -> None:
    """Take an invitation back; certificates that it led to stay (e2s ca revoke takes those)."""
    with unsealed(folder, phrase_file, officer) as (office, acts):
        confirm(f"Take invitation {reference} back?", yes=yes)
        inviting.take_back(office, reference, officer=acts)
    say(f"invitation {reference} is taken back")
