"""``kill -9`` anywhere in enrolment, and a full disk: no use is lost or taken twice, and nothing is left undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fire import disks

KILLS = 1000 if os.environ.get("E2S_SOAK") else 5
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


@pytest.mark.processes
def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.enrolment_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    print(told)
    assert told["faults"] == [], f"seed {SEED}: {done.stderr[-4000:]}"
    assert told["kills"] >= KILLS


@pytest.mark.processes
def test_full_disk(tmp_path):
    command = disks.inside([sys.executable, "-m", "tests.worlds.enrolment_on_full_disk", str(tmp_path)])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["refused"]["disk-full"] > 0
    assert told["inviting"] == "disk-full"
    assert (told["later"], told["left"]) == ({"": sum(told["later"].values())}, 0)
