"""A registration is a case: a table of (state, event); a pair that is not listed has no place.

::

    opened -> recorded -> named -> (countersign ->) approved -> ordered -> certified -> delivered
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Refusal

#: Before anything was asked of the CA; afterwards only a revocation ends a case.
_INSIDE: Final = ("opened", "recorded", "named", "countersign", "approved")

#: The next state for each (state, event).
NEXT: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("opened", "evidence"): "recorded",
        ("recorded", "evidence"): "recorded",
        ("recorded", "name"): "named",
        ("named", "approve"): "approved",  # where one officer is enough
        ("named", "approve-first"): "countersign",
        ("countersign", "approve-second"): "approved",
        ("countersign", "lapse"): "named",
        ("approved", "lapse"): "named",
        ("approved", "order"): "ordered",
        ("ordered", "order"): "ordered",  # no answer came: the same order again
        ("ordered", "certified"): "certified",
        ("ordered", "declined"): "named",  # the CA said no, and nothing was issued
        ("certified", "certified"): "certified",
        ("delivered", "certified"): "delivered",
        ("certified", "deliver"): "delivered",
        ("delivered", "deliver"): "delivered",
        ("certified", "revoked"): "withdrawn",
        ("delivered", "revoked"): "withdrawn",
        **{(state, "refuse"): "refused" for state in _INSIDE},
        **{(state, "withdraw"): "withdrawn" for state in _INSIDE},
    }
)
STATES: Final = frozenset(state for state, _ in NEXT) | frozenset(NEXT.values())
EVENTS: Final = frozenset(event for _, event in NEXT)
#: States in which the case is over; its name stays given for ever.
ENDED: Final = frozenset({"refused", "withdrawn"})


def follow(state: str, event: str) -> str:
    """The state after ``event``; raises :class:`Refusal` ``out-of-order``."""
    found = NEXT.get((state, event))
    if found is None:
        raise Refusal("out-of-order", f"{event!r} has no place in state {state!r}", state=state, event=event)
    return found
