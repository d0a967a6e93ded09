"""Acts that share a transaction: each durable or undone by itself, whatever the others do."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from e2s.base import meter
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.together import MOST, Together

TABLES = sa.MetaData()
ROW = sa.Table("row", TABLES, sa.Column("n", sa.Integer, primary_key=True))


@pytest.fixture
def database(tmp_path):
    opened = Database.open(tmp_path / "data.db", TABLES)
    yield opened
    opened.close()


def rows(database) -> list[int]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(ROW.c.n).order_by(ROW.c.n)).scalars())


def adding(n):
    def act(connection):
        connection.execute(ROW.insert().values(n=n))
        if n % 3 == 0:
            raise Refusal("by-three", "undone")
        return n

    return act


def test_an_act_alone_is_kept_or_undone(database):
    together = Together(database)
    assert together.write(adding(1)) == 1
    with pytest.raises(Refusal, match="by-three"):
        together.write(adding(3))
    assert rows(database) == [1]


def test_those_who_come_meanwhile_share_a_commit_and_no_fate(database):
    together, begun, go_on = Together(database), threading.Event(), threading.Event()

    def first(connection):
        begun.set()
        go_on.wait(10)
        return adding(1000)(connection)

    ends: dict[int, object] = {}

    def ask(n, act):
        try:
            ends[n] = together.write(act)
        except Refusal as refusal:
            ends[n] = refusal.rule

    numbers = range(1, 2 * MOST)
    threads = [threading.Thread(target=ask, args=(1000, first))]
    threads[0].start()
    begun.wait(10)
    threads += [threading.Thread(target=ask, args=(n, adding(n))) for n in numbers]
    for one in threads[1:]:
        one.start()
    while len(together._waiting) < len(numbers):
        threads[0].join(0.01)
    with meter.measured() as spent:
        go_on.set()
        for one in threads:
            one.join(30)
    assert spent["commit"] == 3
    assert ends == {1000: 1000, **{n: "by-three" if n % 3 == 0 else n for n in numbers}}
    assert rows(database) == [*[n for n in numbers if n % 3], 1000]
    assert together.write(adding(2000)) == 2000


def test_what_stops_the_transaction_reaches_everybody(database):
    together = Together(database)
    database.close()
    database.engine = sa.create_engine("sqlite:////nowhere/data.db")
    for _ in range(2):
        with pytest.raises(sa.exc.OperationalError):
            together.write(adding(1))
