"""Prose is executed: every ``console`` block of the README and the docs does what it says.

A block's lines that begin with ``$ `` are commands (``> `` continues one), the others their output.  A line
``...`` stands for any lines, ``...`` within a line for any text; ``# status N`` behind a command is its exit
status.  The blocks of a file run in turn in one empty folder; a file that says ``continues FILE`` in a comment
goes on where that one ended, so that one demonstration serves many pages.

``e2s`` runs in forks of a process that has imported it (:mod:`tests.docs.forked`), but for one page.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2s.community.example import free_ports
from tests.docs.forked import program

HERE = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"\b284\d\d\b")
STATUS = re.compile(r"\s+# status (\d+)$")
CONTINUES = re.compile(r"^<!-- continues (\S+) -->$", re.MULTILINE)


@dataclass
class Step:
    command: str
    status: int = 0
    expected: list[str] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                status = STATUS.search(line)
                found.append(Step(line[2:], int(status[1]) if status else 0))
            elif line.startswith("> ") or line == ">":
                found[-1].command += "\n" + line[2:]
            else:
                found[-1].expected.append(line)
    return found


def pattern(expected: list[str]) -> str:
    """The expected output as a regular expression over whole lines."""
    parts = []
    for line in expected:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(
                ".*?".join(re.escape(part) for part in re.split(r"\.\.\.", line.rstrip())) + r"[ ]*\n"
            )
    return "".join(parts)


def with_free_ports(text: str) -> str:
    """The ports that the prose names (284..) become free ones of this machine."""
    named = sorted(set(PORT.findall(text)))
    ports = dict(zip(named, free_ports(len(named)), strict=True))
    return PORT.sub(lambda match: str(ports[match[0]]), text)


FILES = {
    path.name: path
    for path in (HERE / "README.md", *sorted((HERE / "docs").glob("*.md")))
    if steps(path.read_text())
}


def before(name: str) -> str:
    """The file that this one continues, or nothing."""
    found = CONTINUES.search(FILES[name].read_text())
    return found[1] if found else ""


def walk(name: str) -> list[str]:
    """The file, and in turn those that continue it."""
    return [name, *(after for later in FILES if before(later) == name for after in walk(later))]


#: The page that is run by the program as it is installed.
AS_INSTALLED = "community.md"


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    with program(tmp_path_factory.mktemp("e2s")) as folder:
        yield folder


def run(name: str, folder: Path, programs: list[Path]) -> None:
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", "COLUMNS": "100", "TERM": "dumb"}
    for step in steps(with_free_ports(FILES[name].read_text())):
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=300,
            check=False,
        )
        shown = f"{name}\n$ {step.command}\n{done.stdout}"
        assert done.returncode == step.status, shown
        assert re.fullmatch(pattern(step.expected), done.stdout), (
            shown + "\nexpected:\n" + "\n".join(step.expected)
        )


@pytest.fixture
def folder(tmp_path):
    """An empty folder; what a failed transcript has left running there is stopped."""
    yield tmp_path
    for file in tmp_path.glob("*/slapd.pid"):
        os.kill(int(file.read_text()), signal.SIGTERM)
    for file in tmp_path.glob("*/community.toml"):
        subprocess.run([sys.executable, "-m", "e2s.cli.main", "down", str(file)], check=False)


@pytest.mark.parametrize("name", [name for name in FILES if not before(name)])
def test_the_transcripts_of(name, folder, forks):
    installed = Path(sys.executable).parent
    for each in walk(name):
        run(each, folder, [installed] if each == AS_INSTALLED else [forks, installed])


def test_every_continued_file_exists():
    assert {before(name) for name in FILES} - {""} <= FILES.keys()


def test_the_pattern_tells_outputs_apart():
    assert re.fullmatch(pattern(["a...c", "...", "z"]), "abc\n1\n2\nz\n")
    assert re.fullmatch(pattern(["..."]), "")
    assert not re.fullmatch(pattern(["a...c", "z"]), "abc\n1\nz\n")
    assert not re.fullmatch(pattern([]), "x\n")
    assert not re.fullmatch(pattern(["a.c"]), "abc\n")


def test_readme_and_guides_have_transcripts():
    assert {"README.md", "community.md", "commands.md", "evidence.md", "buy.md"} <= FILES.keys()
