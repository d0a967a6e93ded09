"""Write every command's ``--help`` into docs/commands.md, so that the page cannot drift from the commands.

A heading ``### e2s NAME`` is followed by what people wrote and one ``text`` block, which is replaced; a
command without a heading gets one at the end.  ``--check`` changes nothing and exits 1 where the page is
not what the commands say.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from e2s.cli.main import COMMANDS, app

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
SECTION = re.compile(
    r"^### e2s (?P<name>[^\n]+)\n(?P<prose>.*?)^```text\n(?P<help>.*?)^```$", re.MULTILINE | re.DOTALL
)
COLUMNS = 80


def commands() -> Iterator[str]:
    """The names of all commands, those of a group after the group's."""
    for name, (module, within, _) in COMMANDS.items():
        yield name
        if not within:
            group: Any = typer.main.get_group(importlib.import_module(module).app)
            yield from (f"{name} {command}" for command in group.commands)


def help_of(name: str) -> str:
    """What ``e2s NAME --help`` prints on a terminal of 80 columns."""
    asked = [*name.split(), "--help"]
    done = CliRunner(env={"COLUMNS": str(COLUMNS), "TERM": "dumb"}).invoke(app, asked, prog_name="e2s")
    if done.exit_code:
        raise SystemExit(f"e2s {name} --help ended with {done.exit_code}: {done.output}")
    return "".join(f"{line.rstrip()}\n" for line in done.output.strip().splitlines())


def renewed(page: str) -> str:
    """The page with each command's help as it is now; sections of unknown commands lose theirs."""
    helps = {name: help_of(name) for name in commands()}
    known = {match["name"] for match in SECTION.finditer(page)}

    def section(match: re.Match[str]) -> str:
        said = helps.get(match["name"], "There is no such command.\n")
        return f"### e2s {match['name']}\n{match['prose']}```text\n{said}```"

    missing = [f"\n### e2s {name}\n\n```text\n{helps[name]}```\n" for name in helps if name not in known]
    return SECTION.sub(section, page) + "".join(missing)


def _faults() -> Iterator[str]:
    """What no help may be: without an example, or wider than the terminal."""
    for name in commands():
        said = help_of(name)
        if "Example: e2s " not in said:
            yield f"e2s {name} --help has no example"
        if any(len(line) > COLUMNS for line in said.splitlines()):
            yield f"e2s {name} --help is wider than {COLUMNS} columns"


def main(arguments: list[str]) -> int:
    """Renew the page, or only compare."""
    page = PAGE.read_text(encoding="utf-8")
    now = renewed(page)
    faults = list(_faults())
    if "--check" not in arguments:
        PAGE.write_text(now, encoding="utf-8")
    elif now != page:
        faults.append(f"{PAGE.name} is not what the commands say: run python tools/commands_page.py")
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
