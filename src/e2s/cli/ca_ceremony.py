"""``e2s ca officers`` and ``adopt``: who may act, and a newer certificate of a CA of one's own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli import files
from e2s.cli.ca_home import (
    DryRun,
    Folder,
    Json,
    Note,
    Officer,
    PhraseFile,
    Present,
    Yes,
    confirm,
    facts,
    officer_of,
    opened_root,
    setting,
)
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say, table
from e2s.security.administration.officers import read_officers
from e2s.security.ceremonies.ceremony import Occasion
from e2s.security.ceremonies.ceremony_record import Record
from e2s.security.ceremonies.folder import copy_records
from e2s.security.ceremonies.own_records import adopt as adopt_certificate
from e2s.security.ceremonies.own_records import change_officers
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.pki.ca import RIGHTS
from e2s.security.pki.rights import Right as RightAt


class Right(StrEnum):
    """What an officer may do at a CA."""

    certify = "certify"
    revoke = "revoke"
    register = "register"
    approve = "approve"
    name = "name"
    policy = "policy"
    officers = "officers"
    audit = "audit"
    deposit = "deposit"
    open_case = "open-case"
    recover = "recover"


_RIGHTS = {right: getattr(RIGHTS, right.name) for right in Right}
_NONE: frozenset[RightAt] = frozenset()
_WHICH = "Which right (again): certify, revoke, register, approve, name, policy, officers, audit, escrow's."
Rights = Annotated[list[Right] | None, typer.Option("--right", metavar="RIGHT", help=_WHICH)]


def officers(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    give: Annotated[str, typer.Option("--give", metavar="NAME", help="Who is to have rights.")] = "",
    withdraw: Annotated[str, typer.Option("--withdraw", metavar="NAME", help="Who is to lose rights.")] = "",
    right: Rights = None,
    at: Annotated[
        str, typer.Option("--at", metavar="COMPONENT", help="At which CA; itself if left out.")
    ] = "",
    whole: Annotated[
        Path | None,
        typer.Option(
            "--as", metavar="FILE", help="Let the rights there be these (e2s admin policy officers)."
        ),
    ] = None,
    tell: Annotated[
        list[Path] | None,
        typer.Option("--tell", metavar="DIR", help="A CA's folder that gets the new records (again)."),
    ] = None,
    officer: Officer = "",
    present: Present = None,
    note: Note = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """List the officers and their rights; at a root also name them, or withdraw their rights, in a ceremony.

    A buying organisation's CA names its own.  Any other believes the root's records in its folder: --tell, or
    e2s ca record DIR --update-from ROOT.
    """
    if not give and not withdraw and whole is None:
        _list(folder, as_json=as_json)
        return
    if sum(map(bool, (give, withdraw, whole))) > 1:
        raise Misuse("two-acts", "give rights, withdraw them or set them by a file, one at a time")
    if not right and give:
        raise Misuse("no-right", "say which right is given")
    seen = look(folder)
    named = frozenset((give or withdraw, _RIGHTS[one], at or seen.component) for one in right or Right)
    given, gone = (named, _NONE) if give else (_NONE, named)
    if whole is not None:
        given, gone = _changes(seen, at or seen.component, files.read(whole))
    if dry_run or not yes:
        _say_changes(given, gone)
    if dry_run:
        say("nothing was done")
        return
    confirm("Hold the ceremony?", yes=yes)
    occasion = Occasion(present=tuple(present or ()), note=note)
    if seen.kind == "buying-ca":
        newest = change_officers(
            seen,
            phrase_of(phrase_file, f"Pass phrase of {seen.component}"),
            seen.chain.newest.rights - gone | given,
            officer=officer_of(seen, officer),
            setting=setting(),
            occasion=occasion,
        )
        _told(newest, as_json=as_json)
        return
    with opened_root(folder, phrase_file) as root:
        acting = officer_of(root, officer)
        root.require_namer(acting)
        with root.ceremony("officers", officer=acting, present=occasion.present, note=note):
            if gone:
                root.withdraw(gone, officer=acting)
            if given:
                root.give(given, officer=acting)
        newest = root.chain.newest
        for told in tell or ():
            copy_records(folder, told, root.certificate)
    _told(newest, as_json=as_json)


def adopt(
    folder: Folder,
    certificate: Annotated[
        Path, typer.Option("--cert", metavar="FILE", help="The newer certificate, then those between.")
    ],
    root: Annotated[Path, typer.Option("--root-cert", metavar="FILE", help="The root's certificate.")],
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Let a buying organisation's CA take a newer certificate of its key.

    When the CA above it was replaced, or the root, its key was certified again.
    """
    seen = look(folder)
    chain = files.certificates(certificate)
    adopt_certificate(
        seen,
        phrase_of(phrase_file, f"Pass phrase of {seen.component}"),
        chain,
        files.certificates(root)[0],
        officer=officer_of(seen, officer),
        setting=setting(),
    )
    if as_json:
        document(facts(chain[0], folder=str(folder), component=seen.component))
        return
    say(f"{seen.component} goes on with {chain[0].id}")


def _say_changes(given: frozenset[RightAt], gone: frozenset[RightAt]) -> None:
    for what, some in (("give", given), ("withdraw", gone)):
        for who, which, where in sorted(some):
            say(f"{what} {which} at {where}: {who}")


def _changes(seen: Look, at: str, octets: bytes) -> tuple[frozenset[RightAt], frozenset[RightAt]]:
    """The rights at a CA that a file gives and that it takes away."""
    wanted = read_officers(octets, at)
    now = frozenset(one for one in seen.chain.newest.rights if one[2] == at)
    return wanted - now, now - wanted


def _told(newest: Record, *, as_json: bool) -> None:
    if as_json:
        document({"record": newest.number, "head": newest.digest, "rights": sorted(newest.rights)})
    else:
        say(f"record {newest.number}: {newest.digest}")


def _list(folder: Path, *, as_json: bool) -> None:
    rights = sorted(look(folder).chain.newest.rights)
    if as_json:
        document([{"officer": who, "right": right, "at": where} for who, right, where in rights])
    else:
        table(("officer", "right", "at"), rights)
