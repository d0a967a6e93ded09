"""An order's sums are recomputed by every reader: lines, VAT regrouped by rate, totals (2.5, 6.2.1.1).

Offer, order information and statement share this one form of line, so they can be compared member
by member.  ``unit`` is the agreed price of one; ``net`` is ``qty * unit`` rounded to the currency.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from e2s.base.errors import Refusal
from e2s.base.money import format_amount, parse_amount, parse_number, rounded, vat_by_rate
from e2s.crypto.forms import amount, integer, list_of, number, record, text, token

#: One line of an order: its number, what, of which kind, how many, at which price and VAT rate.
LINE = record(
    {
        "n": integer(1, 1000),
        "sku": token,
        "text": text(200),
        "class": token,
        "qty": number,
        "unit": number,
        "vatRate": number,
        "net": amount,
    }
)
#: Lines of one VAT rate taken together.
VAT = record({"rate": number, "base": amount, "tax": amount})
#: The members that an order's sums consist of, wherever they stand.
SUMS = {
    "lines": list_of(LINE, 400, 1),
    "vat": list_of(VAT, 40, 1),
    "net": amount,
    "tax": amount,
    "total": amount,
    "currency": token,
}


def sums(lines: Iterable[dict[str, Any]], currency: str) -> dict[str, Any]:
    """The members of :data:`SUMS` for lines that have all but ``n`` and ``net``, in their order."""
    numbered = []
    for n, line in enumerate(lines, 1):
        net = rounded(parse_number(line["qty"]) * parse_number(line["unit"]), currency)
        numbered.append({**line, "n": n, "net": format_amount(net, currency)})
    rows = vat_by_rate(((row["vatRate"], Decimal(row["net"])) for row in numbered), currency)
    net_total = sum((base for _, base, _ in rows), Decimal(0))
    tax = sum((row_tax for _, _, row_tax in rows), Decimal(0))
    return {
        "lines": numbered,
        "vat": [
            {"rate": rate, "base": format_amount(base, currency), "tax": format_amount(row_tax, currency)}
            for rate, base, row_tax in rows
        ],
        "net": format_amount(net_total, currency),
        "tax": format_amount(tax, currency),
        "total": format_amount(net_total + tax, currency),
        "currency": currency,
    }


def check_sums(order: dict[str, Any]) -> Decimal:
    """The total, recomputed; raises :class:`Refusal` ``false-total`` when any sum differs."""
    currency = order["currency"]
    total = parse_amount(order["total"], currency)
    bare = [{k: v for k, v in line.items() if k not in ("n", "net")} for line in order["lines"]]
    right = sums(bare, currency)
    for member in SUMS:
        if order[member] != right[member]:
            raise Refusal("false-total", "a sum does not follow from the lines", member=member)
    if total <= 0:
        raise Refusal("false-total", "an order's total is more than nothing")
    return total


def same_order(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two documents hold the same lines and sums, member by member."""
    return all(one[member] == other[member] for member in SUMS)


def classes(order: dict[str, Any]) -> list[str]:
    """The kinds of goods in an order, sorted, each once: all that the issuer's controls may see."""
    return sorted({line["class"] for line in order["lines"]})
