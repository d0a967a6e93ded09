"""``e2s admin``: what is read and refused by command; what is signed runs in docs/administration.md."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from e2s.cli.main import main
from e2s.security.administration import home
from tests.worlds.administration import AUDREY, GIVEN, PAULA, Administration
from tests.worlds.pki import make_pki
from tests.worlds.registration import CA

ALPHA = "urn:e2s:market:alpha:"


@pytest.fixture(scope="module")
def pki():
    return make_pki()


@pytest.fixture
def run(tmp_path, pki, capsys):
    """Runs a command in a home of registration; its output, read as JSON where it is that."""
    world = Administration(tmp_path, pki)
    world.issue("person", ALPHA + "anna")
    world.issue("person", ALPHA + "bea")
    (tmp_path / "root.pem").write_bytes(pki.root.pem)
    (tmp_path / "ra.toml").write_text(
        f'community = "market"\ncomponent = "authority-registration"\nca = "{CA}"\nspool = "{tmp_path}/spool"\n'
    )
    world.close()
    return Command(tmp_path, capsys)


class Command:
    """``e2s admin`` in one home."""

    def __init__(self, folder: Path, capsys) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, line: str, status: int = 0) -> Any:
        self.capsys.readouterr()
        code = 0
        try:
            main(["admin", *line.split(), "--home", str(self.folder)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capsys.readouterr()
        assert code == status, out + err
        told = out if status == 0 or out else err
        with contextlib.suppress(ValueError):
            return json.loads(told)
        return told


def test_reports_as_lines_documents_and_csv(run):
    assert "2 good" in run("report")
    assert run("report --json")["counts"] == {"good": 2}
    assert "2 found" in run("report weak")
    rows = [json.loads(line) for line in run("report orphaned --json").splitlines()]
    assert [row["name"] for row in rows] == [ALPHA + "anna", ALPHA + "bea"]
    lines = run("report weak --by 2036-01-01 --csv").splitlines()
    assert lines[0].startswith("serial,profile,name")
    assert [line.split(",")[6] for line in lines[1:]] == ["key no-place"] * 2
    assert "bad-day" in run("report weak --by tomorrow", status=2)
    assert run("report held") == "0 found\n"


def test_policies_profiles_officers_ceremonies_and_requests_are_shown(run):
    assert [one["policy"] for one in run("policy --json")] == [
        "registration",
        "profiles",
        "officers",
        "enrolment",
    ]
    assert run("policy registration").startswith("# How far a certificate")
    assert run("policy registration --history --json")["versions"][0]["why"] == "as it was found"
    assert run("profiles person --json")[0]["profile"] == "person"
    assert any(one["profile"] == "tls-server" for one in run("profiles --json"))
    officers = {one["officer"]: one for one in run("officers --json")["officers"]}
    assert officers[PAULA]["duties"] == ["access policy"]
    assert officers[AUDREY]["rights"] == ["admin.audit"]
    assert {right for one in officers.values() for right in one["rights"]} == {right for _, right, _ in GIVEN}
    assert run("ceremonies --json")["ceremonies"][0]["act"] == "founding"
    assert "1 records, each good" in run("ceremonies")
    assert run("requests") == "0 wait\n"


def test_a_dry_run_says_what_would_change_and_changes_nothing(run):
    path = run.folder / "wanted.toml"
    path.write_text(run("policy registration").replace("evidence-days = 90", "evidence-days = 60"))
    said = run(f"policy registration --propose {path} --dry-run")
    assert said == "bounds.evidence-days: 90 -> 60\n"
    path.write_text("nothing")
    assert "bad-policy" in run(f"policy registration --propose {path} --dry-run", status=1)
    assert run("policy registration --history --json")["proposals"] == []
    path.write_text(run("policy officers").replace('"ca.certify"', '"ca.certify", "ra.register"'))
    assert "duties-not-separate" in run(f"policy officers --propose {path} --dry-run", status=1)


def test_what_is_not_there_or_not_meant(run):
    assert "no-such-policy" in run("policy everything", status=1)
    assert "no-such-version" in run("policy registration --version 7", status=1)
    assert "no-such-proposal" in run("policy --approve 1 --dry-run", status=1)
    assert "what-for" in run("policy --history", status=2)
    assert "two-acts" in run("policy --approve 1 --decline 2", status=2)
    assert "what-for" in run("requests --approve r-1", status=2)
    assert "no-such-profile" in run("profiles everything", status=1)
    assert "no-register" in run(f"init --ca {run.folder}/nothing", status=2)
    (run.folder / home.FOLDER / home.SETTINGS).write_text("eyes = 3\n")
    assert "bad-settings" in run("policy", status=2)


def test_records_that_were_altered_stop_administration(run):
    path = run.folder / "ceremonies" / "0001.cms"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert "refused" in run("ceremonies", status=1)


def test_without_litestar_the_interface_is_refused_clearly(run, monkeypatch):
    for name in [one for one in sys.modules if one.startswith("e2s.security.administration.interface")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("e2s.security.administration.interface", raising=False)
    monkeypatch.setitem(sys.modules, "litestar", None)
    assert "not-installed" in run("serve", status=2)
