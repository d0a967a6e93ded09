"""``e2s card``: a card is made, runs as a process, and its holder looks after its PIN."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2s.cli.main import main
from e2s.security.smartcard import folder
from e2s.security.smartcard.ways import SocketWay
from tests.security.test_card_pse import personalise
from tests.worlds.card import MANAGEMENT, PIN, PUK

pytestmark = pytest.mark.processes


@pytest.fixture
def home():
    made = Path("/dev/shm") / f"card-{secrets.token_hex(6)}"  # sockets have short names
    made.mkdir(mode=0o700)
    for name, octets in {
        "pin": PIN,
        "puk": PUK,
        "key": MANAGEMENT.hex().encode(),
        "new": b"22222222",
    }.items():
        (made / name).write_bytes(octets + b"\n")
        (made / name).chmod(0o600)
    yield made
    shutil.rmtree(made)


def run(capsys, *words, status=0):
    with pytest.raises(SystemExit) as ended:
        main(["card", *map(str, words)])
    assert (ended.value.code or 0) == status
    caught = capsys.readouterr()
    return caught.out + caught.err


def test_a_card_from_its_making_to_its_drawing(home, capsys):
    card = home / "card"
    codes = ("--pin-file", home / "pin", "--puk-file", home / "puk")
    assert "in " in run(capsys, "make", card, "--management-file", home / "key", *codes)
    assert "card-exists" in run(capsys, "make", card, "--management-file", home / "key", *codes, status=2)
    assert "no-card" in run(capsys, "status", "--card", card, status=1)
    running = subprocess.Popen(
        [sys.executable, "-m", "e2s.cli.main", "card", "run", str(card)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert "answers" in running.stdout.readline()
        assert "card-in-use" in run(capsys, "run", card, status=2)
        personalise(SocketWay(card / folder.SOCKET))
        told = json.loads(run(capsys, "status", "--card", card, "--json"))
        assert told["tries"] == 3
        assert [one["slot"] for one in told["keys"]] == ["9a", "9c", "9d", "82"]
        assert "urn:e2s:market:acme:ada" in run(capsys, "status", "--card", card)
        tried = json.loads(run(capsys, "test", "--card", card, "--pin-file", home / "pin", "--json"))
        results = {one["what"]: one["result"] for one in tried}
        assert (results["random octets"], results["key 9a"], results["key 9d"]) == ("good",) * 3
        assert results["key 82"] == "pin-needed"  # it asks right before each use
        assert results["attestation 9a"] == "card-refuses"  # the maker gave it no key for that
        new = ("--new-pin-file", home / "new")
        assert "changed" in run(capsys, "change-pin", "--card", card, "--pin-file", home / "pin", *new)
        for _ in range(2):
            assert "wrong-pin" in run(capsys, "test", "--card", card, "--pin-file", home / "pin", status=1)
        assert "card-blocked" in run(capsys, "test", "--card", card, "--pin-file", home / "pin", status=1)
        assert "blocked" in run(capsys, "status", "--card", card)
        again = ("--new-pin-file", home / "pin")
        assert "set" in run(capsys, "unblock", "--card", card, "--puk-file", home / "puk", *again)
        run(capsys, "test", "--card", card, "--pin-file", home / "pin")
        running.terminate()
        assert running.wait(10) == 0
        assert not (card / folder.SOCKET).exists()
    finally:
        running.kill()
        running.communicate()


def test_which_card_is_meant(home, capsys):
    both = ("--card", home, "--serial", "00")
    assert "which-card" in run(capsys, "status", *both, status=2)
    said = run(capsys, "status", status=1)
    assert "no-readers" in said or "which-card" in said


def test_a_bad_management_key_is_refused(home, capsys):
    (home / "key").write_text("no hexadecimal\n")
    codes = ("--pin-file", home / "pin", "--puk-file", home / "puk")
    assert "bad-card-codes" in run(
        capsys, "make", home / "x", "--management-file", home / "key", *codes, status=2
    )
