"""Amounts are exact in the currency's own decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.base.money import decimals, format_amount, parse_amount, parse_number, rounded, vat_by_rate

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF", "USD"])


@given(CURRENCIES, st.integers(-(10**12), 10**12))
def test_amount_round_trip(currency: str, units: int) -> None:
    amount = Decimal(units).scaleb(-decimals(currency))
    assert parse_amount(format_amount(amount, currency), currency) == amount


@pytest.mark.parametrize(("currency", "places"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("UYW", 4)])
def test_decimals_of_currencies(currency: str, places: int) -> None:
    assert decimals(currency) == places


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1", "EUR"), ("1.5", "EUR"), ("1.005", "EUR"), ("1.00", "JPY"), ("01.00", "EUR"), ("1e2", "JPY"), ("+1.00", "EUR"),
     ("-0.00", "EUR"), (" 1.00", "EUR"), ("1,00", "EUR"), ("NaN", "JPY"), ("٣", "JPY"), ("", "JPY"), ("1.00", "eur"),
     ("1.00", "EURO")],
)  # fmt: skip
def test_other_forms_of_amounts_are_refused(text: str, currency: str) -> None:
    with pytest.raises(Refusal):
        parse_amount(text, currency)


def test_binary_fractions_do_no_harm() -> None:
    assert parse_amount("1.15", "EUR") * 100 == 115


@pytest.mark.parametrize("text", ["-1", "1e5", "1.", ".5", "00", "1.1234567", "inf", "", "١"])
def test_other_forms_of_numbers_are_refused(text: str) -> None:
    with pytest.raises(Refusal):
        parse_number(text)


def test_an_amount_with_more_decimals_is_not_written() -> None:
    with pytest.raises(Refusal):
        format_amount(Decimal("1.005"), "EUR")


def test_halves_round_away_from_nothing() -> None:
    assert rounded(Decimal("0.125"), "EUR") == Decimal("0.13")
    assert rounded(Decimal("0.5"), "JPY") == Decimal(1)


def test_vat_is_computed_once_per_rate() -> None:
    lines = [("19", Decimal("0.03"))] * 3 + [("7", Decimal("10.00")), ("0", Decimal("1.00"))]
    assert vat_by_rate(lines, "EUR") == [
        ("0", Decimal("1.00"), Decimal("0.00")),
        ("7", Decimal("10.00"), Decimal("0.70")),
        ("19", Decimal("0.09"), Decimal("0.02")),
    ]
