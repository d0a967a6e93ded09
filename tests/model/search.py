"""Every interleaving of a few honest roles with everything that the intruder can send them, to a bound.

A search that ends says that no goal is broken in this scenario; one that reaches its bound says so.  The
bound counts states, not seconds, so a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.model.terms import Binding, Intruder, Term, holds, put, whole

Event: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a role takes and does in one state: ``take`` None acts unasked; ``unless`` are events that forbid it."""

    to: str
    take: Term | None = None
    when: Callable[[Binding], bool] = lambda _binding: True
    unless: Callable[[Binding, tuple[Event, ...]], bool] = lambda _binding, _events: False
    events: tuple[tuple[object, ...], ...] = ()
    send: tuple[Term, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Role:
    """An honest participant: a name, and its steps by state, beginning in ``start``."""

    name: str
    steps: Mapping[str, Sequence[Step]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found: the goal broken and the way there, or nothing; ``complete`` if it saw all."""

    states: int
    broken: str = ""
    way: tuple[str, ...] = ()
    complete: bool = True
    reached: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Goals:
    """What must always be so.

    ``agree``: each commit of this name by an honest party needs a run of its own, with the same facts, of each
    (name, place of its agent among the facts) whose agent is honest; ``guessed``: who guesses these together
    can't check it against a digest; ``unless``: when secrets and guesses do not count.
    """

    agree: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    never: Callable[[tuple[Event, ...]], str] = lambda _events: ""
    secrets: Sequence[Term] = ()
    guessed: Sequence[tuple[Term, ...]] = ()
    honest: frozenset[Term] = frozenset()
    unless: Callable[[tuple[Event, ...]], bool] = lambda _events: False


def search(roles: Sequence[Role], knows: Intruder, goals: Goals, bound: int) -> Found:
    """Depth-first through all states, until a goal is broken or ``bound`` states are seen."""
    places: tuple[tuple[str, Any], ...] = tuple(("start", ()) for _ in roles)
    stack: list[tuple[tuple[tuple[str, Any], ...], tuple[Event, ...], Intruder, tuple[str, ...]]]
    stack = [(places, (), knows, ())]
    seen = set()
    reached: set[tuple[str, str]] = set()
    while stack:
        places, events, knows, way = stack.pop()
        mark = (places, frozenset(events), knows.known)
        if mark in seen:
            continue
        seen.add(mark)
        reached |= {(role.name, state) for role, (state, _) in zip(roles, places, strict=True)}
        broken = _broken(events, knows, goals)
        if broken:
            return Found(states=len(seen), broken=broken, way=way)
        if len(seen) >= bound:
            return Found(states=len(seen), complete=False)
        following, eager = [], None
        for index, role in enumerate(roles):
            state, bound_so_far = places[index]
            for step in role.steps.get(state, ()):
                for binding in _taken(step, knows, dict(bound_so_far)):
                    if not step.when(binding) or step.unless(binding, events):
                        continue
                    happened = tuple(tuple(_fill(part, binding) for part in event) for event in step.events)
                    heard = knows.hear(*(put(term, binding) for term in step.send))
                    place = (step.to, tuple(sorted(binding.items())))
                    after = (*places[:index], place, *places[index + 1 :])
                    state_after = (after, events + happened, heard, (*way, f"{role.name}:{step.to}"))
                    following.append(state_after)
                    alone = len(role.steps[state]) == 1 and not step.events
                    if alone and (step.take is None or whole(put(step.take, dict(bound_so_far)))):
                        eager = state_after
        stack += [eager] if eager else following
    return Found(states=len(seen), reached=frozenset(reached))


def _taken(step: Step, knows: Intruder, binding: Binding) -> list[Binding]:
    return [binding] if step.take is None else list(knows.offers(step.take, binding))


def _fill(part: object, binding: Binding) -> object:
    return put(part, binding) if isinstance(part, tuple) else part


def _broken(events: tuple[Event, ...], knows: Intruder, goals: Goals) -> str:
    """The goal that the last event or the intruder's knowledge breaks, or the empty string."""
    for event in events:
        if event[0] == "commit":
            for wanted, place in goals.agree.get(str(event[1]), ()):
                if event[2 + place] not in goals.honest:
                    continue
                runs = sum(1 for e in events if e[:2] == ("run", wanted) and e[2:] == event[2:])
                if events.count(event) > runs:
                    return f"{event[1]} without its own {wanted}"
    broken = goals.never(events)
    if broken:
        return broken
    if not goals.unless(events):
        for secret in goals.secrets:
            if knows.can(secret):
                return f"the intruder has {secret[1]} {secret[2]}"
        for guess in goals.guessed:
            if _guessable(knows, guess):
                return f"the intruder can check a guess of {guess[0][1]} {guess[0][2]}"
    return ""


def _guessable(knows: Intruder, guess: tuple[Term, ...]) -> bool:
    """Whether with the right guess he could make the content of a digest that he cannot make without."""
    suspects = [t[1] for t in knows.known if t[0] == "hash" and holds(t, guess[0]) and not knows.can(t[1])]
    richer = Intruder(knows.known | set(guess)) if suspects else knows
    return any(richer.can(content) for content in suspects)
