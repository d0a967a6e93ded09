"""``kill -9`` at any point of publishing, of the publisher and of slapd, and full disks: the directory is as it is to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fire import disks

pytestmark = [pytest.mark.processes, pytest.mark.tool]

KILLS = 1000 if os.environ.get("E2S_SOAK") else 12
#: The same in each run of the tests; a soak draws its own.
SEED = os.urandom(8).hex() if os.environ.get("E2S_SOAK") else "short"


def test_killed_at_any_point(tmp_path):
    command = [sys.executable, "-m", "tests.worlds.directory_faults", str(tmp_path), SEED, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout)
    print(told)
    assert told["faults"] == [], f"seed {SEED}"
    assert told["overlooked"] == []
    assert told["kills"] == KILLS
    # slapd was killed with it, and there was something to publish
    assert min(told["slapds"], told["changes"]) > 0


def test_full_disks(tmp_path):
    command = disks.inside([sys.executable, "-m", "tests.worlds.directory_on_full_disk", str(tmp_path)])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert told["refused"] == {"directory": "directory-fails", "publisher": "disk-full"}
