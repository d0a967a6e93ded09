"""Each component has a wall clock of its own, by Debian's libfaketime; the monotonic clock stays the machine's.

The community's time is the machine's and ``ahead``, which only grows: healed clocks all show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from e2s.base.instants import SystemClock

_PLACES: Final = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
_SHARED: Final = ("faketime_shm_", "sem.faketime_sem_")
_MEMORY: Final = Path("/dev/shm")


class Clocks:
    """The clocks of all processes of a community, each a file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`FileNotFoundError` where libfaketime is missing (debian-packages.txt)."""
        if not _PLACES:
            raise FileNotFoundError("libfaketime is not installed: run `make debian`")
        self._folder = folder
        self._folder.mkdir()
        self.ahead = 0
        self._off: dict[str, int] = {}

    def environment(self, name: str) -> Mapping[str, str]:
        """What the process of the component ``name`` needs in its environment."""
        self.put(name, self._off.get(name, 0))
        return {
            "LD_PRELOAD": str(_PLACES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def put(self, name: str, off: int) -> None:
        """The clock of ``name`` is ``off`` seconds wrong from now on; its process sees it within a second."""
        self._off[name] = off
        file = self._file(name)
        beside = file.with_suffix(".new")
        beside.write_text(f"{self.ahead + off:+d}\n")
        beside.replace(file)

    def pass_time(self, seconds: int) -> None:
        """Time passes for everyone."""
        self.ahead += seconds
        for name, off in self._off.items():
            self.put(name, off)

    def now(self) -> datetime:
        """The community's time; with it this is a :class:`~e2s.base.instants.Clock`."""
        return SystemClock().now() + timedelta(seconds=self.ahead)

    def _file(self, name: str) -> Path:
        return self._folder / name


def forget(pid: int) -> None:
    """Remove what libfaketime of a killed process left behind: it would stop another of this number."""
    for name in _SHARED:
        (_MEMORY / f"{name}{pid}").unlink(missing_ok=True)


def forget_all() -> None:
    """The same of every process that there is no more."""
    for name in _SHARED:
        for left in _MEMORY.glob(f"{name}*"):
            number = left.name.removeprefix(name)
            if number.isdigit() and not Path("/proc", number).exists():
                with suppress(OSError):
                    left.unlink()
