"""What the commands of ``e2s external`` share: what a domain knows of others, and files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.database import Database
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.enrol_home import seen_office
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.standalone import look
from e2s.security.external import records, store
from e2s.security.external.office import FILE, Office
from e2s.security.external.records import State

Domain = Annotated[Path, typer.Argument(metavar="CA", help="The folder of the CA whose domain trusts.")]
Provider = Annotated[str, typer.Argument(metavar="NAME", help="What the provider is called here.")]
OfficerFolder = Annotated[
    Path, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key (e2s ra officer).")
]
PhraseFile = Annotated[
    Path | None, typer.Option("--phrase-file", metavar="FILE", help="Holds your pass phrase; else a prompt.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would hold, and change nothing.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the record.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]
Crl = Annotated[
    list[Path] | None, typer.Option("--crl", metavar="FILE", help="A list of theirs (again for more).")
]
Untrusted = Annotated[
    list[Path] | None, typer.Option("--untrusted", metavar="FILE", help="CAs of theirs in between.")
]


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Office]:
    """What the domain of the CA in ``folder`` knows of others."""
    with seen_office(folder) as seen:
        database = Database.open(folder / FILE, store.TABLES)
        try:
            yield Office(
                component=f"{seen.ca.component}-external",
                community=look(folder).chain.newest.community,
                domain=seen.ca.component,
                database=database,
                root=seen.root,
                trust=seen.trust,
                authoriser=seen.ca.authoriser,
                clock=SystemClock(),
            )
        finally:
            database.close()


def state_in(file: Path, root: Certificate) -> State:
    """What the records in a file say, proven under ``root``."""
    octets = records.read_file(files.read(file))
    return records.state_of(records.read_chain(octets, root=root, to=records.domain_in(octets)))


def all_certificates(paths: list[Path] | None) -> tuple[Certificate, ...]:
    """The certificates of several files."""
    return tuple(one for path in paths or () for one in files.certificates(path))


def all_lists(paths: list[Path] | None) -> tuple[bytes, ...]:
    """The lists of several files."""
    return tuple(one for path in paths or () for one in files.crls(path))
