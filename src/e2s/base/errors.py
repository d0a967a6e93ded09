"""One root for every error; bad input is a refusal that names its rule, never a traceback.

Two branches matter: *misuse* (our caller is wrong, exit status 2) and *refusal* (the peer, the
input or policy is wrong, exit status 1).  Facts are safe to show: no secret ever enters one.
"""

from __future__ import annotations

from typing import TypeAlias

Fact: TypeAlias = str | int | bool | None


class E2SError(Exception):
    """Root of every error raised on purpose; carries the rule's name and facts about the case."""

    def __init__(self, rule: str, message: str = "", /, **facts: Fact) -> None:
        """``rule`` is a short kebab-case name; ``message`` a sentence saying what to do."""
        super().__init__(rule, message)
        self.rule = rule
        self.message = message or rule
        self.facts = facts

    def __str__(self) -> str:
        """The rule, the sentence and the facts on one line."""
        shown = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.rule}: {self.message}" + (f" ({shown})" if shown else "")


class Misuse(E2SError):
    """Our own caller is wrong: a bad argument, a missing file, a wrong configuration."""


class Refusal(E2SError):
    """The peer, the input or policy is wrong; says which rule, and is safe to show."""


class Unreachable(E2SError):
    """A peer did not answer: nothing is known about its effects; the sender repeats."""
