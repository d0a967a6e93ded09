"""What a CA's certificates say of places stands in its folder, where whoever founds it puts it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Final

from e2s.base.errors import Refusal
from e2s.security.certificates.places import NOWHERE, Places
from e2s.security.keys.durable import replace_file

PLACES: Final = "places.toml"
_MAX_BYTES: Final = 16 * 1024
_KINDS: Final = {"base": str, "ocsp": str, "cps": str, "shards": int, "deltas": bool}


def read_places(folder: Path) -> Places:
    """What the folder says of places; raises :class:`Refusal` ``bad-places``."""
    path = folder / PLACES
    if not path.exists():
        return NOWHERE
    octets = path.read_bytes()[: _MAX_BYTES + 1]
    try:
        known = tomllib.loads(octets.decode()) if len(octets) <= _MAX_BYTES else {"": ""}
        if any(_KINDS.get(name) is not type(value) for name, value in known.items()):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise Refusal("bad-places", "the file does not say where lists are found", path=str(path)) from error
    return Places(**known)


def write_places(folder: Path, places: Places) -> None:
    """Put ``places.toml`` into the folder, durably."""
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in vars(places).items()]
    replace_file(folder / PLACES, "".join(lines).encode(), 0o644)
