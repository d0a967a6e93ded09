"""What the commands that judge share: their options, the instant, and how a verdict is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.crypto.certificates import Certificate
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.ocsp import Answer

Trusted: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--trust", metavar="FILE", help="A root that you trust (again for more)."),
]
Untrusted: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--untrusted", metavar="FILE", help="Certificates that may stand between."),
]
Lists: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--crl", metavar="FILE", help="A CRL, complete or delta.")
]
At: TypeAlias = Annotated[
    str | None, typer.Option("--at", metavar="RFC3339", help="Judge as of this instant; now by default.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Say it as a JSON object.")]


def all_of(
    paths: Sequence[Path] | None, notes: list[str], *, legacy: bool = False
) -> tuple[Certificate, ...]:
    """The certificates of all the files; of a bundle those that can be read, and a note about the others."""
    found: list[Certificate] = []
    for path in paths or ():
        certificates, lacking = files.readable(path, legacy=legacy)
        found += certificates
        if lacking:
            notes.append(f"{lacking} of the certificates in {path} cannot be read and count for nothing")
    return tuple(found)


def lists_of(paths: Sequence[Path] | None, notes: list[str]) -> list[bytes]:
    """The CRLs of all the files, DER, and a note about each that cannot be read."""
    found = [(path, one) for path in paths or () for one in files.crls(path)]
    return [one for path, one in found if _readable(CrlIndex.read, one, path, notes)]


def answers_of(paths: Sequence[Path] | None, notes: list[str]) -> list[bytes]:
    """The OCSP responses of all the files, and a note about each that cannot be read."""
    found = [(path, files.read(path)) for path in paths or ()]
    return [one for path, one in found if _readable(Answer.read, one, path, notes)]


def _readable(read: Callable[[bytes], object], octets: bytes, path: Path, notes: list[str]) -> bool:
    try:
        read(octets)
    except Refusal as refusal:
        notes.append(f"{path} counts for nothing: {refusal.message} ({refusal.rule})")
        return False
    return True


def instant(text: str | None) -> datetime:
    """An instant of RFC 3339, in any zone, or now; raises :class:`Misuse` ``bad-instant``."""
    if text is None:
        return SystemClock().now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Misuse("bad-instant", "write the instant as 2026-03-02T09:00:00Z", given=text)
    return at


def shown(text: str) -> str:
    """``text`` of a stranger as it may reach a terminal: what is no printable character is escaped."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def said(told: Mapping[str, object], lines: Iterable[str], *, as_json: bool) -> None:
    """Print the verdict for a program, or for a person."""
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        print("\n".join(lines))
