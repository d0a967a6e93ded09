"""``e2s directory``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Publish certificates and lists in LDAP, and look them up.")
