"""What registration and enrolment know of the certificates in a book: their cases and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.security.enrolment.store import REQUESTS
from e2s.security.registration.naming import name_key
from e2s.security.registration.tables import CASE, NAME

#: Certificates that are looked up at once.
CHUNK: Final = 500


def chunks(rows: Any) -> Iterator[Sequence[Any]]:
    """The rows of a result, some at a time."""
    while chunk := rows.fetchmany(CHUNK):
        yield chunk


def states(connection: sa.Connection, cases: Sequence[str]) -> Mapping[str, str]:
    """The states of cases, by what they are called."""
    chosen = sa.select(CASE.c.id, CASE.c.state).where(CASE.c.id.in_({one for one in cases if one}))
    return {row.id: row.state for row in connection.execute(chosen)}


def every_state(
    registered: sa.Connection, enrolment: Database | None, chunk: Sequence[Any]
) -> Mapping[str, str]:
    """The states of the cases of certificates: of registration, and of requests for enrolment."""
    found = states(registered, [entry.case for entry in chunk])
    asked = {entry.case for entry in chunk if entry.case} - found.keys()
    if enrolment is None or not asked:
        return found
    chosen = sa.select(REQUESTS.c.case, REQUESTS.c.state).where(REQUESTS.c.case.in_(asked))
    with enrolment.reading() as connection:
        return {**found, **{row.case: row.state for row in connection.execute(chosen)}}


def named(connection: sa.Connection, names: Sequence[str]) -> frozenset[str]:
    """Which of the names registration gave to somebody."""
    given = sa.select(NAME.c.name).where(NAME.c.key.in_(set(map(_key, names))))
    return frozenset(connection.execute(given).scalars())


def _key(name: str) -> str:
    """What a name is found by: see :mod:`~e2s.security.registration.naming`."""
    parts = name.split(":", 4)
    if not name.startswith("urn:e2s:"):
        return f"name:{name}"
    return name_key(parts[3], parts[4]) if len(parts) > 4 else name


def party(name: str) -> str:
    """The party in a URN, or the empty string."""
    parts = name.split(":", 4)
    return parts[3] if name.startswith("urn:e2s:") and len(parts) > 3 else ""
