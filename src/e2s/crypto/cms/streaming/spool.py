"""What is being made has no name; it gets one in its place when all of it is good, or vanishes unseen.

A process that dies leaves nothing behind: the kernel frees a file without a name.  Where a file system has
no such files, one is made and loses its name at once, and is copied to its place when it is good.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from e2s.base.errors import Refusal

BUFFER: Final = 256 * 1024
_TRIES: Final = 100

Told = Callable[[int], None]


def untold(octets: int) -> None:
    """Tell nobody how many more ``octets`` are done."""


def open_unnamed(folder: Path) -> BinaryIO:
    """A file in ``folder`` without a name, to write and read back, for its owner alone."""
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
            return os.fdopen(descriptor, "w+b", buffering=0)
    descriptor, name = tempfile.mkstemp(prefix=".e2s-", dir=folder)
    Path(name).unlink()
    return os.fdopen(descriptor, "w+b", buffering=0)


def place(file: BinaryIO, path: Path, *, mode: int) -> None:
    """Give what is in ``file`` the name ``path``, whole and durable, in place of what had it.

    ``file`` comes from :func:`open_unnamed` in the folder of ``path``.  Raises OSError.
    """
    os.fchmod(file.fileno(), mode)
    os.fsync(file.fileno())
    name = f"/proc/self/fd/{file.fileno()}"
    try:
        os.link(name, path, follow_symlinks=True)
    except FileExistsError:
        _replace(file, path, mode, linked=name)
    except OSError:
        _replace(file, path, mode, linked=None)
    _sync(path.parent)


def _replace(file: BinaryIO, path: Path, mode: int, *, linked: str | None) -> None:
    """Link or copy to a name beside ``path``, which then takes its place; all of it is good already."""
    aside = _aside(path, linked)
    if aside is None:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        aside = Path(name)
    else:
        descriptor = -1
    try:
        if descriptor >= 0:
            with os.fdopen(descriptor, "wb", buffering=0) as copy:
                _copy(file, copy)
                os.fchmod(copy.fileno(), mode)
                os.fsync(copy.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _aside(path: Path, linked: str | None) -> Path | None:
    """A name beside ``path`` that is a link to ``linked``, where the file system makes one."""
    for turn in range(_TRIES if linked else 0):
        aside = path.with_name(f".{path.name}.{os.getpid()}-{turn}")
        try:
            os.link(str(linked), aside, follow_symlinks=True)
        except FileExistsError:
            continue
        except OSError:
            return None
        return aside
    return None


def _sync(folder: Path) -> None:
    """Make the folder's names durable, where it can be done."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(file: BinaryIO, to: BinaryIO) -> None:
    file.seek(0)
    for view in pieces(file, size_of(file), untold):
        write(to, view)


def write(file: BinaryIO, octets: bytes | memoryview) -> None:
    """All of ``octets``: an unbuffered file may take a part at a time."""
    view = memoryview(octets)
    while view:
        view = view[file.write(view) :]


def is_regular(file: BinaryIO) -> bool:
    """Whether the size of ``file`` is known, and it can be read again."""
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def size_of(file: BinaryIO) -> int:
    """Octets in a regular file."""
    return os.fstat(file.fileno()).st_size


def spooled(file: BinaryIO, folder: Path, *, max_bytes: int) -> BinaryIO:
    """What comes from a pipe, in a file without a name; raises :class:`Refusal` ``too-large``."""
    held = open_unnamed(folder)
    buffer = memoryview(bytearray(BUFFER))
    size = 0
    while count := file.readinto(buffer):  # type: ignore[attr-defined]  # files opened for octets have it
        size += count
        if size > max_bytes:
            held.close()
            raise Refusal("too-large", "more comes in than may be read", most=max_bytes)
        write(held, buffer[:count])
    held.seek(0)
    return held


def pieces(file: BinaryIO, size: int, told: Told) -> Iterator[memoryview]:
    """The next ``size`` octets, in one buffer used again: a piece is good until the next one is asked for.

    Raises :class:`Refusal` ``file-changed`` where the file has fewer.
    """
    buffer = memoryview(bytearray(min(BUFFER, size) or 1))
    while size:
        count = file.readinto(buffer[: min(size, BUFFER)])  # type: ignore[attr-defined]
        if not count:
            raise Refusal("file-changed", "the file became shorter while it was read")
        size -= count
        yield buffer[:count]
        told(count)


def shift(file: BinaryIO, start: int, size: int, by: int) -> None:
    """Move ``size`` octets at ``start`` by ``by`` octets towards the end, from the last to the first."""
    while size:
        count = min(BUFFER, size)
        size -= count
        file.seek(start + size)
        moved = b"".join(map(bytes, pieces(file, count, untold)))
        file.seek(start + size + by)
        write(file, moved)
