"""Each component's home stands on a disk of its own, which can be full for real: a tmpfs that is made smaller.

Mounting needs a mount namespace: as root one of its own, as another user one within a user namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

#: Set in the environment of a process that runs in a mount namespace of its own.
INSIDE: Final = "E2S_FIRE_NAMESPACE"
_ROOMY: Final = "size=1g"
_WAYS: Final = (
    ("unshare", "--mount", "--propagation", "private"),
    ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"),
)


class NoDisks(RuntimeError):
    """Neither root's way nor a user namespace gives disks that can be full."""


def inside(command: Sequence[str]) -> list[str]:
    """``command`` so that it runs in a mount namespace; raises :class:`NoDisks` where there can be none."""
    test = "from tests.fire.disks import probe; probe()"
    said = []
    for way in _WAYS:
        tried = subprocess.run(
            [*way, sys.executable, "-c", test], capture_output=True, text=True, check=False
        )
        if tried.returncode == 0:
            return ["env", f"{INSIDE}=1", *way, *command]
        said.append(f"{' '.join(way)}: {tried.stderr.strip()[-200:]}")
    raise NoDisks("no mount namespace, so no disk can be full: " + "; ".join(said))


def probe() -> None:
    """Mount a disk in this process's namespace, fill it and free it; raises where that does not work."""
    with TemporaryDirectory() as folder:
        path = Path(folder)
        mount(path)
        try:
            full(path)
            try:
                (path / "file").write_bytes(bytes(1 << 16))
            except OSError:
                free(path)
                (path / "file").write_bytes(bytes(1 << 16))
            else:
                raise NoDisks("a full disk took more")
        finally:
            unmount(path)


def mount(path: Path) -> None:
    """Give ``path`` a disk of its own; what stood there goes with it."""
    mode = path.stat().st_mode & 0o7777
    kept = path.with_name(f"{path.name}.kept")
    kept.mkdir(mode=0o700)
    for each in path.iterdir():
        shutil.move(each, kept / each.name)
    _run("mount", "-t", "tmpfs", "-o", f"{_ROOMY},mode={mode:o}", "tmpfs", str(path))
    for each in kept.iterdir():
        shutil.move(each, path / each.name)
    kept.rmdir()


def full(path: Path) -> None:
    """Nothing more goes onto the disk at ``path``: its size is what is on it.

    With both its source and its place named, mount(8) adds no options of its own: a user namespace refuses some.
    """
    for last in (False, False, False, False, True):
        held = os.statvfs(path)
        used = (held.f_blocks - held.f_bfree) * held.f_frsize
        try:
            # A size of zero would mean no bound.
            _run("mount", "-o", f"remount,size={max(used, held.f_frsize)}", "tmpfs", str(path))
        except OSError:  # it grew in between
            if last:
                raise
        else:
            return


def free(path: Path) -> None:
    """There is room again."""
    _run("mount", "-o", f"remount,{_ROOMY}", "tmpfs", str(path))


def unmount(path: Path) -> None:
    """Take the disk at ``path`` away with all that is on it."""
    _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
