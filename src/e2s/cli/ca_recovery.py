"""``e2s ca replace`` and ``recover-root``: what is done when a key is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.ca_founding import KeyLabel, Module, Suite, Token, where_of
from e2s.cli.ca_home import (
    DryRun,
    Folder,
    Json,
    Note,
    Officer,
    PhraseFile,
    Present,
    RootFolder,
    RootPhraseFile,
    Yes,
    confirm,
    in_register,
    new_phrase,
    officer_of,
    opened_root,
    setting,
)
from e2s.cli.ca_withdraw import REASONS, Reason
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say, table
from e2s.security.ceremonies.ceremony import Occasion, open_root
from e2s.security.ceremonies.recovery import Outcome
from e2s.security.ceremonies.rehearsal import rehearse
from e2s.security.ceremonies.replacing import REPORT, Replacing, replace_authority
from e2s.security.ceremonies.root_recovery import Branch, Recovering, lost_root, newest_records
from e2s.security.ceremonies.root_recovery import recover_root as recover
from e2s.security.ceremonies.standalone import look

_MOST_FAULTS = 20


def replace(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    old: Annotated[Path, typer.Option("--old", metavar="DIR", help="The folder of the lost CA.")],
    root_folder: RootFolder,
    reason: Annotated[
        Reason, typer.Option("--reason", metavar="REASON", help=f"Why it is revoked: {REASONS}.")
    ] = Reason.ca_compromise,
    officer: Officer = "",
    present: Present = None,
    note: Note = "",
    suite: Suite = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    phrase_file: PhraseFile = None,
    root_phrase_file: RootPhraseFile = None,
    as_json: Json = False,
) -> None:
    """Replace a CA whose key is lost or suspected by a new one in DIR, and certify again all that is valid.

    The root revokes the old CA and certifies the new one in one ceremony; the old register says what was
    valid, and its key is not needed.  After an interruption the same command goes on.
    """
    seen = look(old)
    _announce(f"replace {seen.component} ({seen.own.id})", [old], dry_run=dry_run, yes=yes)
    if dry_run:
        return
    with opened_root(root_folder, root_phrase_file) as root:
        phrase = new_phrase(phrase_file, seen.component)
        wanted = Replacing(
            old=seen,
            folder=folder,
            reason=reason.value,
            officer=officer_of(root, officer),
            occasion=Occasion(present=tuple(present or ()), note=note),
        )
        own = setting(suite=suite, where=where_of(module, token, key_label or f"{seen.component} new"))
        progress = _progress(as_json=as_json)
        outcomes = replace_authority(
            root, wanted, phrase, setting=own, tell=lambda done, whole: progress(seen.component, done, whole)
        )
    _report(outcomes, folder / REPORT, as_json=as_json)


def recover_root(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    old: Annotated[Path, typer.Option("--old", metavar="DIR", help="A folder with the lost root's records.")],
    ca: Annotated[list[Path], typer.Option("--ca", metavar="DIR", help="A CA beneath it (again for more).")],
    ca_phrase_file: Annotated[
        list[Path] | None,
        typer.Option("--ca-phrase-file", metavar="FILE", help="Of each CA, in the same order."),
    ] = None,
    rehearsal: Annotated[
        bool, typer.Option("--rehearse", help="Do it in DIR with other keys, and change nothing real.")
    ] = False,
    old_key: Annotated[
        bool, typer.Option("--old-key", help="The old root's key can be used: link the two, sign the anchor.")
    ] = False,
    officer: Officer = "",
    present: Present = None,
    note: Note = "",
    suite: Suite = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    phrase_file: PhraseFile = None,
    old_phrase_file: Annotated[
        Path | None,
        typer.Option("--old-phrase-file", metavar="FILE", help="Of the old root."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Found a new root in DIR in place of a lost one, and certify every CA and every certificate again.

    All keys beneath the root stay.  After an interruption the same command goes on.  Rehearse it once a year.
    """
    lost = newest_records(old, ca) if rehearsal or dry_run else lost_root(old, folder, ca)
    files = ca_phrase_file or []
    if files and len(files) != len(ca):
        raise Misuse("phrases-differ", "say one --ca-phrase-file for each --ca, or none")
    if not rehearsal or dry_run:
        _announce(f"found a new root in place of {lost.own.id}", ca, dry_run=dry_run, yes=yes)
    if dry_run:
        return
    branches = tuple(
        Branch(one, phrase_of(files[n] if files else None, f"Pass phrase of {one.name}"))
        for n, one in enumerate(ca)
    )
    own = setting(suite=suite, where=where_of(module, token, key_label or "root new"))
    progress = _progress(as_json=as_json)
    acting = officer_of(lost, officer)
    if rehearsal:
        rehearsed = rehearse(lost, folder, branches, officer=acting, setting=own, tell=progress)
        _report(rehearsed.outcomes, folder / REPORT, as_json=as_json, closed=rehearsed.closed)
        return
    phrase = new_phrase(phrase_file, "the new root")
    former = None
    if old_key:
        former = open_root(old, phrase_of(old_phrase_file, "Pass phrase of the old root"), setting=setting())
    try:
        wanted = Recovering(
            lost=lost,
            folder=folder,
            branches=branches,
            officer=acting,
            occasion=Occasion(present=tuple(present or ()), note=note),
            old=former,
        )
        outcomes = recover(wanted, phrase, setting=own, tell=progress)
    finally:
        if former is not None:
            former.close()
    _report(outcomes, folder / REPORT, as_json=as_json)


def _announce(what: str, folders: list[Path], *, dry_run: bool, yes: bool) -> None:
    """What is about to be done, and whether it is meant."""
    if dry_run or not yes:
        say(what)
        for folder in folders:
            good = sum(1 for each in in_register(folder) if each.state in {"good", "held"})
            say(f"{folder}: {good} certificates to be certified again")
    if dry_run:
        say("nothing was done")
        return
    confirm("Is this meant?", yes=yes)


def _progress(*, as_json: bool) -> Callable[[str, int, int], None]:
    """Tells how far it is: on a terminal in place, else nothing."""

    def told(component: str, done: int, whole: int) -> None:
        if not as_json and sys.stderr.isatty():
            end = "\n" if done == whole else ""
            print(f"\r{component}: {done} of {whole}", end=end, file=sys.stderr, flush=True)

    return told


def _report(
    outcomes: list[Outcome], path: Path, *, as_json: bool, closed: dict[str, str] | None = None
) -> None:
    """What was certified again and what could not be; status 1 where something could not."""
    faults = [one for one in outcomes if not one.new]
    if as_json:
        document(
            {
                "certified": len(outcomes) - len(faults),
                "not": [{"serial": one.old, "name": one.name, "rule": one.rule} for one in faults],
                "closed": closed or {},
                "report": str(path),
            }
        )
    else:
        say(f"{len(outcomes) - len(faults)} of {len(outcomes)} certified again; each in {path}")
        if faults:
            rows = [(one.old, one.name, one.rule) for one in faults[:_MOST_FAULTS]]
            table(("not certified", "name", "rule"), rows)
        for component, rule in (closed or {}).items():
            say(f"the key of {component} does not open: {rule}")
    if faults or closed:
        raise typer.Exit(1)
