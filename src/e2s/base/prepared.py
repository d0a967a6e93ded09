"""Statements that recur are built and rendered once, and run on the driver with named values.

Building and rendering a statement anew costs several times what SQLite needs to answer it.  Values are
those that SQLite knows, text, octets and integers; a switch is read as 0 or 1.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

from e2s.base.database import driver_of

Statement: TypeAlias = "sa.Select[Any] | sa.Insert | sa.Update | sa.Delete"
#: How many rows a statement inserts: of few statements, the largest that there are rows for.
_AT_ONCE = (64, 32, 16, 8, 4, 2, 1)
_DIALECT = sqlite.dialect(paramstyle="named")


def given(name: str) -> sa.BindParameter[Any]:
    """A value that is given by this name at each run; it must not be the name of a column that is set."""
    return sa.bindparam(name, required=False)


class Prepared:
    """One statement with its :func:`given` values."""

    def __init__(self, statement: Statement, sets: Iterable[str] | None = None) -> None:
        """``sets``: the columns that an insert or update sets, each by a value of its name."""
        self._statement = statement
        self._sets = None if sets is None else list(sets)
        chosen = statement.selected_columns.keys() if isinstance(statement, sa.Select) else ()
        self._shape = SimpleResultMetaData(list(chosen))
        self._places = self._shape._key_to_index  # noqa: SLF001 - what the library makes its own rows with

    @cached_property
    def _rendered(self) -> tuple[str, dict[str, object]]:
        """The statement as SQL, and the values that are always the same; made at its first use."""
        compiled = self._statement.compile(
            dialect=_DIALECT,
            column_keys=self._sets,
            compile_kwargs={"render_postcompile": self._sets is None},
        )
        fixed: dict[str, object] = {
            name: value for name, value in compiled.params.items() if isinstance(value, str | bytes | int)
        }
        fixed |= {column.key: _default(column) for column in compiled.insert_prefetch}
        return str(compiled), fixed

    def _run(self, connection: sa.Connection, values: Mapping[str, object]) -> sqlite3.Cursor:
        sql, fixed = self._rendered
        return driver_of(connection).execute(sql, {**fixed, **values})

    def cursor(self, connection: sa.Connection, values: Mapping[str, object]) -> sqlite3.Cursor:
        """The rows as plain tuples, for who reads so many that they are not to be held at once."""
        return self._run(connection, values)

    def rows(self, connection: sa.Connection, **values: object) -> list[sa.Row[Any]]:
        """Every row."""
        found: IteratorResult[Any] = IteratorResult(self._shape, self._run(connection, values))
        return list(found.all())

    def row(self, connection: sa.Connection, **values: object) -> sa.Row[Any] | None:
        """The first row, if there is one."""
        first = self._run(connection, values).fetchone()
        return None if first is None else sa.Row(self._shape, None, self._places, first)

    def column(self, connection: sa.Connection, **values: object) -> list[Any]:
        """The first member of every row."""
        return [row[0] for row in self._run(connection, values)]

    def value(self, connection: sa.Connection, **values: object) -> Any:
        """The first member of the first row, or None."""
        first = self._run(connection, values).fetchone()
        return None if first is None else first[0]

    def run(self, connection: sa.Connection, values: Mapping[str, object]) -> int:
        """Write; how many rows were written."""
        return self._run(connection, values).rowcount

    def run_all(self, connection: sa.Connection, rows: Iterable[Mapping[str, object]]) -> int:
        """Write once for each of ``rows``; how many rows were written."""
        sql, fixed = self._rendered
        given_rows = ({**fixed, **row} for row in rows) if fixed else rows
        return driver_of(connection).executemany(sql, given_rows).rowcount

    def added(self, connection: sa.Connection, values: Mapping[str, object]) -> int:
        """Insert; the number of the row that was inserted."""
        return self._run(connection, values).lastrowid or 0


def add(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> int:
    """Insert a row of these values; its number."""
    return _insert(table, tuple(values)).added(connection, values)


def add_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows that all have the same columns, many in one statement.

    Each statement lets other threads run, who may be long in giving back the turn.
    """
    if not rows:
        return
    columns, driver, place = tuple(rows[0]), driver_of(connection), 0
    defaults = _defaults(table, columns)
    for size in _AT_ONCE:
        sql = _insert_many(table, (*columns, *defaults), size)
        while len(rows) - place >= size:
            values: list[object] = []
            for row in rows[place : place + size]:
                values += [row[column] for column in columns]
                values += defaults.values()
            driver.execute(sql, values)
            place += size


@cache
def _defaults(table: sa.Table, columns: tuple[str, ...]) -> dict[str, object]:
    """The values that an insert of ``columns`` sets beside them."""
    fixed = _insert(table, columns)._rendered[1]  # noqa: SLF001
    return {name: value for name, value in fixed.items() if name not in columns}


@cache
def _insert_many(table: sa.Table, columns: tuple[str, ...], size: int) -> str:
    """An insert of ``size`` rows, their values in order."""
    quote = _DIALECT.identifier_preparer.quote
    row = f"({', '.join('?' * len(columns))})"
    into = f"{quote(table.name)} ({', '.join(map(quote, columns))})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * size)}"  # noqa: S608 - names of our own tables


@cache
def _insert(table: sa.Table, columns: tuple[str, ...]) -> Prepared:
    return Prepared(table.insert(), columns)


def change(
    connection: sa.Connection, table: sa.Table, where: Mapping[str, object], values: Mapping[str, object]
) -> int:
    """Set ``values`` in the rows whose columns are ``where``; how many there were."""
    named = {f"is_{column}": value for column, value in where.items()}
    return _update(table, tuple(where), tuple(values)).run(connection, {**named, **values})


@cache
def _update(table: sa.Table, where: tuple[str, ...], columns: tuple[str, ...]) -> Prepared:
    here = [table.c[column] == given(f"is_{column}") for column in where]
    return Prepared(table.update().where(*here), columns)


def _default(column: sa.Column[Any]) -> object:
    default = column.default
    if not isinstance(default, sa.ColumnDefault) or not default.is_scalar:
        raise TypeError(f"the default of {column} is no value")
    return default.arg
