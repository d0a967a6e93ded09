"""``e2s admin policy`` and ``profiles``: what they say, what a change would do, proposals, decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from e2s.base.errors import Misuse
from e2s.base.wire import Document
from e2s.cli import files
from e2s.cli.admin_home import (
    At,
    DryRun,
    Json,
    OfficerMaybe,
    PhraseFile,
    Yes,
    confirm,
    desk_in,
    officer_of,
)
from e2s.cli.report import document, say, table
from e2s.security.administration import answers, policies, views, words
from e2s.security.administration.desk import Desk
from e2s.security.registration import acts

Name = Annotated[
    str, typer.Argument(metavar="[POLICY]", help="registration, profiles, officers, enrolment; else all.")
]
Propose = Annotated[
    Path | None, typer.Option("--propose", metavar="FILE", help="Propose that the policy say this.")
]
Back = Annotated[int, typer.Option("--back", metavar="N", help="Propose what it said in version N.")]
Version = Annotated[int, typer.Option("--version", metavar="N", help="Show what it said in version N.")]
Approve = Annotated[int, typer.Option("--approve", metavar="N", help="Approve another officer's proposal.")]
Decline = Annotated[int, typer.Option("--decline", metavar="N", help="Decline a proposal.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the record.")]
History = Annotated[bool, typer.Option("--history", help="List versions and proposals.")]


def policy(  # noqa: PLR0913, PLR0917 - each is an option of the command
    name: Name = "",
    propose: Propose = None,
    back: Back = 0,
    approve: Approve = 0,
    decline: Decline = 0,
    version: Version = 0,
    history: History = False,
    why: Why = "",
    officer: OfficerMaybe = None,
    home: At = Path(),
    phrase_file: PhraseFile = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Show what a policy says, propose a change of it, or decide on another officer's proposal.

    What a change would do is shown before it is signed; --dry-run signs nothing.
    """
    with desk_in(home) as desk:
        if approve or decline:
            _decide(
                desk, approve, decline, why, officer, phrase_file, dry_run=dry_run, yes=yes, as_json=as_json
            )
        elif propose is not None or back:
            content = files.read(propose) if propose is not None else policies.back_to(desk, name, back)
            _propose(
                desk, name, content, why, officer, phrase_file, dry_run=dry_run, yes=yes, as_json=as_json
            )
        elif history:
            _history(desk, name, as_json=as_json)
        elif name:
            found = views.policy(desk, name, version)
            if as_json:
                document(msgspec.to_builtins(found))
            else:
                print(found.content, end="" if found.content.endswith("\n") else "\n")
        else:
            _list(desk, as_json=as_json)


def profiles(
    name: Annotated[str, typer.Argument(metavar="[PROFILE]")] = "", home: At = Path(), as_json: Json = False
) -> None:
    """List the profiles of certificates, or show one, as this domain's registration has them."""
    with desk_in(home) as desk:
        known = desk.office.profiles
        if name:
            known = {name: desk.office.profile(name)}
    rows = [
        {
            "profile": one.name,
            "use": one.use.value,
            "days": one.lifetime.days,
            "confidence": one.confidence or "",
            "officers": 2 if one.four_eyes else 1,
        }
        for one in known.values()
    ]
    if as_json:
        document(rows)
    else:
        table(
            ("profile", "use", "days", "confidence", "officers"),
            [tuple(map(str, one.values())) for one in rows],
        )


def _propose(
    desk: Desk,
    name: str,
    content: bytes,
    why: str,
    officer: Path | None,
    phrase_file: Path | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    found = views.would(desk, name, content)
    _say_effect(found, as_json=as_json and dry_run)
    if dry_run:
        if found.refused:
            raise typer.Exit(1)
        return
    if officer is None or not why:
        raise Misuse("what-for", "an --officer proposes, and says --why")
    with officer_of(officer, phrase_file) as signer:
        said = words.propose(desk, signer.certificate.name, name, content, why)
        confirm(f"Propose it as {signer.certificate.name}?", yes=yes)
        _told(policies.take(desk, acts.signed(said, signer)), as_json=as_json)


def _decide(
    desk: Desk,
    approve: int,
    decline: int,
    why: str,
    officer: Path | None,
    phrase_file: Path | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    if approve and decline:
        raise Misuse("two-acts", "approve or decline, one at a time")
    found = views.proposal(desk, approve or decline)
    line = found.line
    if not as_json:
        say(f"proposal {line.proposal} of {line.policy} by {line.officer}, {line.at}: {line.why}")
    _say_effect(found.effect, as_json=as_json and dry_run)
    if dry_run:
        return
    if officer is None:
        raise Misuse("what-for", "an --officer decides")
    with officer_of(officer, phrase_file) as signer:
        act = "approve" if approve else "decline"
        said = words.decide(desk, signer.certificate.name, approve or decline, act, why)
        confirm(f"{act.capitalize()} it as {signer.certificate.name}?", yes=yes)
        _told(policies.take(desk, acts.signed(said, signer)), as_json=as_json)


def _told(answer: Document, *, as_json: bool) -> None:
    if as_json:
        document(answer)
        return
    where = f", version {answer['version']}" if answer["version"] else ""
    next_ = "; a ceremony carries it out" if answer["policy"] == policies.OFFICERS else ""
    state = {"waiting": "waits for another officer", "approved": f"approved{where}{next_}"}
    say(f"proposal {answer['proposal']} of {answer['policy']}: {state.get(answer['state'], answer['state'])}")


def _say_effect(found: answers.Effect, *, as_json: bool) -> None:
    if as_json:
        document(msgspec.to_builtins(found))
        return
    if found.refused:
        say(f"refused: {found.refused}")
    for value in found.values:
        say(f"{value.place}: {value.now or 'nothing'} -> {value.then or 'nothing'}")
    for one in found.concerns:
        say(f"concerns {one}")


def _list(desk: Desk, *, as_json: bool) -> None:
    found = views.policies_(desk).policies
    if as_json:
        document(msgspec.to_builtins(found))
        return
    rows = [(one.policy, str(one.version), one.at, str(one.officers), one.title) for one in found]
    table(("policy", "version", "since", "officers", "says"), rows)
    waiting = views.proposals(desk, state="waiting").proposals
    for one in waiting:
        say(f"proposal {one.proposal} of {one.policy} by {one.officer} waits: {one.why}")


def _history(desk: Desk, name: str, *, as_json: bool) -> None:
    if not name:
        raise Misuse("what-for", "say whose history: e2s admin policy registration --history")
    found = views.policy(desk, name)
    proposed = [one for one in views.proposals(desk, most=views.MOST).proposals if one.policy == name]
    if as_json:
        document(
            {"versions": msgspec.to_builtins(found.versions), "proposals": msgspec.to_builtins(proposed)}
        )
        return
    table(
        ("version", "since", "by", "why"),
        [(str(one.version), one.at, one.officers, one.why) for one in found.versions],
    )
    for one in proposed:
        by = f" by {one.decider}" if one.decider else ""
        say(f"proposal {one.proposal} of {one.officer}: {one.state}{by}; {one.why}")
