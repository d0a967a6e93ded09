"""Instants are UTC and whole seconds; time always arrives as an argument.

Only :class:`SystemClock` reads the machine's clock, and only the edges construct one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Protocol

from e2s.base.errors import Refusal

#: Bound on the clock error of any party (protocol, section 0).
DELTA = timedelta(seconds=120)
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


class Clock(Protocol):
    """Port: tells the instant."""

    def now(self) -> datetime:
        """Now, aware, UTC, whole seconds."""


class SystemClock:
    """The machine's clock: used by processes, never by rules."""

    def now(self) -> datetime:
        """Now by the machine's clock, cut to whole seconds."""
        return datetime.now(UTC).replace(microsecond=0)


class PreciseClock:
    """The machine's clock to the microsecond: for who dates, and for nobody's rules."""

    def now(self) -> datetime:
        """Now by the machine's clock."""
        return datetime.now(UTC)


def format_instant(at: datetime) -> str:
    """``YYYY-MM-DDThh:mm:ssZ`` of an aware instant."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def parse_instant(text: str) -> datetime:
    """Read ``YYYY-MM-DDThh:mm:ssZ``; raises :class:`Refusal` ``bad-instant`` for any other form."""
    try:
        if not _FORM.fullmatch(text):
            raise ValueError(text)
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Refusal("bad-instant", "an instant is written YYYY-MM-DDThh:mm:ssZ") from error


def passed_for_owner(deadline: datetime, at: datetime) -> bool:
    """A deadline has passed for its owner at the deadline itself (protocol, section 0)."""
    return at >= deadline


def passed_for_counterpart(deadline: datetime, at: datetime) -> bool:
    """A deadline has passed for the counterpart only two clock errors later."""
    return at >= deadline + 2 * DELTA
