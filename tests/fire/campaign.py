"""Purchases under fire: ``python -m tests.fire.campaign`` buys while everything fails, heals, and compares books.

Progress stands in build/soak/fire.json; a campaign that was cut short goes on with its next batch in a new community.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any, Final

import typer

from tests.fire import disks
from tests.fire.books import Books, rows, waiting
from tests.fire.buyer import pause
from tests.fire.clocks import forget_all
from tests.fire.market import BUYERS, Market, NeedsHands, market
from tests.fire.plan import Batch, Fault

_BUILD: Final = Path(__file__).parents[2] / "build" / "soak"
#: What passes each time: a wait between two attempts, a wrong clock, an offer, an order to pay, a contract.
_PASSING: Final = (61, 61, 10 * 60, 20 * 60, 20 * 60, 90 * 60, 90 * 60)
_GOT_ON: Final = "SELECT count(*), (SELECT count(*) FROM acts), sum(settled), sum(bundle != ''), group_concat(state) FROM trades"
#: An offer's time, a contract's, and both sides' clock errors.
_LAPSING: Final = 80 * 60
_SETTLING_SECONDS: Final = 90.0

Tell = Callable[[str], None]


class Disagreement(AssertionError):
    """What must hold does not."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How hot it is and how long.

    ``purchases`` of each buyer in a batch, ``faults`` for each of them spread over ``within`` seconds for each;
    ``rate`` of the messages that something happens to; ``burning``: after the last fault the links burn on
    until no purchase has got on for so long; ``ending``: once healed, time passes for everyone when none has got
    on for so long, then for twice as long, and so on.
    """

    purchases: int = 8
    faults: int = 3
    within: float = 4.0
    rate: float = 0.06
    burning: float = 10.0
    ending: float = 6.0


@dataclass
class Progress:
    """How far a campaign came; kept in a file after each batch."""

    seed: str
    batches: int = 0
    completed: int = 0
    void: int = 0
    seconds: float = 0.0
    charged: str = "0.00"
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def purchases(self) -> int:
        """Purchases that have ended, all books agreeing."""
        return self.completed + self.void

    def keep(self, file: Path) -> None:
        """Write it down whole or not at all."""
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(self.__dict__, indent=1) + "\n")
        beside.replace(file)

    @classmethod
    def read(cls, file: Path, seed: str) -> Progress:
        """What was kept, or the beginning."""
        if not file.exists():
            return cls(seed=seed or secrets.token_hex(4))
        known: dict[str, Any] = json.loads(file.read_text())
        return cls(**{**known, "faults": Counter(known["faults"])})


@dataclass
class Campaign:
    """One market, bought in batch after batch."""

    market: Market
    progress: Progress
    pace: Pace = field(default_factory=Pace)
    books: Books = field(init=False)
    wanted: int = 0
    spent: dict[str, float] = field(default_factory=dict)
    _links: Counter[str] = field(default_factory=Counter)
    _seen: tuple[object, ...] = ()
    _since: float = 0.0
    _completed: int = 0
    _void: int = 0

    def __post_init__(self) -> None:
        self.books = Books(self.market)

    def batch(self) -> None:
        """Buy under fire, heal, bring everything to its end, compare; raises what does not hold."""
        begun, pace = time.monotonic(), self.pace
        batch = Batch(seed=self.progress.seed, number=self.progress.batches + 1)
        self.wanted += pace.purchases
        many, within = pace.purchases * pace.faults, pace.purchases * pace.within
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("burnt", lambda: self._burn(batch, batch.faults(self.market.names, BUYERS, many, within))),
            ("healed", self.market.heal),
            ("ended", self._end),
            ("settled", self._settle),
            ("stated", self.books.fetch),
            ("compared", lambda: faults_found.extend(self.books.faults())),
        )
        faults_found: list[str] = []
        for name, step in steps:
            since = time.monotonic()
            step()
            self.spent[name] = round(time.monotonic() - since, 1)
        if faults_found:
            raise Disagreement(f"seed {batch.seed}, batch {batch.number}:\n" + "\n".join(faults_found))
        progress = self.progress
        before = (self._completed, self._void)
        self._completed, self._void = self.books.completed.total(), self.books.void
        progress.completed += self._completed - before[0]
        progress.void += self._void - before[1]
        progress.batches = batch.number
        progress.seconds += time.monotonic() - begun
        now = self.market.plan(None)
        progress.faults += now - self._links
        self._links = now

    # ------------------------------------------------------------------ fire
    def _burn(self, batch: Batch, faults: list[Fault]) -> None:
        """Both buyers buy while the plan is carried out, until both are done and all of it has happened."""
        market, begun = self.market, time.monotonic()
        market.plan(batch, self.pace.rate)
        self._buy()
        waiting_, ending = list(faults), list[tuple[float, Fault]]()
        while True:
            now = time.monotonic() - begun
            while waiting_ and waiting_[0].after <= now:
                self._begin(waiting_[0], now, ending)
                waiting_.pop(0)
            for until, fault in [each for each in ending if each[0] <= now]:
                self._over(fault)
                ending.remove((until, fault))
            market.watch()
            buying = self._still_buying()
            burning = waiting_ or ending
            if not burning and (self._stands_for(self.pace.burning) or not buying):
                return
            pause(0.05)

    def _begin(self, fault: Fault, now: float, ending: list[tuple[float, Fault]]) -> None:
        """Let a fault of the plan happen; one without its target at the moment is not counted."""
        market = self.market
        if fault.kind == "kill":
            self.progress.faults["kill"] += market.kill(fault.target)
            return
        if fault.kind == "clock":
            market.clocks.put(fault.target, fault.by)
        else:
            disks.full(market.path(fault.target))
        self.progress.faults[fault.kind] += 1
        ending.append((now + fault.span, fault))

    def _over(self, fault: Fault) -> None:
        if fault.kind == "clock":
            self.market.clocks.put(fault.target, 0)
        else:
            disks.free(self.market.path(fault.target))

    def _buy(self) -> None:
        for buyer in BUYERS:
            self.market.buy(buyer, self.wanted, self.progress.seed)

    def _still_buying(self) -> bool:
        """Whether a buyer is not done yet; one whose process died is started again."""
        buying = [buyer for buyer in BUYERS if self.market.buying(buyer)]
        for buyer in buying:
            if self.market.processes[buyer].poll() is not None:
                self.market.buy(buyer, self.wanted, self.progress.seed)
        return bool(buying)

    # ------------------------------------------------------------------ healed
    def _end(self) -> None:
        """Nothing fails any more: every purchase comes to its end, some only when time has passed."""
        for n, seconds in enumerate((*_PASSING, 0), 1):
            self._seen = ()
            while not self._stands_for(n * self.pace.ending):
                self.market.watch()
                if not self._still_buying():
                    return
                pause(0.05)
            self._pass_time(seconds)
        raise NeedsHands("some purchases come to no end: " + "; ".join(self._unended()))

    def _stands_for(self, seconds: float) -> bool:
        """Whether no purchase has got on for so long, as far as the buyers' books say."""
        now = time.monotonic()
        try:
            seen = tuple(rows(self.market.path(buyer), _GOT_ON)[0] for buyer in BUYERS)
        except sqlite3.OperationalError:  # a buyer has no book yet
            return False
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since > seconds

    def _pass_time(self, seconds: int) -> None:
        """Time passes for everyone, and everyone sees it."""
        self.market.clocks.pass_time(seconds)
        pause(1.5)

    def _unended(self) -> list[str]:
        query = "SELECT trade, state, settled, because FROM trades WHERE bundle = ''"
        return [f"{buyer} {row}" for buyer in BUYERS for row in rows(self.market.path(buyer), query)]

    def _settle(self) -> None:
        """The components finish what they owe each other; what nobody went on with lapses."""
        for passing in (0, _LAPSING, _LAPSING):
            if passing:
                self._pass_time(passing)
            begun = time.monotonic()
            while time.monotonic() - begun < (_SETTLING_SECONDS if passing else 5.0):
                self.market.watch()
                if not waiting(self.market):
                    return
                pause(0.2)
        raise NeedsHands("something waits for ever: " + "; ".join(waiting(self.market)))


