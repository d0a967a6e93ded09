"""The table of what may be used where: TOML, read strictly, each row with the clause that says so.

::

    [[document]]
    name = "BSI TR-02102-1"
    edition = "2026-01"
    locations = ["DE"]
    row = [
      { use = ["authentication"], mechanism = "ecdsa", minimum = 250, status = "permitted",
        until = 2035-12-31, clause = "2.1" },
    ]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from e2s.base.errors import Refusal
from e2s.crypto.suites.mechanisms import MECHANISMS, USES, Part, Use

#: A forbidden row permits nothing; it takes the place of a row that did.
Status: TypeAlias = Literal["recommended", "permitted", "legacy", "forbidden"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
EVERYWHERE: Final = "*"
MAX_TABLE_BYTES: Final = 256 * 1024
_MAX_TEXT: Final = 200
_MAX_SIZE: Final = 65_536
_MAX_ROWS: Final = 1_000
#: ISO 3166-1 alpha-2, and a division in the form of ISO 3166-2.
_LOCATION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)
_DOCUMENT: Final = {"name", "edition", "locations", "row"}
_NEEDED: Final = {"use", "mechanism", "status", "clause"}
_OPTIONAL: Final = {"minimum", "maximum", "since", "until"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One mechanism for one use, at the locations of its document.

    ``minimum`` and ``maximum`` bound the size; ``since`` and ``until`` are the first and the last day, UTC.
    """

    use: Use
    mechanism: str
    status: Status
    locations: tuple[str, ...]
    document: str
    edition: str
    clause: str
    minimum: int = 0
    maximum: int = _MAX_SIZE
    since: date = date.min
    until: date = date.max

    @property
    def source(self) -> str:
        """Document, edition and clause."""
        return f"{self.document}, {self.edition}: {self.clause}"

    def fits(self, part: Part) -> bool:
        """Whether the row is about a mechanism of this size."""
        return self.mechanism == part.mechanism and self.minimum <= part.size <= self.maximum

    def holds(self, day: date) -> bool:
        """Whether the row permits on ``day``."""
        return self.status != "forbidden" and self.since <= day <= self.until


def is_location(text: str) -> bool:
    """Whether ``text`` is a country of ISO 3166, or a country and a division, by its form; or ``*``."""
    return text == EVERYWHERE or _LOCATION.fullmatch(text) is not None


def read_rows(octets: bytes) -> tuple[Row, ...]:
    """The rows of a table; raises :class:`Refusal` ``bad-suite-table`` with its place, or ``too-large``."""
    if len(octets) > MAX_TABLE_BYTES:
        raise Refusal("too-large", "a table of suites is at most this large", bytes=MAX_TABLE_BYTES)
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or a number without end
        raise Refusal("bad-suite-table", "the table of suites is not TOML") from error
    documents = data.get("document")
    if data.keys() != {"document"} or not isinstance(documents, list):
        raise _bad("the file", "holds [[document]] tables and nothing else")
    rows = tuple(row for number, one in enumerate(documents, 1) for row in _document(number, one))
    if not 0 < len(rows) <= _MAX_ROWS:
        raise _bad("the file", f"has 1 to {_MAX_ROWS} rows")
    return rows


def _document(number: int, table: object) -> list[Row]:
    place = f"document {number}"
    if not isinstance(table, dict) or table.keys() != _DOCUMENT:
        raise _bad(place, "has exactly name, edition, locations and row")
    name, edition = (_text(place, table, member) for member in ("name", "edition"))
    locations, rows = table["locations"], table["row"]
    if not isinstance(locations, list) or not locations or not all(_is_place(one) for one in locations):
        raise _bad(place, 'names locations: codes of ISO 3166, or "*"')
    if not isinstance(rows, list):
        raise _bad(place, "has a list of rows")
    return [
        row
        for index, one in enumerate(rows, 1)
        for row in _rows(
            f"{place}, row {index}",
            one,
            {"document": name, "edition": edition, "locations": tuple(locations)},
        )
    ]


def _rows(place: str, table: object, about: Mapping[str, Any]) -> list[Row]:
    """One row for each use that the table names."""
    if not isinstance(table, dict) or not table.keys() >= _NEEDED or table.keys() - _NEEDED - _OPTIONAL:
        raise _bad(place, "has use, mechanism, status and clause; minimum, maximum, since, until if need be")
    uses = table["use"]
    if not isinstance(uses, list) or not uses or not all(use in USES for use in uses):
        raise _bad(place, "is for authentication, confidentiality or both")
    if not isinstance(table["mechanism"], str) or table["mechanism"] not in MECHANISMS:
        raise _bad(place, "names a mechanism of E2S")
    if table["status"] not in STATUSES:
        raise _bad(place, f"has a status of {', '.join(STATUSES)}")
    values = {member: table[member] for member in table.keys() & {"mechanism", "status", *_OPTIONAL}}
    for member in values.keys() & {"minimum", "maximum"}:
        if type(values[member]) is not int or not 0 <= values[member] <= _MAX_SIZE:
            raise _bad(place, f"has a {member} of 0 to {_MAX_SIZE}")
    for member in values.keys() & {"since", "until"}:
        if not isinstance(values[member], date) or isinstance(values[member], datetime):
            raise _bad(place, f"has a day without time for {member}")
    return [Row(use=use, clause=_text(place, table, "clause"), **values, **about) for use in uses]


def _is_place(value: object) -> bool:
    return isinstance(value, str) and is_location(value)


def _text(place: str, table: Mapping[str, Any], member: str) -> str:
    value = table[member]
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise _bad(place, f"has printable text of 1 to {_MAX_TEXT} characters for {member}")
    return value


def _bad(place: str, sentence: str) -> Refusal:
    return Refusal("bad-suite-table", f"{place}: {sentence}", at=place)
