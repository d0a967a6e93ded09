"""``e2s admin``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Administer key management: policy, officers, reports, console.")
