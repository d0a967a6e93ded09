"""What is permitted where and until when: a suite must be permitted at the locations of both ends (6.3.3).

Authentication and confidentiality are judged apart.  A suite is permitted at a location on a day when a row
of the table permits each of its mechanisms there for its use; what no row names is not permitted.  A place
with rows of its own has only those; one without takes its country's, and then those of every place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.suites.mechanisms import OLD, PARTS, USE_OF, Kind, Part, Use, parts_of
from e2s.crypto.suites.rows import EVERYWHERE, MAX_TABLE_BYTES, STATUSES, Row, Status, is_location, read_rows

#: Suites of each kind that E2S itself chooses from, strongest first; those for old peers must be asked for.
CHOSEN: Final[Mapping[Kind, tuple[str, ...]]] = {
    kind: tuple(name for name in suites if name not in OLD) for kind, suites in PARTS.items()
}


#: How many reasons a refusal names.
_SHOWN: Final = 2


class Policy:
    """A table of rows; equal only to itself, and never changed."""

    __slots__ = ("_at", "rows")

    def __init__(self, rows: Iterable[Row]) -> None:
        """See :func:`table` for the one that comes with E2S."""
        self.rows = tuple(rows)
        at: dict[str, list[Row]] = {}
        for row in self.rows:
            for location in row.locations:
                at.setdefault(location, []).append(row)
        self._at = {location: tuple(found) for location, found in at.items()}

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations with rows of their own, sorted."""
        return tuple(sorted(self._at))

    def of(self, location: str) -> tuple[Row, ...]:
        """The rows that hold at ``location``; raises :class:`Misuse` ``bad-location``."""
        if not is_location(location):
            raise Misuse(
                "bad-location", "a location is a code of ISO 3166, as DE or US", location=location[:16]
            )
        for place in (location, location[:2], EVERYWHERE):
            if place in self._at:
                return self._at[place]
        return ()

    def with_rows(self, more: Iterable[Row]) -> Policy:
        """A table in which ``more`` take the place of all rows for the same location, use and mechanism."""
        given = tuple(more)
        named = {(place, row.use, row.mechanism) for row in given for place in row.locations}
        kept: list[Row] = []
        for row in self.rows:
            places = tuple(p for p in row.locations if (p, row.use, row.mechanism) not in named)
            if places:
                kept.append(row if places == row.locations else replace(row, locations=places))
        return Policy((*kept, *given))


@cache
def table() -> Policy:
    """The table that comes with E2S (``policy.toml``), read when first asked for."""
    return Policy(read_rows(Path(__file__).with_name("policy.toml").read_bytes()))


