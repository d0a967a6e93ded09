"""``e2s pse ask``, ``answer``, ``take``, ``receipt`` and ``deliveries``: a delivery carried by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.http import Request, expect
from e2s.cli import files
from e2s.cli.ca_home import Folder, Officer, new_phrase, officer_of, setting, write_new
from e2s.cli.ca_home import PhraseFile as CaPhraseFile
from e2s.cli.homes import phrase_of
from e2s.cli.pse_home import (
    CodeFile,
    Json,
    KindName,
    KindsFile,
    NewPse,
    PhraseFile,
    RootDigest,
    edges,
    invitation_of,
    kinds_of,
)
from e2s.cli.report import document, say, table
from e2s.security.ceremonies.standalone import look
from e2s.security.environments import store
from e2s.security.environments.kinds import kind_called
from e2s.security.environments.receiving import begin, done, finish
from e2s.security.environments.service import FILE
from e2s.security.environments.waiting import waits

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to carry.")]
Carried = Annotated[Path, typer.Argument(metavar="FILE", help="The file that was brought.")]
_MOST = 1000


def ask(
    path: NewPse,
    kind: KindName,
    name: Annotated[
        list[str], typer.Option("--name", metavar="NAME", help="What you were invited as (again for more).")
    ],
    out: Out,
    kinds: KindsFile = None,
    code_file: CodeFile = None,
    root_digest: RootDigest = "",
    phrase_file: PhraseFile = None,
) -> None:
    """Make your keys, and the file that asks for your PSE, where no network reaches key management."""
    phrase = phrase_of(phrase_file) if waits(path) else new_phrase(phrase_file, "the PSE")
    invitation = invitation_of(code_file, root_digest)
    wanted = kind_called(kind, kinds_of(kinds))
    made = begin(path, phrase, invitation, wanted, tuple(name), "", edges())
    phrase.wipe()
    write_new(out, made.ask, private=True)
    say(f"bring {out} to key management, and what it gives to: e2s pse take {path}")


def answer(
    folder: Folder,
    file: Carried,
    out: Out,
    officer: Officer = "",
    phrase_file: CaPhraseFile = None,
) -> None:
    """Answer an ask that was brought by hand, with the parcel that only who asked can open."""
    body = _at_the_door(folder, officer, phrase_file, "/pse/ask", files.read(file))
    write_new(out, body, private=True)
    say(f"bring {out} back")


def take(
    path: NewPse,
    file: Carried,
    receipt: Annotated[
        Path, typer.Option("--receipt", metavar="FILE", help="Where your signed receipt goes.")
    ],
    phrase_file: PhraseFile = None,
) -> None:
    """Take the parcel that was brought: make the PSE, and sign the receipt."""
    phrase = phrase_of(phrase_file)
    octets = finish(path, phrase, files.read(file), edges())
    write_new(receipt, octets, private=True)
    done(path, phrase, edges())
    phrase.wipe()
    say(f"{path} is here; bring {receipt} to key management")


def receipt(folder: Folder, file: Carried, officer: Officer = "", phrase_file: CaPhraseFile = None) -> None:
    """Record a holder's receipt that was brought by hand; afterwards nobody gets the parcel any more."""
    _at_the_door(folder, officer, phrase_file, "/pse/receipt", files.read(file))
    say("received")


def deliveries(folder: Folder, as_json: Json = False) -> None:
    """List deliveries, the newest first: asked, sealed (waits for its receipt), delivered, or over."""
    path = look(folder).folder / FILE
    rows = []
    if path.exists():
        database = Database.open(path, store.TABLES)
        try:
            with database.reading() as connection:
                rows = store.deliveries(connection, _MOST)
        finally:
            database.close()
    header = ("reference", "kind", "state", "at", "until")
    if as_json:
        document([{name: getattr(row, name) for name in (*header, "serials")} for row in rows])
    else:
        table(header, [[getattr(row, name) for name in header] for row in rows])


def _at_the_door(folder: Path, officer: str, phrase_file: Path | None, path: str, body: bytes) -> bytes:
    """What key management's door says to what was brought, in this process."""
    from e2s.community.standing import StandingDoors

    seen = look(folder)
    phrase = phrase_of(phrase_file, f"Pass phrase of {seen.component}")
    with StandingDoors.opened(seen, phrase, setting=setting(), officer=officer_of(seen, officer)) as standing:
        phrase.wipe()
        standing.open_doors("", ["pse"])
        response = standing.handle(Request("POST", path, body))
    if response.status == 202:
        raise Misuse("waits", "an officer has to agree first: e2s enrol requests")
    return expect(response, what="the door")
