"""Invitations and requests against a model: whatever is done in whatever order, no use is taken twice or lost."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from e2s.base.errors import Refusal, Unreachable
from e2s.security.enrolment import deciding, inviting, store
from e2s.security.enrolment.asking import Asked, Invited, Issued, Pending
from e2s.security.enrolment.requests import EVENTS, NEXT, STATES, follow
from tests.worlds.enrolment import ANNA, OLGA, World, csr, key
from tests.worlds.pki import SetClock

KEYS = [key() for _ in range(4)]
REQUESTS = [csr(ANNA, private=private) for private in KEYS]


@pytest.mark.parametrize("state", sorted(STATES))
def test_each_pair_of_state_and_event(state):
    for event in EVENTS:
        if (state, event) in NEXT:
            assert follow(state, event) == NEXT[state, event]
        else:
            with pytest.raises(Refusal) as caught:
                follow(state, event)
            assert caught.value.rule == "out-of-order"


class Model(RuleBasedStateMachine):
    """What each transaction should be told, by a dictionary."""

    invitations = Bundle("invitations")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.clock = SetClock()
        self.world = World(Path(self.folder.name), clock=self.clock)
        self.uses: dict[str, int] = {}
        self.withdrawn: set[str] = set()
        self.until: dict[str, datetime] = {}
        #: (reference, transaction): the key's number and what is known of it
        self.told: dict[tuple[str, int], tuple[int, str, bytes]] = {}
        self.away = False

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
            self.folder.cleanup()

    @rule(target=invitations, uses=st.integers(1, 2), waits=st.booleans(), days=st.integers(1, 3))
    def invite(self, uses: int, waits: bool, days: int) -> str:
        until = self.world.clock.now() + timedelta(days=days)
        profile = "code-signing" if waits else "component"
        reference, _ = self.world.invite(profile, uses=uses, until=until)
        self.uses[reference], self.until[reference] = uses, until
        return reference

    @rule(reference=consumes(invitations), target=invitations)
    def take_back(self, reference: str) -> str:
        inviting.take_back(self.world.office, reference, officer=OLGA)
        self.withdrawn.add(reference)
        return reference

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.clock.forward(hours=hours)

    @rule()
    def die(self) -> None:
        self.world.reopen()
        if self.away:
            self._leave()

    @rule()
    def ca_leaves(self) -> None:
        self.away = True
        self._leave()

    @rule()
    def ca_comes_back(self) -> None:
        self.away = False
        vars(self.world.office.ca).pop("issue", None)
        self.world.desk.tick()
        self._settle()

    def _leave(self) -> None:
        def away(*_given) -> bytes:
            raise Unreachable("unreachable", "nobody answers")

        vars(self.world.office.ca)["issue"] = away

    def _settle(self) -> None:
        """What was intended is issued now."""
        for (reference, number), (which, state, _) in self.told.items():
            if state == "intended":
                answer = self.world.desk.poll("enrol", b"%d" % number, Invited(reference=reference))
                assert isinstance(answer, Issued)
                self.told[reference, number] = (which, "issued", answer.certificate)

    @rule(reference=invitations, number=st.integers(0, 2), which=st.integers(0, 3))
    def ask(self, reference: str, number: int, which: int) -> None:
        asked = Asked(
            door="enrol",
            transaction=b"%d" % number,
            request=REQUESTS[which],
            shown=Invited(reference=reference),
        )
        known = self.told.get((reference, number))
        expected = self._expected(reference, known, which)
        try:
            answer = self.world.desk.ask(asked)
        except Refusal as refusal:
            assert refusal.rule == expected
            return
        except Unreachable:
            assert expected == "unreachable"
            if known is None:
                self.told[reference, number] = (which, "intended", b"")
            return
        if isinstance(answer, Pending):
            assert expected == "waiting"
            self.told[reference, number] = (which, "waiting", b"")
            return
        assert expected == "issued"
        if known is not None and known[1] == "issued":
            assert answer.certificate == known[2]
        self.told[reference, number] = (which, "issued", answer.certificate)

    def _expected(self, reference: str, known: tuple[int, str, bytes] | None, which: int) -> str:
        after = "unreachable" if self.away else "issued"
        if known is not None:
            if known[0] != which:
                return "other-request"
            return after if known[1] == "intended" else known[1]
        if reference in self.withdrawn:
            return "invitation-withdrawn"
        if self.world.clock.now() >= self.until[reference]:
            return "invitation-over"
        taken = [one for (ref, _), one in self.told.items() if ref == reference and one[1] != "declined"]
        if len(taken) >= self.uses[reference]:
            return "invitation-used"
        return "waiting" if self._waits(reference) else after

    def _waits(self, reference: str) -> bool:
        with self.world.office.database.reading() as connection:
            found = store.invitation(connection, reference)
        assert found is not None
        return found[0].profile == "code-signing"

    @rule(approved=st.booleans())
    def decide(self, approved: bool) -> None:
        for row in deciding.waiting(self.world.office)[:1]:
            self.world.decide(row.case, "approve" if approved else "decline")
            at = (row.reference, int(row.transaction))
            which = self.told[at][0]
            self.told[at] = (which, "intended" if approved else "declined", b"")
        if not self.away:
            self.world.desk.tick()
            self._settle()

    @invariant()
    def as_many_claims_as_uses_that_count(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world.office.database.reading() as connection:
            for reference in self.uses:
                profile = "code-signing" if self._waits(reference) else "component"
                taken = [
                    one for (ref, _), one in self.told.items() if ref == reference and one[1] != "declined"
                ]
                assert store.used(connection, reference, profile) == len(taken) <= self.uses[reference]


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=400 if os.environ.get("E2S_SOAK") else 8,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
)
