"""The purchasing manager sets what each card may buy, and checks what the issuer charged (6.2.2 steps 1, 10).

Her word to the issuer is signed with a key of its own and sealed to the issuer alone; statements come
sealed to her, each naming the one before, so that none can be left out unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.events import Event
from e2s.base.http import Exchange, Request, expect
from e2s.base.instants import Clock, parse_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.wire import Document
from e2s.client.wallet.card import Issuer
from e2s.client.wallet.desk import lasting
from e2s.client.wallet.gateways import check_issuer
from e2s.client.wallet.reconciling import check_statement
from e2s.client.wallet.rules import Judge, Reader
from e2s.commerce.acts import draft
from e2s.commerce.bankcard.documents import CONTROLS, CONTROLS_TAKEN, STATEMENT_REQUEST
from e2s.crypto import acts, cms, oids
from e2s.crypto.acts import Act
from e2s.crypto.forms import Form
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.pse import Pse
from e2s.security.verification.trust import Trust

TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))
_ACTS = sa.Table(
    "acts",
    TABLES,
    sa.Column("kind", sa.Text, primary_key=True),  # controls, controls-taken, statement
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)
_INTENTS = sa.Table(
    "intents",
    TABLES,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)


@dataclass(kw_only=True)
class Office:
    """The manager's keys, book, trust, clock, and the issuer she deals with."""

    person: str
    organisation: str
    currency: str
    pse: Pse
    issuer: Issuer
    database: Database
    exchange: Exchange
    trust: Trust
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    title: str = ""

    def now(self) -> datetime:
        """The instant by the manager's clock."""
        return self.clock.now()

    def judge(self) -> Judge:
        """Judges as of now, for this manager."""
        reader = Reader(person=self.person, organisation=self.organisation)
        return Judge(trust=self.trust, reader=reader, at=self.now())


