"""What a whole purchase costs is counted, exactly: signatures, verifications, agreements, hops, commits.

The table stands in docs/figures.md too; whoever changes a count changes it there, and says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from e2s.base import meter
from tests.worlds.whole import LINES, Whole

T = TypeVar("T")
DOCS = Path(__file__).parents[2] / "docs" / "figures.md"
KINDS = ("sign", "verify", "agree", "stretch", "hop", "commit")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    whole = Whole(tmp_path_factory.mktemp("market"))
    whole.load()
    whole.permit()
    whole.buy()  # the first purchase also verifies every path and fetches every revocation list
    counted(whole)  # the clock stands still from here: no list is asked for again
    yield whole
    whole.close()


def counted(whole: Whole) -> dict[str, Counter[str]]:
    """The cost of each step of one purchase in a session that begins with it."""
    home, phrase = whole.wallet(), whole.phrase("alpha-wallet")
    wallet, shop = home.wallet, home.wallet.desk.shops[0].name
    wallet.line(shop).close()
    table: dict[str, Counter[str]] = {}

    def step(name: str, act: Callable[[], T]) -> T:
        with meter.measured() as spent:
            done = act()
        table[name] = spent
        return done

    basket = step("log in, basket", lambda: wallet.basket(shop, LINES))
    review = step("offer", lambda: wallet.ask(basket, home.deliver_to, home.cost_centre))
    step("accept, confirm", lambda: wallet.accept(review.trade, phrase))
    paid = step("pay, authorise", lambda: wallet.pay(review.trade, phrase))
    assert paid.state == "paid"
    received = step("deliver, capture", lambda: wallet.poll(review.trade))
    assert received.state == "received"
    assert step("receipt", lambda: wallet.receipt(review.trade, phrase)).settled
    table["whole purchase"] = sum(table.values(), Counter())
    return table


def rows(table: dict[str, Counter[str]]) -> list[str]:
    return [f"| {name} | " + " | ".join(str(spent[k]) for k in KINDS) + " |" for name, spent in table.items()]


def test_the_table_in_the_documentation_is_what_a_purchase_costs(whole: Whole) -> None:
    first, second = rows(counted(whole)), rows(counted(whole))
    assert first == second
    said = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line in set(first)]
    assert said == first, "the table should be:\n" + "\n".join(first)
