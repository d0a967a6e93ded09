"""``kill -9`` at any point: once the feed is followed again, the responder answers what the register says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

KILLS = 500 if os.environ.get("E2S_SOAK") else 12
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.status_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    assert told["faults"] == [], f"seed {SEED}"
    assert told["overlooked"] == []
    assert told["kills"] == KILLS
    assert told["followed"] > 0
