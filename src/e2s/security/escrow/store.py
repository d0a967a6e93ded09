"""What an escrow knows, read and written on the connection of an act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.prepared import Prepared, given
from e2s.security.escrow.tables import (
    CASE,
    CASE_LIST,
    DEPOSIT,
    ENTRY,
    LIST,
    MOVE,
    PART,
    POLICY,
    SHARE,
    TURNED,
    WORD,
)

_MOST = 100_000


def _one(table: sa.Table, *columns: str) -> Prepared:
    """The row of these values."""
    return Prepared(sa.select(table).where(*(table.c[name] == given(name) for name in columns)))


def _all(table: sa.Table, *columns: str) -> Prepared:
    """Every row of these values, in the order of writing."""
    return Prepared(
        sa.select(table).where(*(table.c[name] == given(name) for name in columns)).order_by(table.c.n)
    )


_POLICY, _POLICIES = _one(POLICY, "id"), _all(POLICY)
_DEPOSIT, _BY_CERTIFICATE = _one(DEPOSIT, "id"), _one(DEPOSIT, "certificate")
_SHARES, _MOVES, _PARTS = _all(SHARE, "deposit"), _all(MOVE, "deposit"), _all(PART, "move")
_SHARE, _MOVE = _one(SHARE, "deposit", "generation", "officer"), _one(MOVE, "id")
_CASE, _SHORT, _NUMBERED = _one(CASE, "id"), _one(CASE, "short"), _one(CASE, "n")
_WORD, _WORDS, _TURNED, _ENTRIES = (
    _one(WORD, "id"),
    _all(WORD, "case"),
    _all(TURNED, "word"),
    _all(ENTRY, "case"),
)
_KNOWN_LIST = Prepared(sa.select(LIST.c.id).where(LIST.c.id == given("id")))
_CASE_LIST = _one(CASE_LIST, "case", "list")
_LISTS = Prepared(
    sa.select(LIST.c.octets)
    .join(CASE_LIST, CASE_LIST.c.list == LIST.c.id)
    .where(CASE_LIST.c.case == given("case"))
    .order_by(LIST.c.id)
)


# ---------------------------------------------------------------- policies
def policy(connection: sa.Connection, ident: str) -> sa.Row[Any] | None:
    """A policy, proposed or agreed."""
    return _POLICY.row(connection, id=ident)


def policies(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Every policy that was proposed, in order."""
    return _POLICIES.rows(connection)


