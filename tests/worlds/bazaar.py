"""Market and shop joined, nobody played: wallet, merchant's five components and both banks in one process.

Every party is restarted from its files by ``restart``; the exchange between them may lose or repeat.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from e2s.base.database import Database
from e2s.client.wallet import store as wallet_store
from e2s.client.wallet.card import seal_card
from e2s.client.wallet.desk import Desk, Shop
from e2s.client.wallet.session import lines
from e2s.client.wallet.wallet import Wallet
from e2s.commerce.bankcard import store as bank_store
from e2s.commerce.purchasing import store as merchant_store
from e2s.crypto.suites import SESSIONS
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from tests.worlds.market import Market, shared_keys
from tests.worlds.shop import LINES, ShopWorld

CHEAP = Cost(memory_kib=8, passes=1)
WANTED = [(line["sku"], line["qty"]) for line in LINES]


def phrase() -> Phrase:
    return Phrase("correct horse")


class RealPayment:
    """The market's payment component behind the shop's links."""

    def __init__(self, market: Market) -> None:
        self.market = market

    def handle_link(self, _peer: str, path: str, body: bytes) -> bytes:
        return self.market.payment.doors[path]("volt-purchasing", body)


class Bazaar:
    """``market`` has the banks and the till, ``shop`` the rest of the merchant, ``wallet`` is Anna's."""

    def __init__(self, home: Path, **shop: Any) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.market = Market(home, keys=shared_keys())
        self.clock = self.market.clock
        self.exchange = self.market.exchange
        self.shop = ShopWorld(
            home / "shop",
            pki=self.market.pki,
            clock=self.clock,
            exchange=self.exchange,
            payment=RealPayment(self.market),
            gateways=(self.market.gateway_signer.certificate.id,),
            **shop,
        )
        self.shop.load()
        self.market.permit(self.market.alpha, self.market.anna)
        self._found_wallet()
        self.wallet = self.open_wallet()

    def _found_wallet(self) -> None:
        """Anna's PSE with her four keys, and her card, sealed to it."""
        market, holder = self.market, self.market.anna
        names = (holder.person, holder.organisation)
        kinds = (("session", "buyer-session"), ("buyer", "buyer"), ("agreement", "buyer-agreement"))
        made = {label: market.pki.issue(kind, names) for label, kind in kinds}
        made["card"] = (holder.signer.certificate, holder.signer.chain, holder.signer._key)
        entries = {
            label: Entry(private_key=key, certificate=certificate, chain=chain)
            for label, (certificate, chain, key) in made.items()
        }
        pse = SoftwarePse.create(self.home / "pse", phrase(), entries, cost=CHEAP, random=secrets.token_bytes)
        pse.close()
        (self.home / "card.cms").write_bytes(
            seal_card(holder.record, made["agreement"][0], secrets.token_bytes)
        )

    def open_wallet(self) -> Wallet:
        holder = self.market.anna
        desk = Desk(
            person=holder.person,
            organisation=holder.organisation,
            pse=SoftwarePse.open(self.home / "pse", phrase()),
            card_file=self.home / "card.cms",
            database=Database.open(self.home / "wallet.db", wallet_store.TABLES),
            exchange=self.exchange,
            trust=self.market.trust,
            clock=self.clock,
            random=secrets.token_bytes,
            authorities=("http://tsa1.test", "http://tsa2.test"),
            shops=(Shop(name=self.shop.name, origin=self.shop.origin, title="Volt"),),
            evidence=self.home / "evidence",
        )
        return Wallet(desk, lines(desk, suites=tuple(SESSIONS), plain=True))

    def restart(self) -> None:
        """Everybody was killed and is started anew."""
        self.market.start_issuer()
        self.market.start_gateway()
        self.market.start_till()
        self.shop.restart()
        self.wallet = self.open_wallet()

    def tick(self) -> None:
        """A second passes for the servers."""
        self.clock.forward(seconds=1)
        for component in (self.market.issuer, self.market.gateway, self.market.payment, self.shop.service):
            component.tick()

    # ------------------------------------------------------------------ how things stand
    def merchant_row(self, trade: str) -> merchant_store.Trade | None:
        with self.shop.purchasing.counter.store.reading() as connection:
            return merchant_store.find(connection, self.market.anna.person, trade)

    def merchant_state(self, trade: str) -> str:
        found = self.merchant_row(trade)
        return found.state if found else "none"

    def issuer_states(self) -> list[str]:
        """Every payment that the bank knows, by state."""
        with self.market.bank.store.reading() as connection:
            return sorted(row.state for row in connection.execute(bank_store.PAYMENT.select()))