def run(folder: Path, target: int, pace: Pace, progress: Progress, file: Path, tell: Tell) -> None:
    """Batch after batch in one community in ``folder`` until ``target`` purchases have ended."""
    with market(folder) as made:
        campaign = Campaign(made, progress, pace)
        while progress.purchases < target:
            campaign.batch()
            progress.keep(file)
            tell(f"{line(progress, target)} {campaign.spent}")
        tell(f"ended by themselves: {dict(made.ended)}")


def line(progress: Progress, target: int) -> str:
    """One line of progress."""
    done = progress.purchases
    left = (target - done) * progress.seconds / done if done else 0
    told = ", ".join(f"{many} {kind}" for kind, many in sorted(progress.faults.items()))
    return (
        f"batch {progress.batches}: {done} of {target} purchases ended"
        f" ({progress.completed} completed, {progress.void} void); {told}; {left / 60:.0f} min left"
    )


def main(
    purchases: Annotated[int, typer.Option(min=1, help="How many purchases end before it is over.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="Purchases of each buyer between two comparisons.")] = 12,
    seed: Annotated[
        str, typer.Option(help="Draw the plan of a campaign again, in a progress of its own.")
    ] = "",
) -> None:
    """Buy under fire; status 1 when something does not hold, 3 where no disk can be full."""
    if disks.INSIDE not in os.environ:
        try:
            command = disks.inside([sys.executable, "-m", "tests.fire.campaign", *sys.argv[1:]])
        except disks.NoDisks as error:
            sys.stderr.write(f"{error}\n")
            raise typer.Exit(3) from error
        status = subprocess.run(command, check=False).returncode
        forget_all()
        raise typer.Exit(status)

    def tell(words: str) -> None:
        sys.stdout.write(words + "\n")
        sys.stdout.flush()

    _BUILD.mkdir(parents=True, exist_ok=True)
    file = _BUILD / (f"fire-{seed}.json" if seed else "fire.json")
    progress = Progress.read(file, seed)
    if progress.purchases >= purchases:
        tell(f"{line(progress, purchases)}: nothing left; remove {file} to begin anew")
        return
    tell(f"seed {progress.seed}, from batch {progress.batches + 1}")
    folder = Path(mkdtemp(prefix="fire-", dir=_BUILD))
    try:
        run(folder, purchases, Pace(purchases=batch), progress, file, tell)
    except (Disagreement, NeedsHands) as error:
        tell(f"seed {progress.seed}, batch {progress.batches + 1}: {error}")
        tell(f"what there was is kept in {folder / 'kept'}")
        raise typer.Exit(1) from error
    shutil.rmtree(folder)
    tell("every book agrees")


if __name__ == "__main__":
    typer.run(main)
