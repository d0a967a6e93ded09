"""``kill -9`` of each process at each step: the purchase completes, and all sides agree that it was paid once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from e2s.base.errors import E2SError
from tests.worlds.running import PATIENCE, Running, running

pytestmark = pytest.mark.processes

TOTAL = "60.63"
COMPONENTS = (
    "volt-shop",
    "volt-purchasing",
    "volt-payment",
    "volt-keys",
    "volt-catalogue",
    "acquirer-gateway",
    "issuer-desk",
    "authority-stamps-1",
    "authority-repository",
    "volt-audit",
)
#: Commits of one purchase by component: a kill after each of them.
COMMITS = {
    "volt-purchasing": 14,
    "volt-payment": 8,
    "volt-keys": 11,
    "acquirer-gateway": 6,
    "issuer-desk": 6,
    "authority-stamps-1": 2,
}
EVERY = 1 if os.environ.get("E2S_SOAK") else 3


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("market")) as world:
        yield world


def completed(world: Running, trade: str) -> None:
    assert world.finish(trade).state == "received"
    assert world.settled(trade) == ("received", "captured", [("captured", TOTAL)])


@pytest.mark.parametrize("component", COMPONENTS)
def test_killed_before_each_step(world: Running, component: str) -> None:
    """The process dies before each thing that the buyer does, and is started again when she got no answer."""
    world.kill(component)
    trade, died = world.begin(), set()
    for _ in range(PATIENCE):
        known = world.wallet.wallet.trade(trade)
        if known.state == "received" and known.settled:
            break
        if known.state not in died:
            died.add(known.state)
            world.kill(component)
        with suppress(E2SError):
            world.advance(trade)
        world.heal()
    assert {"offered", "contract"} <= died
    completed(world, trade)


@pytest.mark.parametrize(
    ("component", "commit"),
    [(name, n) for name, most in COMMITS.items() for n in range(1, most + 1, EVERY)],
)
def test_killed_after_a_commit(world: Running, component: str, commit: int) -> None:
    """The process dies after its n-th commit, before anything of it is released."""
    world.kill(component)
    with suppress(E2SError):  # the first commits of some are made as they start
        world.start(component, drill=f"commit:{commit}")
    completed(world, world.begin())
