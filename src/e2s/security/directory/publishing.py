"""A directory is kept as its CAs' feeds say: lists first, then what changed, through an outbox of our own.

What waits is sent in batches, each forgotten only once the directory answered for all of it.  A directory
that is away is asked again after a second, then after twice as long each time, up to a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from e2s.base.errors import E2SError, Fact, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.security.directory import store
from e2s.security.directory.mirror import ENTRY, LIST, Mirror
from e2s.security.directory.sending import Sender

#: How many entries are sent before they are forgotten, of lists (they may be long) fewer; how often in a go.
BATCH: Final = {ENTRY: 2000, LIST: 50}
MOST_ROUNDS: Final = 25
SOON: Final = timedelta(seconds=1)
SLOWEST: Final = timedelta(seconds=60)
_MAX_DOUBLINGS: Final = 8


@dataclass(kw_only=True)
class Sent:
    """How many entries were brought to stand, taken away, and refused by the directory."""

    standing: int = 0
    gone: int = 0
    refused: int = 0

    def __iadd__(self, other: Sent) -> Self:
        """Add what another batch did."""
        self.standing += other.standing
        self.gone += other.gone
        self.refused += other.refused
        return self


class Publisher:
    """Keeps one directory; :meth:`tick` does what is due, :meth:`all` everything."""

    def __init__(
        self, mirrors: Sequence[Mirror], sender: Sender, *, outbox: Outbox, clock: Clock, component: str
    ) -> None:
        """``mirrors``: every CA of the tree, in one database, whose outbox is ``outbox``.

        Raises :class:`Refusal` ``other-directory``: a database belongs to one tree, since what was sent to
        another would never be taken away there.
        """
        self._mirrors = tuple(mirrors)
        self._mirror = mirrors[0]
        self._sender = sender
        self._outbox = outbox
        self._clock = clock
        self._component = component
        self._database = self._mirror.database
        #: The rule by which the CA or the directory was lost; when to ask again.
        self._lost: dict[str, str] = {"feed": "", "directory": ""}
        self._failures = 0
        self._next: datetime | None = None
        #: The CAs to the end of whose feed we came.
        self._whole: set[bytes] = set()
        #: By CA, why its newest lists were not taken: that keeps no change waiting.
        self._refused: dict[bytes, Refusal] = {}
        self._claim()
        for one in self._mirrors:
            one.found()

    def all(self) -> Sent:
        """Take and send until nothing waits; raises what the CA or the directory says.

        That a list is refused is raised when all else is done.
        """
        sent, some, more = Sent(), Sent(), True
        while more or some != Sent():
            more = self._take()
            some = self._send(LIST)
            if not more:
                some += self._send(ENTRY)
            sent += some
        for refusal in self._refused.values():
            raise refusal
        return sent

    def tick(self) -> Sent:
        """Take what is new, send what waits, some rounds of it; what cannot be done now is tried later."""
        sent = Sent()
        for _ in range(MOST_ROUNDS):
            more, some = self._take_if(), self._send_if()
            sent += some
            if not more and some == Sent():
                break
        return sent

    def _take(self) -> bool:
        """Take each CA's lists and next changes, then what has ended; whether there may be more."""
        more = [self._take_of(one) for one in self._mirrors]
        return any(more) or self._mirror.take_ended() > 0

    def _take_of(self, mirror: Mirror) -> bool:
        ca = mirror.authority.digest
        try:
            mirror.take_lists()
            self._refused.pop(ca, None)
        except Refusal as refusal:
            self._refused[ca] = refusal
        if mirror.take_changes():
            self._whole.discard(ca)
            return True
        self._whole.add(ca)
        return False

    def _take_if(self) -> bool:
        """The same, where a CA can be asked; that one cannot is an event once."""
        more, rule = False, ""
        for one in self._mirrors:
            try:
                more |= self._take_of(one)
            except E2SError as error:
                rule = error.rule
        self._tell("feed", rule or next((one.rule for one in self._refused.values()), ""))
        with suppress(Unreachable):
            more |= self._mirror.take_ended() > 0
        return more

    def _send_if(self) -> Sent:
        """Send what waits, where it is time to; that the directory is away is an event once."""
        now = self._clock.now()
        if self._next is not None and self._next - SLOWEST <= now < self._next:
            return Sent()
        try:
            sent = self._send(LIST)
            # Before the end of the feed is known, an entry could bring back what was revoked later
            sent += self._send(ENTRY) if len(self._whole) == len(self._mirrors) else Sent()
        except E2SError as error:
            self._next = now + min(SOON * 2 ** min(self._failures, _MAX_DOUBLINGS), SLOWEST)
            self._failures += 1
            self._tell("directory", error.rule)
            return Sent()
        self._failures, self._next = 0, None
        self._tell("directory", "")
        return sent

    def _send(self, topic: str) -> Sent:
        """Send the oldest that wait, and forget them; raises :class:`Unreachable` or ``directory-denied``."""
        with self._database.glance() as connection:
            rows = self._outbox.waiting(connection, topic, BATCH[topic])
        if not rows:
            return Sent()
        keys = list(dict.fromkeys(body.decode() for _, body in rows))
        wanted = self._mirror.entries(keys)
        refused = self._sender.send(wanted)
        gone = sum(entry is None for entry in wanted.values())
        sent = Sent(standing=len(wanted) - gone, gone=gone, refused=len(refused))
        with self._database.transaction() as connection:
            self._outbox.done(connection, [row for row, _ in rows])
            store.settle(connection, keys, refused, self._clock.now())
            facts: dict[str, Fact] = {"topic": topic, "entries": sent.standing, "gone": sent.gone}
            facts["refused"] = sent.refused or None
            self._outbox.sink(connection).append(self._event("directory.sent", "done", facts))
        return sent

    def _claim(self) -> None:
        """Note whose tree this database is, or see that it is the same."""
        suffix = self._mirror.tree.dn("")
        with self._database.transaction() as connection:
            known = store.setting(connection, "suffix")
            if known not in {"", suffix}:
                raise Refusal(
                    "other-directory", "this database is of another tree: name another file", suffix=known
                )
            store.set_to(connection, "suffix", suffix)

    def _tell(self, whom: str, rule: str) -> None:
        """Record that the CA or directory was lost, by which rule, and that it was found again: once each."""
        if rule == self._lost[whom]:
            return
        kind, outcome = ("lost", rule) if rule else ("found", "done")
        name = f"directory.{kind}" if whom == "directory" else f"feed.{kind}"
        # Where there is no room for the event, it is written when there is again.
        with suppress(Unreachable):
            with self._database.transaction() as connection:
                self._outbox.sink(connection).append(self._event(name, outcome, {}))
                store.set_to(connection, f"lost {whom}", rule)
            self._lost[whom] = rule

    def _event(self, kind: str, outcome: str, facts: dict[str, Fact]) -> Event:
        return Event(kind=kind, at=self._clock.now(), component=self._component, outcome=outcome, facts=facts)
