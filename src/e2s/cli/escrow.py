"""``e2s escrow``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Keep encryption keys in escrow and recover them.")
