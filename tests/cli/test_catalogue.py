"""A content manager checks and loads catalogues from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds.running import Running, running
from tests.worlds.whole import CSV

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("market")) as world:
        yield world


def e2s(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "e2s.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_good_file_is_described(tmp_path: Path) -> None:
    file = tmp_path / "parts.csv"
    file.write_bytes(CSV)
    done = e2s("catalogue", "check", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"items": 4, "classes": 4, "vatRates": ["0", "7", "19"]}


def test_a_bad_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "parts.csv"
    file.write_bytes(CSV + b"X,y,Z,one,19,piece,\n")
    done = e2s("catalogue", "check", file)
    assert done.returncode == 1
    assert "line=6" in done.stderr


def test_a_missing_file_is_misuse(tmp_path: Path) -> None:
    assert e2s("catalogue", "check", tmp_path / "none.csv").returncode == 2


def test_a_new_version_changes_what_buyers_see(world: Running, tmp_path: Path) -> None:
    file = tmp_path / "parts.csv"
    file.write_bytes(CSV.replace(b"18.69", b"28.69"))
    done = e2s("catalogue", "load", world.home.file, "volt-catalogue", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"component": "volt-catalogue", "version": 2}
    wallet = world.wallet.wallet
    found = wallet.search(wallet.desk.shops[0].name, "quokka")
    assert [row["listPrice"] for row in found["rows"]] == ["28.69"]


def test_only_a_catalogue_component_is_loaded(world: Running) -> None:
    done = e2s("catalogue", "load", world.home.file, "volt-keys")
    assert done.returncode == 2
    assert "wrong-component" in done.stderr
