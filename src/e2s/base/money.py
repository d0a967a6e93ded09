"""An amount is exact: a decimal string with the currency's own decimals, never a binary fraction.

Decimals are those of ISO 4217: two for EUR, none for JPY, three for KWD.  VAT is computed once per
rate on the sum of its lines and rounded half up to the currency's decimals (EN 16931, BR-CO-17).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from e2s.base.errors import Refusal

# ISO 4217 lists these with other than two decimals; fund and metal codes are no trade currencies.
_ZERO = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THREE = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_FOUR = frozenset("CLF UYW".split())
_CODE = re.compile(r"[A-Z]{3}", re.ASCII)
_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?", re.ASCII)
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?", re.ASCII)


def decimals(currency: str) -> int:
    """How many decimals ``currency`` has; raises :class:`Refusal` ``bad-currency``."""
    if not _CODE.fullmatch(currency):
        raise Refusal("bad-currency", "a currency is three capital letters of ISO 4217")
    if currency in _ZERO:
        return 0
    if currency in _THREE:
        return 3
    return 4 if currency in _FOUR else 2


def parse_amount(text: str, currency: str) -> Decimal:
    """Read an amount that has exactly the currency's decimals; raises ``bad-amount``."""
    places = decimals(currency)
    exact = _AMOUNT.fullmatch(text) and len(text.partition(".")[2]) == places
    if not exact or (text.startswith("-0") and not Decimal(text)):
        raise Refusal("bad-amount", f"an amount in {currency} has exactly {places} decimals")
    return Decimal(text)


def format_amount(amount: Decimal, currency: str) -> str:
    """The only written form of ``amount``; it must already be exact in the currency's decimals."""
    shown = f"{amount:.{decimals(currency)}f}"
    if Decimal(shown) != amount:
        raise Refusal("bad-amount", f"{amount} has more decimals than {currency}")
    return "0" + shown[2:] if shown.startswith("-0") and not amount else shown


def parse_number(text: str) -> Decimal:
    """Read a quantity, a percentage or a unit price: plain decimal, up to six decimals, not negative."""
    if not _NUMBER.fullmatch(text):
        raise Refusal("bad-number", "a number is a plain decimal with at most six decimals")
    return Decimal(text)


def rounded(value: Decimal, currency: str) -> Decimal:
    """``value`` rounded half up to the currency's decimals."""
    return value.quantize(Decimal(1).scaleb(-decimals(currency)), ROUND_HALF_UP)


def vat_by_rate(lines: Iterable[tuple[str, Decimal]], currency: str) -> list[tuple[str, Decimal, Decimal]]:
    """Regroup (rate, net) lines by rate: sorted rows (rate, base, tax), tax rounded once per rate."""
    bases: dict[str, Decimal] = {}
    for rate, net in lines:
        bases[rate] = bases.get(rate, Decimal(0)) + net
    return [
        (rate, base, rounded(base * parse_number(rate) / 100, currency))
        for rate, base in sorted(bases.items(), key=lambda row: Decimal(row[0]))
    ]
