"""A statement is believed when it continues the last one and adds up; an entry, when a trade says the same.

What the issuer charged is compared with what the organisation's own wallets hold proof of, line by line
(6.2.2 step 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from e2s.base.errors import Refusal
from e2s.base.money import format_amount
from e2s.client.wallet.rules import Judge
from e2s.commerce.bankcard.documents import STATEMENT
from e2s.commerce.bankcard.statement import check_statement as follows
from e2s.commerce.order import sums
from e2s.crypto.acts import Act


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """What a wallet of the organisation holds of one paid trade."""

    trade: str
    cid: str
    xid: str
    buyer: str
    state: str
    total: str
    lines: list[dict[str, Any]]
    vat: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One entry (or one trade without an entry) and what is to be said about it."""

    verdict: str  # matched, differs, unknown, not-charged
    trade: str
    amount: str
    buyer: str
    merchant: str = ""
    why: str = ""


def check_statement(octets: bytes, *, organisation: str, issuer: str, last: Act | None, judge: Judge) -> Act:
    """The statement, continuing ``last`` (none before the first) and adding up, line by line.

    Raises ``other-organisation``, ``statement-gap``, ``double-entry`` or ``false-total`` besides
    :meth:`Judge.act`'s.
    """
    act = judge.act(octets, STATEMENT, "issuer", issuer)
    document = act.document
    if document["organisation"] != organisation:
        raise Refusal("other-organisation", "the statement is another organisation's")
    follows(act, last)
    for entry in document["entries"]:
        bare = [{k: v for k, v in line.items() if k not in {"n", "net"}} for line in entry["lines"]]
        right = sums(bare, document["currency"])
        if (right["lines"], right["vat"], right["total"]) != (entry["lines"], entry["vat"], entry["amount"]):
            raise Refusal(
                "false-total", "an entry's amount does not follow from its lines", trade=entry["trade"]
            )
    return act


def vat_report(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """The period's VAT by rate: base and tax as they were charged, entry by entry."""
    currency = document["currency"]
    rows: dict[str, tuple[Decimal, Decimal]] = {}
    for entry in document["entries"]:
        for row in entry["vat"]:
            base, tax = rows.get(row["rate"], (Decimal(0), Decimal(0)))
            rows[row["rate"]] = (base + Decimal(row["base"]), tax + Decimal(row["tax"]))
    return [
        {"rate": rate, "base": format_amount(base, currency), "tax": format_amount(tax, currency)}
        for rate, (base, tax) in sorted(rows.items(), key=lambda item: Decimal(item[0]))
    ]


def reconcile(document: Mapping[str, Any], purchases: Iterable[Purchase]) -> list[Finding]:
    """Each entry against the trade it names, then paid trades that the statement does not charge."""
    known = {purchase.xid: purchase for purchase in purchases}
    findings = [_entry(entry, known.pop(entry["xid"], None)) for entry in document["entries"]]
    return findings + [
        Finding(
            verdict="not-charged",
            trade=left.trade,
            amount=left.total,
            buyer=left.buyer,
            why="paid, and not in this statement",
        )
        for left in known.values()
        if left.state in {"paid", "received"}
    ]


def _entry(entry: dict[str, Any], purchase: Purchase | None) -> Finding:
    why = ""
    if purchase is None:
        verdict, why = "unknown", "no wallet of this organisation knows this trade"
    else:
        said = (purchase.cid, purchase.trade, purchase.total, purchase.lines, purchase.vat)
        charged = (entry["cid"], entry["trade"], entry["amount"], entry["lines"], entry["vat"])
        names = ("contract", "trade", "amount", "lines", "VAT")
        differing = [name for name, one, other in zip(names, said, charged, strict=True) if one != other]
        verdict, why = ("differs", "other " + ", ".join(differing)) if differing else ("matched", "")
    return Finding(
        verdict=verdict,
        trade=entry["trade"],
        amount=entry["amount"],
        buyer=entry["buyer"],
        merchant=entry["merchant"],
        why=why,
    )
