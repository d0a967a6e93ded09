"""The audit log: entered once, in order, durable when acknowledged, and not quietly rewritten (7.4)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.database import Database
from e2s.base.errors import E2SError, Fact, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Request
from e2s.base.outbox import Outbox, outbox_table
from e2s.network.sessions.link import Link
from e2s.network.sessions.local import LocalExchange, drop_answer, drop_request, duplicate, nth, to
from e2s.server.audit import store
from e2s.server.audit.batch import DOOR, MAX_EVENTS, fitting, read_batch, read_head, write_batch
from e2s.server.audit.chain import GENESIS, Altered, Whole, following, verify
from e2s.server.audit.sequencer import Sequencer, examine
from e2s.server.audit.shipping import ship

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:1"


class FixedClock:
    def now(self) -> datetime:
        return AT


class World:
    """A sequencer and one component, joined by a link in memory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.exchange = LocalExchange()
        self.keys = {"shop": secrets.token_bytes(32), "keys": secrets.token_bytes(32)}
        self.start()
        tables = sa.MetaData()
        self.outbox = Outbox(outbox_table(tables))
        self.database = Database.open(home / "shop.db", tables)

    def start(self) -> None:
        database = Database.open(self.home / "audit.db", store.TABLES)
        self.sequencer = Sequencer("audit", database, self.keys, FixedClock(), secrets.token_bytes)
        self.exchange.doors[ORIGIN] = self.sequencer.handle

    def link(self, name: str = "shop") -> Link:
        key = self.keys[name]
        return Link(name, "audit", key, self.exchange, ORIGIN, FixedClock(), secrets.token_bytes)

    def happen(self, number: int, size: int = 0) -> None:
        with self.database.transaction() as connection:
            for n in range(number):
                facts: dict[str, Fact] = {"n": n, "pad": "x" * size}
                event = Event(kind="offer.issued", at=AT, component="shop", facts=facts)
                self.outbox.sink(connection).append(event)

    def ship(self) -> int:
        return ship(self.database, self.outbox, self.link())

    def waiting(self) -> int:
        with self.database.reading() as connection:
            return len(self.outbox.waiting(connection, "audit", 10_000))

    def entries(self) -> int:
        result = examine(self.sequencer.database)
        assert isinstance(result, Whole)
        return result.entries

    def close(self) -> None:
        self.database.close()
        self.sequencer.close()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_events_are_entered_in_their_order_and_leave_the_outbox(world):
    world.happen(MAX_EVENTS + 7)
    assert world.ship() == MAX_EVENTS + 7
    assert world.waiting() == 0
    with world.sequencer.database.reading() as connection:
        rows = [(entry.number, entry.source, entry.row) for entry in store.entries(connection)]
    assert rows == [(n, "shop", n) for n in range(1, MAX_EVENTS + 8)]


def test_large_events_go_in_several_batches(world):
    world.happen(20, size=10_000)
    assert world.ship() == 20
    assert world.entries() == 20


def test_an_unheard_answer_enters_nothing_twice(world):
    world.happen(3)
    world.exchange.faults.append(drop_answer(nth(1, to(DOOR))))
    with pytest.raises(Unreachable):
        world.ship()
    assert world.waiting() == 3
    world.happen(1)
    assert world.ship() == 4
    assert world.entries() == 4


def test_a_lost_request_keeps_the_events(world):
    world.happen(3)
    world.exchange.faults.append(drop_request(nth(1, to(DOOR))))
    with pytest.raises(Unreachable):
        world.ship()
    assert world.entries() == 0
    assert world.ship() == 3
    assert world.entries() == 3


def test_a_doubled_request_is_refused_by_the_link(world):
    second = []
    world.happen(2)
    world.exchange.faults.append(duplicate(to(DOOR), second))
    assert world.ship() == 2
    assert [answer.headers["e2s-rule"] for answer in second] == ["link-replayed"]
    assert world.entries() == 2


def test_a_restarted_sequencer_goes_on_where_it_was(world):
    world.happen(2)
    world.ship()
    world.sequencer.close()
    world.start()
    world.happen(2)
    world.ship()
    assert world.entries() == 4


def test_rows_of_two_components_do_not_collide(world):
    event = Event(kind="key.sign", at=AT, component="keys").encoded()
    world.happen(1)
    world.ship()
    number, _ = read_head(world.link("keys").ask(DOOR, write_batch([(1, event)])))
    assert number == 2


def test_rows_of_two_outboxes_of_a_component_do_not_collide(world):
    event = Event(kind="key.sign", at=AT, component="shop").encoded()
    link = world.link()
    link.ask(DOOR, write_batch([(1, event)], "root"))
    number, _ = read_head(link.ask(DOOR, write_batch([(1, event)], "cards")))
    assert number == 2
    with world.sequencer.database.reading() as connection:
        assert [entry.source for entry in store.entries(connection)] == ["shop/root", "shop/cards"]


