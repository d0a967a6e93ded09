"""A hold keeps money until it is captured, reversed or closed; what may still be claimed always counts.

Approved money is held for seven days; a delivery stamped in that time is honoured for thirty more.  An
expired hold therefore counts against the limits until it is closed (protocol, section 5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

#: States whose money may still go to the merchant.
LIVE = ("held", "expired")
#: States that stand in the way of a second payment of the same contract.
COUNTED = (*LIVE, "captured")


@dataclass(frozen=True, kw_only=True)
class HoldTerms:
    """How long money is held, and how long after it a stamped delivery is honoured."""

    hold: timedelta = timedelta(days=7)
    claim: timedelta = timedelta(days=30)

    def of(self, at: datetime) -> tuple[datetime, datetime]:
        """``holdUntil`` and ``claimUntil`` of a hold placed at ``at``."""
        return at + self.hold, at + self.hold + self.claim


@dataclass(frozen=True, kw_only=True)
class Use:
    """Money that one payment holds or took."""

    state: str
    amount: Decimal
    decided: datetime


def used(uses: Iterable[Use], since: datetime) -> Decimal:
    """What counts against a period that began at ``since``: live holds, and captures decided after it."""
    return sum(
        (
            use.amount
            for use in uses
            if use.state in LIVE or (use.state == "captured" and use.decided > since)
        ),
        Decimal(0),
    )
