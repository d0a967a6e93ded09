"""``e2s enrol requests``, ``approve``, ``decline``: what waits for an officer, and her signed word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from e2s.cli.ca_home import Folder, Json, confirm
from e2s.cli.enrol_home import seen_office
from e2s.cli.ra_home import officer_of
from e2s.cli.report import document, say, table
from e2s.security.enrolment import deciding

Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The request (e2s enrol requests).")]
OfficerFolder = Annotated[
    Path, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key (e2s ra officer).")
]
OwnPhrase = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="Holds your pass phrase; else it is asked for."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")]


def requests(folder: Folder, as_json: Json = False) -> None:
    """List the requests that wait for an officer, the oldest first."""
    with seen_office(folder) as office:
        rows = [
            {
                "request": row.case,
                "at": row.at,
                "door": row.door,
                "profile": row.profile,
                "names": json.loads(row.names),
                "confidence": row.confidence,
                "by": row.who,
                "invited-by": row.officer,
            }
            for row in deciding.waiting(office)
        ]
    if as_json:
        document(rows)
    elif not rows:
        say("nothing waits for an officer")
    else:
        header = ("request", "at", "door", "profile", "names", "invited-by")
        shown = [{**row, "names": " ".join(row["names"])} for row in rows]
        table(header, [[str(row[column]) for column in header] for row in shown])


def approve(
    folder: Folder,
    request: Request,
    officer: OfficerFolder,
    phrase_file: OwnPhrase = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Say yes by your signature over what would be certified; another officer than who invited.

    The open CA (e2s enrol serve) certifies it then, and the holder gets it when she asks again.
    """
    _decide(folder, request, "approve", officer, phrase_file, "", yes=yes, as_json=as_json)


def decline(
    folder: Folder,
    request: Request,
    officer: OfficerFolder,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="What the holder is told.")] = "",
    phrase_file: OwnPhrase = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Say no by your signature; the invitation's use is given back."""
    _decide(folder, request, "decline", officer, phrase_file, why, yes=yes, as_json=as_json)


def _decide(
    folder: Path,
    request: str,
    decision: str,
    officer: Path,
    phrase_file: Path | None,
    why: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    with seen_office(folder) as office, officer_of(officer, phrase_file) as signer:
        said = deciding.decision_document(office, request, signer.certificate.name, decision, why)
        if not as_json:
            say(f"{said['request']}: {said['profile']} for {' '.join(said['names'])}, {said['confidence']}")
        confirm(f"Sign to {decision} it as {said['officer']}?", yes=yes)
        row = deciding.decide(office, deciding.sign_decision(said, signer))
    if as_json:
        document({"request": row.case, "state": row.state, "officer": row.decided_by})
    else:
        say(f"{row.case} is {'approved' if decision == 'approve' else 'declined'}")
