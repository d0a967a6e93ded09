"""``e2s pse kinds`` and ``define``: what a PSE of a kind holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.pse_home import Json
from e2s.cli.report import document, say, table
from e2s.security.environments.kinds import (
    FILE,
    HOLDER,
    KEY_MANAGEMENT,
    Key,
    Kind,
    kinds_in,
    read_kinds,
    shipped,
    written,
)
from e2s.security.keys.durable import replace_file

_FLAGS = {"fresh", "escrow", KEY_MANAGEMENT}


def kinds(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A folder with kinds of its own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the kinds of PSE: their keys, who makes each, and what is deposited."""
    found = kinds_in(folder) if folder else shipped()
    rows = [(kind, key) for kind in found.values() for key in kind.keys]
    if as_json:
        document([{"kind": kind.name, "keeping": kind.keeping, **asdict(key)} for kind, key in rows])
        return
    header = ("kind", "label", "profile", "suite", "made by", "more")
    table(header, [_row(kind, key) for kind, key in rows])


def _row(kind: Kind, key: Key) -> tuple[str, ...]:
    more = [kind.keeping] if kind.keeping != "software" else []
    more += [name for name in ("fresh", "escrow") if getattr(key, name)]
    return kind.name, key.label, key.profile, key.suite, key.made, " ".join(more)


def define(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder, of a CA say, that has it.")],
    name: Annotated[str, typer.Argument(metavar="KIND", help="What it is called.")],
    key: Annotated[
        list[str],
        typer.Option(
            "--key",
            metavar="LABEL:PROFILE:SUITE",
            help="A key, with :fresh, :escrow or :key-management behind (again for more).",
        ),
    ],
    keeping: Annotated[
        str, typer.Option("--keeping", metavar="HOW", help="software, token or card.")
    ] = "software",
    central: Annotated[
        bool, typer.Option("--central", help="Keys that sign may be made by key management too.")
    ] = False,
) -> None:
    """Define a kind of PSE, or define it anew, in the kinds.toml of a folder."""
    made = Kind(name=name, keeping=keeping, keys=tuple(map(_key, key)), central=central)
    path = folder / FILE
    own = dict(read_kinds(path.read_bytes())) if path.exists() else {}
    text = written(tuple({**own, name: made}.values()))
    read_kinds(text.encode())
    replace_file(path, text.encode(), 0o644)
    say(f"{path}: {name} has {len(made.keys)} keys")


def _key(text: str) -> Key:
    label, *rest = text.split(":")
    if len(rest) < 2 or not set(rest[2:]) <= _FLAGS:
        raise Misuse("bad-kind", "a key is LABEL:PROFILE:SUITE, and of its flags", key=text[:80])
    flags = set(rest[2:])
    by_others = bool(flags & {"escrow", KEY_MANAGEMENT})
    return Key(
        label=label,
        profile=rest[0],
        suite=rest[1],
        made=KEY_MANAGEMENT if by_others else HOLDER,
        fresh="fresh" in flags,
        escrow="escrow" in flags,
    )
