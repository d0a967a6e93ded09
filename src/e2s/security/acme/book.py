"""What the acts of one ACME door share: its register, its clock, its desk, and how its URLs are written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.base.together import Together
from e2s.crypto.jose import key_of_jwk
from e2s.crypto.kinds import PublicKey
from e2s.crypto.pem import armoured
from e2s.security.acme import store
from e2s.security.enrolment.asking import Controls, Desk
from e2s.security.enrolment.policy import Acme

PATH: Final = "/acme"
DOOR: Final = "acme"
_REMEMBERED: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """How long what was begun may take, how long a host stays proven, and when a challenge is tried again."""

    order: timedelta = timedelta(days=7)
    pending: timedelta = timedelta(days=1)
    proven: timedelta = timedelta(days=30)
    tries: tuple[timedelta, ...] = (timedelta(seconds=3), timedelta(seconds=10), timedelta(seconds=30))
    #: Authorisations of one account that may wait.
    most_pending: int = 300


LIFETIMES: Final = Lifetimes()


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account as its requests need it."""

    n: int
    id: str
    key: PublicKey
    thumbprint: str
    state: str
    reference: str


@dataclass(kw_only=True)
class Book:
    """One door's register and what its acts need beside it."""

    desk: Desk
    database: Database
    clock: Clock
    random: Callable[[int], bytes]
    component: str
    origin: str
    policy: Acme
    lifetimes: Lifetimes

    def __post_init__(self) -> None:
        """Begin."""
        self.base = self.origin + PATH
        self.together = Together(self.database)
        self._accounts: OrderedDict[int, Account] = OrderedDict()
        self._changes = 0
        #: Issuers by their number in the register, and the numbers by the issuers: few, and never changed.
        self._issuers: dict[int, bytes] = {}
        self._chains: dict[tuple[bytes, ...], int] = {}
        self._lock = threading.Lock()

    def url(self, kind: str, n: int | str) -> str:
        """Where a thing is."""
        return f"{self.base}/{kind}/{n}"

    def number(self, kind: str, url: object) -> int:
        """The number in a URL of ours; raises :class:`Refusal` ``not-found``."""
        begin = f"{self.base}/{kind}/"
        if not isinstance(url, str) or not url.startswith(begin):
            raise Refusal("not-found", "this is no address of this door")
        return number_of(url[len(begin) :])

    def account(self, n: int) -> Account:
        """The account of this number; raises :class:`Refusal` ``no-such-account``."""
        with self._lock:
            known, changes = self._accounts.get(n), self._changes
            if known is not None:
                self._accounts.move_to_end(n)
                return known
        with self.database.glance() as connection:
            row = store.account(connection, n)
        if row is None:
            raise Refusal("no-such-account", "there is no account here of this address")
        made = account_of(row)
        with self._lock:
            # a row that was read before a change is not what holds after it
            if changes == self._changes:
                self._accounts[n] = made
                while len(self._accounts) > _REMEMBERED:
                    self._accounts.popitem(last=False)
        return made

    def forget(self, n: int) -> None:
        """An account changed."""
        with self._lock:
            self._changes += 1
            self._accounts.pop(n, None)

    def chain(self, connection: sa.Connection, issuers: tuple[bytes, ...]) -> int:
        """The number of a certificate's issuers, kept now if they were not."""
        known = self._chains.get(issuers)
        if known is None:
            pem = b"".join(armoured(one, b"CERTIFICATE") for one in issuers)
            # remembered once it was read: what was only written may be undone
            digest = sha256(pem).digest()
            known = store.known_chain(connection, digest)
            if known is None:
                return store.add_chain(connection, digest, pem)
            self._chains[issuers] = known
        return known

    def issuers(self, connection: sa.Connection, n: int) -> bytes:
        """The issuers of this number, PEM."""
        known = self._issuers.get(n)
        if known is None:
            known = self._issuers[n] = store.chain(connection, n)
        return known

    def event(
        self, connection: sa.Connection, kind: str, facts: dict[str, Fact], outcome: str = "done"
    ) -> None:
        """Record what happened, in the transaction of its effect."""
        event = Event(kind=kind, at=self.now(), component=self.component, outcome=outcome, facts=facts)
        store.OUTBOX.sink(connection).append(event)

    def now(self) -> datetime:
        """Now, as rows and events have it."""
        return self.clock.now().replace(microsecond=0)


def account_of(row: sa.Row[Any]) -> Account:
    """The account of a row."""
    return Account(
        n=row.n,
        id=row.id,
        key=key_of_jwk(msgspec.json.decode(row.jwk)),
        thumbprint=row.thumbprint,
        state=row.state,
        reference=row.reference,
    )


def controls(account: Account, hosts: tuple[str, ...]) -> Controls:
    """What an account showed."""
    return Controls(account=account.id, hosts=hosts, reference=account.reference)


def number_of(text: str) -> int:
    """A number as it stands in our URLs; raises :class:`Refusal` ``not-found``."""
    if not text.isascii() or not text.isdigit() or len(text) > 15 or text[0] == "0":
        raise Refusal("not-found", "there is nothing at this address")
    return int(text)
