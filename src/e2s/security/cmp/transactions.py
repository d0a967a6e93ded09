"""The acts behind the door: ask the desk, let wait, confirm in time, or revoke (RFC 9483, 4.1).

A request is noted before the desk is asked and its answer after, so that a certificate of which nobody knows
whether it arrived is revoked when its time is over, whatever was killed meanwhile.  Where the client confirms
implicitly nothing is to be watched, and the answer alone is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.together import Together
from e2s.security.cmp import store
from e2s.security.cmp.lapsing import DOOR, KEPT, WAITING, Lapsing, desk_name, until
from e2s.security.cmp.states import NEW, follow
from e2s.security.enrolment.asking import Asked, Desk, Holder, Invited, Issued, Pending, Shown

#: How long a certificate waits to be confirmed.
CONFIRMING: Final = timedelta(minutes=10)


@dataclass(frozen=True, eq=False, kw_only=True)
class Came:
    """One message of a transaction, proven: its name, its digest, who wrote it, and the nonce it answers."""

    transaction: bytes
    digest: bytes
    shown: Shown
    answered: bytes
    at: datetime

    @property
    def who(self) -> tuple[str, bytes]:
        """What distinguishes the writer."""
        if isinstance(self.shown, Invited):
            return "invited", self.shown.reference.encode()
        if isinstance(self.shown, Holder):
            return "holder", self.shown.certificate.der
        raise Refusal("cmp-sender", "this door is asked by invitation or under a certificate")


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """The octets that leave, the nonce in them, and the certificate in them, DER."""

    octets: bytes
    nonce: bytes
    certificate: bytes = b""


#: Makes the answer of what the desk said; called outside of transactions.
Say = Callable[[Issued | Pending | Refusal], Answer]


class Transactions:
    """The transactions of one door."""

    def __init__(self, desk: Desk, database: Database, *, component: str) -> None:
        """``database`` has the store's tables."""
        self._desk = desk
        self._database = database
        self._together = Together(database)
        #: What time does to them.
        self.lapsing = Lapsing(desk, database, self._together, component=component)

    def known(self, came: Came) -> sa.Row[Any] | None:
        """The transaction, where it is under way and its writer the same; raises ``cmp-transaction``."""
        with self._database.glance() as connection:
            row = store.transaction(connection, came.transaction)
        if row is not None and (row.shown, row.who) != came.who:
            raise Refusal("cmp-transaction", "a transaction of this name is another's")
        return row

    def ask(self, came: Came, asked: Asked, say: Say, *, kind: int, implicit: bool, wished: bytes) -> bytes:
        """Ask the desk, once for each transaction; what becomes of it."""
        row = self.known(came)
        if row is not None:
            if row.asked != came.digest:
                follow("done", "ask")
            if row.given:
                return bytes(row.given)
            follow(row.state, "ask")
        shown, who = came.who
        values: dict[str, object] = {
            "id": came.transaction,
            "state": follow(NEW, "ask"),
            "kind": kind,
            "shown": shown,
            "who": who,
            "asked": came.digest,
            "digest": came.digest,
            "wished": wished,
            "implicit": int(implicit),
            "until": until(came.at + CONFIRMING),
        }
        if row is None and not implicit:
            self._together.write(lambda connection: _note(connection, values))
        try:
            found: Issued | Pending | Refusal = self._desk.ask(
                replace(asked, transaction=desk_name(came.transaction, came.digest))
            )
        except Refusal as refusal:
            found = refusal
        return self._conclude(came, values, found, say(found), implicit=implicit)

    def poll(self, came: Came, say: Callable[[sa.Row[Any]], Say]) -> bytes:
        """What became of a request that waited."""
        row = self._following(came, "poll")
        if isinstance(row, bytes):
            return row
        try:
            found: Issued | Pending | Refusal = self._desk.poll(
                DOOR, desk_name(row.id, row.asked), came.shown
            )
        except Refusal as refusal:
            found = refusal
        return self._conclude(came, row._asdict(), found, say(row)(found), implicit=bool(row.implicit))

    def _following(self, came: Came, event: str) -> sa.Row[Any] | bytes:
        """The transaction that a message goes on with, or the answer of which it repeats the question."""
        row = self.known(came)
        if row is None:
            follow(NEW, event)
            raise Refusal("cmp-step", "no such transaction is under way")
        if row.answer and row.digest == came.digest:
            return bytes(row.answer)
        follow(row.state, event)
        if row.nonce != came.answered:
            raise Refusal("cmp-nonce", "the message answers another one than the last of this transaction")
        return row

    def _conclude(
        self,
        came: Came,
        values: Mapping[str, Any],
        found: Issued | Pending | Refusal,
        answer: Answer,
        *,
        implicit: bool,
    ) -> bytes:
        """Note what the desk said with the answer; whoever noted one first is repeated."""
        if isinstance(found, Pending):
            event, end = "wait", came.at + WAITING
        elif isinstance(found, Issued) and not implicit:
            event, end = "issue", came.at + CONFIRMING
        else:
            event, end = "finish", came.at + KEPT

        def act(connection: sa.Connection) -> bytes:
            row = store.transaction(connection, values["id"])
            if row is None and isinstance(found, Refusal):
                return answer.octets  # nothing came of it: a better request may follow
            first = values["asked"] == came.digest
            known = b"" if row is None else row.given if first else row.digest == came.digest and row.answer
            if known:
                return bytes(known)
            if row is None:
                store.add(connection, values)
            if first:
                store.change(connection, values["id"], given=answer.octets)
            state = values["state"] if row is None else row.state
            store.change(
                connection,
                values["id"],
                state=follow(state, event),
                digest=came.digest,
                answer=answer.octets,
                nonce=answer.nonce,
                certificate=answer.certificate,
                until=until(end),
            )
            return answer.octets

        return self._together.write(act)

    def confirm(
        self, came: Came, taken: Callable[[bytes], bool], say: Callable[[sa.Row[Any]], Answer]
    ) -> bytes:
        """The holder takes the certificate, or does not: then it is revoked.

        ``taken`` is given the certificate, DER; it raises for a confirmation of another one.
        """
        row = self._following(came, "confirm")
        if isinstance(row, bytes):
            return row
        if until(came.at) > row.until:
            follow("lapsed", "confirm")
        takes = taken(bytes(row.certificate))
        answer = say(row)

        def act(connection: sa.Connection) -> bytes:
            now = store.transaction(connection, row.id)
            state = follow(now.state if now else NEW, "confirm" if takes else "lapse")
            store.change(
                connection,
                row.id,
                state=state,
                digest=came.digest,
                answer=answer.octets,
                nonce=answer.nonce,
                until=until(came.at + KEPT) if takes else until(came.at),
            )
            if takes:
                self.lapsing.event(connection, "certificate.confirmed", came.at, bytes(row.certificate))
            return answer.octets

        octets = self._together.write(act)
        if not takes:
            self.lapsing.tick(came.at)
        return octets


def _note(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """Note a request that is about to be asked, unless the same one was just now."""
    row = store.transaction(connection, bytes(values["id"]))  # type: ignore[call-overload]  # octets
    if row is None:
        store.add(connection, values)
    elif row.asked != values["asked"] or (row.shown, row.who) != (values["shown"], values["who"]):
        follow("done", "ask")
