"""``e2s suites``: what is permitted where, until when and by which document; and what two places agree on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock, format_instant, parse_instant
from e2s.cli.report import Json, document, say

if TYPE_CHECKING:
    from e2s.crypto.suites import Barred, Kind, Policy, Row

app = typer.Typer(no_args_is_help=False, add_completion=False, rich_markup_mode=None)

_COLUMNS = 80
_TITLES = {
    "signature": "authentication: signatures",
    "sealing": "confidentiality: sealing to a key",
    "session": "confidentiality: sessions",
}


@app.command(
    epilog="Example: e2s suites --location DE --with US-NSS --at 2032-01-01T00:00:00Z",
)
def suites(
    location: Annotated[
        str, typer.Option("--location", metavar="XX", help="A country of ISO 3166, or US-NSS.")
    ] = "",
    other: Annotated[str, typer.Option("--with", metavar="YY", help="The location of the other end.")] = "",
    at: Annotated[
        str, typer.Option("--at", metavar="INSTANT", help="When, as 2032-01-01T00:00:00Z; now if left out.")
    ] = "",
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE", help="A community's own rows, in TOML.")
    ] = None,
    as_json: bool = Json,
) -> None:
    """Say which suites are permitted where, until when and why; status 1 where two places agree on none."""
    from e2s.crypto.suites import KINDS, load_policy, none_permitted, table

    when = _instant(at)
    policy = table() if rows is None else load_policy(rows)
    if not location and not other:
        _documents(policy, as_json=as_json)
        return
    here = location or "*"
    there = other or here
    found = [_of_kind(kind, here, there, when, policy) for kind in KINDS]
    if as_json:
        document(
            {
                "location": here,
                "with": other or None,
                "at": format_instant(when),
                "rsa-bits": {kind.kind: kind.rsa_bits for kind in found},
                **{kind.kind: kind.document() for kind in found},
            }
        )
    else:
        _tell(found, here, other, when)
    for one in found:
        if not one.permitted:
            raise none_permitted(one.kind, here, there, at=when, policy=policy)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One permitted suite: the less favourable status of both places, the earlier end, all rows."""

    name: str
    status: str
    until: date
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class _OfKind:
    kind: Kind
    rsa_bits: int | None
    permitted: list[_Line]
    named: list[str]
    barred: tuple[tuple[str, Barred], ...]

    def document(self) -> dict[str, Any]:
        return {
            "taken": self.permitted[0].name if self.permitted else None,
            "permitted": [
                {
                    "suite": line.name,
                    "status": line.status,
                    "until": None if line.until == date.max else line.until.isoformat(),
                    "sources": [row.source for row in line.rows],
                }
                for line in self.permitted
            ],
            "by-name": self.named,
            "barred": [{"suite": name, "because": one.because} for name, one in self.barred],
        }


def _of_kind(kind: Kind, here: str, there: str, when: datetime, policy: Policy) -> _OfKind:
    from e2s.crypto.suites import (
        CHOSEN,
        MIN_RSA_BITS,
        PARTS,
        USE_OF,
        Permitted,
        barred,
        judge,
        least,
        permitted,
    )
    from e2s.crypto.suites.rows import STATUSES

    lines = []
    for name in permitted(kind, here, there, at=when, policy=policy):
        judged = [judge(kind, name, place, at=when, policy=policy) for place in (here, there)]
        both = [one for one in judged if isinstance(one, Permitted)]
        lines.append(
            _Line(
                name=name,
                status=max((one.status for one in both), key=STATUSES.index),
                until=min(one.until for one in both),
                rows=tuple(dict.fromkeys(row for one in both for row in one.rows)),
            )
        )
    named = [
        name
        for name in PARTS[kind]
        if name not in CHOSEN[kind]
        and all(
            isinstance(judge(kind, name, place, at=when, policy=policy), Permitted) for place in (here, there)
        )
    ]
    rsa = "rsa-pss" if kind == "signature" else "rsa-oaep"
    bits = [least(rsa, USE_OF[kind], place, at=when, policy=policy) for place in (here, there)]
    return _OfKind(
        kind=kind,
        rsa_bits=None if None in bits else max(MIN_RSA_BITS, *(bit for bit in bits if bit is not None)),
        permitted=lines,
        named=named,
        barred=barred(kind, here, there, at=when, policy=policy),
    )


def _tell(found: list[_OfKind], here: str, other: str, when: datetime) -> None:
    """Lines of at most 80 columns; sources are numbered and stand at the end."""
    say(f"{here} with {other}" if other else here)
    say(f"as of {format_instant(when)}, strongest first")
    sources: dict[str, int] = {}
    for one in found:
        say("")
        say(f"{_TITLES[one.kind]:<40} {'status':<11} {'until':<10} sources")
        for n, line in enumerate(one.permitted):
            numbers = [sources.setdefault(row.source, len(sources) + 1) for row in line.rows]
            until = "" if line.until == date.max else line.until.isoformat()
            mark = ">" if n == 0 and other else " "
            refs = ",".join(str(number) for number in sorted(set(numbers)))
            say(f"{mark} {line.name:<38} {line.status:<11} {until:<10} {refs}")
        if not one.permitted:
            say("  none")
        if one.rsa_bits is not None and one.kind != "session":
            say(f"  RSA keys have at least {one.rsa_bits} bits")
        if one.named:
            _wrapped("  for old peers, only by name: ", ", ".join(one.named))
        for reason in dict.fromkeys(_reasons(one.barred)):
            _wrapped("  not ", reason)
    say("")
    for source, number in sources.items():
        _wrapped(f"[{number}] ", source)


def _reasons(found: tuple[tuple[str, Barred], ...]) -> Iterator[str]:
    """Why suites are barred; what no document of a place names is told together."""
    unnamed: dict[str, dict[str, None]] = {}
    for _, one in found:
        if one.why == "unnamed":
            unnamed.setdefault(one.location, {})[str(one.part)] = None
    for place, parts in unnamed.items():
        yield f"named by any document for {place}: {', '.join(parts)}"
    yield from (one.because for _, one in found if one.why != "unnamed")


def _documents(policy: Policy, *, as_json: bool) -> None:
    """Every document with the places that it is for."""
    from e2s.crypto.suites.rows import EVERYWHERE

    places: dict[tuple[str, str], dict[str, None]] = {}
    for row in policy.rows:
        places.setdefault((row.document, row.edition), {}).update(dict.fromkeys(row.locations))
    if as_json:
        document(
            {
                "documents": [
                    {"name": name, "edition": edition, "locations": list(found)}
                    for (name, edition), found in places.items()
                ]
            }
        )
        return
    for (name, edition), found in places.items():
        _wrapped("", f"{name}, {edition}")
        _wrapped("    ", "everywhere else" if EVERYWHERE in found else " ".join(found))


def _wrapped(head: str, text: str) -> None:
    for line in wrap(text, _COLUMNS, initial_indent=head, subsequent_indent=" " * len(head)):
        say(line)


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text) if text else SystemClock().now()
    except Refusal as refusal:
        raise Misuse(refusal.rule, refusal.message, at=text[:40]) from refusal
