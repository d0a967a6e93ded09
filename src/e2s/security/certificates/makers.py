"""Whose devices are believed is data: ``attestation.toml`` in a folder, with the makers' roots beside it.

::

    [[maker]]
    name = "yubico"
    roots = "yubico-piv-roots.pem"
    firmware = "5.2.0"
    pin = ["once", "always"]
    touch = ["always", "cached"]
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from e2s.base.errors import Misuse
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES, read_certificates
from e2s.security.certificates.attestation import Maker

FILE: Final = "attestation.toml"
MAX_FILE_BYTES: Final = 16 * 1024
_MAX_MAKERS: Final = 16
_VERSION: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)
_MEMBERS: Final = {"name", "roots", "firmware", "pin", "touch"}


def makers_in(folder: Path) -> tuple[Maker, ...]:
    """The makers of a folder; none where there is no such file.  Raises :class:`Misuse` ``bad-maker``."""
    path = folder / FILE
    if not path.exists():
        return ()
    with path.open("rb") as file:
        octets = file.read(MAX_FILE_BYTES + 1)
    try:
        data = tomllib.loads(octets.decode()) if len(octets) <= MAX_FILE_BYTES else {}
    except (ValueError, RecursionError) as error:
        raise _bad("the file of makers is not TOML") from error
    rows = data.get("maker")
    if data.keys() != {"maker"} or not isinstance(rows, list) or not 0 < len(rows) <= _MAX_MAKERS:
        raise _bad(f"the file holds 1 to {_MAX_MAKERS} [[maker]] tables, nothing else")
    return tuple(_maker(folder, row) for row in rows)


def _maker(folder: Path, row: Any) -> Maker:
    if not isinstance(row, dict) or not {"name", "roots"} <= row.keys() <= _MEMBERS:
        raise _bad("a maker has a name and roots, and of firmware, pin and touch")
    name, roots, firmware = row["name"], row["roots"], row.get("firmware", "0.0.0")
    if not all(isinstance(one, str) for one in (name, roots, firmware)):
        raise _bad("name, roots and firmware are text")
    version = _VERSION.fullmatch(firmware)
    if version is None:
        raise _bad("firmware is written 5.2.0")
    policies: dict[str, frozenset[str]] = {}
    for member, target in (("pin", "pins"), ("touch", "touches")):
        if member in row:
            if not isinstance(row[member], list) or not all(isinstance(one, str) for one in row[member]):
                raise _bad("pin and touch are lists of text")
            policies[target] = frozenset(row[member])
    try:
        with (folder / roots).open("rb") as file:
            octets = file.read(MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES + 1)
    except OSError as error:
        raise _bad("the maker's roots cannot be read") from error
    first, second, third = map(int, version.groups())
    return Maker(name=name, roots=read_certificates(octets), firmware=(first, second, third), **policies)


def _bad(why: str) -> Misuse:
    return Misuse("bad-maker", why, file=FILE)
