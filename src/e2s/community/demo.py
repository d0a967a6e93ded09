"""The demonstration: the example community in one folder, started, used for purchases, and stopped.

Every line that it tells says who did what and, where something was signed, what.  The buyer's and the
manager's acts are those of their own homes; everything else happens in the components' processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from e2s.base.errors import Misuse, Refusal
from e2s.base.money import format_amount
from e2s.client.wallet.home import Edges, ManagerHome, WalletHome, open_manager, open_wallet
from e2s.client.wallet.purchases import purchases
from e2s.client.wallet.reconciling import reconcile, vat_report
from e2s.client.wallet.store import Trade
from e2s.commerce.purchasing.demo_data import SOURCE, demo_csv
from e2s.community import founding, processes
from e2s.community.content import load_catalogue
from e2s.community.description import Community, Component
from e2s.community.example import EXAMPLE_PORTS, example_file, free_ports
from e2s.community.file import load_community
from e2s.community.home import CommunityHome
from e2s.community.making import Tools
from e2s.community.running import place_of
from e2s.network.sessions.client import HttpExchange
from e2s.security.keys.phrase import Phrase, phrase_from_file

Tell = Callable[[str], None]

#: What the buyers look for in one order; each basket takes the first two parts of each search.
_SEARCHES: Final = (
    ("op amp", "temperature sensor", "battery charger"),
    ("usb connector", "current sensor", "lithium battery"),
    ("voltage regulator", "flash memory", "pressure sensor"),
)
_ROWS: Final = 2
_PURCHASES_PER_PERIOD: Final = 10
_STATES_PER_ORDER: Final = 240
_PAUSE_SECONDS: Final = 0.25


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a demonstration leaves: the evidence bundles of its trades, and the root that they verify with."""

    community: Path
    evidence: tuple[Path, ...]
    trust: Path
    orders: int


def new_community(home: Path) -> tuple[Community, CommunityHome]:
    """Write the example's community file into ``home``, which must be empty or new."""
    if home.exists() and any(home.iterdir()):
        raise Misuse("home-in-use", "the demonstration wants an empty folder", home=str(home))
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = CommunityHome(home.absolute())
    whole.file.write_text(example_file(iter(free_ports(EXAMPLE_PORTS))), encoding="utf-8")
    return load_community(whole.file), whole


@contextmanager
def running(community: Community, whole: CommunityHome, tools: Tools, tell: Tell) -> Iterator[HttpExchange]:
    """The community founded and every component ready; all are stopped at the end."""
    founding.found(community, whole, tools, tell)
    exchange = HttpExchange(anchors=whole.root.read_bytes())
    try:
        processes.start(community, whole, whole.file, exchange, tell)
        yield exchange
    finally:
        processes.stop(community, whole, tell)
        exchange.close()


@dataclass(frozen=True, kw_only=True)
class Person:
    """A buyer at her wallet or a manager at his desk: the home and the pass phrase she types."""

    name: str
    phrase: Phrase


@dataclass(frozen=True, kw_only=True)
class Buyer(Person):
    """A buyer and her wallet."""

    home: WalletHome


@dataclass(frozen=True, kw_only=True)
class Manager(Person):
    """A purchasing manager and his desk."""

    home: ManagerHome


