"""Who asks at the same time is served in one group: the commits, which cost most, are shared.

One worker carries out what waits.  Alone, an order waits for nobody; while a group is carried out, the next
one gathers.  Who got an answer often asks again at once: so after a group of several, the next one begins
when as many wait as were answered, or a moment later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from e2s.base.errors import E2SError, Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.pki.orders import Order

#: How long those who were just answered are expected back.
_MOMENT_SECONDS: Final = 0.002


class Issuer(Protocol):
    """An authority: what carries out orders in one group."""

    def issue_ders(self, orders: Sequence[Order], /) -> Sequence[bytes | E2SError]:
        """For each order its certificate, DER, or why there is none."""


class _Waiting:
    """One order, and what became of it."""

    __slots__ = ("_done", "_error", "_result", "order")

    def __init__(self, order: Order) -> None:
        self.order = order
        self._result: bytes | E2SError | None = None
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def answer(self, result: bytes | E2SError | None, error: BaseException | None = None) -> None:
        """Wake who waits, with what stopped the whole group if it is no result."""
        self._result, self._error = result, error
        self._done.release()

    def wait(self) -> bytes | E2SError:
        """What became of it; raises what stopped its whole group."""
        self._done.acquire()
        if self._error is not None or self._result is None:
            raise self._error or Refusal("queue-closed", "this CA issues no more")
        return self._result


class IssueQueue:
    """Groups the orders of many threads for an authority."""

    def __init__(self, authority: Issuer, *, most: int = 64) -> None:
        """A group has at most ``most`` orders."""
        self._authority = authority
        self._most = most
        self._waiting: deque[_Waiting] = deque()
        self._some = threading.Condition(threading.Lock())
        self._closed = False
        self._expected = 1
        self._worker = threading.Thread(target=self._work, name="issue", daemon=True)
        self._worker.start()

    def issue(self, order: Order) -> Certificate:
        """The certificate; raises why there is none, ``queue-closed`` after :meth:`close`."""
        return Certificate.read(self.issue_der(order))

    def issue_der(self, order: Order) -> bytes:
        """The same as DER."""
        (made,) = self.issue_ders((order,))
        if isinstance(made, E2SError):
            raise made
        return made

    def issue_ders(self, orders: Sequence[Order]) -> list[bytes | E2SError]:
        """Several orders, which may share a group with others': for each its certificate or refusal.

        What stops a whole group, a full disk, say, is raised.
        """
        waiting = [_Waiting(order) for order in orders]
        with self._some:
            if self._closed:
                raise Refusal("queue-closed", "this CA issues no more")
            self._waiting.extend(waiting)
            if len(self._waiting) >= self._expected:
                self._some.notify()
        return [one.wait() for one in waiting]

    def close(self) -> None:
        """Take no more orders, and carry out those that wait."""
        with self._some:
            self._closed = True
            self._some.notify()
        self._worker.join()

    def __enter__(self) -> Self:
        """The queue itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _work(self) -> None:
        """Carry out groups until closed and empty."""
        while group := self._next():
            try:
                results = self._authority.issue_ders([one.order for one in group])
            except BaseException as error:  # noqa: BLE001 - each caller gets it
                for one in group:
                    one.answer(None, error)
                continue
            for one, result in zip(group, results, strict=True):
                one.answer(result)

    def _next(self) -> list[_Waiting]:
        """What waits, as soon as something does; empty once closed."""
        waiting = self._waiting
        with self._some:
            if len(waiting) < self._expected and not self._closed:
                self._some.wait(_MOMENT_SECONDS)
            self._expected = 1
            while not waiting and not self._closed:
                self._some.wait()
            group = [waiting.popleft() for _ in range(min(self._most, len(waiting)))]
            self._expected = len(group)
            return group
