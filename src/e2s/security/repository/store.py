"""The index of a repository: which file is found by which attribute, and how far each CA was followed.

What is found lies in the static files; the index can be made anew from them and from the CA's feed.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from e2s.base.outbox import outbox_table
from e2s.base.prepared import Prepared, given

TABLES = sa.MetaData()
FILES = sa.Table(
    "file",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    sqlite_autoincrement=True,
)
#: One row for each attribute of each file, in the order in which they are looked for.
KEYS = sa.Table(
    "search_key",
    TABLES,
    sa.Column("store", sa.Text, primary_key=True),
    sa.Column("attribute", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("file", sa.Integer, primary_key=True),
    sqlite_with_rowid=False,
)
FOLLOWED = sa.Table(
    "followed",
    TABLES,
    sa.Column("ca", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
OUTBOX = outbox_table(TABLES)

_KNOWN = Prepared(sa.select(FILES.c.id).where(FILES.c.path == given("at_path")))
_FILE = Prepared(FILES.insert(), ["path"])
_ADD = Prepared(KEYS.insert().prefix_with("OR IGNORE"), ["store", "attribute", "value", "file"])
_FIND = Prepared(
    sa.select(FILES.c.path)
    .join_from(KEYS, FILES, KEYS.c.file == FILES.c.id)
    .where(
        KEYS.c.store == given("in_store"),
        KEYS.c.attribute == given("by"),
        KEYS.c.value == given("sought"),
    )
    .order_by(KEYS.c.file.desc())
    .limit(given("most"))
)
_NUMBER = Prepared(sa.select(FOLLOWED.c.number).where(FOLLOWED.c.ca == given("of_ca")))
_FOLLOW = Prepared(FOLLOWED.insert().prefix_with("OR REPLACE"), ["ca", "number"])


def known(connection: sa.Connection, path: str) -> bool:
    """Whether the file at ``path`` can be found."""
    return _KNOWN.value(connection, at_path=path) is not None


def add(connection: sa.Connection, store: str, keys: Iterable[tuple[str, str]], path: str) -> None:
    """Let the file at ``path`` be found by each (attribute, value); repeating it changes nothing."""
    if known(connection, path):
        return
    file = _FILE.added(connection, {"path": path})
    for attribute, value in keys:
        _ADD.run(connection, {"store": store, "attribute": attribute, "value": value, "file": file})


def find(connection: sa.Connection, store: str, attribute: str, value: str, most: int) -> list[str]:
    """Where at most ``most`` files stand, the newest first."""
    return _FIND.column(connection, in_store=store, by=attribute, sought=value, most=most)


def followed(connection: sa.Connection, ca: str) -> int:
    """The number of the CA's last change that was taken; 0 before the first."""
    return _NUMBER.value(connection, of_ca=ca) or 0


def follow(connection: sa.Connection, ca: str, number: int) -> None:
    """Note how far the CA was followed, in the transaction of what was taken."""
    _FOLLOW.run(connection, {"ca": ca, "number": number})
