"""Commands that show E2S at work: everything is made, used and stopped by one command."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from textwrap import fill

import typer

from e2s.base.instants import SystemClock
from e2s.cli.report import Json, document, say

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback(epilog="Example: e2s demo purchase --home market")
def demo() -> None:
    """Show E2S at work on this machine."""


@app.command(epilog="Example: e2s demo community market")
def community(home: Path = typer.Argument(..., help="An empty or new folder."), as_json: bool = Json) -> None:
    """Write the community file of the demonstration, to look at and to start with e2s up."""
    from e2s.community.demo import new_community

    described, _ = new_community(home)
    if as_json:
        document({"community": home / "community.toml"})
    else:
        parts = f"{len(described.parties)} parties, {len(described.components)} components"
        say(f"{home / 'community.toml'}: {parts}")


def told(line: str) -> None:
    """A line of progress, folded at 80 columns."""
    say(fill(line, 80, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))


@app.command(epilog="Example: e2s demo purchase --home market --orders 3")
def purchase(
    home: Path | None = typer.Option(None, help="An empty folder for the community, else a new one."),
    orders: int = typer.Option(1, min=1, max=1000, help="How many orders are made."),
    as_json: bool = Json,
) -> None:
    """Run one whole purchase between parties with keys, databases and processes of their own.

    With --json each step is a document, and the last one names the evidence and the root to verify it with.
    """
    from e2s.community.demo import purchase as run
    from e2s.community.making import Tools

    folder = home or Path(tempfile.mkdtemp(prefix="e2s-demo-"))
    tell = (lambda line: document({"step": line})) if as_json else told
    outcome = run(folder, orders, Tools(clock=SystemClock(), random=secrets.token_bytes), tell)
    if as_json:
        document(
            {
                "community": outcome.community,
                "orders": outcome.orders,
                "evidence": list(outcome.evidence),
                "trust": outcome.trust,
            }
        )
        return
    say("")
    say(f"{outcome.orders} purchased, delivered, paid and reconciled. Check each trade off-line with:")
    for bundle in outcome.evidence:
        say(f"  e2s evidence verify {bundle} --trust {outcome.trust}")
