"""Measure the figures: ``python -m bench [AREA ...]`` prints a table and writes build/bench.json.

An area is a module of this folder whose ``rounds()`` yields :class:`bench.figure.Figure` values.  Each is a
ratio of two things measured in turn in one run, the median of several rounds.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bench.figure import Figure

HERE = Path(__file__).parent
_OWN = {"__main__", "figure"}


def areas() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in _OWN)


def main(wanted: list[str]) -> int:
    unknown = sorted(set(wanted) - set(areas()))
    if unknown:
        print(
            f"no such area: {', '.join(unknown)}; there are: {', '.join(areas()) or 'none'}", file=sys.stderr
        )
        return 2
    figures: list[Figure] = []
    for area in wanted or areas():
        print(f"== measuring {area}", flush=True)
        for figure in importlib.import_module(f"bench.{area}").rounds():
            figures.append(figure)
            print(figure.line(), flush=True)
    target = HERE.parent / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    rows = [{**asdict(figure), "holds": figure.holds} for figure in figures]
    target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    broken = [figure.name for figure in figures if not figure.holds]
    print(f"== {len(figures)} figures, {len(broken)} beyond their limits; {target}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
