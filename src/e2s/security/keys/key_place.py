"""Where an authority's key lives is data in its folder: in a sealed file, or in a token.

``key.toml`` says it: ``kind = "sealed-file"``, which holds where there is no such file, or ``kind =
"token"`` with ``module``, ``token`` and ``label``.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from e2s.base.errors import Refusal
from e2s.security.keys.cryptoki import TokenPlace
from e2s.security.keys.durable import replace_file
from e2s.security.keys.token import check_label

FILE: Final = "key.toml"
_MAX_FILE_BYTES: Final = 4096


@dataclass(frozen=True)
class InSealedFile:
    """The key is in ``LABEL.pse`` in the folder, sealed by a pass phrase."""


@dataclass(frozen=True, kw_only=True)
class InToken:
    """The key is in a token, under ``label``, and comes out nowhere; the PIN opens it."""

    place: TokenPlace
    label: str

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-label``."""
        check_label(self.label)


Where: TypeAlias = InSealedFile | InToken


def read_where(folder: Path) -> Where:
    """Where the key of ``folder`` lives; raises ``bad-key-place`` or ``key-place-exposed``."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            octets = file.read(_MAX_FILE_BYTES + 1)
            mode = path.stat().st_mode
    except FileNotFoundError:
        return InSealedFile()
    # It names code that runs here.
    if mode & 0o022:
        raise Refusal("key-place-exposed", "others may write to this file", path=str(path))
    try:
        document = tomllib.loads(octets.decode()) if len(octets) <= _MAX_FILE_BYTES else {}
    except (ValueError, RecursionError) as error:
        raise _bad(path) from error
    if document == {"kind": "sealed-file"}:
        return InSealedFile()
    if document.keys() != {"kind", "module", "token", "label"} or document["kind"] != "token":
        raise _bad(path)
    if not all(isinstance(value, str) for value in document.values()):
        raise _bad(path)
    place = TokenPlace(module=Path(document["module"]), token=document["token"])
    return InToken(place=place, label=document["label"])


def write_where(folder: Path, where: Where) -> None:
    """Put ``key.toml`` into ``folder``, durably."""
    if isinstance(where, InSealedFile):
        lines = ['kind = "sealed-file"']
    else:
        named = {"module": str(where.place.module), "token": where.place.token, "label": where.label}
        lines = ['kind = "token"', *(f"{name} = {_quoted(value)}" for name, value in named.items())]
    replace_file(folder / FILE, ("\n".join(lines) + "\n").encode())


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False)


def _bad(path: Path) -> Refusal:
    return Refusal("bad-key-place", "the file does not say where a key lives", path=str(path))
