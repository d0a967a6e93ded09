"""Measure the figures: ``python -m bench [AREA ...]`` prints a table and writes build/bench.json.

An area is a module of this folder whose ``rounds()`` yields figures: :class:`bench.figure.Figure` values or
rows of the same members.  Each is a ratio of two things measured in turn in one run, the median of several
rounds.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figure import Figure, line

HERE = Path(__file__).parent
_OWN = {"__main__", "figure"}


def areas() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in _OWN)


def main(wanted: list[str]) -> int:
    unknown = sorted(set(wanted) - set(areas()))
    if unknown:
        print(f"no such area: {' '.join(unknown)}; there are: {' '.join(areas())}", file=sys.stderr)
        return 2
    rows: list[Mapping[str, Any]] = []
    for area in wanted or areas():
        print(f"== measuring {area}", flush=True)
        for figure in importlib.import_module(f"bench.{area}").rounds():
            rows.append(figure.row() if isinstance(figure, Figure) else figure)
            print(line(rows[-1]), flush=True)
    target = HERE.parent / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    broken = [row["name"] for row in rows if not row["holds"]]
    print(f"== {len(rows)} figures, {len(broken)} beyond their limits; {target}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
