"""Every cell of the buyer's table, in the wallet's own book: listed pairs move, all others have no effect."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.client.wallet import store
from e2s.commerce.purchasing.tables import BUYER
from e2s.commerce.steps import events, states
from tests.worlds.pki import START

PAIRS = sorted((state, event) for state in states(BUYER) for event in events(BUYER))


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    made = Database.open(tmp_path_factory.mktemp("book") / "wallet.db", store.TABLES)
    yield made
    made.close()


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_cell(book, state, event):
    trade = f"{state}/{event}"
    with book.transaction() as connection:
        store.open_trade(connection, trade, "urn:e2s:market:volt", {"atMost": ""}, START)
        connection.execute(sa.text("UPDATE trades SET state=:s WHERE trade=:t"), {"s": state, "t": trade})
    step = BUYER.get((state, event))
    if step is None:
        with pytest.raises(Refusal) as caught, book.transaction() as connection:
            store.move(connection, trade, event, START)
        assert caught.value.rule == "out-of-order"
    else:
        with book.transaction() as connection:
            assert store.move(connection, trade, event, START) == step
    with book.reading() as connection:
        assert store.trade_of(connection, trade).state == (step.state if step else state)


def test_every_state_but_the_ends_has_a_way_on():
    ends = states(BUYER) - {state for state, _ in BUYER}
    assert ends == {"void", "closed"}


def test_void_alone_never_ends_paying():
    for state in ("paying", "inquiring"):
        assert BUYER[state, "void"].state == state


def test_a_move_is_an_event_of_the_same_transaction(book):
    with book.transaction() as connection:
        store.open_trade(connection, "seen", "urn:e2s:market:volt", {"atMost": ""}, START)
        store.move(connection, "seen", "offer", START)
        waiting = [body for _, body in store.OUTBOX.waiting(connection, "audit")]
    assert any(b'"trade":"seen"' in body and b"trade.moved" in body for body in waiting)
