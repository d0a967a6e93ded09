"""The purchasing manager says what each card may buy; nothing said means nothing permitted (6.2.2 step 1).

Control parameters come signed by the manager, under numbers that strictly rise, so an old order cannot
come back.  ``*`` permits every kind of goods or every merchant; an empty list permits none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from e2s.base.errors import Refusal
from e2s.base.money import parse_amount
from e2s.base.wire import Document

EVERY = "*"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What one card-holder may spend, on what, where."""

    currency: str
    per_purchase: Decimal
    per_period: Decimal
    period: timedelta
    classes: frozenset[str]
    merchants: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A payment as the controls see it; ``classes`` empty where the card-holder discloses none."""

    amount: Decimal
    currency: str
    classes: Sequence[str]
    merchant: str


def parameters_of(controls: Document, holder: str) -> Parameters | None:
    """The holder's parameters in the manager's document, if she is named there."""
    for said in controls["holders"]:
        if said["holder"] == holder:
            currency = controls["currency"]
            return Parameters(
                currency=currency,
                per_purchase=parse_amount(said["perPurchase"], currency),
                per_period=parse_amount(said["perPeriod"], currency),
                period=timedelta(days=said["periodDays"]),
                classes=frozenset(said["classes"]),
                merchants=frozenset(said["merchants"]),
            )
    return None


def check_controls(controls: Document) -> None:
    """Each holder once, amounts not negative; raises :class:`Refusal` ``bad-controls``."""
    holders = [said["holder"] for said in controls["holders"]]
    if len(set(holders)) != len(holders):
        raise Refusal("bad-controls", "a card-holder is named once")
    for said in controls["holders"]:
        if (
            min(parse_amount(said[member], controls["currency"]) for member in ("perPurchase", "perPeriod"))
            < 0
        ):
            raise Refusal("bad-controls", "a limit is not negative")


def fault(parameters: Parameters | None, wanted: Wanted, already: Decimal) -> str:
    """Why the controls don't permit the payment, or the empty string; ``already`` is used in the period."""
    if parameters is None:
        return "no-controls"
    if wanted.currency != parameters.currency:
        return "other-currency"
    if EVERY not in parameters.merchants and wanted.merchant not in parameters.merchants:
        return "merchant-not-permitted"
    if EVERY not in parameters.classes:
        if not wanted.classes:
            return "class-not-disclosed"
        if not parameters.classes.issuperset(wanted.classes):
            return "class-not-permitted"
    if wanted.amount > parameters.per_purchase:
        return "over-purchase-limit"
    if already + wanted.amount > parameters.per_period:
        return "over-period-limit"
    return ""


def period_start(parameters: Parameters | None, at: datetime) -> datetime:
    """When the sliding period that ends at ``at`` began."""
    return at - parameters.period if parameters is not None else at
