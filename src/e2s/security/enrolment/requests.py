"""A request is a row with a state; a pair of state and event that is not listed has no place.

::

    waiting -> intended -> issued
                        -> refused
            -> declined
            -> issued       where registration had it certified
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Refusal

NEXT: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("waiting", "approve"): "intended",
        ("waiting", "decline"): "declined",
        ("waiting", "lapse"): "declined",
        ("waiting", "issue"): "issued",  # as a case of registration
        ("intended", "issue"): "issued",
        ("intended", "refuse"): "refused",
        ("issued", "issue"): "issued",  # the CA gave the same one again
    }
)
STATES: Final = frozenset(state for state, _ in NEXT) | frozenset(NEXT.values())
EVENTS: Final = frozenset(event for _, event in NEXT)


def follow(state: str, event: str) -> str:
    """The state after ``event``; raises :class:`Refusal` ``out-of-order``."""
    found = NEXT.get((state, event))
    if found is None:
        raise Refusal("out-of-order", f"{event!r} has no place in state {state!r}", state=state, event=event)
    return found
