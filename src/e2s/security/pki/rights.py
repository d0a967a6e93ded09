"""The rights of officers, the duties that they belong to, and which duties nobody holds together.

A domain is a CA with its registration authority, called by the CA's component name.  Who says there whom
a name means (registration) does not certify, and who sets policy or names officers (access policy) does not
work with keys (key management): certifying, and recovering keys from escrow.  To have a certificate
withdrawn (``ca.revoke``) is nobody's duty alone: whoever learns of a loss first must be able to say so.

The root is no such domain: it registers nobody, and what it does is a ceremony on record, before those who
are there.  A buying organisation's CA is a domain of one: its manager answers for all of it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.rights import Authoriser, Granted, Refused

#: (officer, right, the CA's component name)
Right = tuple[str, str, str]
#: The rule of every refusal here.
RULE: Final = "duties-not-separate"


@dataclass(frozen=True, kw_only=True)
class Rights:
    """The rights at a CA, by name; the context of each is the CA's component name.

    ``policy`` is to propose and approve what policies say, ``officers`` who holds which right; ``audit`` to
    read records and reports.
    """

    certify: str = "ca.certify"
    revoke: str = "ca.revoke"
    register: str = "ra.register"
    approve: str = "ra.approve"
    name: str = "ca.officers"
    policy: str = "admin.policy"
    officers: str = "admin.officers"
    audit: str = "admin.audit"
    deposit: str = "escrow.deposit"
    open_case: str = "escrow.open"
    recover: str = "escrow.approve"


RIGHTS: Final = Rights()

#: Each duty and the rights that belong to it.
DUTIES: Final = {
    "registration": frozenset({RIGHTS.register, RIGHTS.approve}),
    "certification": frozenset({RIGHTS.certify}),
    "access policy": frozenset({RIGHTS.policy, RIGHTS.officers, RIGHTS.name}),
    "key management": frozenset({RIGHTS.certify, RIGHTS.deposit, RIGHTS.open_case, RIGHTS.recover}),
}
#: Duties that nobody holds together in one domain.
APART: Final = (("registration", "certification"), ("access policy", "key management"))


def _against(right: str) -> tuple[tuple[str, str, str], ...]:
    """What may not be held beside a right: the other right, this one's duty, the other's."""
    pairs = [*APART, *((second, first) for first, second in APART)]
    return tuple(
        (other, mine, theirs)
        for mine, theirs in pairs
        if right in DUTIES[mine]
        for other in sorted(DUTIES[theirs])
    )


_AGAINST: Final = {right: _against(right) for rights in DUTIES.values() for right in rights}


def decide(
    authoriser: Authoriser, subject: str, right: str, context: str, *, alone: bool = False
) -> Granted | Refused:
    """Whether ``subject`` holds the right and none that may not be held beside it.

    ``alone`` says that the context is a domain of one, or the root.
    """
    decision = authoriser.decide(subject, right, context)
    if alone or isinstance(decision, Refused):
        return decision
    for other, mine, theirs in _AGAINST.get(right, ()):
        if isinstance(authoriser.decide(subject, other, context), Granted):
            return Refused(_sentence(subject, context, mine, theirs), RULE)
    return decision


def require(authoriser: Authoriser, subject: str, right: str, context: str, *, alone: bool = False) -> None:
    """As :func:`decide`; raises :class:`Refusal` ``not-authorised`` or ``duties-not-separate``."""
    decision = decide(authoriser, subject, right, context, alone=alone)
    if isinstance(decision, Refused):
        raise Refusal(decision.rule, decision.because, officer=subject, right=right)


def mixed(rights: Iterable[Right], but: Container[str] = ()) -> Iterator[tuple[str, str, str, str]]:
    """Who holds in which context which two duties together, in order; contexts ``but`` are not looked at."""
    held: dict[tuple[str, str], set[str]] = {}
    for subject, right, context in rights:
        if context not in but:
            held.setdefault((subject, context), set()).add(right)
    for (subject, context), some in sorted(held.items()):
        for mine, theirs in APART:
            if some & DUTIES[mine] and some & DUTIES[theirs]:
                yield subject, context, mine, theirs


def require_apart(rights: Iterable[Right], but: Container[str] = (), *, before: Iterable[Right] = ()) -> None:
    """Raise :class:`Refusal` ``duties-not-separate`` where ``rights`` mix duties that ``before`` did not."""
    known = set(mixed(before, but))
    for found in mixed(rights, but):
        if found not in known:
            subject, context, mine, theirs = found
            raise Refusal(RULE, _sentence(subject, context, mine, theirs), officer=subject, at=context)


def _sentence(subject: str, context: str, mine: str, theirs: str) -> str:
    return f"{subject} would do both {mine} and {theirs} in {context}: two officers do"
