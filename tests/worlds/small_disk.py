"""A disk that is really full: a small tmpfs of its own."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

_BLOCK = 4096


@pytest.fixture
def small_disk(tmp_path):
    """An empty disk of a MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.fail("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left; gives the file to delete."""
    path = folder / "others"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(_BLOCK))
    return path
