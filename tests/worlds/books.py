"""What each side's books say of one trade, and whether its evidence holds: read from the files, asked of nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.base.http import Handler, Request, Response
from e2s.commerce.bankcard.evidence import judge
from tests.worlds.whole import LINES, Whole

TOTAL = "60.63"  # of whole.LINES at alpha's prices

#: (buyer, merchant, [(issuer's state, amount)]) as they may stand together when nothing is under way.
CAPTURED = ("received", "captured")
VOID = ("void", "void")


@dataclass(frozen=True)
class Standing:
    """How a trade stands on all sides."""

    buyer: str
    merchant: str
    payments: tuple[tuple[str, str], ...]

    def agrees(self, total: str) -> bool:
        """Paid once and captured on all sides, or void on all sides with nothing held or charged."""
        if (self.buyer, self.merchant) == CAPTURED:
            return self.payments == (("captured", total),)
        return (
            self.buyer in {"void", "refused"}
            and self.merchant in {"void", ""}
            and all(state in {"void", "closed", "declined"} for state, _ in self.payments)
        )


class Books:
    """The books of a :class:`Whole` community with one merchant and one issuer."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.anchors = whole.home.anchors()

    def path(self, name: str) -> Path:
        return self.whole.home.component(self.whole.community.component(name)).path

    def rows(self, name: str, statement: str, *values: str) -> list[tuple[str, ...]]:
        connection = sqlite3.connect(f"file:{self.path(name) / 'data.db'}?mode=ro", uri=True)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def standing(self, trade: str, wallet: str = "alpha-wallet") -> Standing:
        merchant = self.rows("volt-purchasing", "SELECT state FROM trade WHERE trade = ?", trade)
        payments = self.rows("issuer-desk", "SELECT state, amount FROM payment WHERE trade = ?", trade)
        return Standing(
            buyer=self.whole.wallet(wallet).wallet.trade(trade).state,
            merchant="".join(state for (state,) in merchant),
            payments=tuple((state, amount) for state, amount in payments),
        )

    def bundles(self, trade: str, wallet: str = "alpha-wallet") -> dict[str, bytes]:
        """The evidence bundles that buyer and merchant hold."""
        paths = {"buyer": self.path(wallet), "merchant": self.path("volt-purchasing")}
        files = {side: path / "evidence" / f"{trade}.tar" for side, path in paths.items()}
        return {side: file.read_bytes() for side, file in files.items() if file.exists()}

    def faults(self, trade: str, wallet: str = "alpha-wallet") -> list[str]:
        """What an off-line judge finds wrong in the evidence of either side."""
        return [
            f"{side}: {finding}"
            for side, bundle in self.bundles(trade, wallet).items()
            for finding in judge(bundle, self.anchors).findings
        ]


class Market:
    """The community in which purchase follows purchase, every answer watched: a refusal must name its rule."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.books = Books(whole)
        self.unnamed: list[tuple[str, int]] = []
        whole.exchange.faults.append(self._watch)

    def _watch(self, _origin: str, request: Request, deliver: Handler) -> Response:
        response = deliver(request)
        if response.status >= 400 and "e2s-rule" not in response.headers:
            self.unnamed.append((request.path, response.status))
        return response

    @property
    def shop(self) -> str:
        return self.whole.wallet().wallet.desk.shops[0].name

    def rest(self, seconds: int = 61) -> None:
        """Let everything that waits be done, lists grow old, and the session end."""
        self.whole.exchange.faults[1:] = []
        self.whole.wallet().wallet.line(self.shop).close()
        self.whole.tick(2)
        self.whole.clock.forward(seconds=seconds)

    def begin(self, wallet: str = "alpha-wallet") -> str:
        """A trade asked for; the buyer logs in anew where a session does not work."""
        home = self.whole.wallet(wallet)
        for _ in range(4):
            try:
                basket = home.wallet.basket(self.shop, LINES)
                break
            except E2SError as error:
                self.whole.last = error
                home.wallet.line(self.shop).close()
                self.whole.tick()
        return home.wallet.shopping.open(basket, home.deliver_to, home.cost_centre)

    def buy(self, most: int = 40) -> str:
        """A purchase up to its end, or as far as ``most`` attempts bring it."""
        return self.finish(self.begin(), most)

    def finish(self, trade: str, most: int = 40, wallet: str = "alpha-wallet") -> str:
        self.whole.finish(trade, wallet, most=most)
        self.whole.tick(3)
        return trade


@contextmanager
def market_in(folder: Path) -> Iterator[Market]:
    """A market whose first two purchases are done: every cache is warm."""
    whole = Whole(folder)
    whole.load()
    whole.permit()
    market = Market(whole)
    for _ in range(2):
        market.buy()
        market.rest()
    yield market
    whole.close()
