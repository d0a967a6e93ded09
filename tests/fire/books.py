"""All books of a market side by side: what buyer, merchant, gateway, issuer and manager each say of one trade.

Read from the files while nothing is under way.  A sentence for whatever does not agree; none where all do.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.client.wallet.purchases import purchases_at
from e2s.client.wallet.reconciling import reconcile
from e2s.commerce.bankcard.evidence import Report, judge, read_bundle
from e2s.community.home import CommunityHome
from e2s.crypto.acts import Act, read_act
from e2s.crypto.certificates import Certificate
from tests.fire.market import BUYERS, ORGANISATIONS, Market

Row = tuple[Any, ...]
#: What may stand at the issuer of a payment that ended without a charge.
_UNCHARGED = frozenset({"void", "closed", "declined"})
#: Acts of which both sides' bundles must show the same.
_SHARED = ("offer", "accept", "confirm", "delivery", "receipt")
#: Where something still waits, in which component's book.
_WAITING = (
    ("volt-purchasing", "SELECT trade, state FROM trade WHERE state NOT IN ('captured', 'unpaid', 'void')"),
    ("volt-payment", "SELECT xid, state FROM payment WHERE state IN ('asking', 'capturing', 'reversing')"),
    ("acquirer-gateway", "SELECT xid, state FROM authorisation WHERE state IN ('forwarded', 'reversing')"),
    ("issuer-desk", "SELECT xid, state FROM payment WHERE state = 'held'"),
)
_OUTBOXES = ("volt-purchasing", "volt-payment", "volt-keys", "acquirer-gateway", "issuer-desk")


def rows(folder: Path, statement: str, *values: object) -> list[Row]:
    """What a component's database says; it is only read."""
    connection = sqlite3.connect(f"file:{folder / 'data.db'}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def waiting(market: Market) -> list[str]:
    """What is still under way, or not yet told to a sequencer."""
    found = [
        f"{name}: {' '.join(map(str, row))}"
        for name, statement in _WAITING
        for row in rows(market.path(name), statement)
    ]
    for name in _OUTBOXES:
        [(left,)] = rows(market.path(name), "SELECT count(*) FROM outbox")
        if left:
            found.append(f"{name}: {left} events")
    unsealed = rows(market.path("volt-purchasing"), _UNSEALED)
    return found + [f"volt-purchasing: no bundle of {trade}" for (trade,) in unsealed]


_UNSEALED = (
    "SELECT trade FROM trade WHERE state IN ('captured', 'unpaid', 'void') AND cid != ''"
    " AND sealed < (SELECT count(*) FROM act WHERE act.trade = trade.id)"
)


@dataclass
class Books:
    """The books of one market: what :meth:`faults` found agreed is not looked at again."""

    market: Market
    completed: Counter[str] = field(default_factory=Counter)
    void: int = 0
    charged: dict[str, Decimal] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    @property
    def home(self) -> CommunityHome:
        """Where they stand."""
        return self.market.home

    def fetch(self) -> None:
        """Each manager fetches every statement that there is."""
        for name in ORGANISATIONS:
            try:
                while True:
                    self.market.managers[name].desk.fetch_statement(self.market.phrase(f"{name}-manager"))
            except Refusal as refusal:
                if refusal.rule != "nothing-to-state":
                    raise

    def faults(self) -> Iterator[str]:
        """Every disagreement in the trades since the last call, then in the sums over all."""
        anchors = self.home.anchors()
        stated = self._statements()
        sums = dict.fromkeys(ORGANISATIONS, Decimal(0))
        for organisation, buyer in zip(ORGANISATIONS, BUYERS, strict=True):
            for trade, state, settled, wanted in rows(self.market.path(buyer), _TRADES):
                total = wire.decode(wanted)["sums"]["total"]
                complete = state in {"received", "closed"}
                if complete:
                    sums[organisation] += Decimal(total)
                entries = stated[organisation].pop(trade, [])
                if entries != ([total] if complete else []):
                    yield f"{trade}: {state} of {total}, but the statements charge {entries}"
                if trade in self._seen:
                    continue
                self._seen.add(trade)
                self.completed[organisation] += complete
                self.void += state == "void"
                if not (state == "void" or (complete and settled)):
                    yield f"{trade}: ended {state} at the buyer"
                yield from self._agreement(trade, total, complete=complete)
                yield from self._evidence(buyer, trade, anchors, complete=complete)
            yield from (f"{trade}: charged, unknown to the wallet" for trade in stated[organisation])
        self.charged = sums
        yield from self._sums(sums)

    # ------------------------------------------------------------------ one trade on all sides
    def _agreement(self, trade: str, total: str, *, complete: bool) -> Iterator[str]:
        """Merchant, payment component, gateway and issuer on one trade."""
        at_merchant = rows(self.market.path("volt-purchasing"), _AT_MERCHANT, trade)
        payments = rows(self.market.path("issuer-desk"), _AT_ISSUER, trade)
        states = [(state, amount) for state, amount, _, _ in payments]
        if not complete:
            if [state for state, _, _ in at_merchant] not in ([], ["void"]):
                yield f"{trade}: void at the buyer, {at_merchant} at the merchant"
            if any(state not in _UNCHARGED for state, _ in states):
                yield f"{trade}: void at the buyer, {states} at the issuer"
            for _, cid, _ in at_merchant:
                held = rows(self.market.path("volt-payment"), "SELECT state FROM payment WHERE cid = ?", cid)
                if any(state not in {"declined", "refused", "reversed"} for (state,) in held):
                    yield f"{trade}: void at the buyer, {held} at the payment component"
            return
        if [state for state, _, _ in at_merchant] != ["captured"]:
            yield f"{trade}: received by the buyer, {at_merchant} at the merchant"
            return
        [(_, cid, xid)] = at_merchant
        charged = [row for row in payments if row[0] not in _UNCHARGED]
        if [row[:3] for row in charged] != [("captured", total, cid)] or charged[0][3] != xid:
            yield f"{trade}: received for {total}, {states} at the issuer"
        [(state,)] = rows(self.market.path("volt-payment"), "SELECT state FROM payment WHERE xid = ?", xid)
        if state != "captured":
            yield f"{trade}: captured, {state} at the payment component"
        passed = rows(self.market.path("acquirer-gateway"), _AT_GATEWAY, xid)
        said = [(state, read_act(auth).document["amount"], many) for state, auth, many in passed]
        if said != [("decided", total, 1)]:
            yield f"{trade}: captured for {total}, {said} at the gateway"

    # ------------------------------------------------------------------ evidence
    def _evidence(
        self, buyer: str, trade: str, anchors: tuple[Certificate, ...], *, complete: bool
    ) -> Iterator[str]:
        """Both bundles hold, show the same contract and come to the same outcome."""
        sides = {"buyer": self.market.path(buyer), "merchant": self.market.path("volt-purchasing")}
        files = {side: path / "evidence" / f"{trade}.tar" for side, path in sides.items()}
        bundles = {side: file.read_bytes() for side, file in files.items() if file.exists()}
        reports: dict[str, Report] = {}
        acts: dict[str, dict[str, Act]] = {}
        for side, octets in bundles.items():
            reports[side] = report = judge(octets, anchors)
            yield from (f"{trade}: evidence of the {side}: {finding}" for finding in report.findings)
            if report.outcome == "unreadable":
                return
            acts[side] = {a.type: a for _, o in read_bundle(octets).of("act") for a in [read_act(o)]}
        if complete and reports.keys() != sides.keys():
            yield f"{trade}: received, but only {sorted(reports)} has evidence"
        if reports.keys() != sides.keys():
            return
        for kind in _SHARED:
            known = {side: acts[side][f"e2s/1/{kind}"].id for side in acts if f"e2s/1/{kind}" in acts[side]}
            if len(set(known.values())) > 1 or (complete and len(known) < len(sides)):
                yield f"{trade}: the bundles differ in their {kind}: {known}"
        if reports["buyer"].order != reports["merchant"].order:
            yield f"{trade}: the bundles differ in what was ordered"
        outcomes = {report.outcome for report in reports.values()}
        good = {"captured", "delivered"} if complete else _UNPAID
        if not outcomes <= good:
            yield f"{trade}: complete={complete}, but the bundles say {sorted(outcomes)}"

    # ------------------------------------------------------------------ sums
    def _statements(self) -> dict[str, dict[str, list[str]]]:
        """Every statement's entries, by organisation and trade."""
        found: dict[str, dict[str, list[str]]] = {}
        for name in ORGANISATIONS:
            entries = found.setdefault(name, {})
            for statement in self.market.managers[name].desk.statements():
                for entry in statement.document["entries"]:
                    entries.setdefault(entry["trade"], []).append(entry["amount"])
        return found

    def _sums(self, bought: dict[str, Decimal]) -> Iterator[str]:
        """What the wallets hold paid is what was captured, stated, and reconciled, to the cent."""
        for organisation in ORGANISATIONS:
            name = self.market.community.urn(organisation)
            captured = rows(self.market.path("issuer-desk"), _CAPTURED, name)
            total = sum((Decimal(amount) for (amount,) in captured), Decimal(0))
            manager = self.market.managers[organisation]
            statements = manager.desk.statements()
            stated = sum((Decimal(one.document["total"]) for one in statements), Decimal(0))
            if not bought[organisation] == total == stated:
                yield f"{organisation}: bought {bought[organisation]}, captured {total}, stated {stated}"
            yield from self._reconciled(organisation, [one.document for one in statements])
        auths = rows(self.market.path("acquirer-gateway"), _CAPTURED_AT_GATEWAY)
        passed = sum((Decimal(read_act(auth).document["amount"]) for (auth,) in auths), Decimal(0))
        if passed != sum(bought.values()):
            yield f"all: bought {sum(bought.values())}, captured through the gateway {passed}"

    def _reconciled(self, organisation: str, statements: list[dict[str, Any]]) -> Iterator[str]:
        """The manager's own judgement of her statements against her wallets."""
        if not statements:
            return
        known = [p for wallet in self.market.managers[organisation].wallets for p in purchases_at(wallet)]
        for said in statements:
            elsewhere = {e["xid"] for one in statements if one is not said for e in one["entries"]}
            here = [purchase for purchase in known if purchase.xid not in elsewhere]
            for finding in reconcile(said, here):
                if finding.verdict != "matched":
                    yield f"{organisation}: statement {said['n']}: {finding}"


_UNPAID = frozenset({"void", "declined", "ordered", "contract", "accepted", "offered", "nothing"})
_TRADES = "SELECT trade, state, settled, wanted FROM trades ORDER BY opened"
_AT_MERCHANT = "SELECT state, cid, xid FROM trade WHERE trade = ?"
_AT_ISSUER = "SELECT state, amount, cid, xid FROM payment WHERE trade = ?"
_AT_GATEWAY = (
    "SELECT state, auth, (SELECT count(*) FROM forwarded AS f"
    " WHERE f.merchant = a.merchant AND f.xid = a.xid AND f.kind = 'capreq')"
    " FROM authorisation AS a WHERE xid = ?"
)
_CAPTURED = "SELECT amount FROM payment WHERE organisation = ? AND state = 'captured'"
_CAPTURED_AT_GATEWAY = (
    "SELECT auth FROM authorisation AS a WHERE EXISTS (SELECT 1 FROM forwarded AS f"
    " WHERE f.merchant = a.merchant AND f.xid = a.xid AND f.kind = 'capreq')"
)
