"""``e2s ca``."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Certification authorities.")


@app.callback()
def _group() -> None:
    """A group of its own."""
