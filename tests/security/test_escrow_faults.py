"""``kill -9`` anywhere in an escrow, and full disks: no key is lost, given twice, or given by fewer."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fire import disks

pytestmark = pytest.mark.processes

KILLS = 1000 if os.environ.get("E2S_SOAK") else 8
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.escrow_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    print(told)
    assert told["faults"] == [], f"seed {SEED}"
    assert told["kills"] == KILLS


def test_full_disk(tmp_path):
    command = disks.inside([sys.executable, "-m", "tests.worlds.escrow_on_full_disk", str(tmp_path)])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["refused"]["deposit"] == told["refused"]["release"] == "disk-full"
    assert told["kept"] in {"open", "released"}
    assert (told["state"], told["recovered"]) == ("received", True)
