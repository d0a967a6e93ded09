"""docs/commands.md lists every command with the help that it prints now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]


def test_the_page_has_every_command_with_its_help_and_each_help_an_example():
    check = [sys.executable, str(HERE / "tools" / "commands_page.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
