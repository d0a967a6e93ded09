"""A case as the vault has it: its word, its keys, its policy, and all that was said about it since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.security.escrow import store
from e2s.security.escrow.policy import Basis, Policy
from e2s.security.escrow.rules import Kept
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import APPROVAL, CASE, ENTRY, Word, kept


@dataclass(frozen=True, kw_only=True)
class File:
    """A case as the vault has it."""

    row: sa.Row[Any]
    word: Word
    rows: tuple[sa.Row[Any], ...]
    kept: tuple[Kept, ...]
    policy: Policy
    approvals: tuple[Word, ...]
    entries: tuple[Word, ...]

    @property
    def opened(self) -> datetime:
        """When the vault took it."""
        return parse_instant(self.entries[0].document["at"])

    @property
    def basis(self) -> Basis:
        """Its legal basis."""
        return self.policy.basis(self.word.document["basis"])

    @property
    def releases(self) -> list[Word]:
        """The entries by which it was released."""
        return [one for one in self.entries if one.document["kind"] == "released"]


def case_file(vault: Vault, case: str) -> File:
    """All of a case; raises :class:`Refusal` ``no-such-case``."""
    with vault.database.reading() as connection:
        row = store.case(connection, case)
        if row is None:
            raise Refusal("no-such-case", "there is no such case", case=case[:64])
        word = kept(row.word, CASE)
        deposits = [vault.kept(connection, one) for one in word.document["deposits"]]
        words = [one for one in store.words(connection, row.n) if one.kind == "approved"]
        return File(
            row=row,
            word=word,
            rows=tuple(one for one, _ in deposits),
            kept=tuple(one for _, one in deposits),
            policy=vault.policies(connection)[row.policy],
            approvals=tuple(kept(one.octets, APPROVAL) for one in words),
            entries=tuple(kept(one.octets, ENTRY) for one in store.entries(connection, row.n)),
        )


def case_row(vault: Vault, case: str) -> sa.Row[Any]:
    """A case by its digest, short name or number; raises :class:`Refusal` ``no-such-case``."""
    with vault.database.reading() as connection:
        row = store.case(connection, case)
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=case[:64])
    return row
