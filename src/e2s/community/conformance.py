"""A community conforms when chapters 3 and 4 hold for it; each rule has a number, a clause and a reason.

The first digit of a rule's number is its chapter.  A rule looks at the description and the instant alone
and yields where it is broken and why; the same rules are printed by ``e2s check`` and bar ``e2s up``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2s.base.errors import Refusal
from e2s.community import chapter3, chapter4
from e2s.community.chapter3 import Faults
from e2s.community.description import Community


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; ``broken`` yields (place, what is wrong there)."""

    number: str
    name: str
    clause: str
    reason: str
    broken: Callable[[Community, datetime], Faults]


@dataclass(frozen=True)
class Finding:
    """One rule broken at one place."""

    rule: Rule
    where: str
    what: str

    def __str__(self) -> str:
        """One line for a person."""
        rule = self.rule
        return f"{rule.number} {rule.name} ({rule.clause}): {self.where}: {self.what}; {rule.reason}"


def findings(community: Community, *, at: datetime) -> tuple[Finding, ...]:
    """Everything that does not conform then, in the order of the rules."""
    return tuple(Finding(rule, where, what) for rule in RULES for where, what in rule.broken(community, at))


def require_conforming(community: Community, *, at: datetime) -> None:
    """Raise :class:`Refusal` ``not-conforming`` with the first finding and their count."""
    found = findings(community, at=at)
    if found:
        raise Refusal("not-conforming", str(found[0]), findings=len(found))


def _rule(number: str, name: str, clause: str, reason: str, broken: Callable[[Community], Faults]) -> Rule:
    """A rule that holds at every instant."""
    return _dated(number, name, clause, reason, lambda community, _: broken(community))


def _dated(
    number: str, name: str, clause: str, reason: str, broken: Callable[[Community, datetime], Faults]
) -> Rule:
    return Rule(number=number, name=name, clause=clause, reason=reason, broken=broken)


#: Every rule, by chapter.
RULES: Final = (
    _rule(
        "3.01",
        "identity-certified",
        "3.1.3, 3.3.1",
        "every name is bound to its key by one authority that all trust",
        chapter3.one_authority,
    ),
    _rule(
        "3.02",
        "certificates-available",
        "3.3.2",
        "certificates and their revocation must be at hand where they are judged",
        chapter3.repository_reachable,
    ),
    _rule(
        "3.03",
        "root-off-line",
        "3.3.2",
        "the root's private key is used only in a physically secure place",
        chapter3.root_off_line,
    ),
    _rule(
        "3.04",
        "merchant-server-whole",
        "3.4, figure 6.5",
        "a break-in into one part must not reach the others",
        chapter3.merchant_server,
    ),
    _rule(
        "3.05",
        "process-of-its-own",
        "3.4",
        "what shares a process shares its fate and its keys",
        chapter3.own_process,
    ),
    _rule(
        "3.06",
        "key-handler-enclosed",
        "3.4, figure 6.5",
        "nobody outside may ask for a signature",
        chapter3.key_handler_enclosed,
    ),
    _rule(
        "3.07",
        "only-doors-open",
        "3.4",
        "another party enters by a door that is made for it",
        chapter3.only_doors,
    ),
    _rule(
        "3.08",
        "compartments-apart",
        "3.4",
        "only separated compartments can be closed",
        chapter3.compartments,
    ),
    _rule(
        "3.09",
        "plain-link-justified",
        "3.2, 3.1.2",
        "a link without TLS must stay on one machine and say why",
        chapter3.plain_justified,
    ),
    _dated(
        "3.10",
        "common-suite",
        "3.2, 6.3.3",
        "two ends without a suite permitted at both places cannot talk",
        chapter3.common_suites,
    ),
    _rule(
        "3.11",
        "audit-sequencer",
        "3.4, 7.4",
        "each party numbers its own security events in one place",
        chapter3.one_sequencer,
    ),
    _rule(
        "3.12",
        "one-role-a-person",
        "3.4, 6.1.3",
        "who buys does not set the limits for buying",
        chapter3.one_role,
    ),
    _rule(
        "3.13",
        "authority-apart",
        "3.3.2, 6.1.1",
        "who is reached by strangers, or says who somebody is, does not hold the key that certifies",
        chapter3.authority_apart,
    ),
    _rule(
        "3.14",
        "renewal-reachable",
        "3.3.2, 6.1.1",
        "a certificate that nobody renews in time stops what rests on it",
        chapter3.renewal_reachable,
    ),
    _rule(
        "4.01",
        "component-fits-party",
        "4.1, 4.3",
        "each kind of party has its own kinds of component",
        chapter4.kind_of_party,
    ),
    _rule(
        "4.02",
        "feature-fits-component",
        "4",
        "a feature rests on the infrastructure that offers it",
        chapter4.own_features,
    ),
    _rule(
        "4.03",
        "features-consistent",
        "4",
        "what one side chooses the other must offer",
        chapter4.consistent_features,
    ),
    _rule(
        "4.04",
        "payment-needs-banks",
        "4.2.2",
        "a payment needs an acquiring and an issuing bank",
        chapter4.banks,
    ),
    _rule(
        "4.05",
        "time-stamps-spare",
        "4.2.2",
        "a contract's time must be provable even when one authority is down",
        chapter4.spare_stamps,
    ),
    _rule(
        "4.06",
        "contract-parties",
        "4.2.2",
        "terms are agreed between a merchant and a buying organisation",
        chapter4.contract_parties,
    ),
    _rule(
        "4.07",
        "no-cyclic-dependency",
        "4",
        "what needs itself can neither start nor be trusted",
        chapter4.no_cycle,
    ),
)
