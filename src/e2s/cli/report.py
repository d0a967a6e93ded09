"""What every command says it says here: lines for a person, or one document for a program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any

import typer

_GAP = "  "
_NARROWEST = 8
_COLUMNS = 80

Json = typer.Option(False, "--json", help="Print one JSON document instead of lines.")


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def document(value: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(value, ensure_ascii=False, default=_plain), flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; on a terminal cells are wrapped where it is narrower."""
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]
    widths = narrowed(widths, terminal_columns() - len(_GAP) * (len(widths) - 1))
    for row in (header, *rows):
        cells = [
            wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(row, widths, strict=True)
        ]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            print(_GAP.join(padded).rstrip())


def narrowed(widths: Sequence[int], room: int) -> list[int]:
    """``widths`` with the widest made narrower, one character at a time, until they fit in ``room``."""
    found = list(widths)
    while sum(found) > room and max(found) > _NARROWEST:
        found[found.index(max(found))] -= 1
    return found


def terminal_columns() -> int:
    """The terminal's columns, or what COLUMNS says; what goes to a file or a pipe is not wrapped."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return sys.maxsize


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)
