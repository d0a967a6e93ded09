"""``e2s pse``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Make, deliver, renew and destroy personal security environments.")
