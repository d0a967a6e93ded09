"""How quickly the command line answers: ``e2s --help``, in seconds, and against an empty Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator

from bench.figure import Figure, seconds

ROUNDS = 9


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def rounds() -> Iterator[Figure]:
    taken, empty = [], []
    for _ in range(ROUNDS):
        taken.append(seconds(lambda: _run("-m", "e2s.cli.main", "--help"), 1))
        empty.append(seconds(lambda: _run("-c", ""), 1))
    detail = {"empty_python_s": statistics.median(empty), "rounds": ROUNDS}
    yield Figure(name="command.help_seconds", value=statistics.median(taken), limit=0.4, detail=detail)
