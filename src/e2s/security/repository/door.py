"""The public door of a repository: files, look-up, answers of status, for anyone, as often as is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Handler, Request, Response, refused
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.base.refusals import RefusalCounter
from e2s.security.repository.files import Repository
from e2s.security.repository.lookup import Lookup
from e2s.security.repository.rates import PUBLIC, RateLimit, Rates
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH

_TOO_MANY = "too-many-requests"


class PublicDoor:
    """Answers GET, HEAD and what ``others`` answer; refusals are counted, not listed."""

    def __init__(
        self,
        files: Repository,
        database: Database,
        *,
        component: str,
        clock: Clock,
        outbox: Outbox,
        rates: Rates = PUBLIC,
        others: Mapping[str, Handler] | None = None,
    ) -> None:
        """``database`` has the repository's tables; ``others``: a handler for what begins with a path."""
        self.lookup = Lookup(files, database)
        self._files = files
        self._database = database
        self._clock = clock
        self._outbox = outbox
        self._limit = RateLimit(rates)
        self._refusals = RefusalCounter(component)
        self._others: Mapping[str, Callable[[Request], Response]] = {
            CERTIFICATES_PATH: self.lookup.handle,
            CRLS_PATH: self.lookup.handle,
            **(others or {}),
        }

    def handle(self, request: Request) -> Response:
        """One request of a stranger."""
        at = self._clock.now()
        try:
            self._limit.take(request.client, at)
            return self._handler(request.path)(request)
        except Refusal as refusal:
            self._note(refusal.rule, at)
            return _too_many(refusal) if refusal.rule == _TOO_MANY else refused(refusal)

    def tick(self) -> None:
        """Write down how many were refused."""
        self._write(self._refusals.due(self._clock.now()))

    def _handler(self, path: str) -> Handler:
        """Who answers at a path: the door whose it is, or the files."""
        plain = path.split("?", 1)[0]
        for begin, handler in self._others.items():
            if plain == begin or plain.startswith(f"{begin}/"):
                return handler
        return self._files.handle

    def _note(self, rule: str, at: datetime) -> None:
        """Count a refusal; the first of its rule in a minute is an event at once."""
        self._write(self._refusals.note("repository.refused", rule, at))

    def _write(self, due: list[Event]) -> None:
        """Events into the outbox; who is refused is refused also when the disk is full."""
        if due:
            with suppress(Unreachable), self._database.transaction() as connection:
                for event in due:
                    self._outbox.sink(connection).append(event)


def limited(handler: Handler, clock: Clock, rates: Rates = PUBLIC) -> Handler:
    """``handler``, for anyone as often as is allowed."""
    limit = RateLimit(rates)

    def handle(request: Request) -> Response:
        try:
            limit.take(request.client, clock.now())
        except Refusal as refusal:
            return _too_many(refusal)
        return handler(request)

    return handle


def _too_many(refusal: Refusal) -> Response:
    """RFC 6585, 4, with the time to wait."""
    answer = refused(refusal, 429)
    headers = {**answer.headers, "retry-after": str(refusal.facts.get("wait", 1))}
    return Response(answer.status, answer.body, headers)
