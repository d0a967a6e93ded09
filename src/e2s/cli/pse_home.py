"""What the commands of ``e2s pse`` share: how a PSE is opened, and a door is reached."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.homes import phrase_of
from e2s.network.sessions.client import HttpExchange
from e2s.security.environments.holding import Edges, Invitation
from e2s.security.environments.joining import read_invitation
from e2s.security.environments.kinds import Kinds, kinds_in, shipped
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse

Pse = Annotated[Path, typer.Argument(metavar="PSE", help="The file of the PSE.")]
NewPse = Annotated[Path, typer.Argument(metavar="PSE", help="The file of the PSE to make.")]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="Holds the PSE's pass phrase; else it is asked for."),
]
CodeFile = Annotated[
    Path | None, typer.Option("--code-file", metavar="FILE", help="Holds your code; else it is asked for.")
]
RootDigest = Annotated[
    str,
    typer.Option(
        "--root-digest", metavar="DIGEST", help="The root's digest, where the code does not say it."
    ),
]
Root = Annotated[
    Path | None, typer.Option("--root", metavar="FILE", help="For https: whom the server is trusted by.")
]
KindName = Annotated[str, typer.Option("--kind", metavar="KIND", help="What it holds (e2s pse kinds).")]
KindsFile = Annotated[
    Path | None,
    typer.Option("--kinds", metavar="DIR", help="A folder with kinds of its own (kinds.toml)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]


def edges() -> Edges:
    """The machine's clock and randomness."""
    return Edges(clock=SystemClock(), random=secrets.token_bytes)


def kinds_of(folder: Path | None) -> Kinds:
    """The kinds of a folder, or those that come with E2S."""
    return kinds_in(folder) if folder else shipped()


@contextlib.contextmanager
def opened(path: Path, phrase_file: Path | None) -> Iterator[tuple[SoftwarePse, Phrase]]:
    """The PSE with its pass phrase, for one command."""
    if not path.exists():
        raise Misuse("no-pse", "there is no PSE here", path=str(path))
    phrase = phrase_of(phrase_file)
    try:
        pse = SoftwarePse.open(path, phrase)
        try:
            yield pse, phrase
        finally:
            pse.close()
    finally:
        phrase.wipe()


def invitation_of(code_file: Path | None, root_digest: str) -> Invitation:
    """What the code says, from its file or asked for."""
    code = phrase_of(code_file, "Code")
    try:
        return read_invitation(code.octets.decode("utf-8", "replace"), root_digest)
    finally:
        code.wipe()


def exchange_of(root: Path | None) -> HttpExchange:
    """How a door is reached; https only with somebody to trust the server by."""
    return HttpExchange(anchors=files.read(root) if root else b"")