def purchase(home: Path, orders: int, tools: Tools, tell: Tell) -> Outcome:
    """Found, start, buy ``orders`` times, reconcile, stop; raises what refuses."""
    community, whole = new_community(home)
    parts = f"{len(community.parties)} parties, {len(community.components)} components"
    tell(f"{community.title}: {parts}, all conform")
    with running(community, whole, tools, tell), ExitStack() as open_homes:
        stage = Stage(community=community, whole=whole, tools=tools, tell=tell)
        stage.load()
        managers = [open_homes.enter_context(stage.manager(c)) for c in community.of_kind("manager")]
        buyers = [open_homes.enter_context(stage.buyer(c)) for c in community.of_kind("wallet")]
        for manager in managers:
            stage.limit(manager)
        trades = [stage.order(buyers[n % len(buyers)], n) for n in range(orders)]
        for manager in managers:
            stage.reconcile(manager, buyers, trades)
        evidence = stage.evidence(buyers, trades)
    return Outcome(community=whole.path, evidence=evidence, trust=whole.root, orders=orders)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the demonstration's people act, and where it is told what they do."""

    community: Community
    whole: CommunityHome
    tools: Tools
    tell: Tell

    def load(self) -> None:
        """The merchants' content managers load the parts that come with the product."""
        for component in self.community.of_kind("merchant-catalogue"):
            place = place_of(
                self.community, self.whole, component.name, clock=self.tools.clock, random=self.tools.random
            )
            currency = next(c.currency for c in self.community.contracts if c.merchant == component.party)
            version = load_catalogue(place, demo_csv(), currency=currency, source=SOURCE)
            self.tell(
                f"{component.party}: catalogue version {version} loaded, signed (catalogue, a price list for "
                f"each contract) and published"
            )

    @contextmanager
    def buyer(self, component: Component) -> Iterator[Buyer]:
        """The wallet, opened with its owner's pass phrase."""
        folder, phrase = self._home(component)
        home = open_wallet(folder, phrase, self._edges())
        try:
            yield Buyer(name=f"{component.person} ({component.party})", phrase=phrase, home=home)
        finally:
            home.wallet.close()
            phrase.wipe()

    @contextmanager
    def manager(self, component: Component) -> Iterator[Manager]:
        """The manager's desk, opened with its owner's pass phrase."""
        folder, phrase = self._home(component)
        home = open_manager(folder, phrase, self._edges())
        try:
            yield Manager(name=f"{component.person} ({component.party})", phrase=phrase, home=home)
        finally:
            home.desk.close()
            phrase.wipe()

    def _home(self, component: Component) -> tuple[Path, Phrase]:
        home = self.whole.component(component)
        return home.path, phrase_from_file(home.phrase)

    def _edges(self) -> Edges:
        return Edges(clock=self.tools.clock, random=self.tools.random, pause=time.sleep)

    def limit(self, manager: Manager) -> None:
        """Step 1 of 6.2.2: control parameters, signed by the manager, sealed to the issuer."""
        desk = manager.home.desk
        organisation = desk.office.organisation.rpartition(":")[2]
        limit = next(
            c.settings.get("limit", "1000.00") for c in self.community.of_party(organisation, "wallet")
        )
        holders = [
            {
                "holder": holder.certificate,
                "perPurchase": limit,
                "perPeriod": format_amount(_PURCHASES_PER_PERIOD * Decimal(limit), desk.office.currency),
                "periodDays": 30,
                "classes": ["*"],
                "merchants": ["*"],
            }
            for holder in manager.home.holders
        ]
        act = desk.set_controls(holders, manager.phrase)
        self.tell(
            f"{manager.name}: control parameters {act.document['n']} signed (manager), taken by the issuer "
            f"(signed): {limit} a purchase"
        )

    # ------------------------------------------------------------------ one order
    def order(self, buyer: Buyer, number: int) -> str:
        """Browse, order, pay, deliver: the trade's identifier."""
        wallet = buyer.home.wallet
        shop = wallet.desk.shops[0]
        rows: list[dict[str, Any]] = []
        for words in _SEARCHES[number % len(_SEARCHES)]:
            found = wallet.search(shop.name, words, limit=_ROWS)
            if not rows:
                self.tell(
                    f"{buyer.name}: logged in at {shop.title} (login and its answer signed, session keys "
                    "agreed)"
                )
            self.tell(f"{buyer.name}: “{words}”: {found['total']} parts")
            for row in found["rows"]:
                self.tell(
                    f"    {row['sku']:<34.34} list {row['listPrice']:>8} contract {row['unit']:>8} "
                    f"VAT {row['vatRate']:>2} %"
                )
            rows += found["rows"]
        lines = [(row["sku"], str(2 + n)) for n, row in enumerate(rows)]
        basket = wallet.basket(shop.name, lines)
        review = wallet.ask(basket, buyer.home.deliver_to, buyer.home.cost_centre)
        offer = review.document
        self.tell(
            f"{shop.title}: offer signed (merchant): {len(offer['lines'])} lines, net {offer['net']}, VAT "
            f"{offer['tax']}, total {offer['total']} {offer['currency']}"
        )
        trade = wallet.accept(review.trade, buyer.phrase)
        self.tell(f"{buyer.name}: acceptance signed (buyer) over the offer")
        self._until(buyer, trade.trade, {"contract"})
        self.tell(f"{shop.title}: confirmation signed (merchant) over the acceptance, stamped: a contract")
        wallet.pay(trade.trade, buyer.phrase)
        self.tell(
            f"{buyer.name}: dual signature (card-holder); card number sealed to gateway and issuer, lines to "
            "the merchant"
        )
        paid = self._until(buyer, trade.trade, {"paid", "received", "closed"})
        self.tell(
            "issuer: decision signed (issuer), passed on by the gateway (signed) and the merchant (signed): "
            "approved"
        )
        if paid.state == "paid":
            self._until(buyer, trade.trade, {"received", "closed"})
        self.tell(f"{shop.title}: delivery signed (merchant), time-stamped; capture requested (signed)")
        wallet.receipt(trade.trade, buyer.phrase)
        self.tell(f"{buyer.name}: receipt signed (buyer) over the delivery")
        return trade.trade

    def _until(self, buyer: Buyer, trade: str, wanted: set[str]) -> Trade:
        """Poll until the trade is in one of the ``wanted`` states; ``not-completed`` if it ends else."""
        wallet = buyer.home.wallet
        for _ in range(_STATES_PER_ORDER):
            known = wallet.trade(trade)
            if known.state in wanted:
                return known
            if known.ended or known.state == "declined":
                break
            known = wallet.poll(trade)
            if known.state not in wanted:
                time.sleep(_PAUSE_SECONDS)
        known = wallet.trade(trade)
        raise Refusal("not-completed", "the trade did not get on", trade=trade, state=known.state)

    # ------------------------------------------------------------------ statement
    def reconcile(self, manager: Manager, buyers: Sequence[Buyer], trades: Sequence[str]) -> None:
        """Step 10: the statement, matched with the organisation's own trades, which it closes."""
        mine = [b for b in buyers if b.home.wallet.desk.organisation == manager.home.desk.office.organisation]
        expected = {trade.trade for b in mine for trade in b.home.wallet.trades() if trade.trade in trades}
        if not expected:
            return
        statement = self._statement(manager, expected)
        document: Mapping[str, Any] = statement.document
        known = [one for b in mine for one in purchases(b.home.wallet.desk.database)]
        findings = reconcile(document, known)
        matched = sum(finding.verdict == "matched" for finding in findings)
        self.tell(
            f"issuer: statement {document['n']} signed (issuer), sealed to {manager.name}: "
            f"{len(document['entries'])} entries, {document['total']} {document['currency']}"
        )
        for row in vat_report(document):
            self.tell(f"    VAT {row['rate']:>4} %  base {row['base']:>10}  tax {row['tax']:>9}")
        self.tell(f"{manager.name}: {matched} of {len(document['entries'])} entries match signed contracts")
        if any(finding.verdict != "matched" for finding in findings):
            raise Refusal("not-reconciled", "the statement and the organisation's trades differ")
        for buyer in mine:
            for trade in buyer.home.wallet.trades():
                if trade.trade in expected:
                    buyer.home.wallet.close_by(trade.trade, statement.octets)

    def _statement(self, manager: Manager, expected: set[str]) -> Any:
        """The first statement that lists every expected trade; captures may take a moment."""
        seen: set[str] = set()
        for _ in range(_STATES_PER_ORDER):
            statement = manager.home.desk.fetch_statement(manager.phrase)
            seen |= {entry["trade"] for entry in statement.document["entries"]}
            if expected <= seen:
                return statement
            time.sleep(_PAUSE_SECONDS)
        raise Refusal("not-reconciled", "some trades never stood in a statement")

    def evidence(self, buyers: Sequence[Buyer], trades: Sequence[str]) -> tuple[Path, ...]:
        """Each trade's two bundles: the buyer's, and the merchant's, which it seals once it has its money."""
        merchants = [
            self.whole.component(c).path / "evidence" for c in self.community.of_kind("merchant-purchasing")
        ]
        wanted = []
        for number, trade in enumerate(trades):
            kept = buyers[number % len(buyers)].home.wallet.desk.evidence
            wanted += [folder / f"{trade}.tar" for folder in (kept, *merchants) if folder is not None]
        for _ in range(_STATES_PER_ORDER):
            if all(path.exists() for path in wanted):
                break
            time.sleep(_PAUSE_SECONDS)
        return tuple(path for path in wanted if path.exists())
