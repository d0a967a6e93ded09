"""What one costs a buying organisation: the first contract rule that fits, else the public price (2.5).

A rule may name an SKU, a class, both or neither; ``price`` is the price of one, ``discount`` percent
off the public price.  A discounted price is rounded half up to two decimals more than the currency
has, because parts cost fractions of a cent; the line is rounded to the currency afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

from e2s.base.errors import Refusal
from e2s.base.money import decimals, parse_number
from e2s.commerce.purchasing.items import Item, plain


def check_rules(rules: Sequence[Mapping[str, str]]) -> None:
    """Raise :class:`Refusal` ``bad-rule`` for a rule that would give goods away by mistake."""
    for n, rule in enumerate(rules, 1):
        value = parse_number(rule["value"])
        if rule["kind"] == "discount" and value > 100:
            raise Refusal("bad-rule", "a discount is at most 100 percent", rule=n)
        if rule["kind"] == "price" and "sku" not in rule:
            raise Refusal("bad-rule", "an agreed price is for one SKU", rule=n)


def unit_price(item: Item, rules: Sequence[Mapping[str, str]], currency: str) -> str:
    """The price of one ``item`` under ``rules``, a plain decimal."""
    places = decimals(currency)
    for rule in rules:
        if rule.get("sku", item.sku) != item.sku or rule.get("class", item.kind) != item.kind:
            continue
        value = parse_number(rule["value"])
        if rule["kind"] == "price":
            return plain(value, places)
        off = parse_number(item.price) * (100 - value) / 100
        step = Decimal(1).scaleb(-min(places + 2, 6))
        return plain(off.quantize(step, ROUND_HALF_UP), places)
    return plain(parse_number(item.price), places)
