"""A judgement is data: granted with its reason, or refused with its rule; nothing granted means no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Granted:
    """``subject`` may do it, because of ``because`` (a role, a post, a ceremony's record)."""

    because: str


@dataclass(frozen=True)
class Refused:
    """It may not be done; ``because`` says what stands against it, ``rule`` is its name."""

    because: str
    rule: str = "not-authorised"


class Authoriser(Protocol):
    """Port: may ``subject`` exercise ``right`` in ``context``?  The trust centre answers one day."""

    def decide(self, subject: str, right: str, context: str) -> Granted | Refused:
        """Decide on values alone; never raises for an unknown subject: that is a refusal."""


@dataclass(frozen=True)
class TableAuthoriser:
    """Rights as written in a record: (subject, right, context) triples; all else is refused."""

    table: frozenset[tuple[str, str, str]]

    def decide(self, subject: str, right: str, context: str) -> Granted | Refused:
        """Granted exactly when the triple stands in the table."""
        if (subject, right, context) in self.table:
            return Granted(f"{subject} holds {right} in {context}")
        return Refused(f"{subject} does not hold {right} in {context}")
