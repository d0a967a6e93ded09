"""Commands of 7.4: read a party's audit log, and prove that it was not rewritten."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from e2s.base.errors import Misuse
from e2s.cli.report import Json, document, say

if TYPE_CHECKING:
    from e2s.base.database import Database

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback(epilog="Example: e2s audit verify market/volt/volt-audit")
def audit() -> None:
    """Show and verify a party's audit log."""


Home = typer.Argument(..., help="The home of the party's audit component.")


@app.command(epilog="Example: e2s audit show market/volt/volt-audit --last 20")
def show(
    home: Path = Home,
    last: int = typer.Option(0, min=0, help="Only so many of the newest."),
    as_json: bool = Json,
) -> None:
    """Show the events in the order of their numbers."""
    import msgspec

    from e2s.server.audit import store

    database = _database(home)
    try:
        with database.reading() as connection:
            first = store.head(connection)[0] - last if last else 0
            for entry in store.entries(connection):
                if entry.number <= first:
                    continue
                event = msgspec.json.decode(entry.event, type=dict)
                if as_json:
                    document({"number": entry.number, "source": entry.source, "event": event})
                else:
                    facts = " ".join(f"{name}={value}" for name, value in event.get("facts", {}).items())
                    what = f"{event.get('kind')} {event.get('outcome')}"
                    say(f"{entry.number:>6} {event.get('at')} {entry.source} {what} {facts}".rstrip())
    finally:
        database.close()


@app.command(epilog="Example: e2s audit verify market/volt/volt-audit --head 17:Zm9v...")
def verify(
    home: Path = Home,
    head: str = typer.Option("", help="NUMBER:DIGEST of an entry that was seen before."),
    as_json: bool = Json,
) -> None:
    """Recompute the chain of digests; status 1 and the place where it was altered, if it was."""
    from e2s.base.wire import b64u
    from e2s.server.audit.chain import Altered
    from e2s.server.audit.sequencer import examine

    expected = _head(head)
    database = _database(home)
    try:
        result = examine(database, expected)
    finally:
        database.close()
    if isinstance(result, Altered):
        if as_json:
            document({"whole": False, "entry": result.number, "because": result.because})
        else:
            say(f"altered at entry {result.number}: {result.because}")
        raise typer.Exit(1)
    if as_json:
        document({"whole": True, "entries": result.entries, "head": b64u(result.head)})
    else:
        say(f"whole: {result.entries} entries, head {result.entries}:{b64u(result.head)}")


def _database(home: Path) -> Database:
    from e2s.base.database import Database
    from e2s.server.audit import store

    file = home / "data.db" if home.is_dir() else home
    if not file.exists():
        raise Misuse("no-audit-log", "there is no audit log here", path=str(file))
    return Database.open(file, store.TABLES)


def _head(text: str) -> tuple[int, bytes] | None:
    from e2s.base.errors import Refusal
    from e2s.base.wire import unb64u

    if not text:
        return None
    number, _, digest = text.partition(":")
    try:
        return int(number), unb64u(digest)
    except (ValueError, Refusal) as error:
        raise Misuse(
            "bad-head", "a head is written NUMBER:DIGEST, as `e2s audit verify` prints it"
        ) from error
