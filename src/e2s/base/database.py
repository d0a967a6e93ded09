"""One database per writing component; an act is one durable transaction that begins IMMEDIATE.

SQLite in WAL with ``synchronous=FULL``: when a transaction returns, its effects survive a kill.
SQLAlchemy's own isolation level lets two writers both read 0 and both write, so the driver is in
autocommit and the begin event says ``BEGIN IMMEDIATE``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from e2s.base import meter
from e2s.base.errors import Unreachable

#: The driver's connection of each that is open here; to ask the library costs more than a small query.
_DRIVERS: dict[sa.Connection, sqlite3.Connection] = {}


class Database:
    """The tables of one component in one file, opened by :meth:`open`."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use :meth:`open` unless an engine is already at hand."""
        self.engine = engine
        self._idle: list[sa.Connection] = []

    @classmethod
    def open(cls, path: Path, tables: sa.MetaData) -> Database:
        """Open (and lay out, if new) the database file at ``path``; its mode is 0600.

        ``tables.info["pragmas"]`` may name what a large database wants of SQLite beyond its own defaults.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        engine = sa.create_engine(
            f"sqlite:///{path}",
            isolation_level="AUTOCOMMIT",
            poolclass=sa.QueuePool,
            max_overflow=-1,  # as many as threads use at the same time: those given back are kept here
            pool_reset_on_return=None,  # every transaction ends in the block that began it
            connect_args={"check_same_thread": False, "timeout": 30},
        )
        event.listen(engine, "connect", _configuring(tables.info.get("pragmas", ())))
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            tables.create_all(connection)
            connection.exec_driver_sql("COMMIT")
        return cls(engine)

    def transaction(self) -> Use:
        """One durable act: committed when the block ends, undone when it raises."""
        return Use(self, "BEGIN IMMEDIATE", durable=True)

    def reading(self) -> Use:
        """A consistent view with no write and no flush."""
        return Use(self, "BEGIN", durable=False)

    def glance(self) -> Use:
        """What one statement sees by itself: a reading without the cost of its begin and end."""
        return Use(self, "", durable=False)

    def taken(self) -> sa.Connection:
        """A connection that nobody uses: to take one from the engine costs as much as a query."""
        try:
            return self._idle.pop()
        except IndexError:
            connection = self.engine.connect()
            _DRIVERS[connection] = driver_of(connection)
            return connection

    def given_back(self, connection: sa.Connection) -> None:
        """The connection may be used again."""
        self._idle.append(connection)

    def close(self) -> None:
        """Give back every connection."""
        while self._idle:
            connection = self._idle.pop()
            _DRIVERS.pop(connection, None)
            connection.close()
        self.engine.dispose()


class Use:
    """One transaction or reading: a connection of one's own within a ``with`` block."""

    __slots__ = ("_begin", "_connection", "_database", "_durable")

    def __init__(self, database: Database, begin: str, *, durable: bool) -> None:
        """Made by :class:`Database`."""
        self._database, self._begin, self._durable = database, begin, durable

    def __enter__(self) -> sa.Connection:
        """Begin."""
        self._connection = self._database.taken()
        try:
            if self._begin:
                driver_of(self._connection).execute(self._begin)
        except BaseException:
            self._database.given_back(self._connection)
            raise
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Commit what was written without an error; undo everything else.

        Raises :class:`~e2s.base.errors.Unreachable` ``disk-full`` where there was no room for it.
        """
        driver = driver_of(self._connection)
        committed = False
        try:
            if self._durable and kind is None:
                driver.execute("COMMIT")
                committed = True
        except sqlite3.OperationalError as refused:
            error = refused
            raise
        finally:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            self._database.given_back(self._connection)
            if error is not None and _full(error):
                raise Unreachable("disk-full", "there is no room on the disk; nothing was kept") from error
        if committed:
            meter.count("commit")


def _full(error: BaseException) -> bool:
    """Whether the driver, or SQLAlchemy in its words, says that the disk is full."""
    driver = error.orig if isinstance(error, sa.exc.OperationalError) else error
    return isinstance(driver, sqlite3.OperationalError) and driver.sqlite_errorcode == sqlite3.SQLITE_FULL


def driver_of(connection: sa.Connection) -> sqlite3.Connection:
    """The driver's own connection: it is in autocommit, so that transactions begin and end only here."""
    known = _DRIVERS.get(connection)
    if known is not None:
        return known
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("the database is not SQLite")
    return driver


def _configuring(more: Iterable[str]) -> Callable[[object, object], None]:
    """What each connection is told as it is made: durable by WAL and FULL, and ``more``."""
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF", *more)

    def configure(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return configure
