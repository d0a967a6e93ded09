"""The example community, every component with its own files, in one process on a network in memory.

It is founded and assembled by the code that `e2s up` uses; only sockets are replaced.  The clock stands
until a test moves it, and components do their periodic acts when :meth:`Whole.tick` is called.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from e2s.base.errors import E2SError
from e2s.client.wallet.home import Edges, ManagerHome, WalletHome, open_manager, open_wallet
from e2s.client.wallet.store import Trade
from e2s.commerce.purchasing.demo_data import SOURCE
from e2s.community import founding
from e2s.community.content import load_catalogue
from e2s.community.description import Community
from e2s.community.example import example_file
from e2s.community.file import load_community
from e2s.community.home import CommunityHome
from e2s.community.making import Tools
from e2s.community.place import Assembled, Place
from e2s.community.running import assemble
from e2s.crypto.keys import spki_of
from e2s.network.sessions.local import LocalExchange
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase, phrase_from_file
from tests.worlds.pki import SetClock

#: Parts that tests order: several VAT rates, awkward prices.
CSV = (
    b"sku,text,class,price,vatRate,unit,keywords\n"
    b"R:10K,Resistor 10 kOhm zebrafish,Resistor,0.012,19,piece,smd 0603\n"
    b"BOOK:7,Data book quokka,Book,18.69,7,piece,paper\n"
    b"SOLAR:1,Solar cell narwhal,Solar,5,0,piece,panel\n"
    b"WIRE:RED,Red wire axolotl,Wire,0.35,19,metre,copper\n"
)
LINES = (("R:10K", "1000"), ("BOOK:7", "2"), ("SOLAR:1", "3"))
CHEAP = Cost(memory_kib=8, passes=1)


@dataclass
class Whole:
    """The community; components by name in ``running``."""

    folder: Path
    clock: SetClock = field(default_factory=SetClock)
    exchange: LocalExchange = field(default_factory=LocalExchange)
    running: dict[str, Assembled] = field(default_factory=dict)
    wallets: dict[str, WalletHome] = field(default_factory=dict)
    managers: dict[str, ManagerHome] = field(default_factory=dict)
    last: E2SError | None = None
    #: the community's own rows of suites
    rows: str = ""

    def __post_init__(self) -> None:
        self.home = CommunityHome(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = example_file(count(20001))
        if self.rows:
            (self.folder / "suites.toml").write_text(self.rows, encoding="utf-8")
            text = text.replace("[community]\n", '[community]\nsuites = "suites.toml"\n', 1)
        self.home.file.write_text(text, encoding="utf-8")
        self.community: Community = load_community(self.home.file)
        tools = Tools(clock=self.clock, random=secrets.token_bytes, cost=CHEAP)
        founding.found(self.community, self.home, tools, lambda _line: None)
        for component in self.community.components.values():
            if not component.person:
                self.start(component.name)

    def place(self, name: str) -> Place:
        return Place(
            community=self.community,
            component=self.community.component(name),
            whole=self.home,
            clock=self.clock,
            exchange=self.exchange,
            random=secrets.token_bytes,
        )

    # ------------------------------------------------------------------ components
    def start(self, name: str) -> None:
        """Build the component from its files, as after a start or a kill."""
        place = self.place(name)
        built = assemble(place)
        self.running[name] = built
        self.exchange.doors[place.component.origin] = built.handle
        if place.component.tls:
            front = place.certificates(name, "tls-server")[0]
            self.exchange.spkis[place.component.origin] = sha256(spki_of(front.public_key)).digest()

    def kill(self, name: str) -> None:
        """Forget all that the component holds in memory; nobody answers at its door."""
        self.exchange.doors.pop(self.community.component(name).origin, None)
        self.running.pop(name).close()

    def tick(self, times: int = 1, seconds: int = 1) -> None:
        for _ in range(times):
            self.clock.forward(seconds=seconds)
            for built in list(self.running.values()):
                built.tick()

    def load(self, csv: bytes = CSV) -> None:
        load_catalogue(self.place("volt-catalogue"), csv, currency="EUR", source=SOURCE)

    # ------------------------------------------------------------------ people
    def edges(self) -> Edges:
        return Edges(
            clock=self.clock, random=secrets.token_bytes, pause=lambda _seconds: None, exchange=self.exchange
        )

    def phrase(self, name: str) -> Phrase:
        return phrase_from_file(self.home.component(self.community.component(name)).phrase)

    def wallet(self, name: str = "alpha-wallet") -> WalletHome:
        if name not in self.wallets:
            folder = self.home.component(self.community.component(name)).path
            self.wallets[name] = open_wallet(folder, self.phrase(name), self.edges())
        return self.wallets[name]

    def manager(self, name: str = "alpha-manager") -> ManagerHome:
        if name not in self.managers:
            folder = self.home.component(self.community.component(name)).path
            self.managers[name] = open_manager(folder, self.phrase(name), self.edges())
        return self.managers[name]

    def close_wallet(self, name: str = "alpha-wallet") -> None:
        self.wallets.pop(name).wallet.close()

    def permit(self, name: str = "alpha-manager", limit: str = "5000.00", period: str = "1000000.00") -> None:
        """The manager's control parameters: every card may buy for ``limit``."""
        home = self.manager(name)
        holders: list[dict[str, Any]] = [
            {
                "holder": one.certificate,
                "perPurchase": limit,
                "perPeriod": period,
                "periodDays": 30,
                "classes": ["*"],
                "merchants": ["*"],
            }
            for one in home.holders
        ]
        home.desk.set_controls(holders, self.phrase(name))

    def buy(self, name: str = "alpha-wallet", lines: tuple[tuple[str, str], ...] = LINES) -> Trade:
        """One purchase without faults, to the receipt."""
        home = self.wallet(name)
        wallet, phrase = home.wallet, self.phrase(name)
        shop = wallet.desk.shops[0].name
        review = wallet.ask(wallet.basket(shop, lines), home.deliver_to, home.cost_centre)
        return self.finish(review.trade, name, phrase)

    def finish(
        self, trade: str, name: str = "alpha-wallet", phrase: Phrase | None = None, most: int = 40
    ) -> Trade:
        """Accept, pay, receive: as often as it takes, with time passing between attempts."""
        wallet, phrase = self.wallet(name).wallet, phrase or self.phrase(name)
        for _ in range(most):
            known = wallet.trade(trade)
            try:
                if known.state == "offered":
                    known = wallet.accept(trade, phrase)
                elif known.state == "contract":
                    known = wallet.pay(trade, phrase)
                elif known.state == "received" and not known.settled:
                    known = wallet.receipt(trade, phrase)
                elif known.state == "inquiring":
                    known = wallet.inquire(trade, phrase)
                else:
                    known = wallet.poll(trade)
            except E2SError as error:
                self.last = error
            if known.ended or (known.state == "received" and known.settled):
                return known
            self.tick()
        return wallet.trade(trade)

    def close(self) -> None:
        for name in list(self.wallets):
            self.close_wallet(name)
        for home in self.managers.values():
            home.desk.close()
        for built in self.running.values():
            built.close()
