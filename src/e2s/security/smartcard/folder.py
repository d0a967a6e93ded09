"""A software card's folder: its memory, sealed, the secret that seals it, and a lock: one process is it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from e2s.base.errors import Misuse
from e2s.security.keys.durable import replace_file
from e2s.security.smartcard.memory import MAX_BYTES, SECRET_BYTES, Memory, seal, unseal
from e2s.security.smartcard.session import Kept

MEMORY: Final = "card.memory"
SECRET: Final = "card.secret"  # noqa: S105 - a file's name
SOCKET: Final = "card.socket"
_LOCK: Final = "card.lock"


def make(folder: Path, memory: Memory, random: Callable[[int], bytes]) -> None:
    """Write a new card; raises :class:`Misuse` ``card-exists`` rather than lose one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / MEMORY).exists():
        raise Misuse("card-exists", "there already is a card in this folder", folder=str(folder))
    secret = random(SECRET_BYTES)
    replace_file(folder / SECRET, secret)
    replace_file(folder / MEMORY, seal(memory, secret, random))


class CardFolder:
    """A card in its folder, held by this process until :meth:`close`."""

    def __init__(self, folder: Path, random: Callable[[int], bytes]) -> None:
        """Raises :class:`Misuse` ``no-card`` or ``card-in-use``, :class:`Refusal` as ``unseal`` does."""
        self._path = folder / MEMORY
        self._random = random
        if not self._path.exists():
            raise Misuse("no-card", "there is no card in this folder", folder=str(folder))
        self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._secret = _read(folder / SECRET, SECRET_BYTES)
            self.kept = Kept(unseal(_read(self._path, MAX_BYTES), self._secret), self._keep)
        except BlockingIOError as error:
            os.close(self._lock)
            raise Misuse("card-in-use", "this card runs in another process", folder=str(folder)) from error
        except BaseException:
            os.close(self._lock)
            raise

    def _keep(self, memory: Memory) -> None:
        replace_file(self._path, seal(memory, self._secret, self._random))

    def close(self) -> None:
        """Let another process be the card."""
        os.close(self._lock)


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)
