"""``e2s pse invite``, ``join``, ``renew`` and ``destroy``: a PSE for a person on another machine."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli.ca_founding import Module, Token, where_of
from e2s.cli.ca_home import Folder, Officer, confirm, instant, new_phrase, write_new
from e2s.cli.ca_home import PhraseFile as CaPhraseFile
from e2s.cli.ca_issue import Confidence
from e2s.cli.enrol_home import unsealed
from e2s.cli.homes import phrase_of
from e2s.cli.pse_home import (
    CodeFile,
    Json,
    KindName,
    KindsFile,
    NewPse,
    PhraseFile,
    Pse,
    Root,
    RootDigest,
    edges,
    exchange_of,
    invitation_of,
    kinds_of,
    opened,
)
from e2s.cli.report import document, say
from e2s.security.enrolment import inviting
from e2s.security.enrolment.invitations import AGREEMENT
from e2s.security.environments import store
from e2s.security.environments.holding import Keeper
from e2s.security.environments.joining import Waits, code_with_root, end
from e2s.security.environments.joining import join as joined
from e2s.security.environments.joining import renew as renewed
from e2s.security.environments.kinds import Kind, kind_called, kinds_in
from e2s.security.environments.making import erase
from e2s.security.environments.service import FILE
from e2s.security.environments.waiting import waits
from e2s.security.keys.key_place import InToken

Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="Ask again for so long.")]


def invite(
    folder: Folder,
    kind: KindName,
    name: Annotated[
        list[str], typer.Option("--name", metavar="NAME", help="A URN; then other names (again for more).")
    ],
    confidence: Annotated[
        Confidence | None, typer.Option("--confidence", help="The level at most; the policy's if left out.")
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", min=1, help="How long it lasts; else as policy says.")
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Whom it is for, in words.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the code goes, for your eyes only.")
    ] = None,
    officer: Officer = "",
    phrase_file: CaPhraseFile = None,
    as_json: Json = False,
) -> None:
    """Invite a person or a party to a PSE, by a code that is told once, here.

    The code says the root as well. Hand it over yourself, or by a way that you trust: who has it first gets
    the PSE. She joins with it: e2s pse join PSE URL.
    """
    wanted = kind_called(kind, kinds_in(folder))
    until = SystemClock().now() + timedelta(days=days) if days else None
    with unsealed(folder, phrase_file, officer) as (office, acts):
        made = {
            profile: inviting.invite(
                office,
                officer=acts,
                profile=profile,
                names=tuple(name),
                confidence=confidence.value if confidence else "",
                until=until,
                title=title,
            )
            for profile in _profiles(wanted)
        }
        first, secret = made[wanted.profile]
        further = {profile: one.reference for profile, (one, _) in made.items()}
        further |= {f"{profile}{AGREEMENT}": reference for profile, reference in further.items()}
        database = Database.open(folder / FILE, store.TABLES)
        try:
            with database.transaction() as connection:
                store.mean(connection, first.reference, kind, json.dumps(further))
        finally:
            database.close()
        code = code_with_root(first.reference, secret, office.root)
    if out is not None:
        write_new(out, code.encode() + b"\n", private=True)
    if as_json:
        told = {"reference": first.reference, "kind": kind, "names": name, "until": instant(first.until)}
        document({**told, **({"file": str(out)} if out else {"code": code})})
        return
    say(f"reference    {first.reference}")
    say(f"until        {instant(first.until)}")
    say(f"code         {out or code}")


def _profiles(kind: Kind) -> list[str]:
    """The profiles that are invited to: each gives that of the agreement key beside it."""
    names = [key.profile for key in kind.keys]
    return [
        one for one in names if one.removesuffix(AGREEMENT) == one or one.removesuffix(AGREEMENT) not in names
    ]


def join(  # noqa: PLR0913, PLR0917 - each is an option of the command
    path: NewPse,
    origin: Annotated[str, typer.Argument(metavar="URL", help="Where the doors are: http://host:port.")],
    code_file: CodeFile = None,
    root_digest: RootDigest = "",
    root: Root = None,
    wait: Wait = 0.0,
    module: Module = None,
    token: Token = "",
    pin_file: Annotated[
        Path | None, typer.Option("--pin-file", metavar="FILE", help="Holds the token's PIN; else a prompt.")
    ] = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Get your PSE with certified keys, by the code of your invitation.

    Your keys are made here: in the file, or for a kind that is kept so in a token; PSE is a folder then. Who
    is interrupted gives the same command again; nobody else gets the PSE after you asked. Where an officer
    has to agree first, ask again later, or --wait.
    """
    started = waits(path)
    phrase = phrase_of(phrase_file) if started else new_phrase(phrase_file, "the PSE")
    invitation = invitation_of(code_file, root_digest)
    ends, exchange = edges(), exchange_of(root)
    until = time.monotonic() + wait
    with _keeper(path, module, token, pin_file) as keeper:
        found = joined(path, phrase, invitation, origin, exchange, ends, keeper=keeper)
        while found is not None and time.monotonic() < until:
            time.sleep(min(found.retry_seconds, max(0.1, until - time.monotonic())))
            found = joined(path, phrase, invitation, origin, exchange, ends, keeper=keeper)
    phrase.wipe()
    _tell(path, found, as_json=as_json)


