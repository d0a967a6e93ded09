"""Prose is executed: every ``console`` block of the README and the docs does what it says.

A block's lines that begin with ``$ `` are commands (``> `` continues one), the others their output.  A line
``...`` stands for any lines, ``...`` within a line for any text; ``# status N`` behind a command is its exit
status.  The blocks of a file run in turn in one empty folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2s.community.example import free_ports

HERE = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"\b284\d\d\b")
STATUS = re.compile(r"\s+# status (\d+)$")


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


FILES = [
    path for path in (HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))) if steps(path.read_text())
]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_transcripts_of(file, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "COLUMNS": "100", "TERM": "dumb"}
    for step in steps(with_free_ports(file.read_text())):
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=300,
            check=False,
        )
        shown = f"$ {step.command}\n{done.stdout}"
        assert done.returncode == step.status, shown
        assert re.fullmatch(pattern(step.expected), done.stdout), (
            shown + "\nexpected:\n" + "\n".join(step.expected)
        )


def test_the_pattern_tells_outputs_apart():
    assert re.fullmatch(pattern(["a...c", "...", "z"]), "abc\n1\n2\nz\n")
    assert re.fullmatch(pattern(["..."]), "")
    assert not re.fullmatch(pattern(["a...c", "z"]), "abc\n1\nz\n")
    assert not re.fullmatch(pattern([]), "x\n")
    assert not re.fullmatch(pattern(["a.c"]), "abc\n")


def test_readme_and_guides_have_transcripts():
    assert {"README.md", "community.md", "commands.md"} <= {path.name for path in FILES}