class Desk:
    """The acts of the purchasing manager."""

    def __init__(self, office: Office) -> None:
        """``office`` holds everything that the acts need."""
        self.office = office

    # ------------------------------------------------------------------ control parameters
    def set_controls(self, holders: Sequence[dict[str, Any]], phrase: Phrase) -> Act:
        """Give the issuer new control parameters, in place of all before; the issuer's signed word for it."""
        office = self.office
        with office.database.transaction() as connection:
            n = _last(connection, "controls") + 1
            document = self._document(CONTROLS, n, currency=office.currency, holders=list(holders))
            document = _intended(connection, "controls", n, document, ("holders", "currency"))
        order = self._signed("controls", n, document, phrase)
        return self.send_controls(order)

    def send_controls(self, order: Act) -> Act:
        """Send control parameters (again): the issuer's answer to the same is the same."""
        taken = self._send("/controls", order)
        answer = self.office.judge().act(taken, CONTROLS_TAKEN, "issuer", self.office.issuer.name)
        if (answer.document["n"], answer.document["controls"]) != (order.document["n"], order.id):
            raise Refusal("other-controls", "the issuer took other control parameters")
        with self.office.database.transaction() as connection:
            _keep(connection, "controls-taken", order.document["n"], answer)
        return answer

    def controls(self) -> tuple[Document, bool] | None:
        """The newest control parameters, and whether the issuer has taken them."""
        with self.office.database.reading() as connection:
            n = _last(connection, "controls")
            order, taken = _act(connection, "controls", n), _act(connection, "controls-taken", n)
        return (order.document, taken is not None) if order else None

    def resume(self) -> bool:
        """Send control parameters whose answer was lost; whether there were any."""
        with self.office.database.reading() as connection:
            n = _last(connection, "controls")
            order, taken = _act(connection, "controls", n), _act(connection, "controls-taken", n)
        if order is None or taken is not None:
            return False
        self.send_controls(order)
        return True

    # ------------------------------------------------------------------ statements
    def fetch_statement(self, phrase: Phrase) -> Act:
        """The next statement; it must continue the last one kept here, and add up."""
        office = self.office
        with office.database.reading() as connection:
            n = _last(connection, "statement") + 1
            last = _act(connection, "statement", n - 1)
        request = self._signed(
            "statement-request", n, self._document(STATEMENT_REQUEST, n), phrase, keep=False
        )
        sealed = self._send("/statement", request)
        content_type, octets = cms.open_sealed(sealed, office.pse.opener("manager-agreement"))
        if content_type != oids.ACT:
            raise Refusal("bad-answer", "the issuer's envelope holds no act")
        act = check_statement(
            octets,
            organisation=office.organisation,
            issuer=office.issuer.name,
            last=last,
            judge=office.judge(),
        )
        if act.document["currency"] != office.currency:
            raise Refusal("other-currency", "the statement is in another currency than the account's")
        with office.database.transaction() as connection:
            _keep(connection, "statement", n, act)
            facts = {"n": n, "statement": act.id, "total": act.document["total"]}
            event = Event(kind="statement.taken", at=office.now(), component="manager", facts=facts)
            OUTBOX.sink(connection).append(event)
        return act

    def statements(self) -> list[Act]:
        """Every statement kept, oldest first."""
        with self.office.database.reading() as connection:
            last = _last(connection, "statement")
            return [act for n in range(1, last + 1) if (act := _act(connection, "statement", n))]

    # ------------------------------------------------------------------ within
    def _document(self, form: Form, n: int, **members: Any) -> Document:
        now = self.office.now()
        return draft(
            form,
            by=self.office.pse.certificate("manager"),
            to=[self.office.issuer.name],
            at=now,
            until=lasting(now),
            organisation=self.office.organisation,
            n=n,
            **members,
        )

    def _signed(self, kind: str, n: int, document: Document, phrase: Phrase, *, keep: bool = True) -> Act:
        office = self.office
        check_issuer(office.issuer, office.judge())
        signer = office.pse.signer("manager", phrase)
        act = acts.read_act(acts.sign_act(document, [], signer, parse_instant(document["at"])))
        with office.database.transaction() as connection:
            if keep:
                _keep(connection, kind, n, act)
                connection.execute(_INTENTS.delete().where(_INTENTS.c.kind == kind, _INTENTS.c.n == n))
            facts = {"type": act.type, "act": act.id, "certificate": act.certificate.id}
            event = Event(kind="key.sign", at=office.now(), component="manager", facts=facts)
            OUTBOX.sink(connection).append(event)
        return act

    def _send(self, path: str, act: Act) -> bytes:
        office = self.office
        sealed = cms.seal(act.octets, oids.ACT, [office.issuer.agreement], office.random)
        return expect(office.exchange.send(office.issuer.origin, Request("POST", path, sealed)), what=path)

    def close(self) -> None:
        """Forget the keys and close the book."""
        self.office.pse.close()
        self.office.database.close()


def _last(connection: sa.Connection, kind: str) -> int:
    return connection.execute(sa.select(sa.func.max(_ACTS.c.n)).where(_ACTS.c.kind == kind)).scalar() or 0


def _act(connection: sa.Connection, kind: str, n: int) -> Act | None:
    octets = connection.execute(
        sa.select(_ACTS.c.octets).where(_ACTS.c.kind == kind, _ACTS.c.n == n)
    ).scalar()
    return None if octets is None else acts.read_act(octets)


def _keep(connection: sa.Connection, kind: str, n: int, act: Act) -> None:
    if _act(connection, kind, n) is None:
        connection.execute(_ACTS.insert().values(kind=kind, n=n, octets=act.octets))


def _intended(
    connection: sa.Connection, kind: str, n: int, document: Document, wanted: Sequence[str]
) -> Document:
    """The document to sign: an unsigned intent of the same content goes first, any other is replaced."""
    octets = connection.execute(
        sa.select(_INTENTS.c.document).where(_INTENTS.c.kind == kind, _INTENTS.c.n == n)
    ).scalar()
    if octets is not None:
        intent = wire.decode(octets)
        if all(intent[member] == document[member] for member in wanted):
            return intent
        connection.execute(_INTENTS.delete().where(_INTENTS.c.kind == kind, _INTENTS.c.n == n))
    connection.execute(_INTENTS.insert().values(kind=kind, n=n, document=wire.encode(document)))
    return document
