"""One figure is a ratio of two things measured in turn, so that the machine's mood divides out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Figure:
    """``name`` is ``area.metric``; ``value`` and ``limit`` are ratios (or seconds where the name says so)."""

    name: str
    value: float
    limit: float
    better: Literal["lower", "higher"] = "lower"
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the value is within its limit."""
        return self.value <= self.limit if self.better == "lower" else self.value >= self.limit

    def row(self) -> dict[str, Any]:
        """The figure as build/bench.json has it."""
        return {**asdict(self), "holds": self.holds}


def line(row: Mapping[str, Any]) -> str:
    """One row of the printed table."""
    sign = "<=" if row["better"] == "lower" else ">="
    verdict = "holds" if row["holds"] else "BROKEN"
    return f"{row['name']:<40} {row['value']:>8.3f} {sign} {row['limit']:<8g} {verdict}"


def in_turn(
    measured: Callable[[], object], base: Callable[[], object], *, rounds: int = 15, times: int = 20
) -> tuple[float, dict[str, float]]:
    """The median over ``rounds`` of time(measured) / time(base), each run ``times`` a round in turn."""
    measured(), base()
    ratios, ours, bare = [], [], []
    for _ in range(rounds):
        a, b = seconds(measured, times), seconds(base, times)
        ours.append(a)
        bare.append(b)
        ratios.append(a / b)
    detail = {"measured_us": 1e6 * statistics.median(ours), "base_us": 1e6 * statistics.median(bare)}
    return statistics.median(ratios), {**detail, "rounds": rounds, "times": times}


def seconds(act: Callable[[], object], times: int) -> float:
    """Seconds that one ``act`` takes, averaged over ``times``."""
    start = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - start) / times
