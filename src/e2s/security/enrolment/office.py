"""What every act of enrolment needs: register, CA, policy, and the secret that invitations lie under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Fact, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.base.rights import Granted
from e2s.base.together import Together
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.attestation import Maker
from e2s.security.certificates.profile import Profile
from e2s.security.enrolment.certifying import Ca
from e2s.security.enrolment.policy import Policy, Rule, shipped
from e2s.security.enrolment.storage import Storage
from e2s.security.enrolment.store import OUTBOX
from e2s.security.enrolment.tries import Told
from e2s.security.pki.rights import RIGHTS, decide, require
from e2s.security.verification.trust import Trust

_PURPOSE: Final = "e2s/1/invitation"


@dataclass(frozen=True, kw_only=True)
class Office:
    """One component of enrolment: ``officer`` is in whose name it orders what no officer's invitation covers.

    ``storage`` has 32 secret octets under which invitations' secrets are kept.
    """

    component: str
    officer: str
    database: Database
    ca: Ca
    root: Certificate
    trust: Trust
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    storage: bytes = field(repr=False)
    policy: Policy = field(default_factory=shipped, repr=False)
    makers: tuple[Maker, ...] = field(default=(), repr=False)

    def now(self) -> datetime:
        """The instant by the component's clock."""
        return self.clock.now()

    def rule(self, profile: str) -> Rule:
        """The policy's rule for a profile that the CA issues; or ``not-enrolled``, ``wrong-profile``."""
        self.profile(profile)
        return self.policy.rule(profile)

    def profile(self, name: str) -> Profile:
        """A profile that the CA issues to enrol; raises :class:`Refusal` ``wrong-profile``."""
        found = self.ca.profiles.get(name)
        if found is None or name not in self.ca.issues or found.is_ca or found.pan_commit:
            raise Refusal("wrong-profile", "this CA does not enrol for that profile", profile=name[:64])
        return found

    def authorise(self, officer: str, right: str) -> None:
        """Raise :class:`Refusal` unless the officer holds the right at the CA, and none that bars it.

        ``not-authorised`` or ``duties-not-separate``.
        """
        ca = self.ca
        require(ca.authoriser, officer, right, ca.component, alone=self._alone)

    def check_inviter(self, officer: str) -> None:
        """Raise :class:`Refusal` unless the officer may invite: registers, or rules a domain of one.

        A buying organisation's manager answers for all of it: who certifies there invites too.
        """
        if self._alone and isinstance(
            decide(self.ca.authoriser, officer, RIGHTS.certify, self.ca.component, alone=True), Granted
        ):
            return
        self.authorise(officer, RIGHTS.register)

    @property
    def _alone(self) -> bool:
        return self.ca.profiles[self.ca.kind].confined

    def seal(self, reference: str, secret: bytes) -> bytes:
        """An invitation's secret as it is kept, good for this reference alone."""
        return self._sealed.seal(reference.encode(), secret)

    def open(self, reference: str, sealed: bytes) -> bytes:
        """The secret again; raises :class:`Refusal` ``altered-storage``."""
        return self._sealed.open(reference.encode(), sealed)

    def event(
        self,
        connection: sa.Connection,
        kind: str,
        at: datetime,
        facts: Mapping[str, Fact],
        outcome: str = "done",
    ) -> None:
        """Write an event in the transaction of its effect."""
        event = Event(kind=kind, at=at, component=self.component, outcome=outcome, facts=facts)
        OUTBOX.sink(connection).append(event)

    def refused(self, refusal: E2SError, at: datetime, **facts: Fact) -> None:
        """The event of a refusal."""
        told = {**facts, "rule": refusal.rule}
        self.writes.write(lambda connection: self.event(connection, "refused", at, told, outcome="refused"))

    def refused_stranger(self, refusal: E2SError, at: datetime, **facts: Fact) -> None:
        """The same of who showed nothing that is known here; of many in a minute only how many there were."""
        untold = self._strangers.one_more(at)
        if untold is not None:
            self.refused(refusal, at, **facts, untold=untold or None)

    @cached_property
    def _strangers(self) -> Told:
        return Told()

    @cached_property
    def writes(self) -> Together:
        """What many threads write at the same time shares its commits."""
        return Together(self.database)

    @cached_property
    def _sealed(self) -> Storage:
        return Storage(self.storage, _PURPOSE, self.random)
