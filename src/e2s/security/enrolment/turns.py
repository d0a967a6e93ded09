"""Who asks for the same at the same time waits for her turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """One thread at a time for each request."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._lock = threading.Lock()
        self._busy: dict[bytes, tuple[threading.Lock, int]] = {}

    @contextmanager
    def taken(self, ident: bytes) -> Iterator[None]:
        """Wait for the turn, and give it back."""
        with self._lock:
            lock, waiting = self._busy.get(ident, (threading.Lock(), 0))
            self._busy[ident] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, waiting = self._busy[ident]
                if waiting == 1:
                    del self._busy[ident]
                else:
                    self._busy[ident] = (lock, waiting - 1)
