"""How quickly the catalogue answers over 20,000 items, and what that costs over its bare full-text query."""

from __future__ import annotations

import gzip
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path

from bench.figure import Figure, seconds
from e2s.commerce.purchasing.catalogue import Catalogue, quoted
from e2s.commerce.purchasing.items import Item
from e2s.commerce.purchasing.load import read_csv

ROUNDS = 7
ITEMS = 20_000
#: What people type: a name, its beginning, several words, and the broadest there is, one letter.
WORDS = ("lm358", "bc5", "quad op amp", "mcu 32 kb", "resistor", "r", "a")
#: So broad that ours is not ranked: no part of the ratio.
BROAD = ("r", "a")
LONGEST_MS = 50.0
_BARE = (
    "SELECT rowid FROM search WHERE search MATCH ? ORDER BY bm25(search, 4.0, 2.0, 1.0, 1.0), rowid LIMIT 20"
)
_COUNT = "SELECT count(*) FROM search WHERE search MATCH ?"


def _items() -> list[Item]:
    """The demonstration's parts, filled up to 20,000 with variants of the first ones."""
    packed = resources.files("e2s.commerce.purchasing").joinpath("data/components.csv.gz").read_bytes()
    items = read_csv(gzip.decompress(packed))
    more = [replace(item, sku=f"{item.sku[:60]}-x") for item in items[: ITEMS - len(items)]]
    return items + more


def _bare(connection: sqlite3.Connection, match: str) -> None:
    connection.execute(_COUNT, (match,)).fetchone()
    connection.execute(_BARE, (match,)).fetchall()


def _both(ours: Callable[[], object], bare: Callable[[], object], times: int) -> tuple[float, float]:
    return seconds(ours, times), seconds(bare, times)


def rounds() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue.build(Path(folder) / "bench.db", _items())
        connection = sqlite3.connect(Path(folder) / "bench.db")
        taken: dict[str, list[float]] = {words: [] for words in WORDS}
        ratios = []
        for _ in range(ROUNDS):
            total, floor = 0.0, 0.0
            for words in WORDS:
                ours, bare = _both(
                    partial(catalogue.search, words), partial(_bare, connection, quoted(words)), 5
                )
                taken[words].append(ours * 1000)
                if words not in BROAD:
                    total, floor = total + ours, floor + bare
            ratios.append(total / floor)
        milliseconds = {words: round(statistics.median(times), 3) for words, times in taken.items()}
        detail = {"items": len(catalogue), "rounds": ROUNDS, "search_ms": milliseconds}
        yield Figure(
            name="catalogue.search_over_bare_query", value=statistics.median(ratios), limit=1.5, detail=detail
        )
        yield Figure(
            name="catalogue.slowest_search_of_50_ms",
            value=max(milliseconds.values()) / LONGEST_MS,
            limit=1.0,
            detail=detail,
        )
        connection.close()
        catalogue.close()
