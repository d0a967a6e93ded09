"""A person may take her pass phrase away from her home: the community starts without her page."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2s.community import processes
from tests.worlds.running import running

pytestmark = pytest.mark.processes


def test_a_wallet_without_a_phrase_is_left_to_its_owner(tmp_path: Path) -> None:
    told: list[str] = []
    with running(tmp_path / "market") as world:
        (world.path("alpha-wallet") / "pse.phrase").unlink()
        started = processes.start(world.community, world.home, world.home.file, world.exchange, told.append)
        assert "alpha-wallet" not in started
        assert {"beta-wallet", "alpha-manager"} <= set(started)
        assert "alpha-wallet is left to anna: there is no pass phrase in its home" in told
