"""What a proposed policy would change: line by line, value by value, and for what there is now."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.errors import Misuse, Refusal
from e2s.security.administration.book_tables import ENTRY
from e2s.security.administration.desk import Desk
from e2s.security.administration.subjects import lines_between, values_between
from e2s.security.certificates.profiles import PROFILES, read_profiles
from e2s.security.pki.store import seconds
from e2s.security.registration import store
from e2s.security.registration.policy import Policy, read_policy
from e2s.security.registration.tables import CASE

#: Cases that are judged by both policies; the rest is counted.
MOST_CASES: Final = 1000
_UNDECIDED: Final = ("recorded", "named", "countersign")


@dataclass(frozen=True, kw_only=True)
class Effect:
    """``lines`` as ``diff -u``, ``values`` that differ (place, now, then), ``concerns`` what there is."""

    lines: Sequence[str]
    values: Sequence[tuple[str, str, str]]
    concerns: Sequence[str]


def effect(desk: Desk, name: str, content: bytes, before: bytes | None = None) -> Effect:
    """The effect of ``content`` over what stands, or over ``before``; raises of the policy's reader."""
    policy = desk.subject(name)
    policy.check(content)
    now = policy.octets() if before is None else before
    tell = _CONCERNS.get(name)
    return Effect(
        lines=lines_between(now, content, name),
        values=values_between(now, content),
        concerns=() if tell is None else tuple(tell(desk, now, content)),
    )


def _registration(desk: Desk, old: bytes, new: bytes) -> Iterator[str]:
    """Cases under way whose confidence would be another."""
    before, after = read_policy(old), read_policy(new)
    chosen = sa.select(CASE).where(CASE.c.state.in_(_UNDECIDED)).order_by(CASE.c.n).limit(MOST_CASES + 1)
    with desk.database.reading() as connection:
        rows = list(connection.execute(chosen))
        for row in rows[:MOST_CASES]:
            seen = [json.loads(one.record) for one in store.evidence(connection, row.n)]
            pairs = [(one["kind"], one["seen"]) for one in seen]
            was, will = (_level(policy, pairs, row) for policy in (before, after))
            if was != will:
                yield f"case {row.id} ({row.state}): {was} -> {will}"
    if len(rows) > MOST_CASES:
        yield f"more than {MOST_CASES} cases are under way: only the first were judged"


def _level(policy: Policy, seen: Sequence[tuple[str, str]], row: Any) -> str:
    try:
        return policy.confidence(seen, row.protection, row.wanted)
    except Refusal as refusal:
        return f"refused ({refusal.rule})"


def _profiles(desk: Desk, old: bytes, new: bytes) -> Iterator[str]:
    """Profiles that would come, go or change, with how many good certificates have them."""
    try:
        before = read_profiles(old, PROFILES)
    except Misuse:
        before = PROFILES
    after = read_profiles(new, PROFILES)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            what = "new" if name not in before else "gone" if name not in after else "changed"
            yield f"profile {name}: {what}; {_good_of(desk, name)} good certificates have it as it was"


def _good_of(desk: Desk, profile: str) -> int:
    chosen = sa.select(sa.func.count()).where(
        ENTRY.c.profile == profile, ENTRY.c.state == "good", ENTRY.c.not_after >= seconds(desk.now())
    )
    with desk.book.database.reading() as connection:
        return int(connection.execute(chosen).scalar() or 0)


_CONCERNS: Final[Mapping[str, Callable[[Desk, bytes, bytes], Iterator[str]]]] = MappingProxyType(
    {"registration": _registration, "profiles": _profiles}
)
