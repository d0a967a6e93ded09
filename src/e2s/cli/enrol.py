"""``e2s enrol``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Open doors for enrolment, invite, and enrol at one.")
