"""``e2s external``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Trust other providers within limits, and be certified there.")
