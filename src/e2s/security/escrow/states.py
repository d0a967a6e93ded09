"""A recovery is a case: a table of (state, event); a pair that is not listed has no place.

::

    open -> (approved by one officer after the other) -> released -> received
         -> stopped
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Refusal

#: The next state for each (state, event).
NEXT: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("", "opened"): "open",
        ("open", "notified"): "open",
        ("open", "approved"): "open",
        ("open", "stopped"): "stopped",
        ("open", "released"): "released",
        ("released", "approved"): "released",  # one more share, where one of the first was wrong
        ("released", "released"): "released",
        ("released", "received"): "received",
    }
)
STATES: Final = frozenset(state for state, _ in NEXT) | frozenset(NEXT.values())
EVENTS: Final = frozenset(event for _, event in NEXT)
#: States in which the case is over.
ENDED: Final = frozenset({"stopped", "received"})


def follow(state: str, event: str) -> str:
    """The state after ``event``; raises :class:`Refusal` ``out-of-order``."""
    found = NEXT.get((state, event))
    if found is None:
        raise Refusal("out-of-order", f"{event!r} has no place in state {state!r}", state=state, event=event)
    return found
