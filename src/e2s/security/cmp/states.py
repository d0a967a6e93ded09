"""A transaction is a row with a state; a message that has no place in that state is refused (RFC 9483, 4.1).

::

    new -> asked -> waiting -> issued -> done
                                      -> lapsing -> lapsed

``asked``: the desk is being asked.  ``issued``: the holder has to confirm before a deadline.  ``lapsing``: he
did not, or does not want the certificate, and it is being revoked.  With implicit confirmation a transaction
is ``done`` at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Refusal

NEW: Final = "new"
NEXT: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("new", "ask"): "asked",
        ("asked", "ask"): "asked",  # the same request again: it was not answered
        ("asked", "wait"): "waiting",
        ("asked", "issue"): "issued",
        ("asked", "finish"): "done",
        ("asked", "lapse"): "lapsing",
        ("waiting", "poll"): "waiting",
        ("waiting", "wait"): "waiting",
        ("waiting", "issue"): "issued",
        ("waiting", "finish"): "done",
        ("issued", "confirm"): "done",
        ("issued", "lapse"): "lapsing",
        ("lapsing", "revoke"): "lapsed",
    }
)
STATES: Final = frozenset(state for state, _ in NEXT) | frozenset(NEXT.values())
EVENTS: Final = frozenset(event for _, event in NEXT)
#: States in which nothing happens any more.
ENDED: Final = ("done", "lapsed")


def follow(state: str, event: str) -> str:
    """The state after ``event``.

    Raises :class:`Refusal` ``cmp-transaction`` for a second request, ``cmp-too-late`` for a confirmation
    after its time, ``cmp-step`` for anything else out of order.
    """
    found = NEXT.get((state, event))
    if found is not None:
        return found
    if event == "ask":
        raise Refusal("cmp-transaction", "a transaction of this name is under way, or over", state=state)
    if event == "confirm" and state in {"lapsing", "lapsed"}:
        raise Refusal("cmp-too-late", "the certificate was not confirmed in time, and is revoked")
    raise Refusal("cmp-step", f"{event!r} has no place in state {state!r}", state=state, event=event)
