"""The command line: helpful, quick to answer, and every error ends in one line with its status."""

from __future__ import annotations

import errno
import importlib
import json
import subprocess
import sys

import pytest
import typer

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.cli import main as command_line
from e2s.cli.main import COMMANDS, main


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(capsys, name):
    module, inner, _ = COMMANDS[name]
    typed: list[tuple[str, ...]] = [(name,)]
    if not inner:
        status, out, _ = run(capsys, name, "--help")
        assert status == 0
        assert "Commands:" in out
        typed = [(name, sub) for sub in typer.main.get_group(importlib.import_module(module).app).commands]
    for command in typed:
        status, out, _ = run(capsys, *command, "--help")
        assert status == 0
        assert f"Example: e2s {' '.join(command)}" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(capsys, name):
    _, out, _ = run(capsys, name, "--help")
    assert " ".join(out.split()).count(COMMANDS[name][2].rstrip(".")) == 1


def test_help_imports_neither_cryptography_nor_rich():
    program = (
        "import sys\n"
        "from e2s.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'cryptography', 'rich', 'sqlalchemy', 'uvicorn', 'pydantic', 'e2s.crypto'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "arguments",
    [["nosuch"], ["check", "a", "b"], ["status", "--colour"], ["demo", "purchase", "--orders", "0"]],
)
def test_a_mistyped_command_is_misuse(capsys, arguments):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert "Error" in err


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (Refusal("a-rule", "why", n=3), 1, "refused"),
        (Misuse("a-rule", "why", n=3), 2, "misused"),
        (Unreachable("a-rule", "why", n=3), 1, "unanswered"),
    ],
    ids=["refusal", "misuse", "unreachable"],
)
def test_an_error_is_one_line_or_one_document(capsys, monkeypatch, error, status, outcome):
    def failing(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(command_line, "app", failing)
    assert run(capsys, "check") == (status, "", f"{outcome}: a-rule: why (n=3)\n")
    code, _, err = run(capsys, "check", "--json")
    assert code == status
    assert json.loads(err) == {"outcome": outcome, "rule": "a-rule", "message": "why", "facts": {"n": 3}}


def test_a_full_disk_is_one_line(capsys, monkeypatch):
    def failing(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command_line, "app", failing)
    status, out, err = run(capsys, "wallet")
    assert (status, out) == (1, "")
    assert err.startswith("unanswered: disk-full: ")
    assert err.count("\n") == 1


def test_a_reader_that_goes_away_leaves_no_traceback():
    command = f"{sys.executable} -m e2s.cli.main doctor --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_the_doctor_looks_at_everything(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, out, _ = run(capsys, "doctor", "--json")
    symptoms = {row["what"]: row["state"] for row in json.loads(out)}
    assert {"Python", "packages", "openssl", "kernel", "clock", "disk", "file system"} <= symptoms.keys()
    assert symptoms["Python"] == symptoms["packages"] == symptoms["kernel"] == "fine"
