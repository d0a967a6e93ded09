"""What goes wrong, when and to whom, follows from a seed alone: the same seed draws the same plan again.

What the processes make of it depends on how the machine runs them, so a plan is replayed, not a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Final

#: Kinds of fault that the campaign commits itself.
KINDS: Final = ("kill", "clock", "disk")
#: Kinds of fault on a link, with how often each is drawn.
LINK_FAULTS: Final = {
    "lose-request": 3,  # it never arrives, the asker's connection breaks
    "lose-answer": 3,  # it arrives, its answer does not
    "repeat": 3,  # it arrives twice, at once
    "late": 2,  # it arrives, and a copy of it again after others
    "hold": 3,  # it waits while others overtake it
}
CLOCK_SECONDS: Final = 600
#: What may be bought: number of the item in tests.worlds.whole.CSV and the most of it.
_ITEMS: Final = (("R:10K", 2000), ("BOOK:7", 3), ("SOLAR:1", 9), ("WIRE:RED", 60))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault: ``after`` seconds of the batch, of ``kind``, at ``target``, for ``span`` seconds.

    ``by`` are the seconds by which a clock jumps.
    """

    after: float
    kind: str
    target: str
    span: float = 0.0
    by: int = 0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Where a batch's draws come from: the campaign's seed and the batch's number."""

    seed: str
    number: int

    def draw(self, *what: object) -> Random:
        """A source of numbers that depends on nothing but seed, batch and ``what``."""
        return Random(":".join(map(str, (self.seed, self.number, *what))))

    def faults(self, targets: Sequence[str], buyers: Sequence[str], many: int, within: float) -> list[Fault]:
        """``many`` faults of all kinds in turn, over ``within`` seconds; only kills strike a buyer's process."""
        draw = self.draw("faults")
        # Kills count double: they are what a component must be ready for at every instant.
        kinds = list(islice(cycle(("kill", *KINDS)), many))
        found = [self._fault(draw, kind, targets, buyers, within) for kind in kinds]
        return sorted(found, key=lambda fault: fault.after)

    @staticmethod
    def _fault(
        draw: Random, kind: str, targets: Sequence[str], buyers: Sequence[str], within: float
    ) -> Fault:
        after = round(draw.uniform(0, within), 2)
        target = draw.choice([*targets, *buyers])
        span = round(draw.uniform(0.5, 4), 2)
        by = draw.choice((-CLOCK_SECONDS, CLOCK_SECONDS, draw.randint(-CLOCK_SECONDS, CLOCK_SECONDS)))
        if kind == "kill":
            return Fault(after=after, kind=kind, target=target)
        return Fault(after=after, kind=kind, target=target, span=span, by=by if kind == "clock" else 0)

    def link_fault(self, link: str, message: int, rate: float) -> str:
        """What happens to the ``message``-th message to ``link``, or the empty text for nothing."""
        draw = self.draw("link", link, message)
        if draw.random() >= rate:
            return ""
        return draw.choices(list(LINK_FAULTS), weights=list(LINK_FAULTS.values()))[0]


def basket(seed: str, buyer: str, n: int) -> tuple[tuple[str, str], ...]:
    """The lines of a buyer's ``n``-th purchase."""
    draw = Random(f"{seed}:{buyer}:{n}")
    chosen = draw.sample(_ITEMS, draw.randint(1, len(_ITEMS)))
    return tuple((sku, str(draw.randint(1, most))) for sku, most in chosen)
