"""An item is what a merchant sells: a name that documents may carry, words, a kind, a price, a VAT rate.

An item file is one encoding of a list of items (deflated CSV in a fixed order), so that its digest
names a version; what is read from a person's CSV and what is read from an item file obey one rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from e2s.base.errors import Refusal
from e2s.base.money import parse_number

#: What an SKU or a class looks like: a token that any document may carry.
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}", re.ASCII)
#: The columns of an item file, in its order.
COLUMNS = ("sku", "text", "class", "price", "vatRate", "unit", "keywords")
MAX_TEXT = 200
#: No value is longer before it is tidied: the normal form of many marks in a row is slow to find.
_MAX_RAW = 2000
MAX_KEYWORDS = 300
MAX_UNIT = 20
MAX_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Item:
    """One item: ``price`` is the public price of one ``unit``, ``vat_rate`` in percent; plain decimals."""

    sku: str
    text: str
    kind: str
    price: str
    vat_rate: str
    unit: str = "piece"
    keywords: str = ""

    @classmethod
    def read(cls, row: Sequence[str]) -> Item:
        """An item from values ordered as :data:`COLUMNS`; raises :class:`Refusal` of the column's rule."""
        if any(len(value) > _MAX_RAW for value in row):
            raise Refusal("bad-text", f"a value has at most {_MAX_RAW} characters")
        sku, words, kind, price, vat_rate, unit, keywords = (_tidy(value) for value in row)
        if not TOKEN.fullmatch(sku):
            raise Refusal("bad-sku", "an SKU is at most 64 letters, digits and . _ : + -")
        if not TOKEN.fullmatch(kind):
            raise Refusal("bad-class", "a class is at most 64 letters, digits and . _ : + -")
        _bounded("bad-text", words, MAX_TEXT, least=1)
        _bounded("bad-unit", unit, MAX_UNIT)
        _bounded("bad-keywords", keywords, MAX_KEYWORDS)
        return cls(sku, words, kind, _price(price), _rate(vat_rate), unit or "piece", keywords)

    def row(self) -> tuple[str, ...]:
        """The values in the order of :data:`COLUMNS`."""
        return (self.sku, self.text, self.kind, self.price, self.vat_rate, self.unit, self.keywords)


def plain(value: Decimal, least_places: int = 0) -> str:
    """``value`` without an exponent or superfluous zeros, but with at least ``least_places`` decimals."""
    shown = f"{value:f}"
    whole, _, fraction = shown.partition(".")
    fraction = fraction.rstrip("0").ljust(least_places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _tidy(value: str) -> str:
    """Words as documents carry them: composed (NFC), single spaces, nothing at the ends."""
    return " ".join(unicodedata.normalize("NFC", value).split())


def _bounded(rule: str, words: str, most: int, *, least: int = 0) -> None:
    if not least <= len(words) <= most:
        raise Refusal(rule, f"between {least} and {most} characters are expected", length=len(words))
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in words):
        raise Refusal(rule, "control characters have no place in words")


def _price(value: str) -> str:
    try:
        price = parse_number(value)
    except Refusal as error:
        raise Refusal("bad-price", "a price is a plain decimal with at most six decimals") from error
    if price <= 0:
        raise Refusal("bad-price", "a price is more than nothing")
    return plain(price)


def _rate(value: str) -> str:
    try:
        rate = parse_number(value)
    except Refusal as error:
        raise Refusal("bad-vat-rate", "a VAT rate is a plain decimal in percent") from error
    if rate > 100:
        raise Refusal("bad-vat-rate", "a VAT rate is at most 100 percent")
    return plain(rate)
