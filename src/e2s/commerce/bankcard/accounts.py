"""The purchasing manager orders controls and reads statements; both only for her own organisation (6.2.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.commerce.acts import draft, over_exactly, received
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.bank import Bank
from e2s.commerce.bankcard.controls import check_controls
from e2s.commerce.bankcard.documents import CONTROLS, CONTROLS_TAKEN, STATEMENT, STATEMENT_REQUEST
from e2s.commerce.bankcard.statement import MAX_ENTRIES, fitting, totals
from e2s.commerce.payment.doors import opened
from e2s.commerce.payment.peers import seal_for
from e2s.crypto import oids
from e2s.crypto.acts import Act, act_id
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.forms import Form

_MAX_READERS = 7


class Accounts:
    """Takes control parameters and gives statements."""

    def __init__(self, bank: Bank) -> None:
        """``bank``: whose accounts these are."""
        self.bank = bank

    def take_controls(self, envelope: bytes) -> bytes:
        """E_I{S_R<controls>} -> S_I<controls-taken>; numbers rise, a repeat gets the stored answer.

        Raises :class:`Refusal` ``not-the-manager``, ``controls-not-rising``, ``bad-controls``,
        ``unknown-card`` or ``other-currency``.
        """
        bank, now = self.bank, self.bank.clock.now()
        act = self._ordered(envelope, CONTROLS, now)
        check_controls(act.document)
        organisation, n = act.document["organisation"], act.document["n"]
        with bank.store.transaction() as connection:
            newest = tables.newest_controls(connection, organisation)
            if newest is None or n > newest.n:
                self._put_controls(connection, act, now)
            elif newest.id != act.id:
                raise Refusal(
                    "controls-not-rising", "control parameters need a higher number", newest=newest.n
                )
            elif newest.answer is not None:
                return bytes(newest.answer)
            newest = tables.newest_controls(connection, organisation)
        if newest is None:
            raise AssertionError("control parameters were put or found in this transaction")
        answer = bank.sign(newest.answer_doc)
        with bank.store.transaction() as connection:
            mine = sa.and_(tables.CONTROLS.c.organisation == organisation, tables.CONTROLS.c.n == n)
            connection.execute(tables.CONTROLS.update().where(mine).values(answer=answer))
            bank.note(connection, "key.sign", now, key="issuer", document="controls-taken")
        return answer

    def _put_controls(self, connection: sa.Connection, act: Act, now: datetime) -> None:
        bank, said = self.bank, act.document
        account = tables.organisation(connection, said["organisation"])
        if account is None or account.currency != said["currency"]:
            raise Refusal("other-currency", "the account stands in another currency")
        for ordered in said["holders"]:
            card = tables.card(connection, ordered["holder"])
            if card is None or card.organisation != said["organisation"]:
                raise Refusal("unknown-card", "the organisation has no such card-holder")
        answer = draft(
            CONTROLS_TAKEN,
            by=bank.signer.certificate,
            to=[act.certificate.name],
            at=now,
            until=bank.terms.of(now)[1],
            n=said["n"],
            controls=act.id,
        )
        values = {
            "organisation": said["organisation"],
            "n": said["n"],
            "id": act.id,
            "act": act.octets,
            "answer_doc": wire.encode(answer),
        }
        connection.execute(tables.CONTROLS.insert().values(values))
        bank.note(connection, "controls.taken", now, organisation=said["organisation"], n=said["n"])

    def give_statement(self, envelope: bytes) -> bytes:
        """E_I{S_R<statement-request>} -> E_R{S_I<statement>}: number n, or the next one with what is new.

        Raises :class:`Refusal` ``not-the-manager``, ``statement-gap`` beyond the next number, or
        ``nothing-to-state`` when there was no capture since the last.
        """
        bank, now = self.bank, self.bank.clock.now()
        act = self._ordered(envelope, STATEMENT_REQUEST, now)
        name, n = act.document["organisation"], act.document["n"]
        with bank.store.reading() as connection:
            row = tables.statement(connection, name, n)
            reader = tables.manager(connection, act.certificate.name)
        if row is None:
            row = self._close_period(name, n, now)
        octets = bytes(row.act) if row.act is not None else self._sign_statement(name, n, row.doc, now)
        if reader is None:
            raise Refusal("not-the-manager", "statements are for the organisation's purchasing managers")
        agreement = Certificate.read(reader.agreement)
        chain = read_certificates(reader.chain) if reader.chain else ()
        return seal_for(
            agreement, chain, "manager", octets, oids.ACT, trust=bank.trust, at=now, random=bank.random
        )

    def _close_period(self, name: str, n: int, now: datetime) -> sa.Row[Any]:
        """Commit the next statement's document and with it which captures stand on it."""
        bank = self.bank
        with bank.store.transaction() as connection:
            known = tables.statement(connection, name, n)
            if known is not None:
                return known
            last = tables.last_statement(connection, name)
            if n != (last.n + 1 if last else 1):
                raise Refusal(
                    "statement-gap", "the next statement has another number", next=last.n + 1 if last else 1
                )
            account = tables.organisation(connection, name)
            rows = tables.unstated(connection, name, MAX_ENTRIES)
            entries = fitting(row.entry for row in rows)
            if account is None or not entries:
                raise Refusal("nothing-to-state", "nothing was captured since the last statement", next=n)
            document = draft(
                STATEMENT,
                by=bank.signer.certificate,
                to=[name, *self._managers(connection, name)],
                at=now,
                until=bank.terms.of(now)[1],
                organisation=name,
                n=n,
                begins=last.ends if last else account.since,
                ends=format_instant(now),
                currency=account.currency,
                entries=entries,
                **totals(entries, account.currency),
                prev=last.id if last else None,
            )
            values = {
                "organisation": name,
                "n": n,
                "ends": format_instant(now),
                "doc": wire.encode(document),
                "id": act_id(document, ()),
            }
            connection.execute(tables.STATEMENT.insert().values(values))
            for row in rows[: len(entries)]:
                tables.change_payment(connection, row.holder, row.xid, {"statement": n})
            bank.note(connection, "statement.closed", now, organisation=name, n=n, entries=len(entries))
            made = tables.statement(connection, name, n)
        if made is None:
            raise AssertionError("the statement was inserted in this transaction")
        return made

    def _sign_statement(self, name: str, n: int, document: bytes, now: datetime) -> bytes:
        octets = self.bank.sign(document)
        with self.bank.store.transaction() as connection:
            mine = sa.and_(tables.STATEMENT.c.organisation == name, tables.STATEMENT.c.n == n)
            connection.execute(tables.STATEMENT.update().where(mine).values(act=octets))
            self.bank.note(connection, "key.sign", now, key="issuer", document="statement")
        return octets

    def _managers(self, connection: sa.Connection, organisation: str) -> list[str]:
        query = sa.select(tables.MANAGER.c.name).where(tables.MANAGER.c.organisation == organisation)
        return list(connection.execute(query.order_by(tables.MANAGER.c.name).limit(_MAX_READERS)).scalars())

    def _ordered(self, envelope: bytes, form: Form, now: datetime) -> Act:
        """What a manager of the organisation that the document names has ordered."""
        bank = self.bank
        octets = opened(envelope, bank.opener, oids.ACT)
        act = over_exactly(received(octets, form, trust=bank.trust, to=bank.name, role="manager", at=now), 0)
        with bank.store.reading() as connection:
            row = tables.manager(connection, act.certificate.name)
        if row is None or row.organisation != act.document["organisation"]:
            raise Refusal("not-the-manager", "the signer is no purchasing manager of this organisation")
        return act
