"""Who asks at the same time is served in one group: the commits, which cost most, are shared.

Orders pass two workers: they are prepared, then carried out.  While one group is carried out, the next is
prepared.  Alone, an order waits for nobody.  Who got an answer often asks again at once: so after a group of
several, the next one begins when as many wait as were answered, or a moment later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from e2s.base.errors import E2SError, Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.pki.orders import Order

#: How long those who were just answered are expected back.
_MOMENT_SECONDS: Final = 0.002


class Step(Protocol):
    """Groups one after another."""

    def step(self, wanted: Sequence[Any], /) -> Sequence[bytes | E2SError]:
        """Take the next group, which may be empty; for each of the one before its certificate or refusal."""


class Issuer(Protocol):
    """An authority: what makes ready, and what carries out."""

    def prepare(self, orders: Sequence[Order], /) -> Sequence[Any]:
        """What :meth:`Step.step` takes, one for each order."""

    def rolling(self) -> Step:
        """Carries out groups."""


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


class _Line:
    """What waits for one worker, who takes it in groups of at most ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[_Waiting] = deque()
        self._some = threading.Condition(threading.Lock())
        self._closed = False
        self._expected = 1

    def put(self, some: Sequence[_Waiting]) -> None:
        """Let these wait; raises :class:`Refusal` ``queue-closed``."""
        with self._some:
            if self._closed:
                raise Refusal("queue-closed", "this CA issues no more")
            self._waiting.extend(some)
            if len(self._waiting) >= self._expected:
                self._some.notify()

    def close(self) -> None:
        """Let no more wait."""
        with self._some:
            self._closed = True
            self._some.notify()

    def expect(self, count: int) -> None:
        """Wait a moment until so many wait, at the next :meth:`take`."""
        self._expected = count

    def take(self, *, at_once: bool = False) -> list[_Waiting]:
        """What waits, as soon as something does, or what there is ``at_once``; empty once closed."""
        waiting = self._waiting
        with self._some:
            if not at_once:
                if len(waiting) < self._expected and not self._closed:
                    self._some.wait(_MOMENT_SECONDS)
                self._expected = 1
                while not waiting and not self._closed:
                    self._some.wait()
            return [waiting.popleft() for _ in range(min(self._most, len(waiting)))]


class IssueQueue:
    """Groups the orders of many threads for an authority."""

    def __init__(self, authority: Issuer, *, most: int = 64) -> None:
        """A group has at most ``most`` orders."""
        self._authority = authority
        self._orders, self._ready = _Line(most), _Line(most)
        self._workers = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._prepare, "prepare"), (self._carry_out, "issue"))
        ]
        for worker in self._workers:
            worker.start()

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
        self._orders.put(waiting)
        return [one.wait() for one in waiting]

    def close(self) -> None:
        """Take no more orders, and carry out those that wait."""
        for line, worker in zip((self._orders, self._ready), self._workers, strict=True):
            line.close()
            worker.join()

    def __enter__(self) -> Self:
        """The queue itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _prepare(self) -> None:
        """The first worker: rights, possession, profile and names."""
        while group := self._orders.take():
            self._orders.expect(len(group))
            try:
                ready = self._authority.prepare([one.ready for one in group])
            except BaseException as error:  # noqa: BLE001 - each caller gets it
                _fail(group, error)
                continue
            for one, made in zip(group, ready, strict=True):
                one.ready = made
            self._ready.put(group)

    def _carry_out(self) -> None:
        """The second: intents, signatures and records."""
        rolling, before = self._authority.rolling(), list[_Waiting]()
        while True:
            group = self._ready.take(at_once=bool(before))
            if not group and not before:
                return
            try:
                results = rolling.step([one.ready for one in group])
            except BaseException as error:  # noqa: BLE001 - each caller gets it
                _fail(before + group, error)
                before = []
                continue
            for one, result in zip(before, results, strict=True):
                one.result = result
                one.done.release()
            before = group


def _fail(group: Sequence[_Waiting], error: BaseException) -> None:
    """Tell all of a group what stopped it."""
    for one in group:
        one.error = error
        one.done.release()
