"""``e2s evidence``: what a person sees, and what a program gets, of good and altered bundles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2s.cli.main import main
from e2s.commerce.bankcard.evidence import CHECKS, write_bundle
from tests.worlds.pki import make_pki
from tests.worlds.trade import Play


@pytest.fixture
def home(tmp_path: Path) -> Path:
    play = Play().whole()
    (tmp_path / "trade.tar").write_bytes(write_bundle(play.record()))
    (tmp_path / "root.pem").write_bytes(play.cast.pki.root.pem)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    status = 0
    try:
        main(["evidence", *map(str, arguments)])
    except SystemExit as ended:
        status = int(ended.code or 0)
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_good_bundle_is_shown_within_80_columns(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "verify", home / "trade.tar", "--trust", home / "root.pem")
    assert status == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "market:alpha:anna (buyer), accept:" in out
    assert "proven by 2026-03-02T10:01:06Z" in out
    assert "Resistor 10 kΩ 0603" in out
    assert out.endswith("good: 30 checks, 11 commitments\n")


def test_a_program_gets_the_report(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "verify", home / "trade.tar", "--trust", home / "root.pem", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["holds"] is True
    assert told["outcome"] == "captured"
    assert told["order"]["total"] == "43.69"


def test_an_altered_octet_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    octets = bytearray((home / "trade.tar").read_bytes())
    at = octets.index(b"Resistor")
    octets[at] = ord("K")
    (home / "trade.tar").write_bytes(octets)
    status, out, _ = run(capsys, "verify", home / "trade.tar", "--trust", home / "root.pem")
    assert status == 1
    assert "check 3, digests of the files" in out
    assert "acts/01-confirm.cms" in out
    status, out, _ = run(capsys, "verify", home / "trade.tar", "--trust", home / "root.pem", "--json")
    assert status == 1
    assert {finding["name"] for finding in json.loads(out)["findings"]} <= set(CHECKS.values())


def test_another_root_proves_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "other.pem").write_bytes(make_pki("elsewhere").root.pem)
    status, out, _ = run(capsys, "verify", home / "trade.tar", "--trust", home / "other.pem")
    assert status == 1
    assert "unknown-root" in out


def test_show_needs_no_root_and_says_that_it_believes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "show", home / "trade.tar")
    assert status == 0
    assert "not verified" in out
    assert "proven" not in out
    status, out, _ = run(capsys, "show", home / "trade.tar", "--json")
    assert "holds" not in json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "status", "rule"),
    [
        (["verify", "none.tar", "--trust", "root.pem"], 2, "no-file"),
        (["verify", "trade.tar", "--trust", "none.pem"], 2, "no-file"),
        (["verify", "trade.tar", "--trust", "trade.tar"], 2, "bad-certificate"),
        (["verify", "trade.tar", "--trust", "root.pem", "--at", "yesterday"], 2, "bad-instant"),
        (["show", "root.pem"], 1, "bad-bundle"),
    ],
)
def test_misuse_and_refusal_are_told_apart(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    rule: str,
) -> None:
    monkeypatch.chdir(home)
    ended, _, err = run(capsys, *arguments)
    assert ended == status
    assert rule in err
    assert "Traceback" not in err


def test_what_lies_after_the_instant_is_a_fault(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(
        capsys, "verify", home / "trade.tar", "--trust", home / "root.pem", "--at", "2026-03-02T10:05:00Z"
    )
    assert status == 1
    assert "not after 2026-03-02T10:05:00Z" in out


def test_text_in_a_bundle_cannot_steer_the_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    octets = (home / "trade.tar").read_bytes()
    (home / "trade.tar").write_bytes(octets.replace(b'"party":"urn:e2s', b'"party":"\x1b[2Je2s'))
    _, out, _ = run(capsys, "verify", home / "trade.tar", "--trust", home / "root.pem")
    assert "\x1b" not in out


@pytest.mark.parametrize("command", ["show", "verify"])
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert f"Example: e2s evidence {command}" in out
