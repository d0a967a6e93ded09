"""What policies there are, where each lies, and how a change of one is checked and told.

A policy is a file of TOML that its own room reads; here it is octets with a name.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from e2s.base import wire
from e2s.base.errors import E2SError, Misuse, Refusal

MAX_BYTES: Final = 64 * 1024
MAX_LINES: Final = 2000


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One policy: its file in each of ``folders``, what stands where there is none, and who reads it.

    ``title`` is for people; ``eyes`` says how many officers a change takes.  What is changed
    ``elsewhere``, in a ceremony say, has no folder, and ``standing`` gives it.
    """

    name: str
    title: str
    file: str
    folders: tuple[Path, ...]
    shipped: bytes
    read: Callable[[bytes], object]
    eyes: int = 2
    standing: Callable[[], bytes] | None = None
    elsewhere: str = ""

    def octets(self) -> bytes:
        """What stands now; raises :class:`Misuse` ``bad-policy`` for a file that is too large."""
        if self.standing is not None:
            return self.standing()
        for folder in self.folders:
            path = folder / self.file
            if path.exists():
                with path.open("rb") as file:
                    octets = file.read(MAX_BYTES + 1)
                if len(octets) > MAX_BYTES:
                    raise Misuse("bad-policy", "the file is larger than may be read", file=str(path))
                return octets
        return self.shipped

    def check(self, octets: bytes) -> None:
        """Raise :class:`Refusal` ``bad-policy``, or its reader's rule, unless its reader takes it."""
        if len(octets) > MAX_BYTES:
            raise Refusal("bad-policy", "the policy is larger than may be read", policy=self.name)
        try:
            self.read(octets)
        except E2SError as error:
            facts = {name: value for name, value in error.facts.items() if name != "file"}
            raise Refusal(error.rule, error.message, **facts) from error


def digest_of(octets: bytes) -> str:
    """What names a version: ``sha-256:`` and the digest."""
    return "sha-256:" + wire.b64u(sha256(octets).digest())


def lines_between(old: bytes, new: bytes, name: str) -> list[str]:
    """The change line by line, as ``diff -u`` writes it."""
    before, after = (one.decode("utf-8", "replace").splitlines() for one in (old, new))
    found = difflib.unified_diff(before, after, f"{name} now", f"{name} proposed", lineterm="", n=2)
    return list(found)[:MAX_LINES]


def values_between(old: bytes, new: bytes) -> list[tuple[str, str, str]]:
    """Each value that differs: its place, what it is and what it would be; empty where there is none."""
    before, after = dict(_values(_toml(old))), dict(_values(_toml(new)))
    places = dict.fromkeys((*before, *after))
    return [
        (place, before.get(place, ""), after.get(place, ""))
        for place in places
        if before.get(place) != after.get(place)
    ]


def _toml(octets: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}


def _values(table: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a document by its place; lists of tables by their names."""
    for key, value in table.items():
        where = f"{place}.{key}" if place else key
        if isinstance(value, dict):
            yield from _values(value, where)
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for number, one in enumerate(value):
                yield from _values(one, f"{where}.{one.get('name', number)}")
        else:
            yield where, _said(value)


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value)


def by_name(subjects: Iterable[Subject]) -> Mapping[str, Subject]:
    """Policies by their names."""
    return {one.name: one for one in subjects}
