"""Which level of confidence a certificate may state is data: what was seen, how, and how the key is kept.

The weakest of the two decides (document 6.1.1: "how well the holder protects the key").
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from e2s.base.errors import Misuse, Refusal

#: From the weakest to the strongest.
LEVELS: Final = ("low", "substantial", "high")
MAX_POLICY_BYTES: Final = 64 * 1024
_BOUNDS: Final = ("evidence-days", "approval-days")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of evidence: the level for each way of seeing it, and what it is about."""

    name: str
    levels: Mapping[str, str]
    person: bool
    expires: bool


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of one registration authority."""

    kinds: Mapping[str, Kind]
    protections: Mapping[str, str]
    evidence_days: int
    approval_days: int

    def kind(self, name: str) -> Kind:
        """The kind called ``name``; raises :class:`Refusal` ``evidence-kind``."""
        found = self.kinds.get(name)
        if found is None:
            known = " ".join(sorted(self.kinds))
            raise Refusal("evidence-kind", f"the policy knows evidence of these kinds: {known}", kind=name)
        return found

    def level(self, name: str, seen: str) -> str:
        """What evidence of this kind proves when seen so; raises ``evidence-kind`` or ``evidence-seen``."""
        kind = self.kind(name)
        found = kind.levels.get(seen)
        if found is None:
            known = " ".join(sorted(kind.levels))
            raise Refusal("evidence-seen", f"the policy takes a {name} that was seen as: {known}", seen=seen)
        return found

    def kept(self, protection: str) -> str:
        """The level that a key kept so allows at most; raises :class:`Refusal` ``protection``."""
        found = self.protections.get(protection)
        if found is None:
            known = " ".join(sorted(self.protections))
            raise Refusal("protection", f"the policy knows keys kept so: {known}", protection=protection)
        return found

    def confidence(self, evidence: Iterable[tuple[str, str]], protection: str, wanted: str = "") -> str:
        """The level that follows from (kind, seen) pairs and the key's protection, or the lower one wanted.

        Raises :class:`Refusal` ``no-evidence``, ``protection``, or ``confidence`` when more is wanted.
        """
        proven = [self.level(kind, seen) for kind, seen in evidence]
        if not proven:
            raise Refusal("no-evidence", "nothing was seen that identifies the holder")
        most = min(max(map(LEVELS.index, proven)), LEVELS.index(self.kept(protection)))
        if not wanted:
            return LEVELS[most]
        if wanted not in LEVELS or LEVELS.index(wanted) > most:
            sentence = f"evidence and key allow {LEVELS[most]} at most"
            raise Refusal("confidence", sentence, wanted=wanted)
        return wanted


def read_policy(octets: bytes, where: str = "policy.toml") -> Policy:
    """A policy file; raises :class:`Misuse` ``bad-policy`` with what is wrong in it."""
    if len(octets) > MAX_POLICY_BYTES:
        raise Misuse("bad-policy", "the file is larger than may be read", file=where)
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-policy", "the policy is not TOML", file=where) from error
    if set(data) != {"bounds", "evidence", "protection"} or not all(
        isinstance(t, dict) for t in data.values()
    ):
        raise Misuse("bad-policy", "a policy has the tables bounds, evidence and protection", file=where)
    bounds, protections = data["bounds"], data["protection"]
    if set(bounds) != set(_BOUNDS) or not all(type(n) is int and 0 < n <= 3660 for n in bounds.values()):
        raise Misuse("bad-policy", "bounds are evidence-days and approval-days", file=where)
    _levels(protections, where)
    return Policy(
        kinds={name: _kind(name, table, where) for name, table in data["evidence"].items()},
        protections=protections,
        evidence_days=bounds["evidence-days"],
        approval_days=bounds["approval-days"],
    )


@cache
def shipped() -> Policy:
    """The policy that comes with E2S."""
    return read_policy(files("e2s.security.registration").joinpath("policy.toml").read_bytes())


def _kind(name: str, table: Any, where: str) -> Kind:
    if not isinstance(table, dict):
        raise Misuse("bad-policy", "a kind of evidence is a table", file=where, kind=name)
    levels = dict(table)
    person, expires = levels.pop("person", None), levels.pop("expires", None)
    if type(person) is not bool or type(expires) is not bool:
        raise Misuse("bad-policy", "evidence says person and expires, true or false", file=where, kind=name)
    _levels(levels, where)
    return Kind(name=name, levels=levels, person=person, expires=expires)


def _levels(table: Mapping[str, Any], where: str) -> None:
    if not table or not all(level in LEVELS for level in table.values()):
        raise Misuse("bad-policy", f"a level is one of {' '.join(LEVELS)}", file=where)
