"""A protocol is a table of (state, event) that both sides share; a pair not listed has no effect.

A step gives the next state and the message that leaves with it.  A repeat in a later state gets the
stored answer and changes nothing; that too stands in the table, as a step to the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from e2s.base.errors import Refusal


@dataclass(frozen=True)
class Step:
    """Where a pair leads: the next state, what is sent, and whether the answer is a stored one."""

    state: str
    send: str = ""
    stored: bool = False


Table: TypeAlias = Mapping[tuple[str, str], Step]


def follow(table: Table, state: str, event: str) -> Step:
    """The step of (state, event); raises :class:`Refusal` ``out-of-order`` for a pair not listed."""
    step = table.get((state, event))
    if step is None:
        raise Refusal("out-of-order", f"{event!r} has no place in state {state!r}", state=state, event=event)
    return step


def states(table: Table) -> frozenset[str]:
    """Every state that the table names."""
    return frozenset(state for state, _ in table) | frozenset(step.state for step in table.values())


def events(table: Table) -> frozenset[str]:
    """Every event that the table names."""
    return frozenset(event for _, event in table)
