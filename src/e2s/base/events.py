"""Every security decision, key use, refusal and administration act is one canonical event.

A component writes the event to its outbox in the transaction of its effect; the party's sequencer
alone numbers it (chapter 7.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from e2s.base import wire
from e2s.base.errors import Fact
from e2s.base.instants import format_instant


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened: ``kind`` (``key.sign``, ``offer.issued``, ``refused``), by whom, with which outcome."""

    kind: str
    at: datetime
    component: str
    outcome: str = "done"
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Canonical octets of the event; a fact of ``None`` is left out."""
        return wire.encode(
            {
                "type": "e2s/1/event",
                "kind": self.kind,
                "at": format_instant(self.at),
                "component": self.component,
                "outcome": self.outcome,
                "facts": {k: v for k, v in self.facts.items() if v is not None},
            }
        )


class AuditSink(Protocol):
    """Port: takes an event so that it can no longer be lost unnoticed."""

    def append(self, event: Event) -> None:
        """Record ``event``; raises if it cannot, and then the act must not take place."""
