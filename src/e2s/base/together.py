"""Acts of several threads share one transaction: the commit, which costs most, is paid once for all of them.

Whoever comes first carries out its own act and those of everybody who came meanwhile; alone, an act waits for
nobody.  Each act stands or falls by itself, and none returns before all are durable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import sqlalchemy as sa

from e2s.base.database import Database, driver_of

T = TypeVar("T")

#: Acts of one transaction at most: who came first does not wait for ever more.
MOST: Final = 64


class _Act:
    """One act, and what became of it."""

    __slots__ = ("act", "done", "error", "result", "woken")

    def __init__(self, act: Callable[[sa.Connection], Any]) -> None:
        self.act = act
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.woken = threading.Lock()
        self.woken.acquire()

    def end(self, error: BaseException | None = None) -> None:
        """Wake who waits; ``error`` stopped the whole group."""
        self.error = self.error or error
        self.done = True
        self.woken.release()


class Together:
    """The writes of one database, from any number of threads."""

    def __init__(self, database: Database) -> None:
        """Every write of ``database`` should come by here: others wait for the driver's own lock."""
        self._database = database
        self._waiting: deque[_Act] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def write(self, act: Callable[[sa.Connection], T]) -> T:
        """What ``act`` gives, once what it wrote is durable; raises what it raised, and then nothing is kept.

        ``act`` may be begun on a connection on which others' acts were carried out before, never twice.
        Raises :class:`~e2s.base.errors.Unreachable` ``disk-full`` where there is no room.
        """
        mine = _Act(act)
        with self._lock:
            self._waiting.append(mine)
            leads = not self._busy
            self._busy = True
        if not leads:
            mine.woken.acquire()
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return cast(T, mine.result)

    def _lead(self) -> None:
        """Carry out what waits, then hand over to the first of those who came meanwhile."""
        with self._lock:
            group = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        failed: BaseException | None = None
        try:
            with self._database.transaction() as connection:
                for one in group:
                    _carry_out(one, connection, alone=len(group) == 1)
        except BaseException as error:  # noqa: BLE001 - each of the group gets it
            failed = error
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._busy = following is not None
        for one in group:
            one.end(failed)
        if following is not None:
            following.woken.release()


def _carry_out(one: _Act, connection: sa.Connection, *, alone: bool) -> None:
    """One act of a group; what it wrote is undone if it raises."""
    if alone:
        one.result = one.act(connection)
        return
    driver = driver_of(connection)
    driver.execute("SAVEPOINT act")
    try:
        one.result = one.act(connection)
    except BaseException as error:  # noqa: BLE001 - its own caller gets it
        driver.execute("ROLLBACK TO act")
        one.error = error
    driver.execute("RELEASE act")
