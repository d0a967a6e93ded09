"""What every act of the wallet stands on: its owner, keys, book, trust, clock and the ways out.

An act commits its intent, signs outside the transaction, commits the signed act with the step that it
is, and only then sends; whatever is lost on the way is sent again from the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal
from e2s.base.events import Event
from e2s.base.http import Exchange, Request, expect
from e2s.base.instants import Clock, parse_instant
from e2s.client.wallet import store
from e2s.client.wallet.card import Card, Issuer, open_card
from e2s.client.wallet.rules import Judge, Reader
from e2s.crypto import acts, stamps
from e2s.crypto.acts import Act
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.pse import Pse
from e2s.security.verification.trust import Trust

Answer = dict[str, Any]
#: Signs one document over acts, once.
Signing: TypeAlias = Callable[[wire.Document, Sequence[bytes]], Act]


class Line(Protocol):
    """Port: one shop, asked over a session; repeats what is lost as a new record with the same ``rid``."""

    def ask(self, op: str, args: Answer, rid: str) -> Answer:
        """The answer's members; raises :class:`Refusal` in the shop's words, or ``Unreachable``."""

    def login(self) -> datetime:
        """Log in anew; until when the session may last."""

    def close(self) -> None:
        """End the session and forget its keys."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A merchant that the buyer chose: its party name, and the origin at which it is to be met."""

    name: str
    origin: str
    title: str = ""


@dataclass(kw_only=True)
class Desk:
    """The wallet's owner and all that her acts need; made once, by the wallet's home."""

    person: str
    organisation: str
    pse: Pse
    card_file: Path | None
    database: Database
    exchange: Exchange
    trust: Trust
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    authorities: Sequence[str] = ()  # origins of time-stamping authorities, tried in turn
    shops: Sequence[Shop] = ()
    evidence: Path | None = None
    title: str = ""
    _bank: tuple[bytes, Issuer] | None = field(default=None, init=False, repr=False)

    def shop(self, name: str) -> Shop:
        """The shop of that party name or title; raises :class:`Refusal` ``unknown-shop``."""
        found = next((s for s in self.shops if name in {s.name, s.title, s.name.rpartition(":")[2]}), None)
        if found is None:
            raise Refusal("unknown-shop", "this wallet's settings name no such shop", shop=name)
        return found

    def now(self) -> datetime:
        """The instant by the wallet's clock."""
        return self.clock.now()

    def judge(self) -> Judge:
        """Judges as of now, for this wallet's owner and her card."""
        labels = self.pse.labels()
        card = self.pse.certificate("card").name if "card" in labels else ""
        return Judge(
            trust=self.trust,
            reader=Reader(person=self.person, organisation=self.organisation, card=card),
            at=self.now(),
        )

    def card(self) -> Card:
        """The card record, opened for this moment; raises :class:`Refusal` ``no-card``."""
        if self.card_file is None or not self.card_file.exists():
            raise Refusal("no-card", "this wallet holds no purchasing card")
        sealed, holder = self.card_file.read_bytes(), self.pse.certificate("card")
        card = open_card(sealed, self.pse.opener("agreement"), holder)
        self._bank = sealed, card.issuer
        return card

    def issuer(self) -> Issuer:
        """The card's issuing bank, which is no secret: known since the card record was last opened."""
        if self._bank and self.card_file and self.card_file.read_bytes() == self._bank[0]:
            return self._bank[1]
        return self.card().issuer

    def sign(self, label: str, document: wire.Document, over: Sequence[bytes], phrase: Phrase) -> Act:
        """The act on an intended document with a fresh key: one pass phrase, one signature."""
        return _signed(self.pse.signer(label, phrase), document, over)

    @contextmanager
    def unlocking(self, label: str, phrase: Phrase) -> Iterator[Signing]:
        """As :meth:`sign`, the key being unlocked while the block still asks what there is to sign."""
        with ThreadPoolExecutor(1, "unlock") as pool:
            unlocked = pool.submit(self.pse.signer, label, phrase)
            yield lambda document, over: _signed(unlocked.result(), document, over)

    def stamp(self, act: Act, judge: Judge) -> bytes | None:
        """A time stamp over the act's signature value, or ``None`` when no authority gives a good one."""
        imprint = sha256(act.signature).digest()
        for origin in self.authorities:
            nonce = int.from_bytes(self.random(8), "big") >> 1
            headers = {"content-type": "application/timestamp-query"}
            request = Request("POST", "/tsa", stamps.request(imprint, nonce), headers)
            try:
                token = stamps.read_response(expect(self.exchange.send(origin, request), what="time stamp"))
                stamps.check_token(token, imprint, nonce)
                judge.stamp(token, act)
            except E2SError:
                continue
            return token
        return None

    def rely(self, connection: sa.Connection, trade: str, certificates: Sequence[Certificate] = ()) -> None:
        """Keep the CRLs of this moment, and certificates that no act carries, for the evidence."""
        store.keep_papers(connection, trade, "crl", list(self.trust.source.crls()))
        store.keep_papers(connection, trade, "certificate", [c.der for c in certificates])

    def used(self, connection: sa.Connection, act: Act) -> None:
        """The event of a key's use, in the transaction that keeps what it signed."""
        facts = {"type": act.type, "act": act.id, "certificate": act.certificate.id}
        store.OUTBOX.sink(connection).append(
            Event(kind="key.sign", at=self.now(), component="wallet", facts=facts)
        )


def _signed(signer: Signer, document: wire.Document, over: Sequence[bytes]) -> Act:
    return acts.read_act(acts.sign_act(document, over, signer, parse_instant(document["at"])))


def rid(trade: str, op: str, of: str = "") -> str:
    """The request's name: the same after a crash, so that the shop gives its stored answer."""
    return wire.b64u(sha256(f"e2s/1 rid {trade} {op} {of}".encode()).digest()[:16])


def lasting(at: datetime, days: int = 30) -> datetime:
    """The ``until`` of an act that no deadline bounds."""
    return at + timedelta(days=days)
