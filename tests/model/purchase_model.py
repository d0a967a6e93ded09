"""Run the bounded model: ``python -m tests.model.purchase_model [--seconds N]``.

Every scenario with all rules finds nothing, and each rule left out opens what it closes; then the endings.
With ``--seconds`` the endings go on with more messages under way for about that long.
"""

from __future__ import annotations

import argparse
import time

from tests.model import attacks, endings, roles


def main(arguments: list[str] | None = None) -> int:
    """Print each search and what it found; 1 when anything is found with all rules, or missed without one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="go on with larger bounds for about so long"
    )
    until = time.monotonic() + parser.parse_args(arguments).seconds
    faults = _attacks() + _endings()
    most = 3
    while time.monotonic() < until:
        ends = endings.explore(endings.Rules(), most)
        print(f"endings, {most} messages under way: {ends.states} states, bad {sorted(ends.bad)}", flush=True)
        faults += len(ends.bad)
        most += 1
    return int(faults > 0)


def _attacks() -> int:
    faults = 0
    for scenario in attacks.SCENARIOS:
        found = attacks.run(scenario, roles.Rules(), scenario.bound)
        print(
            f"{scenario.name}: {found.states} states, {'all' if found.complete else 'cut'}: {found.broken or 'nothing'}"
        )
        faults += bool(found.broken)
        for off in scenario.left_out:
            found = attacks.run(scenario, roles.Rules().without(off), scenario.bound)
            print(f"   without {off}: {found.broken or 'MISSED'}  {' '.join(found.way)}", flush=True)
            faults += not found.broken
    return faults


def _endings() -> int:
    ends = endings.explore(endings.Rules())
    print(f"endings: {ends.states} states, bad {sorted(ends.bad)}")
    faults = len(ends.bad)
    for off, most in endings.LEFT_OUT.items():
        ends = endings.explore(endings.Rules().without(off), most, back=int(off == "lasting_void"))
        print(f"   without {off}: {next(iter(sorted(ends.bad)), 'MISSED')}", flush=True)
        faults += not ends.bad
    return faults


if __name__ == "__main__":
    raise SystemExit(main())
