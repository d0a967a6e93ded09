"""Refusals of strangers are counted: a flood becomes a few events, and none is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from e2s.base.refusals import MAX_KINDS, WINDOW, RefusalCounter

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_the_first_is_told_at_once_and_the_rest_as_a_number():
    counter = RefusalCounter("shop")
    told = [
        event
        for n in range(50)
        for event in counter.note("login", "bad-signature", AT + timedelta(seconds=n))
    ]
    assert [(e.kind, e.outcome, e.facts["rule"], e.facts["times"]) for e in told] == [
        ("login", "refused", "bad-signature", 1)
    ]
    (rest,) = counter.due(AT + WINDOW)
    assert rest.facts["times"] == 49
    assert counter.due(AT + 2 * WINDOW) == []


def test_a_lone_refusal_has_no_second_event():
    counter = RefusalCounter("shop")
    counter.note("login", "bad-signature", AT)
    assert counter.due(AT + WINDOW) == []


def test_a_clock_set_back_closes_the_minute():
    counter = RefusalCounter("shop")
    counter.note("login", "bad-signature", AT)
    counter.note("login", "bad-signature", AT)
    (rest,) = counter.due(AT - timedelta(hours=1))
    assert rest.facts["times"] == 1


def test_flood_of_rules_is_bounded():
    counter = RefusalCounter("shop")
    events = [e for n in range(10 * MAX_KINDS) for e in counter.note("login", f"rule-{n}", AT)]
    assert len(events) == MAX_KINDS + 1
    assert sum(int(e.facts["times"] or 0) for e in [*events, *counter.due(AT + WINDOW)]) == 10 * MAX_KINDS


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300)), max_size=60))
def test_every_refusal_is_counted_once(refusals):
    counter = RefusalCounter("shop")
    events = []
    for rule, second in sorted(refusals, key=lambda item: item[1]):
        events += counter.note("login", rule, AT + timedelta(seconds=second))
    events += counter.due(AT + timedelta(hours=1))
    for rule in "abc":
        told = sum(int(e.facts["times"] or 0) for e in events if e.facts["rule"] == rule)
        assert told == sum(r == rule for r, _ in refusals)
