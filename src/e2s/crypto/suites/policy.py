"""What is permitted where: a suite must be permitted at the locations of both ends (6.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto.suites.sealing import SEALINGS
from e2s.crypto.suites.session import SESSIONS
from e2s.crypto.suites.signature import SIGNATURES

Kind: TypeAlias = Literal["signature", "sealing", "session"]

#: Permitted suites by kind and ISO 3166 country, strongest first; "*" where a country has no row.
#: Sources: NIST SP 800-57 part 1 rev. 5, table 2 (128 bits: P-256, RSA-3072; 192: P-384); BSI
#: TR-02102-1, 2.3 and 3; ANSSI, guide des mecanismes cryptographiques 2.04, 2.2 and 2.3.
POLICY: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "signature": {"*": tuple(SIGNATURES)},
    "sealing": {"*": tuple(SEALINGS)},
    "session": {"*": tuple(SESSIONS)},
}


def permitted(
    kind: Kind, location_a: str, location_b: str, policy: Mapping[str, Mapping[str, tuple[str, ...]]] = POLICY
) -> tuple[str, ...]:
    """Names of the suites permitted at both locations, strongest first."""
    rows = policy[kind]
    there = rows.get(location_b, rows["*"])
    return tuple(name for name in rows.get(location_a, rows["*"]) if name in there)


def check(
    kind: Kind,
    name: str,
    location_a: str,
    location_b: str,
    policy: Mapping[str, Mapping[str, tuple[str, ...]]] = POLICY,
) -> None:
    """Raise :class:`Refusal` ``suite-not-permitted`` unless both locations permit ``name``."""
    if name not in permitted(kind, location_a, location_b, policy):
        raise Refusal("suite-not-permitted", "the suite is not permitted at both ends", suite=name)


def strongest_common(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """The first of ``ours`` that ``theirs`` has; raises ``suite-not-permitted`` when there is none."""
    for name in ours:
        if name in theirs:
            return name
    raise Refusal("suite-not-permitted", "the two ends have no suite in common")
