"""What every act of purchasing stands on: its store, the key handler, trust, time stamps, clock, party.

A document is intended (committed, octet by octet), then signed by the key handler, then committed as
an act with its event, then released; a kill in between leaves the intent, which is taken up again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.instants import DELTA, Clock, parse_instant
from e2s.base.wire import Document
from e2s.commerce.purchasing import store
from e2s.commerce.purchasing.offer import Deadlines
from e2s.crypto.acts import Act
from e2s.crypto.stamps import read_token
from e2s.security.keys.key_handler import KeyClient
from e2s.security.verification.trust import Trust

KEY = "merchant"
_STRIPES = 256


class Stamper(Protocol):
    """Port: gives a proven time-stamp token over a SHA-256 digest."""

    def stamp(self, imprint: bytes) -> bytes:
        """The token; raises :class:`Unreachable` when no authority gave one."""


@dataclass(frozen=True, kw_only=True)
class PartyFacts:
    """The merchant: its name, and the ids of signing certificates of the gateways that it takes."""

    name: str
    gateways: tuple[str, ...]


@dataclass(kw_only=True)
class Counter:
    """Made once by the component's assembly."""

    store: Database
    keys: KeyClient
    trust: Trust
    stamper: Stamper
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    party: PartyFacts
    component: str
    deadlines: Deadlines = field(default_factory=Deadlines)
    _locks: tuple[threading.RLock, ...] = field(
        default_factory=lambda: tuple(threading.RLock() for _ in range(_STRIPES)), repr=False
    )

    @contextmanager
    def alone(self, person: str, trade: str) -> Iterator[None]:
        """Nobody else moves this trade within the block."""
        with self._locks[sha256(f"{person} {trade}".encode()).digest()[0]]:
            yield

    def now(self) -> datetime:
        """The instant by the component's clock."""
        return self.clock.now()

    @property
    def sender(self) -> str:
        """The id of the certificate that signs here."""
        return self.keys.certificate(KEY).id

    def intend(
        self, connection: sa.Connection, key: int, name: str, document: Document, over: Sequence[str] = ()
    ) -> None:
        """Intend to sign ``document`` over the trade's acts named ``over``."""
        store.intend(connection, key, name, wire.encode(document), over)

    def sign(self, key: int, name: str) -> bytes:
        """The act that was intended, signed outside any transaction; not kept yet."""
        with self.store.reading() as connection:
            found = store.intent(connection, key, name)
        if found is None:
            raise Refusal("out-of-order", "nothing was intended under this name", act=name)
        # The lists to keep beside it are asked for now: nobody is asked within a transaction.
        self.trust.source.crls(self.keys.certificate(KEY))
        return self.keys.sign_octets(KEY, *found)

    def keep(self, connection: sa.Connection, key: int, name: str, octets: bytes) -> Act:
        """Keep a signed act in place of its intent, with the CRLs of the moment."""
        act = store.keep(connection, key, name, octets)
        store.fulfil(connection, key, name)
        store.keep_crls(connection, key, self.trust.source.crls())
        return act

    def stamped(self, act: Act) -> bytes | None:
        """A time stamp over the act's signature value, or None while no authority gives a fitting one.

        One that is earlier than the act, or than an act inside it, by more than two clock errors proves
        nothing (check 15): a clock was ahead when that was signed, so it is stamped once the time has come.
        """
        try:
            token = self.stamper.stamp(sha256(act.signature).digest())
        except Unreachable:
            return None
        return token if read_token(token).at >= _newest(act) - 2 * DELTA else None

    def stamped_by(self, act: Act, confirm_by: str) -> bytes | None:
        """The same of a confirmation, and None once a stamp would only prove that it came too late.

        Without a token the contract's time is claimed; with a late one it would bind nobody.
        """
        latest = parse_instant(confirm_by) + 2 * DELTA
        token = self.stamped(act) if self.now() <= latest else None
        # A token may be as much later than our clock.
        near = self.now() + 2 * DELTA > latest
        return None if token is None or (near and read_token(token).at > latest) else token

    def event(self, connection: sa.Connection, kind: str, outcome: str = "done", **facts: Fact) -> None:
        """An audit event in the act's transaction."""
        store.OUTBOX.sink(connection).append(
            Event(kind=kind, at=self.now(), component=self.component, outcome=outcome, facts=facts)
        )


def _newest(act: Act) -> datetime:
    """The latest time that the act, or an act inside it, claims."""
    return max((act.at, *(_newest(act.inner(index)) for index in range(len(act.over)))))
