"""After a hundred purchases nobody holds what it may not: no card number at the merchant, no order at the banks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2s.base import wire
from e2s.commerce.purchasing.load import read_csv
from tests.leaks.scan import Haystack, guesses, leaks
from tests.worlds.whole import CSV, LINES, Whole

PURCHASES = 100
LABELS = (b"", b"e2s/1 OI", b"e2s/1 SI", b"e2s/1 PI", b"e2s/1 pan", b"e2s/1 xid")
#: Words that occur in the ordered lines and nowhere else.
WORDS = {b"zebrafish": "an order line", b"quokka": "an order line", b"narwhal": "an order line"}
SKUS = {sku.encode(): "an article number" for sku, _ in LINES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    whole = Whole(tmp_path_factory.mktemp("market"))
    whole.load()
    for manager in ("alpha-manager", "beta-manager"):
        whole.permit(manager)
    yield whole
    whole.close()


def pans(whole: Whole) -> dict[bytes, str]:
    return {
        whole.wallet(name).wallet.desk.card().pan.encode(): f"card number of {name}"
        for name in ("alpha-wallet", "beta-wallet")
    }


def order_guesses(orders: list[wire.Document]) -> dict[bytes, str]:
    """What somebody with the catalogue and the price lists could try against an unsalted digest."""
    candidates = [octets for item in read_csv(CSV) for octets in (item.sku.encode(), item.text.encode())]
    for sums in orders:
        candidates += [wire.encode(line) for line in sums["lines"]]
        candidates += [wire.encode(sums), wire.encode({"lines": sums["lines"]})]
        candidates += [wire.encode({"type": "e2s/1/OI", **sums})]
    return guesses(candidates, LABELS)


def test_nobody_holds_what_it_may_not_see(whole: Whole) -> None:
    trades = []
    orders = []
    for n in range(PURCHASES):
        name = ("alpha-wallet", "beta-wallet")[n % 2]
        home, phrase = whole.wallet(name), whole.phrase(name)
        basket = home.wallet.basket(home.wallet.desk.shops[0].name, LINES)
        review = home.wallet.ask(basket, home.deliver_to, home.cost_centre)
        home.wallet.accept(review.trade, phrase)
        assert home.wallet.pay(review.trade, phrase).state == "paid"
        trades.append((name, review.trade))
        sums = ("lines", "vat", "net", "tax", "total", "currency")
        orders.append({member: review.document[member] for member in sums})
    order = Haystack({**WORDS, **SKUS}, order_guesses(orders))
    _before_capture(whole, order)
    for name, trade in trades:
        assert whole.finish(trade, name).state == "received"
    whole.tick(3)
    _after_capture(whole, order)


def _before_capture(whole: Whole, order: Haystack) -> None:
    for party in ("issuer", "acquirer"):
        assert leaks(whole.folder / party, order) == []
    # the search does find the lines where they may be
    assert leaks(whole.folder / "volt" / "volt-purchasing", Haystack(WORDS))


def _after_capture(whole: Whole, order: Haystack) -> None:
    numbers = pans(whole)
    card = Haystack(numbers, guesses(numbers, LABELS))
    assert leaks(whole.folder / "volt", card) == []
    for party in ("alpha", "beta", "authority"):
        assert leaks(whole.folder / party, Haystack(numbers)) == []
    assert leaks(whole.folder / "acquirer", order) == []
    # at capture the issuer gets the lines, for the statement
    assert leaks(whole.folder / "issuer", Haystack(WORDS))
    assert _captured(whole.folder) == PURCHASES


def _captured(folder: Path) -> int:
    import sqlite3

    connection = sqlite3.connect(folder / "issuer" / "issuer-desk" / "data.db")
    try:
        return int(connection.execute("SELECT count(*) FROM payment WHERE state = 'captured'").fetchone()[0])
    finally:
        connection.close()
