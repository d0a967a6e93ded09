"""A host is proven by one of its authorisation's challenges (RFC 8555, 7.5), tried elsewhere and again (8.2).

Hosts are connected to by a few threads of their own: a slow one keeps no request waiting.  What is to be
tried stands in the register; a restart begins it anew.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from e2s.base.errors import E2SError, Fact, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.security.acme import problems, store
from e2s.security.acme.book import Account, Book
from e2s.security.acme.identifiers import Identifier
from e2s.security.acme.states import AUTHORISATION, CHALLENGE, after
from e2s.security.acme.validation import Proof, Validate

_LOG = logging.getLogger("e2s.acme")

_THREADS: Final = 8
#: What is given to the threads at once, and of one account; the rest waits in the register.
_MOST: Final = 128
_EACH: Final = 3
#: How many that are due are looked at.
_LOOKED: Final = 1024
#: No second try makes these good.
_FINAL: Final = frozenset({"network-not-permitted", "port-not-permitted", "bad-redirect", "no-alpn"})


class Challenges:
    """The authorisations of one door, and the threads that try their challenges."""

    def __init__(self, book: Book, validate: Validate) -> None:
        """``validate`` connects to hosts."""
        self._book = book
        self._validate = validate
        self._pool = ThreadPoolExecutor(_THREADS, "validation")
        #: Challenges that are with the threads, and their accounts.
        self._trying: dict[int, int] = {}
        self._left = False
        self._lock = threading.Lock()
        self._closed = False

    def authorisation(self, account: Account, n: int, payload: Document | None) -> Document:
        """An authorisation (7.5), deactivated first where ``payload`` says so (7.5.2)."""
        with self._book.database.glance() as connection:
            row = self._own(connection, account, n)
        if payload and payload.get("status") == "deactivated":
            self._book.together.write(lambda connection: self._deactivate(connection, account, n))
        elif payload:
            raise Refusal("wrong-state", "an authorisation can only be deactivated")
        elif row.state == "pending":
            self._again(n)
        with self._book.database.reading() as connection:
            row = self._own(connection, account, n)
            challenges = store.challenges(connection, n)
        state = row.state
        if state in {"pending", "valid"} and row.expires <= format_instant(self._book.now()):
            state = after(AUTHORISATION, state, "lapsed")
        tried = [one for one in challenges if one.state != "pending"]
        return {
            "identifier": Identifier(row.kind, row.value).document(),
            "status": state,
            "expires": row.expires,
            "challenges": [self.shown(one) for one in (challenges if state == "pending" else tried)],
        }

    def answer(self, account: Account, n: int, payload: Document | None) -> tuple[Document, int]:
        """A challenge, tried from now on unless only looked at (7.5.1), and its authorisation's number."""
        with self._book.database.glance() as connection:
            row = self._challenge(connection, account, n)
        if payload is not None and row.state == "pending":
            self._book.together.write(lambda connection: self._answered(connection, account, n))
        self._look(n)
        with self._book.database.glance() as connection:
            row = self._challenge(connection, account, n)
        return self.shown(row), row.authorisation

    def shown(self, row: sa.Row[Any]) -> Document:
        """A challenge as its holder sees it (7.1.5, 8)."""
        document: Document = {
            "type": row.kind,
            "url": self._book.url("challenge", row.n),
            "status": row.state,
            "token": row.token,
        }
        if row.validated:
            document["validated"] = row.validated
        if row.error:
            document["error"] = msgspec.json.decode(row.error)
        return document

    def tick(self) -> None:
        """Try again what is due."""
        with self._book.database.glance() as connection:
            due = store.due(connection, format_instant(self._book.now()), _LOOKED)
        self._left = False
        for row in due:
            self._begin(row)

    def close(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _own(self, connection: sa.Connection, account: Account, n: int) -> sa.Row[Any]:
        row = store.authorisation(connection, n)
        if row is None:
            raise Refusal("not-found", "there is no such authorisation")
        if row.account != account.n:
            raise Refusal("not-yours", "this authorisation is another account's")
        return row

    def _challenge(self, connection: sa.Connection, account: Account, n: int) -> sa.Row[Any]:
        row = store.challenge(connection, n)
        if row is None:
            raise Refusal("not-found", "there is no such challenge")
        self._own(connection, account, row.authorisation)
        return row

    def _deactivate(self, connection: sa.Connection, account: Account, n: int) -> None:
        state = after(AUTHORISATION, self._own(connection, account, n).state, "deactivate")
        store.change_authorisation(connection, n, state=state)
        self._book.event(connection, "acme.authorisation-closed", {"authorisation": n, "account": account.n})

    def _answered(self, connection: sa.Connection, account: Account, n: int) -> None:
        row = self._challenge(connection, account, n)
        now = format_instant(self._book.now())
        owner = self._own(connection, account, row.authorisation)
        if owner.state != "pending" or owner.expires <= now:
            raise Refusal("wrong-state", "the authorisation does not wait for a challenge any more")
        if row.state == "pending":
            state = after(CHALLENGE, row.state, "answered")
            store.change_challenge(connection, n, state=state, due=now)

    def _again(self, authorisation: int) -> None:
        """Who looks at an authorisation has its challenges tried that are due."""
        with self._book.database.glance() as connection:
            rows = store.challenges(connection, authorisation)
        for row in rows:
            self._begin(row)

    def _look(self, n: int) -> None:
        """The same of one challenge."""
        with self._book.database.glance() as connection:
            row = store.challenge(connection, n)
        if row is not None:
            self._begin(row)

    def _begin(self, row: sa.Row[Any]) -> None:
        """Give a challenge to the threads, if it is due, not with them, and its account has not too many."""
        if row.state != "processing" or row.due > format_instant(self._book.now()):
            return
        with self._lock:
            if self._closed or row.n in self._trying:
                return
            if len(self._trying) >= _MOST or list(self._trying.values()).count(row.account) >= _EACH:
                self._left = True
                return
            self._trying[row.n] = row.account
        try:
            self._pool.submit(self._try, row.n)
        except RuntimeError:  # closed meanwhile
            self._trying.pop(row.n, None)

    def _try(self, n: int) -> None:
        """Connect to the host, outside of any transaction, and write down what was found."""
        try:
            with self._book.database.reading() as connection:
                row = store.challenge(connection, n)
                owner = None if row is None else store.authorisation(connection, row.authorisation)
            if row is None or owner is None or row.state != "processing" or self._closed:
                return
            account = self._book.account(owner.account)
            proof = Proof(
                kind=row.kind,
                host=Identifier(owner.kind, owner.value),
                token=row.token,
                authorisation=f"{row.token}.{account.thumbprint}",
            )
            found: E2SError | None = None
            try:
                self._validate(proof)
            except E2SError as error:
                found = error
            except Exception:  # noqa: BLE001  # a thread's last line: the host is not proven, and nobody hangs
                _LOG.exception("unexpected error while a host was validated")
                found = Refusal("internal-error", "the host could not be validated")
            self._book.together.write(lambda connection: self._found(connection, n, found))
        finally:
            with self._lock:
                self._trying.pop(n, None)
                left = self._left
            if left:
                self.tick()

    def _found(self, connection: sa.Connection, n: int, error: E2SError | None) -> None:
        """What a try came to: the challenge and its authorisation change together."""
        book, row = self._book, store.challenge(connection, n)
        owner = None if row is None else store.authorisation(connection, row.authorisation)
        if row is None or owner is None or row.state != "processing" or owner.state != "pending":
            return
        now = book.now()
        facts: dict[str, Fact] = {
            "challenge": n,
            "account": owner.account,
            "host": owner.value,
            "kind": row.kind,
        }
        if error is None:
            store.change_challenge(
                connection,
                n,
                state=after(CHALLENGE, row.state, "validated"),
                validated=format_instant(now),
                error="",
            )
            store.change_authorisation(
                connection,
                owner.n,
                state=after(AUTHORISATION, owner.state, "validated"),
                expires=format_instant(now + book.lifetimes.proven),
            )
            book.event(connection, "acme.proven", facts)
            return
        told = store.kept(problems.described(error))
        waits = book.lifetimes.tries
        if row.tries < len(waits) and error.rule not in _FINAL:
            state = after(CHALLENGE, row.state, "retried")
            due = format_instant(now + waits[row.tries])
            store.change_challenge(connection, n, state=state, tries=row.tries + 1, due=due, error=told)
            return
        store.change_challenge(connection, n, state=after(CHALLENGE, row.state, "failed"), error=told)
        store.change_authorisation(connection, owner.n, state=after(AUTHORISATION, owner.state, "failed"))
        book.event(connection, "acme.not-proven", {**facts, "rule": error.rule}, outcome="refused")
