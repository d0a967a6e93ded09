"""How a person's commands open her home: pass phrase by file or prompt, clock and randomness."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from e2s.base.instants import SystemClock

if TYPE_CHECKING:
    from e2s.base.http import Handler
    from e2s.client.wallet.home import Edges
    from e2s.security.keys.phrase import Phrase

Home = typer.Option(Path(), "--home", metavar="DIR", help="The home of this wallet or manager.")
PhraseFile = typer.Option(
    None, "--phrase-file", metavar="FILE", help="Read the pass phrase from its first line, not from a prompt."
)
LOOPBACK = "127.0.0.1"


def phrase_of(file: Path | None, purpose: str = "Pass phrase") -> Phrase:
    """The pass phrase, from its file or asked for at the terminal."""
    from e2s.security.keys.phrase import phrase_from_file, phrase_from_prompt

    return phrase_from_file(file) if file else phrase_from_prompt(f"{purpose}: ")


def edges() -> Edges:
    """The machine's clock and randomness."""
    from e2s.client.wallet.home import Edges

    return Edges(clock=SystemClock(), random=secrets.token_bytes, pause=time.sleep)


def serve_page(make: Callable[[int], tuple[Handler, str]], port: int, tell: Callable[[str], None]) -> None:
    """Serve a page on loopback until SIGTERM; ``make(port)`` gives its handler and start link."""
    from e2s.network.sessions.server import Server, listen

    listening = listen(LOOPBACK, port)
    handler, start = make(int(listening.getsockname()[1]))
    server = Server(handler, listening)
    server.run(ready=lambda: tell(f"open once: http://{LOOPBACK}:{server.port}{start}"))
