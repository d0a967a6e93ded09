"""A time stamping authority dates what it is shown, on record (RFC 3161, 2.2 and 2.4).

What is not dated is answered by the failure that the RFC names for it.  Where others rely on it, time never
goes back: the newest instant given stands in the record, and an earlier clock dates nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Misuse, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Request, Response
from e2s.base.instants import Clock, format_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.refusals import RefusalCounter
from e2s.base.wire import b64u
from e2s.crypto import oids, stamps
from e2s.crypto.certificates import serial_number
from e2s.crypto.ports import Signer
from e2s.crypto.stamp_tokens import ONE_SECOND
from e2s.crypto.stamps import Query

TABLES = sa.MetaData()
OUTBOX = outbox_table(TABLES)
#: The newest instant that was given, in microseconds since 1970.
NEWEST = sa.Table(
    "newest_stamp", TABLES, sa.Column("id", sa.Integer, primary_key=True), sa.Column("at", sa.Integer)
)
#: The one policy of E2S's authorities: the authority's clock is within a second of what it says.
POLICY = f"{oids.ARC}.6.1"
QUERY, REPLY = stamps.QUERY, stamps.REPLY
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Dating:
    """How an authority dates: its ``policies``, the first unless another is asked for, and its clock.

    ``accuracy`` below a second asks for a clock that tells fractions, as ``ordering`` does.
    ``ordering``: any two stamps are in the order of their times.  ``named``: each names the authority.
    ``most_back``: how far the clock may stand behind the newest stamp; None where nobody relies on that.
    ``sound`` says whether the clock is known to be right.
    """

    policies: tuple[str, ...] = (POLICY,)
    accuracy: timedelta = ONE_SECOND
    ordering: bool = False
    named: bool = False
    most_back: timedelta | None = ONE_SECOND
    sound: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-dating``."""
        if not self.policies or not timedelta(0) <= self.accuracy <= timedelta(days=1):
            raise Misuse("bad-dating", "an authority has a policy, and an accuracy of at most a day")
        if self.ordering and self.most_back is None:
            raise Misuse("bad-dating", "stamps are in order only where time never goes back")


#: Among parties that compare each stamp with a clock of their own, which may be ahead and right itself again.
COMPARED: Final = Dating(most_back=None)


class StampAuthority:
    """The component that answers time-stamp queries at any path by POST."""

    def __init__(
        self,
        signer: Signer,
        database: Database,
        *,
        component: str,
        clock: Clock,
        random: Callable[[int], bytes],
        dating: Dating = COMPARED,
    ) -> None:
        """``signer`` has a certificate of profile ``tsa``; ``database`` has :data:`TABLES`."""
        if signer.certificate.ekus != {oids.EKU_TIME_STAMPING}:
            raise Misuse("wrong-purpose", "a time stamping authority's key does nothing else")
        self.database = database
        self.outbox = Outbox(OUTBOX)
        self._signer = signer
        self._component = component
        self._clock = clock
        self._random = random
        self._dating = dating
        self._refusals = RefusalCounter(component)
        self._lock = threading.Lock()
        self._newest = self._recorded()

    def renewed(self, signer: Signer) -> None:
        """Sign under a newer certificate of the key from now on."""
        self._signer = signer

    def handle(self, request: Request) -> Response:
        """One query, one reply; a query that cannot be granted is answered by a rejection (2.4.2)."""
        if request.method != "POST":
            return Response(405, b"", {"allow": "POST"})
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != QUERY:
            return Response(415)
        return Response(200, self.answer(request.body), {"content-type": REPLY})

    def answer(self, octets: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq; nothing is granted that is not on record."""
        try:
            query = stamps.read_request(octets)
            policy = self._policy(query)
            at = self._time()
        except Refusal as refusal:
            self._note(refusal.rule)
            return stamps.reject(refusal.message, refusal.rule)
        try:
            return self._granted(query, policy, at)
        except (Refusal, Unreachable) as error:
            # the key did not sign, or the record has no room: not the asker's fault
            self._note(error.rule)
            return stamps.reject("the authority cannot give a stamp now", "stamp-system")

    def tick(self) -> None:
        """Write down how many queries were refused; the outbox is emptied by its pump."""
        self._write(self._refusals.due(self._second()))

    def close(self) -> None:
        """Give back the record."""
        self.database.close()

    def _granted(self, query: Query, policy: str, at: datetime) -> bytes:
        dating, serial = self._dating, serial_number(self._random)
        token = stamps.grant(
            query,
            self._signer,
            serial=serial,
            at=at,
            policy=policy,
            accuracy=dating.accuracy,
            ordering=dating.ordering,
            named=dating.named,
        )
        facts = {"serial": f"{serial:x}", "imprint": b64u(query.imprint)}
        if query.digest != "sha256":
            facts["digest"] = query.digest
        event = Event(
            kind="stamp.issued", at=at.replace(microsecond=0), component=self._component, facts=facts
        )
        with self.database.transaction() as connection:
            if dating.most_back is not None:
                _record(connection, at)
            self.outbox.sink(connection).append(event)
        return stamps.granted(token)

    def _policy(self, query: Query) -> str:
        if query.policy is None:
            return self._dating.policies[0]
        if query.policy not in self._dating.policies:
            raise Refusal("stamp-policy", "the policy asked for is not this authority's")
        return query.policy

    def _time(self) -> datetime:
        """The instant to give; raises ``stamp-no-time`` when the clock is not to be believed."""
        dating = self._dating
        if dating.sound is not None and not dating.sound():
            raise Refusal("stamp-no-time", "the authority's clock is not known to be right")
        if dating.most_back is None:
            return self._clock.now()
        with self._lock:
            at = self._clock.now()
            if at < self._newest - dating.most_back:
                raise Refusal(
                    "stamp-no-time",
                    "the authority's clock stands before its newest stamp",
                    newest=format_instant(self._newest),
                )
            if dating.ordering:
                at = max(at, self._newest + _MICROSECOND)
            self._newest = max(at, self._newest)
            return at

    def _recorded(self) -> datetime:
        """The newest instant on record."""
        with self.database.reading() as connection:
            found = connection.execute(sa.select(NEWEST.c.at)).scalar()
        return _EPOCH + (found or 0) * _MICROSECOND

    def _note(self, rule: str) -> None:
        """Count a refusal; the first of its rule in a minute is an event at once."""
        self._write(self._refusals.note("stamp.refused", rule, self._second()))

    def _second(self) -> datetime:
        """Now, as events have it."""
        return self._clock.now().replace(microsecond=0)

    def _write(self, due: list[Event]) -> None:
        """Events into the outbox; who is refused is refused also when the disk is full."""
        if due:
            with suppress(E2SError), self.database.transaction() as connection:
                for event in due:
                    self.outbox.sink(connection).append(event)


def _record(connection: sa.Connection, at: datetime) -> None:
    """``at`` is the newest instant given, unless a newer one is on record already."""
    micros = (at - _EPOCH) // _MICROSECOND
    changed = connection.execute(sa.update(NEWEST).values(at=sa.func.max(NEWEST.c.at, micros)))
    if not changed.rowcount:
        connection.execute(sa.insert(NEWEST).values(id=1, at=micros))


def forget_newest(database: Database) -> None:
    """Believe a clock that stands before the newest stamp: for who has set right a clock that was ahead."""
    with database.transaction() as connection:
        connection.execute(sa.delete(NEWEST))
