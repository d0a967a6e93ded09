"""A judgement is data: what failed, by check and object; who committed to what, when; and what is not shown.

A finding says what was expected and what was found.  A commitment's time is *proven* only by a time stamp
on the act or on one that contains it; otherwise it is the signer's claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from e2s.base.instants import format_instant

#: The thirty checks (protocol, section 7).
CHECKS: Mapping[int, str] = MappingProxyType(
    dict(
        enumerate(
            (
                "canonical archive",
                "manifest lists exactly the files",
                "digests of the files",
                "strict DER within bounds",
                "canonical document",
                "known type with its members",
                "digest and signature",
                "signer's certificate",
                "algorithms protected and permitted",
                "path to a given root",
                "purpose and name fit the role",
                "not revoked at the proven time",
                "time stamp's own signature and path",
                "time stamp's imprint",
                "time stamp not before the act",
                "act is over what it names",
                "audience",
                "one trade, contract and payment throughout",
                "buyer's organisation",
                "one merchant throughout",
                "card-holder of the issuer",
                "sums, VAT and decimals",
                "deadlines against the times",
                "order information is the contract's",
                "amounts agree",
                "names agree",
                "delivery within the contract",
                "statement and captures",
                "one act under one key",
                "verdict",
            ),
            1,
        )
    )
)


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One failure of one check on one object."""

    check: int
    object: str
    expected: str
    found: str

    @property
    def name(self) -> str:
        """The check in words."""
        return CHECKS[self.check]


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """What a signer is bound to by one act; ``dated_by``: the act whose time stamp proves the time."""

    signer: str
    role: str
    act: str
    id: str
    words: str
    at: datetime
    claimed: datetime
    dated_by: str = ""

    @property
    def proven(self) -> bool:
        """Whether a time stamp dates it."""
        return bool(self.dated_by)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The judgement of one bundle."""

    trade: str
    party: str
    outcome: str
    findings: tuple[Finding, ...]
    commitments: tuple[Commitment, ...]
    gaps: tuple[str, ...]
    order: dict[str, Any] | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing at all is wrong; gaps are no fault, they only prove less."""
        return not self.findings

    def document(self) -> dict[str, Any]:
        """The report for a program."""
        return {
            "holds": self.holds,
            "trade": self.trade,
            "party": self.party,
            "outcome": self.outcome,
            "findings": [{**asdict(finding), "name": finding.name} for finding in self.findings],
            "commitments": [
                {
                    **asdict(one),
                    "at": format_instant(one.at),
                    "claimed": format_instant(one.claimed),
                    "proven": one.proven,
                }
                for one in self.commitments
            ],
            "gaps": list(self.gaps),
            **({"order": self.order} if self.order is not None else {}),
        }
