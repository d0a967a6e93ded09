"""On which conditions a key is given back is data: proposed by one officer, agreed by another.

A policy names its officers with the certificates that shares are sealed to.  Each version names the one
before; what was deposited under an older one stays recoverable under its officers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import Document
from e2s.crypto.certificates import Certificate
from e2s.security.escrow.words import MAX_OFFICERS, digest_of

MAX_POLICY_BYTES: Final = 64 * 1024
#: The basis of a rehearsal: no policy lists it.
DRILL: Final = "rehearsal"


@dataclass(frozen=True, kw_only=True)
class Basis:
    """A legal basis: its waiting time, whether the owner is told, whether it is hers alone."""

    name: str
    hours: int
    notify: bool
    own: bool


_DRILL: Final = Basis(name=DRILL, hours=0, notify=False, own=False)


@dataclass(frozen=True, kw_only=True)
class Officer:
    """One who holds shares."""

    name: str
    certificate: Certificate


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy as its document says it; ``id`` is the document's digest."""

    id: str
    version: int
    previous: str
    party: str
    domain: str
    jurisdiction: str
    location: str
    threshold: int
    alone: bool
    persons: int
    case_days: int
    bases: Mapping[str, Basis]
    officers: tuple[Officer, ...]

    def basis(self, name: str) -> Basis:
        """The basis called ``name``; raises :class:`Refusal` ``no-such-basis``."""
        found = _DRILL if name == DRILL else self.bases.get(name)
        if found is None:
            known = " ".join(sorted(self.bases))
            raise Refusal("no-such-basis", f"the policy knows these legal bases: {known}", basis=name)
        return found

    def officer(self, name: str) -> Officer | None:
        """The officer of this name, if there is one."""
        return next((one for one in self.officers if one.name == name), None)


def policy_of(document: Document) -> Policy:
    """A policy from a document of its form; raises ``bad-policy`` where it contradicts itself."""
    officers = tuple(
        Officer(name=one["name"], certificate=Certificate.read(wire.unb64u(one["certificate"])))
        for one in document["officers"]
    )
    bases = {one["name"]: Basis(**one) for one in document["bases"]}
    found = Policy(
        id=digest_of(wire.encode(document)),
        version=document["version"],
        previous=document["previous"],
        party=document["party"],
        domain=document["domain"],
        jurisdiction=document["jurisdiction"],
        location=document["location"],
        threshold=document["threshold"],
        alone=document["alone"],
        persons=document["persons"],
        case_days=document["caseDays"],
        bases=bases,
        officers=officers,
    )
    fault = _fault(found, len(document["bases"]))
    if fault:
        raise Refusal("bad-policy", fault, version=found.version)
    return found


def _fault(policy: Policy, bases: int) -> str:
    """What contradicts itself, or the empty string."""
    names = {one.name for one in policy.officers}
    keys = {one.certificate.spki for one in policy.officers}
    few = policy.threshold < 2 and not policy.alone
    checks = (
        (few, "one officer is enough only where the policy says alone"),
        (policy.threshold > len(policy.officers), "there are fewer officers than have to approve"),
        (len(names) < len(policy.officers), "an officer stands once"),
        (len(keys) < len(policy.officers), "each officer has a key of her own"),
        (len(policy.bases) < bases, "a legal basis stands once"),
        (DRILL in policy.bases, "a rehearsal is no legal basis"),
        (any(one.name not in one.certificate.names for one in policy.officers), "a certificate is another's"),
    )
    return next((sentence for broken, sentence in checks if broken), "")


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """What another party's policy must ask for at least."""

    threshold: int
    spare: int
    persons: int
    hours: int
    own_hours: int
    quiet: frozenset[str]
    jurisdictions: frozenset[str]
    disjoint: bool


@dataclass(frozen=True, kw_only=True)
class Terms:
    """A policy file: the conditions that a new policy states, and the minimum for others'."""

    threshold: int
    alone: bool
    persons: int
    case_days: int
    bases: tuple[Basis, ...]
    minimum: Minimum


_NUMBERS: Final = {"threshold": MAX_OFFICERS, "persons": 2 * MAX_OFFICERS, "case-days": 3660}
_LEAST: Final = {
    "threshold": MAX_OFFICERS,
    "spare": MAX_OFFICERS,
    "persons": 32,
    "hours": 8760,
    "own-hours": 8760,
}


def read_policy(octets: bytes, where: str = "policy.toml") -> Terms:
    """A policy file; raises :class:`Misuse` ``bad-policy`` with what is wrong in it."""
    if len(octets) > MAX_POLICY_BYTES:
        raise Misuse("bad-policy", "the file is larger than may be read", file=where)
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-policy", "the policy is not TOML", file=where) from error
    if set(data) != {"conditions", "basis", "minimum"} or not all(isinstance(t, dict) for t in data.values()):
        raise Misuse("bad-policy", "a policy has the tables conditions, basis and minimum", file=where)
    said = data["conditions"]
    if set(said) != {*_NUMBERS, "alone"} or type(said["alone"]) is not bool:
        raise Misuse("bad-policy", f"conditions are {' '.join(_NUMBERS)} and alone", file=where)
    _numbers(said, _NUMBERS, 1, where)
    if said["threshold"] < 2 and not said["alone"]:
        raise Misuse("bad-policy", "one officer is enough only where alone is true", file=where)
    return Terms(
        threshold=said["threshold"],
        alone=said["alone"],
        persons=said["persons"],
        case_days=said["case-days"],
        bases=tuple(_basis(name, table, where) for name, table in data["basis"].items()),
        minimum=_minimum(data["minimum"], where),
    )


@cache
def shipped() -> Terms:
    """The policy file that comes with E2S."""
    return read_policy(files("e2s.security.escrow").joinpath("policy.toml").read_bytes())


def _basis(name: str, table: Any, where: str) -> Basis:
    if not isinstance(table, dict) or set(table) != {"hours", "notify", "own"} or name == DRILL:
        raise Misuse("bad-policy", "a basis says hours, notify and own", file=where, basis=name)
    _numbers(table, {"hours": 8760}, 0, where)
    if type(table["notify"]) is not bool or type(table["own"]) is not bool:
        raise Misuse("bad-policy", "notify and own are true or false", file=where, basis=name)
    return Basis(name=name, hours=table["hours"], notify=table["notify"], own=table["own"])


def _minimum(table: Mapping[str, Any], where: str) -> Minimum:
    if set(table) != {*_LEAST, "quiet", "jurisdictions", "disjoint"} or type(table["disjoint"]) is not bool:
        names = " ".join((*_LEAST, "quiet", "jurisdictions", "disjoint"))
        raise Misuse("bad-policy", f"the minimum says {names}", file=where)
    _numbers(table, _LEAST, 0, where)
    lists = (table["quiet"], table["jurisdictions"])
    if not all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists):
        raise Misuse("bad-policy", "quiet and jurisdictions are lists of text", file=where)
    return Minimum(
        threshold=table["threshold"],
        spare=table["spare"],
        persons=table["persons"],
        hours=table["hours"],
        own_hours=table["own-hours"],
        quiet=frozenset(table["quiet"]),
        jurisdictions=frozenset(table["jurisdictions"]),
        disjoint=table["disjoint"],
    )


def _numbers(table: Mapping[str, Any], bounds: Mapping[str, int], least: int, where: str) -> None:
    for name, most in bounds.items():
        if type(table.get(name)) is not int or not least <= table[name] <= most:
            raise Misuse("bad-policy", f"{name} is a number from {least} to {most}", file=where)
