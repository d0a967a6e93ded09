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
_COLUMNS = 80

Json = typer.Option(False, "--json", help="Print one JSON document instead of lines.")


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def document(value: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(value, ensure_ascii=False, default=_plain), flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell.

    On a narrower terminal cells are wrapped between words; where that is not enough each row is a list of
    its cells, one a line, so that no word is broken and each can be copied.
    """
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]
    words = [max(_longest_word(row[n]) for row in (header, *rows)) for n in range(len(header))]
    room = terminal_columns() - len(_GAP) * (len(widths) - 1)
    if sum(words) > room:
        _lists(header, rows)
        return
    widths = narrowed(widths, words, room)
    for row in (header, *rows):
        cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            print(_GAP.join(padded).rstrip())


def narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """``widths`` with the widest made narrower, none below ``least``, until they fit in ``room``."""
    found = list(widths)
    while sum(found) > room:
        spare = [width - small for width, small in zip(found, least, strict=True)]
        if max(spare) <= 0:
            break
        widest = max((width, n) for n, width in enumerate(found) if spare[n] > 0)[1]
        found[widest] -= 1
    return found


def _lists(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as lines of a name and a cell, without those that are empty."""
    width = max(map(len, header)) + 1
    for number, row in enumerate(rows):
        if number:
            print()
        for name, cell in zip(header, row, strict=True):
            if cell:
                print(f"{name + ':':<{width}}{_GAP}{cell}".rstrip())


def _wrapped(cell: str, width: int) -> list[str]:
    return wrap(cell, width, break_long_words=False, break_on_hyphens=False) or [""]


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split()), default=0)


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