def test_a_row_that_changed_is_refused_and_the_batch_has_no_effect(world):
    link = world.link()
    first, other = (Event(kind=k, at=AT, component="shop").encoded() for k in ("key.sign", "key.made"))
    link.ask(DOOR, write_batch([(1, first)]))
    with pytest.raises(Refusal) as caught:
        link.ask(DOOR, write_batch([(2, first), (1, other)]))
    assert caught.value.rule == "audit-row-changed"
    assert world.entries() == 1


def test_a_stranger_is_not_heard(world):
    stranger = Link("shop", "audit", bytes(32), world.exchange, ORIGIN, FixedClock(), secrets.token_bytes)
    with pytest.raises(Unreachable):
        stranger.ask(DOOR, write_batch([(1, Event(kind="x", at=AT, component="shop").encoded())]))
    assert world.sequencer.handle(Request("POST", DOOR, b"{}")).status == 403
    assert world.entries() == 0


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE audit_log SET event = CAST('{}' AS BLOB) WHERE number = 3", 3),
        ("UPDATE audit_log SET source = 'other' WHERE number = 2", 2),
        ("UPDATE audit_log SET row = 77 WHERE number = 4", 4),
        ("UPDATE audit_log SET digest = zeroblob(32) WHERE number = 1", 1),
        ("DELETE FROM audit_log WHERE number = 2", 2),
        ("DELETE FROM audit_log WHERE number = 1", 1),
        ("UPDATE audit_log SET number = number + 1 WHERE number = 5", 5),
    ],
)
def test_an_altered_log_says_where(world, statement, number):
    world.happen(5)
    world.ship()
    with world.sequencer.database.transaction() as connection:
        connection.exec_driver_sql(statement)
    result = examine(world.sequencer.database)
    assert isinstance(result, Altered)
    assert result.number == number


def test_a_cut_log_is_found_by_who_remembers_its_head(world):
    world.happen(3)
    world.ship()
    whole = examine(world.sequencer.database)
    assert isinstance(whole, Whole)
    remembered = (whole.entries, whole.head)
    with world.sequencer.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM audit_log WHERE number = 3")
    assert isinstance(examine(world.sequencer.database), Whole)
    assert examine(world.sequencer.database, remembered) == Altered(
        3, "the log ends before entry 3, which was acknowledged"
    )


def test_a_rewritten_log_is_found_by_who_remembers_its_head(world):
    world.happen(2)
    world.ship()
    whole = examine(world.sequencer.database)
    assert isinstance(whole, Whole)
    forged = []
    with world.sequencer.database.reading() as connection:
        for entry in store.entries(connection):
            head = forged[-1].digest if forged else GENESIS
            forged.append(following(head, number=entry.number, source="shop", row=entry.row, event=b"{}"))
    assert isinstance(verify(forged), Whole)
    assert isinstance(verify(forged, (whole.entries, whole.head)), Altered)


@given(st.lists(st.integers(min_value=1, max_value=30_000), min_size=1, max_size=40))
def test_a_batch_takes_at_least_one_and_can_be_read(sizes):
    rows = [
        (n, Event(kind="x", at=AT, component="c", facts={"pad": "y" * (size % 15_000)}).encoded())
        for n, size in enumerate(sizes, 1)
    ]
    taken = fitting(rows)
    assert taken == rows[: len(taken)] != []
    assert read_batch(write_batch(taken)) == ("", taken)


@given(st.binary(max_size=400))
def test_garbage_is_no_batch(octets):
    with pytest.raises(Refusal):
        read_batch(octets)


@given(st.data())
def test_a_mutated_batch_is_read_or_refused(data):
    event = Event(kind="x", at=AT, component="c").encoded()
    octets = bytearray(write_batch([(1, event), (2, event)]))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, rows = read_batch(bytes(octets))
    except E2SError as error:
        assert error.rule
    else:
        assert all(row >= 1 for row, _ in rows)


def test_a_head_is_read_strictly():
    for octets in (b"", b"{}", b'{"type":"e2s/1/audit-head"}', b"[]"):
        with pytest.raises(Refusal):
            read_head(octets)


def test_the_day_of_an_event_is_its_own(world):
    with world.database.transaction() as connection:
        late = Event(kind="key.sign", at=AT + timedelta(days=1), component="shop")
        world.outbox.sink(connection).append(late)
    world.ship()
    with world.sequencer.database.reading() as connection:
        (entry,) = store.entries(connection)
    assert b"2026-03-02T12:00:00Z" in entry.event
