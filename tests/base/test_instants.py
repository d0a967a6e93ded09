"""Instants are UTC, whole seconds, in one written form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant, passed_for_counterpart, passed_for_owner


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - made aware below
def test_round_trip(at: datetime) -> None:
    at = at.replace(microsecond=0, tzinfo=UTC)
    assert parse_instant(format_instant(at)) == at


def test_another_zone_is_written_in_utc() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert format_instant(at) == "2026-01-01T10:00:00Z"


@pytest.mark.parametrize(
    "text", ["2026-01-01T10:00:00", "2026-01-01T10:00:00+00:00", "2026-02-30T10:00:00Z", "2026-01-01 10:00:00Z",
             "2026-1-1T10:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T10:00:00.0Z", "٢٠٢٦-01-01T10:00:00Z", ""]
)  # fmt: skip
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(Refusal, match="bad-instant"):
        parse_instant(text)


def test_a_deadline_passes_later_for_the_counterpart() -> None:
    deadline = datetime(2026, 1, 1, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert passed_for_owner(deadline, deadline)
    assert not passed_for_owner(deadline, deadline - second)
    assert passed_for_counterpart(deadline, deadline + 2 * DELTA)
    assert not passed_for_counterpart(deadline, deadline + 2 * DELTA - second)
