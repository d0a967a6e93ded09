"""``e2s escrow transcript``, ``verify`` and ``compare``: what others can check without the vault."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.escrow_home import At, Case, Json, PhraseFile, VaultPhrase, opened, own
from e2s.cli.report import document, say, table
from e2s.security.escrow.comparing import (
    TRUST,
    Stated,
    check_agreement,
    differences,
    read_statement,
    shortfalls,
    trust_document,
)
from e2s.security.escrow.home import terms_in
from e2s.security.escrow.judging import judge_transcript
from e2s.security.escrow.policy import shipped
from e2s.security.escrow.transcript import transcript as whole
from e2s.security.escrow.words import read
from e2s.security.keys.durable import replace_file

Root = Annotated[
    list[Path], typer.Option("--trust", metavar="FILE", help="A root's certificate that you trust (again).")
]


def transcript(
    case: Case,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes.")],
    home: At = Path(),
    vault_phrase_file: VaultPhrase = None,
) -> None:
    """Write all of a case into one file that others check off-line: no share and no key is in it."""
    with opened(home, vault_phrase_file) as vault:
        octets = whole(vault, case)
    replace_file(out, octets, 0o644)
    say(f"{out}  {len(octets)} octets")


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A transcript (e2s escrow transcript).")],
    trust: Root,
    as_json: Json = False,
) -> None:
    """Judge a case's transcript by the root alone: say what it proves, or which rule was broken."""
    anchors = [one for path in trust for one in files.certificates(path)]
    found = judge_transcript(files.read(file), anchors)
    if as_json:
        document(vars(found))
        return
    say(f"good: case {found.case} is {found.state}, under policy {found.policy}")
    shown = {
        "number": found.number,
        "basis": found.basis,
        "keys of": found.holder,
        "keys": " ".join(found.certificates),
        "opened": f"{found.opened} by {found.requester}",
        "approved by": " ".join(found.officers),
        "released": found.released,
        "recipient": found.recipient,
        "received": found.received,
    }
    for name, value in shown.items():
        if value:
            say(f"{name + ':':<12} {value}")


def compare(
    ours: Annotated[Path, typer.Argument(metavar="OURS", help="Our policy (e2s escrow policy --out).")],
    theirs: Annotated[Path, typer.Argument(metavar="THEIRS", help="The other party's.")],
    trust: Root,
    home: Annotated[
        Path | None, typer.Option("--home", metavar="DIR", help="A home whose policy.toml has our minimum.")
    ] = None,
    pse: Annotated[
        Path | None, typer.Option("--pse", metavar="FILE", help="Your own PSE, to sign that we trust theirs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where your word goes, if it is acceptable.")
    ] = None,
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, help="How long it holds.")] = 365,
    agreement: Annotated[
        list[Path] | None,
        typer.Option("--agreement", metavar="FILE", help="Check what both signed: one file of each side."),
    ] = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Compare two escrows' policies rule by rule; status 1 where theirs is below our minimum.

    With --pse and --out you sign for our side; with --agreement twice, the words of both are checked.
    """
    anchors = [one for path in trust for one in files.certificates(path)]
    mine, other = (read_statement(files.read(path), anchors) for path in (ours, theirs))
    unlike = differences(mine.policy, other.policy)
    minimum = (terms_in(home) if home else shipped()).minimum
    short = shortfalls(mine.policy, other.policy, minimum)
    if as_json:
        told = {"acceptable": not short, "differences": [vars(one) for one in unlike]}
        document({**told, "shortfalls": [vars(one) for one in short]})
    else:
        if unlike:
            table(("rule", "ours", "theirs"), [(one.rule, one.ours, one.theirs) for one in unlike])
        for fault in short:
            say(f"below our minimum: {fault.rule}: {fault.sentence}")
        say("not acceptable" if short else "acceptable")
    if short:
        raise typer.Exit(1)
    if agreement:
        words = [read(files.read(path), TRUST) for path in agreement]
        check_agreement(words, (mine, other), anchors, SystemClock().now())
        say("both have signed")
    elif pse is not None or out is not None:
        _sign(pse, out, phrase_file, (mine, other), days)


def _sign(
    pse: Path | None, out: Path | None, phrase_file: Path | None, sides: tuple[Stated, Stated], days: int
) -> None:
    if pse is None or out is None:
        raise Misuse("what-for", "say --pse and --out: who signs, and where her word goes")
    now = SystemClock().now()
    with own(pse, phrase_file) as me:
        said = trust_document(*sides, me.name, now, now + timedelta(days=days))
        replace_file(out, me.sign()(said), 0o644)
    say(f"{out}  signed as {said['officer']}")
