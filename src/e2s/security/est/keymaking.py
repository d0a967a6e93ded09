"""Keys that key management makes for their holders, to open what is sealed to them (RFC 7030, 4.4).

A key that signs is its holder's alone and is never made here.  What is made lies sealed from before anything
is asked for it: a request that is repeated, after a kill, a lost answer or an officer's word, gets the same
key and certificate.  An hour after it was fetched it is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal
from e2s.base.events import Event
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, PublicKey
from e2s.crypto.suites import SEALINGS, sealing_suites_of
from e2s.security.certificates.possession import Proven, read_proof
from e2s.security.enrolment.asking import Asked, Desk, Issued, Pending, Shown
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.enrolment.storage import Storage
from e2s.security.est import asking, bodies, packages, store
from e2s.security.est.bodies import Part
from e2s.security.keys.generation import generate

_OPERATION: Final = "serverkeygen"
_KEPT: Final = timedelta(hours=1)
#: What is old is looked for so often.
_SWEPT: Final = timedelta(minutes=1)
#: Where the request's own key says nothing of the kind that is wished for.
_USUAL: Final = "ecdh-p256-aes256gcm"


class KeyMaking:
    """Makes keys and keeps them until they are fetched; safe to share among threads."""

    def __init__(self, desk: Desk, setting: DoorSetting) -> None:
        """Nothing is opened before the first key is asked for."""
        self._desk = desk
        self._setting = setting
        self._due = setting.clock.now()
        self._file = setting.folder / "est.sqlite"
        self._lock = threading.Lock()
        self._opened: Database | None = None

    def made(self, request: bytes, by: Shown, label: str) -> tuple[Part, Part] | Pending:
        """A key and its certificate, as parts of the answer.

        Raises :class:`Refusal` ``no-key-making``, ``signing-key``, ``key-not-permitted``, ``plain-key``,
        ``no-signer``, ``no-such-decryption-key``, and what the desk refuses.
        """
        proven = read_proof(request)
        now = self._setting.clock.now()
        recipient = packages.recipient_in(request, proven.key, now)
        self._check_way(recipient)
        transaction = asking.transaction(_OPERATION, label, request, by)
        key = self._key(transaction, by, label, proven.key, now)
        public = Proven(key.public_key(), spki_of(key.public_key()))
        asked = Asked(door="est", transaction=transaction, request=public, shown=by, profile=label)
        outcome = self._desk.ask(asked)
        if isinstance(outcome, Pending):
            return outcome
        return self._released(outcome, transaction, key, request, recipient, now)

    def forget(self, now: datetime) -> int:
        """Forget keys that were fetched an hour ago, or waited longer than any request does; how many."""
        if now < self._due or not self._file.exists():
            return 0
        self._due = now + _SWEPT
        waiting = now - timedelta(days=self._setting.policy.waiting_days)
        with self.database.transaction() as connection:
            return store.forget(connection, fetched_by=now - _KEPT, made_by=waiting)

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _check_way(self, recipient: Certificate | None) -> None:
        """Raise unless the key may go the way that is asked for."""
        setting = self._setting
        if not setting.storage:
            raise Refusal("no-key-making", "no keys are made for others here")
        if recipient is None and not setting.policy.est.plain_keys:
            raise Refusal("plain-key", "name a key to seal to: a key does not leave here as it is")
        if recipient is not None and setting.signer is None:
            raise Refusal("no-signer", "nobody here signs for the keys that are made")

    def _key(self, transaction: bytes, by: Shown, label: str, wished: PublicKey, now: datetime) -> PrivateKey:
        """The transaction's key: that of before, or a new one that is kept first."""
        with self.database.glance() as connection:
            row = store.key(connection, transaction)
        if row is None:
            offer = self._desk.offer(by, label, door="est")
            suite = _suite(offer.suites, wished)
            made = packages.plain(generate(suite, self._setting.random))
            with self.database.transaction() as connection:
                store.add(connection, transaction, suite, self._storage.seal(transaction, made), now)
                self._event(connection, "key.made", now, {"profile": offer.profile, "suite": suite})
                row = store.key(connection, transaction)
        if row is None:
            raise Refusal("no-key-making", "the key was forgotten meanwhile: ask again")
        return packages.read_plain(self._storage.open(transaction, bytes(row.key)))

    def _released(
        self,
        issued: Issued,
        transaction: bytes,
        key: PrivateKey,
        request: bytes,
        recipient: Certificate | None,
        now: datetime,
    ) -> tuple[Part, Part]:
        """Deposit it where an escrow is given, and only then let it out."""
        setting, certificate = self._setting, Certificate.read(issued.certificate)
        if setting.deposit is not None:
            setting.deposit.deposit(certificate.name, certificate, key)
        if recipient is None or setting.signer is None:
            part = Part(bodies.PLAIN_KEY, packages.plain(key))
        else:
            theirs = packages.capabilities_in(request)
            octets = packages.package(key, setting.signer, recipient, theirs, at=now, random=setting.random)
            part = Part(bodies.SEALED_KEY, octets)
        facts: dict[str, Fact] = {
            "name": certificate.name,
            "serial": f"{certificate.serial:x}",
            "sealed": recipient is not None,
            "deposited": setting.deposit is not None,
        }
        # on record before it leaves, each time
        with self.database.transaction() as connection:
            store.fetched(connection, transaction, now)
            self._event(connection, "key.released", now, facts)
        return part, Part(bodies.CERTIFICATES, bodies.bundled(issued.certificate))

    def _event(self, connection: sa.Connection, kind: str, at: datetime, facts: Mapping[str, Fact]) -> None:
        event = Event(kind=kind, at=at, component=self._setting.component, facts=facts)
        store.OUTBOX.sink(connection).append(event)

    @property
    def database(self) -> Database:
        """The database of keys, made at its first use."""
        with self._lock:
            if self._opened is None:
                self._opened = Database.open(self._file, store.TABLES)
            return self._opened

    @cached_property
    def _storage(self) -> Storage:
        return Storage(self._setting.storage, "e2s/1/est-key", self._setting.random)


def _suite(offered: Iterable[str], wished: PublicKey) -> str:
    """The suite of the key to be made: of the request's own kind, if that is offered, or the usual one.

    Raises :class:`Refusal` ``signing-key`` where keys of the profile sign.
    """
    names = [name for name in offered if name in SEALINGS]
    if not names:
        raise Refusal("signing-key", "a key that signs is made by its holder and nobody else")
    alike = {suite.name for suite in sealing_suites_of(wished)}
    first = next((name for name in names if name in alike), "")
    return first or (_USUAL if _USUAL in names else names[0])
