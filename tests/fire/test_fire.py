"""Purchases while processes are killed, messages lost, disks full and clocks wrong: all end, all books agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fire import disks
from tests.fire.campaign import Progress, line
from tests.fire.clocks import forget_all
from tests.fire.plan import KINDS, LINK_FAULTS, Batch, basket
from tests.fire.short import FALSIFIED, PACE

#: Draws every kind of fault in its first batch; `make soak` draws its own.
SEED = "short-1"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the short form found, in a process of its own; what it says stands in the failure."""
    folder = tmp_path_factory.mktemp("fire")
    command = disks.inside([sys.executable, "-m", "tests.fire.short", str(folder), SEED])
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        forget_all()
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-6000:]}"
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


@pytest.mark.processes
def test_every_purchase_ends_and_all_books_agree(told: dict[str, Any]) -> None:
    assert told["completed"] + told["void"] == 2 * PACE.purchases
    assert told["completed"] >= 1
    assert told["true"] == []


@pytest.mark.processes
def test_every_kind_of_fault_happened(told: dict[str, Any]) -> None:
    assert {*KINDS, *LINK_FAULTS} <= {kind for kind, many in told["faults"].items() if many}


@pytest.mark.processes
@pytest.mark.parametrize("what", [*FALSIFIED, "cut", "gone"])
def test_a_falsified_book_is_found(told: dict[str, Any], what: str) -> None:
    assert told["found"][what]


def test_a_plan_is_drawn_again_from_its_seed() -> None:
    batch, again = Batch(seed="a", number=3), Batch(seed="a", number=3)
    plans = [one.faults(["x", "y"], ["z"], 40, 20.0) for one in (batch, again)]
    assert plans[0] == plans[1] != Batch(seed="b", number=3).faults(["x", "y"], ["z"], 40, 20.0)
    assert {fault.kind for fault in plans[0]} == set(KINDS)
    assert {fault.by for fault in plans[0] if fault.kind == "clock"} & {-600, 600}
    letters = [batch.link_fault("x", n, 0.5) for n in range(400)]
    assert letters == [again.link_fault("x", n, 0.5) for n in range(400)]
    assert set(letters) == {"", *LINK_FAULTS}
    assert basket("a", "anna", 1) == basket("a", "anna", 1) != basket("a", "anna", 2)


def test_a_campaign_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "fire.json"
    begun = Progress.read(file, "a")
    begun.completed, begun.void, begun.batches = 20, 4, 1
    begun.faults["kill"] += 3
    begun.keep(file)
    assert Progress.read(file, "a") == begun
    assert line(begun, 48).startswith("batch 1: 24 of 48 purchases ended (20 completed, 4 void); 3 kill;")


def test_no_disk_can_be_full_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\necho not permitted >&2\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(disks.NoDisks, match="not permitted"):
        disks.inside(["true"])
