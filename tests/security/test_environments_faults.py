"""``kill -9`` anywhere in a delivery, full disks: no certificate without its holder, no second delivery."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from e2s.base.errors import Refusal
from tests.security.test_environments import Delivery
from tests.worlds.small_disk import fill, small_disk

__all__ = ["small_disk"]

KILLS = 1000 if os.environ.get("E2S_SOAK") else 10
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


@pytest.mark.processes
def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.delivery_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    print(told)
    assert told["faults"] == [], f"seed {SEED}"
    assert told["kills"] >= KILLS


def test_key_management_s_disk_is_full(small_disk, tmp_path):
    delivery = Delivery(small_disk)
    delivery.folder = tmp_path
    invitation = delivery.invited("employee")
    others = fill(small_disk)
    with pytest.raises(Refusal) as refused:
        delivery.join(invitation)
    assert refused.value.rule == "disk-full"
    others.unlink()
    assert delivery.join(invitation) is None
    assert delivery.kinds() == ["pse.asked", "pse.sealed", "pse.delivered"]
    delivery.wire.handler.close()
    delivery.world.close()


def test_the_holder_s_disk_is_full(small_disk, tmp_path):
    delivery = Delivery(tmp_path)
    delivery.folder = small_disk
    invitation = delivery.invited()
    others = fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        delivery.join(invitation)
    assert delivery.kinds() == []
    others.unlink()
    assert delivery.join(invitation) is None
    delivery.wire.handler.close()
    delivery.world.close()
