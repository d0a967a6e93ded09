"""Who holds which right at one CA, as a file: what a ceremony of the root is asked to give and to withdraw.

::

    [[officer]]
    name = "urn:e2s:market:authority:olga"
    rights = ["ra.approve", "ra.register"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from e2s.base.errors import Refusal
from e2s.security.pki.rights import RIGHTS, Right, Rights, require_apart

MAX_OFFICERS: Final = 1000
KNOWN: Final = tuple(getattr(RIGHTS, one.name) for one in fields(Rights))
_NAME: Final = re.compile(r"[!#-\[\]-~]{1,255}", re.ASCII)


def written(rights: Iterable[Right], ca: str) -> bytes:
    """The file of the officers at ``ca``, each with her rights, in order."""
    held: dict[str, list[str]] = {}
    for name, right, context in sorted(rights):
        if context == ca:
            held.setdefault(name, []).append(right)
    parts = []
    for name, some in held.items():
        quoted = ", ".join(f'"{right}"' for right in sorted(some))
        parts.append(f'[[officer]]\nname = "{name}"\nrights = [{quoted}]\n')
    return "\n".join(parts).encode()


def read_officers(octets: bytes, ca: str) -> frozenset[Right]:
    """The rights that a file gives at ``ca``.

    Raises :class:`Refusal` ``bad-officers``, and ``duties-not-separate`` where it mixes duties.
    """
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad("the file is not TOML") from error
    rows = data.get("officer", [])
    if set(data) - {"officer"} or not isinstance(rows, list) or len(rows) > MAX_OFFICERS:
        raise _bad(f"the file has tables [[officer]], at most {MAX_OFFICERS}")
    found = [right for row in rows for right in _rights(row, ca)]
    if len(found) != len(set(found)):
        raise _bad("each right of an officer stands once")
    require_apart(found)
    return frozenset(found)


def _rights(row: Any, ca: str) -> list[Right]:
    if not isinstance(row, dict) or set(row) != {"name", "rights"}:
        raise _bad("an officer has a name and rights")
    name, rights = row["name"], row["rights"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _bad("an officer's name is printable ASCII without quotes")
    if not isinstance(rights, list) or not all(right in KNOWN for right in rights):
        raise _bad(f"the rights are {' '.join(KNOWN)}")
    return [(name, right, ca) for right in rights]


def _bad(sentence: str) -> Refusal:
    return Refusal("bad-officers", sentence)
