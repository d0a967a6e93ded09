"""One database per writing component; an act is one durable transaction that begins IMMEDIATE.

SQLite in WAL with ``synchronous=FULL``: when a transaction returns, its effects survive a kill.
SQLAlchemy's own isolation level lets two writers both read 0 and both write, so the driver is in
autocommit and the begin event says ``BEGIN IMMEDIATE``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from e2s.base import meter


class Database:
    """The tables of one component in one file, opened by :meth:`open`."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use :meth:`open` unless an engine is already at hand."""
        self.engine = engine
        self._idle: list[sa.Connection] = []

    @classmethod
    def open(cls, path: Path, tables: sa.MetaData) -> Database:
        """Open (and lay out, if new) the database file at ``path``; its mode is 0600."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        engine = sa.create_engine(
            f"sqlite:///{path}",
            isolation_level="AUTOCOMMIT",
            poolclass=sa.QueuePool,
            pool_reset_on_return=None,  # every transaction ends in the block that began it
            connect_args={"check_same_thread": False, "timeout": 30},
        )
        event.listen(engine, "connect", _configure)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            tables.create_all(connection)
            connection.exec_driver_sql("COMMIT")
        return cls(engine)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One durable act: committed when the block ends, undone when it raises."""
        with self._used() as (connection, driver):
            driver.execute("BEGIN IMMEDIATE")
            yield connection
            driver.execute("COMMIT")
        meter.count("commit")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A consistent view with no write and no flush."""
        with self._used() as (connection, driver):
            driver.execute("BEGIN")
            yield connection

    @contextmanager
    def _used(self) -> Iterator[tuple[sa.Connection, sqlite3.Connection]]:
        """A connection of one's own; whatever is not committed in the block is undone."""
        connection = self._taken()
        driver = driver_of(connection)
        try:
            yield connection, driver
        finally:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            self._idle.append(connection)

    def _taken(self) -> sa.Connection:
        """A connection that nobody uses: to take one from the engine costs as much as a query."""
        try:
            return self._idle.pop()
        except IndexError:
            return self.engine.connect()

    def close(self) -> None:
        """Give back every connection."""
        while self._idle:
            self._idle.pop().close()
        self.engine.dispose()


def driver_of(connection: sa.Connection) -> sqlite3.Connection:
    """The driver's own connection: it is in autocommit, so that transactions begin and end only here."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("the database is not SQLite")
    return driver


def _configure(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
