"""Who asks at the same time is served in one group: the commits, which cost most, are shared.

Orders pass two stages, each with a worker: they are prepared, then carried out.  While one group is carried
out, the next is prepared.  Alone, an order waits for nobody.  Who got an answer often asks again at once: so
after a group of several, the next one begins when as many wait as were answered, or a moment later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from e2s.base.errors import E2SError, Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.pki.orders import Order

#: How long those who were just answered are expected back.
_MOMENT_SECONDS: Final = 0.002
#: Makes ready what :data:`Carry` takes, one for each order.
Prepare = Callable[[Sequence[Order]], Sequence[Any]]
#: Carries out what was made ready: for each its certificate, DER, or why there is none.
Carry = Callable[[Sequence[Any]], Sequence["bytes | E2SError"]]


class _Waiting:
    """One order, what was made of it and, once :attr:`done` is free, what became of it."""

    __slots__ = ("done", "error", "ready", "result")

    def __init__(self, order: Order) -> None:
        self.ready: Any = order
        self.result: bytes | E2SError | None = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def wait(self) -> bytes | E2SError:
        """What became of it; raises what stopped its whole group."""
        self.done.acquire()
        if self.error is not None or self.result is None:
            raise self.error or Refusal("queue-closed", "this CA issues no more")
        return self.result


class _Stage:
    """One worker: it takes what waits in groups of at most ``most``."""

    def __init__(
        self, name: str, work: Callable[[list[_Waiting]], None], most: int, *, patient: bool
    ) -> None:
        self._work = work
        self._most = most
        self._patient = patient
        self._waiting: deque[_Waiting] = deque()
        self._some = threading.Condition(threading.Lock())
        self._closed = False
        self._expected = 1
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, some: Sequence[_Waiting]) -> None:
        """Let these wait; raises :class:`Refusal` ``queue-closed``."""
        with self._some:
            if self._closed:
                raise Refusal("queue-closed", "this CA issues no more")
            self._waiting.extend(some)
            if len(self._waiting) >= self._expected:
                self._some.notify()

    def close(self) -> None:
        """Take no more, and end what waits."""
        with self._some:
            self._closed = True
            self._some.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next():
            try:
                self._work(group)
            except BaseException as error:  # noqa: BLE001 - each caller gets it
                for one in group:
                    one.error = error
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
            if self._patient:
                self._expected = len(group)
            return group


class IssueQueue:
    """Groups the orders of many threads for an authority.

    Either for its :meth:`~e2s.security.pki.ca.Authority.issue_ders` alone, or in two stages for its
    :meth:`~e2s.security.pki.ca.Authority.issue_prepared` with :meth:`~e2s.security.pki.ca.Authority.prepare`.
    """

    def __init__(self, carry: Carry, prepare: Prepare | None = None, *, most: int = 64) -> None:
        """A group has at most ``most`` orders."""
        self._carry = carry
        self._prepare = prepare
        self._second = _Stage("issue", self._carried, most, patient=prepare is None)
        self._first = self._second
        if prepare is not None:
            self._first = _Stage("prepare", self._prepared, most, patient=True)

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
        self._first.put(waiting)
        return [one.wait() for one in waiting]

    def close(self) -> None:
        """Take no more orders, and carry out those that wait."""
        self._first.close()
        if self._second is not self._first:
            self._second.close()

    def __enter__(self) -> Self:
        """The queue itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _prepared(self, group: list[_Waiting]) -> None:
        if self._prepare is not None:
            for one, ready in zip(group, self._prepare([one.ready for one in group]), strict=True):
                one.ready = ready
        self._second.put(group)

    def _carried(self, group: list[_Waiting]) -> None:
        results = self._carry([one.ready for one in group])
        for one, result in zip(group, results, strict=True):
            one.result = result
            one.done.release()
