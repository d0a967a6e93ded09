"""``kill -9`` anywhere in a batch, full disks, an absent CA: nobody is registered or certified twice, or lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from e2s.security.registration import batch
from tests.fire import disks
from tests.worlds.pki import make_pki
from tests.worlds.registration import World, a_row, sheet

KILLS = 1000 if os.environ.get("E2S_SOAK") else 10
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


@pytest.mark.processes
def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.registration_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    print(told)
    assert told["faults"] == [], f"seed {SEED}"
    assert told["kills"] >= KILLS
    assert min(told["died"].values()) > 0


@pytest.mark.processes
def test_full_disk(tmp_path):
    command = disks.inside([sys.executable, "-m", "tests.worlds.registration_on_full_disk", str(tmp_path)])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["refused"]["batch"] == told["refused"]["open"] == "disk-full"
    assert told["kept"] in {"named", "approved"}
    assert (told["registered"], told["certified"]) == (200, 201)


def test_orders_wait_while_the_ca_is_away_and_go_through_later(tmp_path):
    world = World(tmp_path, make_pki())
    file = sheet([a_row(n) for n in range(12)])
    batch.register(world.office, file, tmp_path, world.olga, batch.batch_id(file, world.office))
    world.ca.away = True
    for _ in range(3):
        sent = world.submit()
        assert (sent.certified, sent.waiting) == (0, 12)
    world.reopen()
    world.ca.away, world.ca.lose_answers = False, 2
    assert [world.submit().certified for _ in range(3)] == [0, 0, 12]
    assert len(world.ca.issued()) == 12
    assert world.kinds().count("approval.ordered") == 1
    world.office.database.close()
