"""The short form, in a process within a mount namespace: one batch under fire, then books that are falsified.

``python -m tests.fire.short FOLDER SEED`` writes what it counted and found as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.fire.books import Books
from tests.fire.campaign import Campaign, Pace, Progress
from tests.fire.market import Market, market

#: Hot, so that every kind of fault comes about within a few purchases.
PACE = Pace(purchases=2, faults=6, within=3.0, rate=0.15, burning=12.0, ending=4.0)
#: What a comparison must find: a component, and what is written into its book.
FALSIFIED = {
    "amount": ("issuer-desk", "UPDATE payment SET amount = '0.01' WHERE state = 'captured'"),
    "charge": ("issuer-desk", "UPDATE payment SET state = 'held' WHERE state = 'captured'"),
    "merchant": ("volt-purchasing", "UPDATE trade SET state = 'void' WHERE state = 'captured'"),
    "contract": ("volt-purchasing", "UPDATE trade SET cid = 'sha-256:other' WHERE state = 'captured'"),
    "payment": ("volt-payment", "UPDATE payment SET state = 'unpaid' WHERE state = 'captured'"),
    "gateway": ("acquirer-gateway", "DELETE FROM forwarded"),
    "buyer": ("alpha-wallet", "UPDATE trades SET state = 'void' WHERE state = 'received'"),
    "unpaid": ("beta-wallet", "UPDATE trades SET settled = 0 WHERE state = 'received'"),
    "statement": ("alpha-manager", "DELETE FROM acts WHERE kind = 'statement'"),
}


@contextmanager
def falsified(made: Market, name: str, statement: str) -> Iterator[None]:
    """A book with something else in it, within the block."""
    with (
        closing(sqlite3.connect(made.path(name) / "data.db")) as book,
        closing(sqlite3.connect(":memory:")) as kept,
    ):
        book.backup(kept)
        book.execute(statement)
        book.commit()
        yield
        kept.backup(book)


def evidence_gone(made: Market) -> Iterator[str]:
    """What the comparison says when one side's bundles are cut short, and when they are gone."""
    folder = made.path("volt-purchasing") / "evidence"
    kept = {file: file.read_bytes() for file in folder.iterdir()}
    for file, octets in kept.items():
        file.write_bytes(octets[:-1024])
    yield next(Books(made).faults(), "")
    for file in kept:
        file.unlink()
    yield next(Books(made).faults(), "")
    for file, octets in kept.items():
        file.write_bytes(octets)


def main(folder: Path, seed: str) -> None:
    """One batch, and what the comparison finds in falsified books."""
    progress = Progress(seed=seed)
    with market(folder / "market") as made:
        campaign = Campaign(made, progress, PACE)
        campaign.batch()
        made.stop()
        found = {}
        for what, (name, statement) in FALSIFIED.items():
            with falsified(made, name, statement):
                found[what] = next(Books(made).faults(), "")
        found["cut"], found["gone"] = evidence_gone(made)
        told = {
            "completed": progress.completed,
            "void": progress.void,
            "faults": progress.faults,
            "spent": campaign.spent,
            "found": found,
            "true": list(Books(made).faults()),
        }
    (folder / "told.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
