"""An act is one durable transaction, and its events leave only with it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from e2s.base import meter
from e2s.base.database import _DRIVERS, Database, driver_of
from e2s.base.errors import Unreachable
from e2s.base.events import Event
from e2s.base.outbox import Outbox, outbox_table

AT = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = sa.MetaData()
COUNT = sa.Table("count", TABLES, sa.Column("n", sa.Integer))
BULK = sa.Table("bulk", TABLES, sa.Column("octets", sa.LargeBinary))
OUTBOX = Outbox(outbox_table(TABLES))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "home" / "data.db", TABLES)
    yield database
    database.close()


def _add_one(database: Database) -> None:
    with database.transaction() as connection:
        n = connection.scalar(sa.select(COUNT.c.n)) or 0
        connection.execute(COUNT.delete())
        connection.execute(COUNT.insert().values(n=n + 1))


def test_writers_never_both_read_the_old_value(database: Database) -> None:
    def add_many() -> None:
        for _ in range(25):
            _add_one(database)

    threads = [threading.Thread(target=add_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.scalar(sa.select(COUNT.c.n)) == 100


@pytest.mark.parametrize("by", ["statement", "commit", "SQLAlchemy"])
def test_a_full_disk_is_said_and_leaves_nothing_behind(database: Database, by: str) -> None:
    """SQLite's own bound stands for the disk's: it gives the same error at the same places."""

    def fill() -> None:
        with database.transaction() as connection:
            if by == "SQLAlchemy":
                connection.execute(BULK.insert().values(octets=bytes(1 << 22)))
            else:
                driver_of(connection).execute("INSERT INTO bulk VALUES (zeroblob(?))", (1 << 22,))

    with database.reading() as connection:
        [(pages,)] = driver_of(connection).execute("PRAGMA page_count").fetchall()
        if by != "commit":
            driver_of(connection).execute(f"PRAGMA max_page_count={pages + 2}")
    if by == "commit":
        _fail_at_commit(database)
    with pytest.raises(Unreachable, match="disk-full"):
        fill()
    _add_one(database)
    with database.reading() as connection:
        assert connection.scalar(sa.select(COUNT.c.n)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(BULK)) == 0


def _fail_at_commit(database: Database) -> None:
    """The next COMMIT finds no room: what the driver raises is what it raises on a full disk."""

    class Full:
        def __init__(self, driver: sqlite3.Connection) -> None:
            self._driver, self._full = driver, True

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement == "COMMIT" and self._full:
                self._full = False
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return self._driver.execute(statement, *values)

        def __getattr__(self, name: str) -> object:
            return getattr(self._driver, name)

    with database.reading() as connection:
        _DRIVERS[connection] = Full(driver_of(connection))  # type: ignore[assignment]


def test_an_act_that_raises_leaves_no_effect_and_no_event(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:  # noqa: PT012 - the act
        connection.execute(COUNT.insert().values(n=1))
        OUTBOX.sink(connection).append(Event(kind="test", at=AT, component="c"))
        _ = 1 // 0
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(COUNT)) == 0
        assert OUTBOX.waiting(connection, "audit") == []


def test_an_event_waits_until_its_receiver_has_it(database: Database) -> None:
    with database.transaction() as connection:
        OUTBOX.sink(connection).append(Event(kind="test", at=AT, component="c", facts={"n": 1, "none": None}))
    with database.transaction() as connection:
        [(row, body)] = OUTBOX.waiting(connection, "audit")
        assert body == (
            b'{"at":"2026-01-01T00:00:00Z","component":"c","facts":{"n":1},"kind":"test","outcome":"done",'
            b'"type":"e2s/1/event"}'
        )
        OUTBOX.done(connection, [row])
    with database.reading() as connection:
        assert OUTBOX.waiting(connection, "audit") == []


def test_row_numbers_are_never_used_twice(database: Database) -> None:
    numbers = []
    for _ in range(3):
        with database.transaction() as connection:
            OUTBOX.put(connection, "audit", b"x", AT)
            [(row, _)] = OUTBOX.waiting(connection, "audit")
            numbers.append(row)
            OUTBOX.done(connection, [row])
    assert numbers == [1, 2, 3]


def test_a_commit_is_counted_and_a_reading_is_not(database: Database) -> None:
    with meter.measured() as spent:
        _add_one(database)
        with database.reading():
            pass
    assert spent == {"commit": 1}


def test_as_many_threads_read_at_the_same_time_as_there_are(database: Database) -> None:
    """A connection that is given back is no pool's: who waited at a pool for one would wait for ever."""
    inside = threading.Barrier(40)

    def read() -> None:
        with database.reading() as connection:
            inside.wait(20)
            connection.execute(sa.select(COUNT.c.n)).all()

    threads = [threading.Thread(target=read) for _ in range(inside.parties)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not inside.broken


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    program = textwrap.dedent(f"""
        import pathlib, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_database import COUNT, TABLES, Database
        database = Database.open(pathlib.Path({str(path)!r}), TABLES)
        with database.transaction() as connection:
            connection.execute(COUNT.insert().values(n=7))
        connection = database.engine.connect()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(COUNT.insert().values(n=8))
        print("open", flush=True)
        sys.stdin.read()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        os.kill(process.pid, signal.SIGKILL)
    database = Database.open(path, TABLES)
    with database.reading() as connection:
        assert list(connection.scalars(sa.select(COUNT.c.n))) == [7]
    database.close()


def test_the_file_is_its_owners_alone(database: Database, tmp_path: Path) -> None:
    assert (tmp_path / "home" / "data.db").stat().st_mode & 0o077 == 0
