"""What the commands of ``e2s enrol`` share: how enrolment beside a CA is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from e2s.cli.ca_home import officer_of, setting
from e2s.cli.homes import phrase_of
from e2s.security.ceremonies.standalone import look
from e2s.security.enrolment.home import open_office, storage_of
from e2s.security.enrolment.office import Office


@contextlib.contextmanager
def unsealed(folder: Path, phrase_file: Path | None, officer: str) -> Iterator[tuple[Office, str]]:
    """The office beside the CA in ``folder``, for who knows its pass phrase, and who acts."""
    seen = look(folder)
    phrase = phrase_of(phrase_file, f"Pass phrase of {seen.component}")
    try:
        storage = storage_of(folder, phrase, setting())
    finally:
        phrase.wipe()
    acts = officer_of(seen, officer)
    office = open_office(seen, setting=setting(), officer=acts, storage=storage)
    try:
        yield office, acts
    finally:
        office.database.close()


@contextlib.contextmanager
def seen_office(folder: Path) -> Iterator[Office]:
    """The office beside the CA in ``folder``, which reads and decides and opens nothing."""
    seen = look(folder)
    office = open_office(seen, setting=setting(), officer=seen.chain.founder)
    try:
        yield office
    finally:
        office.database.close()
