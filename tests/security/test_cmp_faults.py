"""``kill -9`` anywhere at the CMP door: what was confirmed is good, all else is revoked, nothing is doubled."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

KILLS = 1000 if os.environ.get("E2S_SOAK") else 6
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


@pytest.mark.processes
def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.cmp_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    print(told)
    assert told["faults"] == [], f"seed {SEED}: {done.stderr[-4000:]}"
    assert told["kills"] >= KILLS
