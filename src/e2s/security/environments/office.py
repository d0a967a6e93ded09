"""What every act of delivery needs: the desk that certifies, who signs parcels, the escrow, the kinds.

What waits for its parcel lies sealed under a key derived from the component's storage secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.crypto.ports import Signer
from e2s.security.enrolment.asking import Desk
from e2s.security.enrolment.storage import Storage
from e2s.security.environments.kinds import Kinds, shipped
from e2s.security.environments.store import OUTBOX
from e2s.security.keys.deposit import Deposit

#: How long a parcel waits for its holder's receipt before its certificates are revoked.
WAITING: Final = timedelta(days=14)


def _no_lists() -> Sequence[bytes]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Office:
    """Key management's side of deliveries; ``origin`` is how holders reach it.

    ``deposit`` is None where there is no escrow: what a kind wants deposited is then not made.
    """

    component: str
    origin: str
    desk: Desk
    database: Database
    signer: Signer
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    storage: bytes = field(repr=False)
    kinds: Kinds = field(default_factory=shipped, repr=False)
    deposit: Deposit | None = None
    crls: Callable[[], Sequence[bytes]] = field(default=_no_lists, repr=False)
    waiting: timedelta = WAITING

    def now(self) -> datetime:
        """The instant by the component's clock."""
        return self.clock.now()

    @cached_property
    def waits(self) -> Storage:
        """Seals what waits for its parcel, under the delivery's reference."""
        return Storage(self.storage, "pse", self.random)

    def event(
        self, connection: sa.Connection, kind: str, facts: Mapping[str, Fact], outcome: str = "done"
    ) -> None:
        """Write an event in the transaction of its effect."""
        event = Event(kind=kind, at=self.now(), component=self.component, outcome=outcome, facts=facts)
        OUTBOX.sink(connection).append(event)

    def refused(self, refusal: Refusal, **facts: Fact) -> None:
        """The event of a refusal."""
        with self.database.transaction() as connection:
            self.event(connection, "refused", {**facts, "rule": refusal.rule}, outcome="refused")
