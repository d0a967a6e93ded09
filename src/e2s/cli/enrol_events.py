"""``e2s enrol events``: what happened at the desk and its doors."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
import typer

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.outbox import Outbox, outbox_table
from e2s.cli.ca_home import Folder, Json
from e2s.cli.report import document, say
from e2s.community.doors import STORES
from e2s.security.ceremonies.standalone import look

_ALL = 1_000_000


def events(
    folder: Folder,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=0, help="Only so many of the newest; 0 for all.")
    ] = 50,
    as_json: Json = False,
) -> None:
    """Show what happened at the desk and its doors: invitations, requests, decisions, refusals.

    What the CA did with them is in its own register (e2s ca list). A component of a community sends its
    events to the party's audit log instead (e2s audit show).
    """
    folder = look(folder).folder
    tables = sa.MetaData()
    outbox = Outbox(outbox_table(tables))
    found: list[dict[str, Any]] = []
    for name in STORES:
        if not (folder / name).exists():
            continue
        database = Database.open(folder / name, tables)
        try:
            with database.reading() as connection:
                found += [wire.decode(body) for _, body in outbox.waiting(connection, "audit", _ALL)]
        finally:
            database.close()
    found.sort(key=lambda event: str(event["at"]))
    shown = found[-last:] if last else found
    if as_json:
        document(shown)
        return
    for event in shown:
        facts = " ".join(f"{name}={value}" for name, value in event["facts"].items())
        say(f"{event['at']} {event['kind']} {event['outcome']} {facts}".rstrip())
