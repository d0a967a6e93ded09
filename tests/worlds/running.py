"""The example community as processes: founded once, its components killed and started again by tests."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.base.instants import SystemClock
from e2s.client.wallet.home import Edges, WalletHome, open_manager, open_wallet
from e2s.client.wallet.store import Trade
from e2s.commerce.purchasing.demo_data import SOURCE
from e2s.community import founding, processes
from e2s.community.content import load_catalogue
from e2s.community.demo import new_community
from e2s.community.making import Tools
from e2s.community.running import DRILL, place_of
from e2s.network.sessions.client import HttpExchange
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase, phrase_from_file
from tests.worlds.whole import CHEAP, CSV, LINES

PAUSE = 0.05
#: Polls until a trade has got on; a bound against a trade that never does, not a measure of time.
PATIENCE = 1200


class Running:
    """Processes of all components but people's; the wallet works in the test's own process."""

    def __init__(self, folder: Path, *, cost: Cost = CHEAP) -> None:
        self.community, self.home = new_community(folder)
        self.clock = SystemClock()
        tools = Tools(clock=self.clock, random=secrets.token_bytes, cost=cost)
        founding.found(self.community, self.home, tools, lambda _line: None)
        self.exchange = HttpExchange(anchors=self.home.root.read_bytes())
        self.names = [c.name for c in self.community.components.values() if not c.person]
        self.start(*self.names)
        place = place_of(
            self.community, self.home, "volt-catalogue", clock=self.clock, random=secrets.token_bytes
        )
        load_catalogue(place, CSV, currency="EUR", source=SOURCE)
        self._permit()
        self._wallet: WalletHome | None = None

    def start(self, *names: str, drill: str = "") -> None:
        """Start what does not run; with ``drill``, to die at that point."""
        if drill:
            os.environ[DRILL] = drill
        try:
            processes.start(
                self.community, self.home, self.home.file, self.exchange, lambda _line: None, names
            )
        finally:
            os.environ.pop(DRILL, None)

    def kill(self, name: str) -> None:
        """``kill -9`` of the component's process, and wait until it is gone."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        while self.pid(name) is not None:
            time.sleep(PAUSE)

    def pid(self, name: str) -> int | None:
        return processes.process_of(self.home.component(self.community.component(name)))

    def heal(self) -> None:
        self.start(*self.names)

    def path(self, name: str) -> Path:
        return self.home.component(self.community.component(name)).path

    def phrase(self, name: str = "alpha-wallet") -> Phrase:
        return phrase_from_file(self.path(name) / "pse.phrase")

    def edges(self) -> Edges:
        return Edges(clock=self.clock, random=secrets.token_bytes, pause=lambda _n: time.sleep(PAUSE))

    def _permit(self) -> None:
        home = open_manager(self.path("alpha-manager"), self.phrase("alpha-manager"), self.edges())
        holder = {
            "holder": home.holders[0].certificate,
            "perPurchase": "1000.00",
            "perPeriod": "1000000.00",
            "periodDays": 30,
            "classes": ["*"],
            "merchants": ["*"],
        }
        home.desk.set_controls([holder], self.phrase("alpha-manager"))
        home.desk.close()

    @property
    def wallet(self) -> WalletHome:
        if self._wallet is None:
            self._wallet = open_wallet(self.path("alpha-wallet"), self.phrase(), self.edges())
        return self._wallet

    # ------------------------------------------------------------------ a purchase that goes on whatever happens
    def begin(self) -> str:
        """Open a trade; nothing was asked of anybody yet but the prices."""
        home = self.wallet
        for _ in range(PATIENCE):
            try:
                basket = home.wallet.basket(home.wallet.desk.shops[0].name, LINES)
            except E2SError:
                self.heal()
            else:
                return home.wallet.shopping.open(basket, home.deliver_to, home.cost_centre)
        raise AssertionError("the shop never showed its prices")

    def advance(self, trade: str) -> Trade:
        """The next thing that the buyer can do; nothing where nobody answers."""
        wallet, phrase = self.wallet.wallet, self.phrase()
        known = wallet.trade(trade)
        if known.state == "offered":
            return wallet.accept(trade, phrase)
        if known.state == "contract":
            return wallet.pay(trade, phrase)
        if known.state == "received" and not known.settled:
            return wallet.receipt(trade, phrase)
        if known.state == "inquiring":
            return wallet.inquire(trade, phrase)
        return wallet.poll(trade)

    def finish(self, trade: str) -> Trade:
        """Go on until the trade has ended, healing whatever has died."""
        for _ in range(PATIENCE):
            # Whoever watches a community starts again what has died, whether or not the buyer notices.
            self.heal()
            try:
                known = self.advance(trade)
            except E2SError:
                known = self.wallet.wallet.trade(trade)
            if known.ended or (known.state == "received" and known.settled):
                return known
            time.sleep(PAUSE)
        raise AssertionError(f"the trade stayed {known.state}")

    def close(self) -> None:
        if self._wallet is not None:
            self._wallet.wallet.close()
        processes.stop(self.community, self.home, lambda _line: None)
        self.exchange.close()

    # ------------------------------------------------------------------ the books
    def rows(self, name: str, statement: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(f"file:{self.path(name) / 'data.db'}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def settled(self, trade: str) -> tuple[str, str, list[tuple[object, ...]]]:
        """How the trade stands with buyer, merchant and issuer, once the merchant has nothing more to do."""
        for _ in range(PATIENCE):
            [(merchant,)] = self.rows("volt-purchasing", f"SELECT state FROM trade WHERE trade = '{trade}'")
            if merchant in ("captured", "void", "unpaid"):
                break
            self.heal()
            time.sleep(PAUSE)
        payments = self.rows("issuer-desk", f"SELECT state, amount FROM payment WHERE trade = '{trade}'")
        return self.wallet.wallet.trade(trade).state, str(merchant), payments


@contextmanager
def running(folder: Path, *, cost: Cost = CHEAP) -> Iterator[Running]:
    world = Running(folder, cost=cost)
    try:
        yield world
    finally:
        world.close()
