"""The short form of ``make soak-fuzz``: every decoder on its good inputs and on a fixed number of altered ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.table import TARGETS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: How much longer it is under ``make soak``.
TIMES = 100 if os.environ.get("E2S_SOAK") else 1
#: What fuzzing found, each mended since: the name of a file begins with its target's.
FINDINGS = sorted((HERE / "findings").iterdir())

# The library warns of a negative serial in an altered authorityKeyIdentifier, and reads on; so do we.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", TARGETS)
def test_altered_input_is_a_value_or_a_refusal(name, tmp_path):
    target = TARGETS[name]
    random = Random(name)
    seeds = list(target.seeds())
    for seed in seeds:
        target.tried(seed)
    for _ in range(target.short * TIMES):
        octets = target.mutate(random.choice(seeds), random)[: target.most]
        try:
            target.tried(octets)
        except BaseException:
            (tmp_path / name).write_bytes(octets)
            print(f"python -m tools.fuzz replay {name} {tmp_path / name}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_taken(name):
    """Otherwise altering it would test little."""
    target = TARGETS[name]
    assert "" in {target.tried(seed) for seed in target.seeds()}


@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: file.name)
def test_what_was_found_is_mended(file):
    name = max((name for name in TARGETS if file.name.startswith(name)), key=len)
    TARGETS[name].tried(file.read_bytes())


def tool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.fuzz", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_finding_stops_the_run_and_is_saved_with_the_command_that_replays_it(tmp_path):
    planted = ("--table", "tests.fuzz.planted")
    done = tool(*planted, "--place", tmp_path, "run", "--seconds", 60)
    assert done.returncode == 1, done.stdout + done.stderr
    (found,) = (tmp_path / "planted").glob("finding-*")
    assert done.stdout.endswith(
        f"{sys.executable} -m tools.fuzz --table tests.fuzz.planted replay planted {found}\n"
    )
    again = tool(*planted, "replay", "planted", found)
    assert again.stderr.endswith("KeyError: 'planted'\n")


def test_an_unknown_target_is_told():
    done = tool("--table", "tests.fuzz.planted", "run", "no-such")
    assert (done.returncode, done.stderr) == (2, "no such target: no-such; there are: planted\n")
