"""A file is replaced whole or not at all: written aside, flushed, renamed, and the folder flushed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, octets: bytes, mode: int = 0o600, *, not_before: int = 0) -> None:
    """Put ``octets`` at ``path`` so that a kill at any moment leaves the old file or the new one.

    Its time of change, in seconds of the epoch, is at least ``not_before``.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(octets)
            file.flush()
            if os.fstat(file.fileno()).st_mtime < not_before:
                os.utime(file.fileno(), (not_before, not_before))
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