@contextlib.contextmanager
def _keeper(folder: Path, module: Path | None, token: str, pin_file: Path | None) -> Iterator[Keeper | None]:
    """The token that keeps the keys, if there is one."""
    where = where_of(module, token, folder.name)
    if not isinstance(where, InToken):
        yield None
        return
    from e2s.security.environments.in_token import TokenKeeper

    pin = phrase_of(pin_file, "PIN of the token")
    try:
        with TokenKeeper(folder, where.place, pin, name=folder.name, random=secrets.token_bytes) as keeper:
            yield keeper
    finally:
        pin.wipe()


def renew(
    path: Pse,
    same_keys: Annotated[
        bool, typer.Option("--same-keys", help="Certify the keys that there are again.")
    ] = False,
    kinds: KindsFile = None,
    root: Root = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Renew a PSE by its own key, where it came from; keys that open stay, under another label."""
    phrase = phrase_of(phrase_file)
    found = renewed(path, phrase, kinds_of(kinds), exchange_of(root), edges(), new_keys=not same_keys)
    phrase.wipe()
    _tell(path, found, as_json=as_json)


def destroy(
    path: Pse,
    reason: Annotated[
        str, typer.Option("--reason", metavar="REASON", help="Why its certificates end (RFC 5280, 5.3.1).")
    ] = "cessationOfOperation",
    label: Annotated[
        str,
        typer.Option("--label", metavar="LABEL", help="The key that signs the word; the first if left out."),
    ] = "",
    erase_only: Annotated[
        bool, typer.Option("--erase-only", help="Erase the keys here; have nothing revoked.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    root: Root = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """End a PSE: its certificates are revoked by your own word, then its keys are erased.

    What was sealed to you can be read no more, unless your key is in escrow.
    """
    with opened(path, phrase_file) as (pse, phrase):
        confirm(f"Destroy {path} with its {len(pse.labels())} keys?", yes=yes)
        ended = 0
        if not erase_only:
            if "origin" not in pse.attributes:
                raise Misuse("no-origin", "nobody is known to revoke these certificates: --erase-only erases")
            signer = pse.signer(label or pse.labels()[0], phrase)
            ended = len(end(pse, signer, reason, exchange_of(root), edges()))
    erase(path, edges())
    if as_json:
        document({"pse": path, "revoked": ended})
    else:
        say(f"{path} is erased; {ended} certificates are revoked")


def _tell(path: Path, found: Waits | None, *, as_json: bool) -> None:
    state = "waiting" if found else "here"
    if as_json:
        document({"pse": path, "state": state, **({"retry-seconds": found.retry_seconds} if found else {})})
    elif found:
        say(f"an officer has to agree first: ask again in {found.retry_seconds} seconds")
    else:
        say(f"{path} is here: e2s pse list {path}")
    if found:
        raise typer.Exit(1)