def load_policy(path: Path) -> Policy:
    """The table that comes with E2S, with the rows in the file at ``path``.

    Raises :class:`Misuse` ``no-suite-table``, or what :func:`~e2s.crypto.suites.rows.read_rows` does.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise Misuse("no-suite-table", "the file of rows cannot be read", path=str(path)) from error
    return table().with_rows(read_rows(octets))


@dataclass(frozen=True)
class Permitted:
    """A suite may be used; ``status`` is the least favourable of its ``rows``, one for each mechanism."""

    status: Status
    rows: tuple[Row, ...]

    @property
    def until(self) -> date:
        """The last day, as the table stands."""
        return min(row.until for row in self.rows)


#: Why a suite is barred, the most telling first.
Why: TypeAlias = Literal["ended", "early", "forbidden", "size", "unnamed"]
_TELLING: Final[tuple[Why, ...]] = get_args(Why)


@dataclass(frozen=True)
class Barred:
    """A suite may not be used at ``location`` because of ``part``; ``row`` stands against it, if any does."""

    part: Part
    use: Use
    location: str
    why: Why
    row: Row | None = None

    @property
    def because(self) -> str:
        """The reason in words: the mechanism, the place and, in brackets, the clause."""
        where, row = f"{self.part} for {self.use} at {self.location}", self.row
        if row is None:
            return f"{where}: no document for this place names it"
        said = {
            "ended": f"not after {row.until}",
            "early": f"not before {row.since}",
            "forbidden": "forbidden",
            "size": f"at least {row.minimum}" if self.part.size < row.minimum else f"at most {row.maximum}",
        }
        return f"{where}: {said[self.why]} ({row.source})"


Judgement: TypeAlias = Permitted | Barred


def day_of(at: datetime) -> date:
    """The day of an instant, in UTC."""
    return at.astimezone(UTC).date()


def judge(kind: Kind, name: str, location: str, *, at: datetime, policy: Policy | None = None) -> Judgement:
    """Whether ``location`` permits the suite ``name`` then, and by which rows.

    Raises :class:`Misuse` ``suite-unknown`` or ``bad-location``.
    """
    return _judged(policy or table(), kind, name, location, day_of(at))


@lru_cache(maxsize=4096)
def _judged(policy: Policy, kind: Kind, name: str, location: str, day: date) -> Judgement:
    found: list[Row] = []
    rows = policy.of(location)
    for part in parts_of(kind, name):
        ours = [row for row in rows if row.use == USE_OF[kind] and row.mechanism == part.mechanism]
        good = [row for row in ours if row.fits(part) and row.holds(day)]
        if not good:
            return _barred(part, USE_OF[kind], location, ours, day)
        found.append(min(good, key=lambda row: STATUSES.index(row.status)))
    return Permitted(max((row.status for row in found), key=STATUSES.index), tuple(found))


def _barred(part: Part, use: Use, location: str, rows: list[Row], day: date) -> Barred:
    """Why no row permits ``part``; of several rows the one that came nearest."""
    fitting = [row for row in rows if row.fits(part)]
    if not rows:
        return Barred(part, use, location, "unnamed")
    if not fitting:
        return Barred(part, use, location, "size", max(rows, key=lambda row: row.until))
    row = max(fitting, key=lambda one: one.until)
    why: Why = "forbidden" if row.status == "forbidden" else "ended" if day > row.until else "early"
    return Barred(part, use, location, why, row)


def permitted(
    kind: Kind, location_a: str, location_b: str, *, at: datetime, policy: Policy | None = None
) -> tuple[str, ...]:
    """Names of the suites that E2S chooses from and both locations permit then, strongest first."""
    return tuple(
        name
        for name in CHOSEN[kind]
        if all(
            isinstance(judge(kind, name, place, at=at, policy=policy), Permitted)
            for place in (location_a, location_b)
        )
    )


def strongest(
    kind: Kind, location_a: str, location_b: str, *, at: datetime, policy: Policy | None = None
) -> str:
    """The strongest suite that both locations permit then.

    Raises :class:`Refusal` ``suite-not-permitted``, which says of each suite what bars it, and where.
    """
    found = permitted(kind, location_a, location_b, at=at, policy=policy)
    if not found:
        raise none_permitted(kind, location_a, location_b, at=at, policy=policy)
    return found[0]


def check(
    kind: Kind, name: str, location_a: str, location_b: str, *, at: datetime, policy: Policy | None = None
) -> None:
    """Raise :class:`Refusal` ``suite-not-permitted``, with the row, unless both locations permit ``name``."""
    for place in (location_a, location_b):
        found = judge(kind, name, place, at=at, policy=policy)
        if isinstance(found, Barred):
            raise Refusal("suite-not-permitted", found.because, suite=name, location=place)


def none_permitted(
    kind: Kind, location_a: str, location_b: str, *, at: datetime, policy: Policy | None = None
) -> Refusal:
    """Why no suite of ``kind`` is permitted at both: first what has ended, then what is too small."""
    found = [one for _, one in barred(kind, location_a, location_b, at=at, policy=policy)]
    found.sort(key=lambda one: _TELLING.index(one.why))
    reasons = list(dict.fromkeys(one.because for one in found))
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return Refusal(
        "suite-not-permitted",
        f"no {kind} suite is permitted at {location_a} and {location_b}: {'; '.join(reasons[:_SHOWN])}{more}",
        kind=kind,
        here=location_a,
        there=location_b,
    )


def barred(
    kind: Kind, location_a: str, location_b: str, *, at: datetime, policy: Policy | None = None
) -> tuple[tuple[str, Barred], ...]:
    """Each suite that E2S would choose from and one of the locations bars then, with the reason."""
    found = []
    for name in CHOSEN[kind]:
        judged = (judge(kind, name, place, at=at, policy=policy) for place in (location_a, location_b))
        first = next((one for one in judged if isinstance(one, Barred)), None)
        if first is not None:
            found.append((name, first))
    return tuple(found)