def add_policy(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """Keep a proposed policy."""
    prepared.add(connection, POLICY, values)


def agree(connection: sa.Connection, ident: str, octets: bytes) -> None:
    """A second officer agreed."""
    prepared.change(connection, POLICY, {"id": ident}, {"agreed": octets})


# ---------------------------------------------------------------- deposits
def deposit(connection: sa.Connection, ident: str) -> sa.Row[Any] | None:
    """A deposit by the digest of its word."""
    return _DEPOSIT.row(connection, id=ident)


def deposit_of(connection: sa.Connection, certificate: str) -> sa.Row[Any] | None:
    """A deposit by its certificate's digest."""
    return _BY_CERTIFICATE.row(connection, certificate=certificate)


def deposits(
    connection: sa.Connection, *, holder: str = "", policy: str = "", drills: bool = False
) -> list[sa.Row[Any]]:
    """Deposits, of one holder or policy; those of rehearsals only where they are asked for."""
    chosen = sa.select(DEPOSIT).order_by(DEPOSIT.c.n).limit(_MOST)
    if not drills:
        chosen = chosen.where(DEPOSIT.c.drill == 0)
    if holder:
        chosen = chosen.where(DEPOSIT.c.holder == holder)
    if policy:
        chosen = chosen.where(DEPOSIT.c.policy == policy)
    return list(connection.execute(chosen))


def add_deposit(connection: sa.Connection, values: Mapping[str, object], boxes: Mapping[str, bytes]) -> int:
    """Keep a deposit and its shares."""
    n = prepared.add(connection, DEPOSIT, values)
    for officer, box in boxes.items():
        add_share(connection, n, str(values["policy"]), officer, box)
    return n


def add_share(connection: sa.Connection, n: int, generation: str, officer: str, box: bytes) -> None:
    """Keep an officer's sealed share."""
    values = {"deposit": n, "generation": generation, "officer": officer, "box": box}
    prepared.add(connection, SHARE, values)


def share(connection: sa.Connection, n: int, generation: str, officer: str) -> bytes | None:
    """An officer's sealed share."""
    row = _SHARE.row(connection, deposit=n, generation=generation, officer=officer)
    return None if row is None else bytes(row.box)


def shares(connection: sa.Connection, n: int) -> list[sa.Row[Any]]:
    """Every sealed share of a deposit."""
    return _SHARES.rows(connection, deposit=n)


def depending(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """How many deposits have a share of each officer: (generation, officer, deposits)."""
    count = sa.func.count().label("deposits")
    chosen = (
        sa.select(SHARE.c.generation, SHARE.c.officer, count)
        .join(DEPOSIT, DEPOSIT.c.n == SHARE.c.deposit)
        .where(DEPOSIT.c.drill == 0)
        .group_by(SHARE.c.generation, SHARE.c.officer)
        .order_by(SHARE.c.officer)
    )
    return [(row.generation, row.officer, row.deposits) for row in connection.execute(chosen)]


# ---------------------------------------------------------------- shares that move
def move(connection: sa.Connection, ident: str) -> sa.Row[Any] | None:
    """A word by which shares move."""
    return _MOVE.row(connection, id=ident)


def moves(connection: sa.Connection, n: int) -> list[sa.Row[Any]]:
    """Every such word about a deposit."""
    return _MOVES.rows(connection, deposit=n)


def add_move(connection: sa.Connection, values: Mapping[str, object], boxes: Mapping[str, bytes]) -> None:
    """Keep a word and the sealed parts that came with it."""
    n = prepared.add(connection, MOVE, values)
    for officer, box in boxes.items():
        prepared.add(connection, PART, {"move": n, "officer": officer, "box": box})


def parts(connection: sa.Connection, n: int) -> dict[str, bytes]:
    """The sealed parts of one word, by officer."""
    return {row.officer: row.box for row in _PARTS.rows(connection, move=n)}


# ---------------------------------------------------------------- cases
def case(connection: sa.Connection, which: str) -> sa.Row[Any] | None:
    """A case by the digest that it is known by, its short name or its number."""
    if which.isdecimal() and len(which) < 10:
        return _NUMBERED.row(connection, n=int(which))
    return _CASE.row(connection, id=which) or _SHORT.row(connection, short=which)


def cases(connection: sa.Connection, state: str = "") -> list[sa.Row[Any]]:
    """Every case, of one state."""
    chosen = sa.select(CASE).order_by(CASE.c.n).limit(_MOST)
    return list(connection.execute(chosen.where(CASE.c.state == state) if state else chosen))


def add_case(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """Keep a case; its number."""
    return prepared.add(connection, CASE, values)


def set_state(connection: sa.Connection, n: int, state: str) -> None:
    """The case's state from now on."""
    prepared.change(connection, CASE, {"n": n}, {"state": state})


def word(connection: sa.Connection, ident: str) -> sa.Row[Any] | None:
    """A word about a case."""
    return _WORD.row(connection, id=ident)


def words(connection: sa.Connection, n: int) -> list[sa.Row[Any]]:
    """Every word about a case, in order."""
    return _WORDS.rows(connection, case=n)


def add_word(connection: sa.Connection, values: Mapping[str, object], boxes: Sequence[bytes] = ()) -> None:
    """Keep a word, and the shares that came with it."""
    n = prepared.add(connection, WORD, values)
    for place, box in enumerate(boxes):
        prepared.add(connection, TURNED, {"word": n, "place": place, "box": box})


def turned(connection: sa.Connection, n: int) -> list[bytes]:
    """The shares that came with a word, in order."""
    return [row.box for row in _TURNED.rows(connection, word=n)]


def entries(connection: sa.Connection, n: int) -> list[sa.Row[Any]]:
    """The vault's entries about a case, in order."""
    return _ENTRIES.rows(connection, case=n)


def add_entry(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """Keep an entry."""
    prepared.add(connection, ENTRY, values)


def add_lists(connection: sa.Connection, n: int, lists: Iterable[tuple[str, bytes]]) -> None:
    """Keep the lists by which a case's words were judged, each once."""
    for ident, octets in lists:
        if _KNOWN_LIST.value(connection, id=ident) is None:
            prepared.add(connection, LIST, {"id": ident, "octets": octets})
        if _CASE_LIST.row(connection, case=n, list=ident) is None:
            prepared.add(connection, CASE_LIST, {"case": n, "list": ident})


def lists(connection: sa.Connection, n: int) -> list[bytes]:
    """The lists of a case."""
    return [row.octets for row in _LISTS.rows(connection, case=n)]
