"""Files that commands stream: ``-`` is standard input or output; an output has no name before it is good."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from e2s.base.errors import Misuse
from e2s.crypto.cms import streaming

STANDARD = Path("-")
#: Below so many octets nobody waits.
_LONG = 64 * 1024 * 1024
_PIECE = 256 * 1024


@contextlib.contextmanager
def reading(path: Path, beside: Path | None = None) -> Iterator[BinaryIO]:
    """A file to be read that can be sought in; what comes from a pipe is kept without a name ``beside``.

    Raises :class:`Misuse` ``no-such-file``, :class:`Refusal` ``too-large``.
    """
    with contextlib.ExitStack() as stack:
        try:
            if path == STANDARD:
                file: BinaryIO = open(os.dup(sys.stdin.fileno()), "rb", buffering=0)  # noqa: PTH123, SIM115
            else:
                file = path.open("rb", buffering=0)
            stack.enter_context(file)
            if not streaming.is_regular(file):
                kept = streaming.spooled(file, _folder(beside), max_bytes=streaming.MAX_GCM_BYTES)
                file = stack.enter_context(kept)
        except OSError as error:
            raise Misuse(
                "no-such-file", "the file cannot be read", file=str(path), why=error.strerror
            ) from error
        yield file


@contextlib.contextmanager
def reading_message(path: Path, beside: Path | None) -> Iterator[BinaryIO]:
    """As :func:`reading`, and out of its PEM where it is in any; raises :class:`Refusal` ``bad-pem`` too."""
    with reading(path, beside) as file:
        if not streaming.is_armoured(file):
            yield file
            return
        with _cannot_write(path), streaming.open_unnamed(_folder(beside)) as bare:
            size = streaming.size_of(file) - file.tell()
            streaming.unarmour(file, size, bare)
            bare.seek(0)
            yield bare


@contextlib.contextmanager
def writing(path: Path, *, pem: bool = False, private: bool = False) -> Iterator[BinaryIO]:
    """A file without a name that gets ``path`` in its place when the block ends well, or vanishes.

    Raises :class:`Misuse` ``cannot-write``.
    """
    with _cannot_write(path), contextlib.ExitStack() as stack:
        file = stack.enter_context(streaming.open_unnamed(_folder(path)))
        yield file
        if pem:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            bare, file = file, stack.enter_context(streaming.open_unnamed(_folder(path)))
            streaming.armour(bare, size, file)
        if _is_special(path):
            _show(file, path)
        else:
            streaming.place(file, path, mode=0o600 if private else 0o666 & ~_mask())


def _show(file: BinaryIO, path: Path) -> None:
    """All of ``file`` on standard output, or in what is no file: a pipe, a device."""
    file.seek(0)
    with contextlib.nullcontext(sys.stdout.buffer) if path == STANDARD else path.open("wb") as out:
        while piece := file.read(_PIECE):
            out.write(piece)
        out.flush()


@contextlib.contextmanager
def _cannot_write(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Misuse(
            "cannot-write", "the file cannot be written", file=str(path), why=error.strerror
        ) from error


def _folder(path: Path | None) -> Path:
    """Where files without a name go."""
    return Path(tempfile.gettempdir()) if path is None or _is_special(path) else path.parent


def _is_special(path: Path) -> bool:
    return path == STANDARD or (path.exists() and not path.is_file())


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Progress:
    """How much of a long work is done, on a terminal only; :meth:`told` hears of more."""

    def __init__(self, work: str) -> None:
        """``work`` is said before the figure."""
        self._work = work
        self._all = self._done = 0
        self._shown = -1

    def expect(self, file: BinaryIO) -> None:
        """All that is left in ``file`` is to be done too."""
        self._all += streaming.size_of(file) - file.tell()

    def told(self, octets: int) -> None:
        """So many more octets are done."""
        self._done += octets
        if self._all < _LONG or not sys.stderr.isatty():
            return
        part = min(100, 100 * self._done // self._all)
        if part != self._shown:
            self._shown = part
            print(f"\r{self._work}: {part} %", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a clean line."""
        if self._shown >= 0:
            print("\r" + " " * (len(self._work) + 7) + "\r", end="", file=sys.stderr, flush=True)
