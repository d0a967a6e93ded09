"""Who asks at the same time is served in one group: the commits, which cost most, are shared.

One worker carries out what waits.  Alone, an order waits for nobody; while a group is carried out, the next
one gathers.  Who got an answer often asks again at once: so after a group of several, the next one begins
when as many wait as were answered, or a moment later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from e2s.base.errors import E2SError, Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.pki.orders import Order

#: Carries out orders: for each its certificate, DER, or why there is none.
#: How long those who were just answered are expected back.
_MOMENT_SECONDS = 0.002
Carry = Callable[[Sequence[Order]], list["bytes | E2SError"]]


class _Waiting:
    """One order and, once :attr:`done` is free, what became of it."""

    __slots__ = ("done", "order", "result")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.result: bytes | BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class IssueQueue:
    """Groups the orders of many threads for :meth:`~e2s.security.pki.ca.Authority.issue_ders`."""

    def __init__(self, carry: Carry, most: int = 64) -> None:
        """A group has at most ``most`` orders."""
        self._carry = carry
        self._most = most
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._some = threading.Condition(self._lock)
        self._closed = False
        self._expected = 1
        self._worker = threading.Thread(target=self._work, name="issue-queue", daemon=True)
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
        """Several orders, which may share a group with others': for each its certificate or refusal."""
        waiting = [_Waiting(order) for order in orders]
        with self._some:
            if self._closed:
                raise Refusal("queue-closed", "this CA issues no more")
            self._waiting.extend(waiting)
            if len(self._waiting) >= self._expected:
                self._some.notify()
        found: list[bytes | E2SError] = []
        for one in waiting:
            one.done.acquire()  # free once its result is there
            if isinstance(one.result, bytes | E2SError):
                found.append(one.result)
            elif one.result is not None:
                raise one.result
        return found

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
            results: Sequence[bytes | BaseException]
            try:
                results = self._carry([one.order for one in group])
            except BaseException as error:  # noqa: BLE001 - each caller gets it
                results = [error] * len(group)
            for one, result in zip(group, results, strict=True):
                one.result = result
                one.done.release()

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
