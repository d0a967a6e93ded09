"""One version of the catalogue, searched: words of any length find what begins with them, in any order.

The index is a file of its own (SQLite FTS5) made once per version and never written again; what a
buyer types is quoted word by word, so it is never read as a query language.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2s.base.errors import Misuse
from e2s.commerce.purchasing.items import Item

MAX_WORDS = 8
MAX_QUERY = 200
MAX_ROWS = 100
#: Among more items than these a ranking says nothing, and costs most.
MAX_RANKED = 2000
_FIELDS = "i.sku, i.words, i.kind, i.price, i.vat_rate, i.unit, i.keywords"


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search: its items, how many there are in all, where the next page begins (0: nowhere)."""

    items: tuple[Item, ...]
    total: int
    next: int


class Catalogue:
    """A built index at ``path``, read only; may be used from several threads."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`Misuse` ``no-catalogue`` where nothing was built."""
        if not path.is_file():
            raise Misuse("no-catalogue", "this version was not built", path=str(path))
        self.path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []

    @classmethod
    def build(cls, path: Path, items: Iterable[Item]) -> Catalogue:
        """Build the index of ``items`` at ``path`` (whole or not at all) and open it."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = path.with_name(f".{path.name}.{os.getpid()}")
        made.unlink(missing_ok=True)
        made.touch(mode=0o600)
        connection = sqlite3.connect(made, isolation_level=None)
        try:
            _fill(connection, items)
        finally:
            connection.close()
        made.replace(path)
        return cls(path)

    def search(self, words: str, kind: str = "", offset: int = 0, limit: int = 20) -> Found:
        """Items that have, for each word, a word beginning with it, of exactly ``kind`` if one is given.

        The best stand first; where more than :data:`MAX_RANKED` fit, they stand by class and SKU.
        """
        page = (max(1, min(limit, MAX_ROWS)), offset)
        match = quoted(words)
        if not match:
            where = "i.kind = ?" if kind else "1"
            values: tuple[str, ...] = (kind,) if kind else ()
            total = self._one(f"SELECT count(*) FROM item i WHERE {where}", values)  # noqa: S608 - our parts, bound values
            return self._page("item i", where, "i.id", (*values, *page), total)
        joined = "search JOIN item i ON i.id = search.rowid"
        where, values = (
            ("search MATCH ? AND i.kind = ?", (match, kind)) if kind else ("search MATCH ?", (match,))
        )
        source = joined if kind else "search"
        total = self._one(f"SELECT count(*) FROM {source} WHERE {where}", values)  # noqa: S608 - our parts, bound values
        order = "bm25(search, 4.0, 2.0, 1.0, 1.0), search.rowid" if total <= MAX_RANKED else "search.rowid"
        return self._page(joined, where, order, (*values, *page), total)

    def _page(self, source: str, where: str, order: str, values: tuple[str | int, ...], total: int) -> Found:
        rows = self._connection().execute(
            f"SELECT {_FIELDS} FROM {source} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608 - our parts, bound values
            values,
        )
        items = tuple(Item(*row) for row in rows)
        after = int(values[-1]) + len(items)
        return Found(items, total, after if items and after < total else 0)

    def item(self, sku: str) -> Item | None:
        """The item of this SKU, if this version has it."""
        found = self._connection().execute(f"SELECT {_FIELDS} FROM item i WHERE i.sku = ?", (sku,))  # noqa: S608 - fixed text
        row = found.fetchone()
        return Item(*row) if row else None

    def kinds(self) -> list[tuple[str, int]]:
        """Each class with how many items it has, by name."""
        return list(self._connection().execute("SELECT kind, count(*) FROM item GROUP BY kind ORDER BY kind"))

    def __len__(self) -> int:
        """How many items this version has."""
        return self._one("SELECT count(*) FROM item", ())

    def close(self) -> None:
        """Give back the connections of every thread."""
        while self._open:
            self._open.pop().close()

    def _one(self, statement: str, values: Sequence[str]) -> int:
        row = self._connection().execute(statement, values).fetchone()
        return int(row[0])

    def _connection(self) -> sqlite3.Connection:
        """The connection of the running thread."""
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is None:
            held = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            held.execute("PRAGMA query_only=ON")
            self._local.connection = held
            self._open.append(held)
        return held


def quoted(words: str) -> str:
    """An FTS5 expression that wants each of ``words`` as the beginning of a word; empty for no words."""
    found = [word for word in words[:MAX_QUERY].replace("\0", " ").split() if any(map(str.isalnum, word))]
    return " ".join('"' + word.replace('"', '""') + '"*' for word in found[:MAX_WORDS])


_LAYOUT = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=FULL;
BEGIN;
CREATE TABLE item(
    id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, words TEXT NOT NULL, kind TEXT NOT NULL,
    price TEXT NOT NULL, vat_rate TEXT NOT NULL, unit TEXT NOT NULL, keywords TEXT NOT NULL);
CREATE INDEX item_kind ON item(kind);
CREATE VIRTUAL TABLE search USING fts5(
    sku, words, kind, keywords, content='', prefix='1 2 3', tokenize='unicode61 remove_diacritics 2');
"""


def _fill(connection: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Lay out the index and fill it in one transaction."""
    connection.executescript(_LAYOUT)
    ordered = sorted(items, key=lambda item: (item.kind, item.sku))
    connection.executemany(
        "INSERT INTO item VALUES (?,?,?,?,?,?,?,?)", ((n, *item.row()) for n, item in enumerate(ordered, 1))
    )
    connection.executemany(
        "INSERT INTO search(rowid, sku, words, kind, keywords) VALUES (?,?,?,?,?)",
        ((n, item.sku, item.text, item.kind, item.keywords) for n, item in enumerate(ordered, 1)),
    )
    connection.execute("INSERT INTO search(search) VALUES ('optimize')")
    connection.execute("COMMIT")
