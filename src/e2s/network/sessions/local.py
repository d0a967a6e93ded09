"""The network within one process: origins to handlers, with the faults that a real network has.

A fault stands between sender and door.  It gets the request and a way to deliver, and may lose the
request, lose the answer, deliver twice, alter, or keep a request for later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from e2s.base import meter
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Handler, Request, Response, refused

Fault: TypeAlias = Callable[[str, Request, Handler], Response]
Matching: TypeAlias = Callable[[str, Request], bool]


class LocalExchange:
    """Implements :class:`~e2s.base.http.Exchange` by calling handlers; ``faults`` apply first to last."""

    def __init__(
        self,
        doors: Mapping[str, Handler] | None = None,
        *,
        spkis: Mapping[str, bytes] | None = None,
        faults: list[Fault] | None = None,
    ) -> None:
        """``spkis`` gives https origins the key digest that their TLS server would have shown."""
        self.doors = dict(doors or {})
        self.spkis = dict(spkis or {})
        self.faults = faults if faults is not None else []

    def send(self, origin: str, request: Request) -> Response:
        """Give ``request`` to the door of ``origin``; :class:`Unreachable` where there is none."""
        meter.count("hop")

        def arrive(arriving: Request) -> Response:
            door = self.doors.get(origin)
            if door is None:
                raise Unreachable("unreachable", "nobody answers at this origin", origin=origin)
            try:
                response = door(arriving)
            except Refusal as refusal:
                response = refused(refusal)
            if response.status in {502, 503, 504}:
                raise Unreachable("peer-unavailable", "the peer is not available", origin=origin)
            return replace(response, spki=self.spkis.get(origin, b""))

        deliver: Handler = arrive
        for fault in reversed(self.faults):
            deliver = _behind(fault, origin, deliver)
        return deliver(request)


def _behind(fault: Fault, origin: str, deliver: Handler) -> Handler:
    return lambda request: fault(origin, request, deliver)


def to(path: str, *, origin: str = "") -> Matching:
    """Matches requests to ``path`` (of ``origin``, when given)."""
    return lambda where, request: request.path == path and origin in {"", where}


def nth(number: int, matching: Matching) -> Matching:
    """Matches only the ``number``-th (from 1) request that ``matching`` matches."""
    seen = 0

    def match(origin: str, request: Request) -> bool:
        nonlocal seen
        seen += matching(origin, request)
        return seen == number and matching(origin, request)

    return match


def drop_request(matching: Matching) -> Fault:
    """The request is lost on its way: it has no effect and the sender hears nothing."""

    def fault(origin: str, request: Request, deliver: Handler) -> Response:
        if matching(origin, request):
            raise Unreachable("dropped", "the request was lost", origin=origin)
        return deliver(request)

    return fault


def drop_answer(matching: Matching) -> Fault:
    """The request arrives and takes effect; its answer is lost."""

    def fault(origin: str, request: Request, deliver: Handler) -> Response:
        lost = matching(origin, request)
        response = deliver(request)
        if lost:
            raise Unreachable("dropped", "the answer was lost", origin=origin)
        return response

    return fault


def duplicate(matching: Matching, answers: list[Response] | None = None) -> Fault:
    """The request arrives twice; the sender sees the first answer, ``answers`` collects the second."""

    def fault(origin: str, request: Request, deliver: Handler) -> Response:
        twice = matching(origin, request)
        response = deliver(request)
        if twice:
            second = deliver(request)
            if answers is not None:
                answers.append(second)
        return response

    return fault


def alter_request(matching: Matching, change: Callable[[Request], Request]) -> Fault:
    """What arrives is ``change`` of what was sent."""

    def fault(origin: str, request: Request, deliver: Handler) -> Response:
        return deliver(change(request) if matching(origin, request) else request)

    return fault


def alter_answer(matching: Matching, change: Callable[[Response], Response]) -> Fault:
    """What comes back is ``change`` of what was answered."""

    def fault(origin: str, request: Request, deliver: Handler) -> Response:
        altered = matching(origin, request)
        response = deliver(request)
        return change(response) if altered else response

    return fault


class Delay:
    """Keeps matching requests (their senders hear nothing) and delivers them later, in any order."""

    def __init__(self, matching: Matching) -> None:
        """An instance is the fault; see :meth:`release`."""
        self._matching = matching
        self.held: list[tuple[Request, Handler]] = []

    def __call__(self, origin: str, request: Request, deliver: Handler) -> Response:
        """Keep the request or let it pass."""
        if not self._matching(origin, request):
            return deliver(request)
        self.held.append((request, deliver))
        raise Unreachable("delayed", "the request is still under way", origin=origin)

    def release(self, index: int = 0) -> Response:
        """Deliver the ``index``-th kept request now; its late answer is the value."""
        request, deliver = self.held.pop(index)
        return deliver(request)


def record_traffic(seen: list[tuple[str, Request, Response]]) -> Fault:
    """What an eavesdropper has: every exchange that was answered, in order."""

    def fault(origin: str, request: Request, deliver: Handler) -> Response:
        response = deliver(request)
        seen.append((origin, request, response))
        return response

    return fault
