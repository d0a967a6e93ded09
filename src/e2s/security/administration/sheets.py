"""A report as pages for a program, and as lines of comma-separated values that no spreadsheet computes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice

import msgspec

from e2s.security.administration import answers
from e2s.security.administration.desk import Desk
from e2s.security.administration.reports import COLUMNS, MOST, Row, Scope, report
from e2s.security.registration.sheets import safe_row

#: Rows that are written at once.
_AT_ONCE = 500


def rows(desk: Desk, kind: str, scope: Scope) -> Iterator[Row]:
    """The findings of a report, of what the CA's register says now; raises ``no-such-report``."""
    desk.book.follow()
    return report(kind, desk.sources, scope)


def page(desk: Desk, kind: str, scope: Scope, most: int) -> answers.Report:
    """At most ``most`` findings, and where to go on."""
    found = list(islice(rows(desk, kind, scope), min(most, MOST) + 1))
    shown = found[:most]
    return answers.Report(
        report=kind,
        rows=[answers.Finding(**msgspec.structs.asdict(_finding(row))) for row in shown],
        next=shown[-1].id if len(found) > most else 0,
    )


def lines(desk: Desk, kind: str, scope: Scope) -> Iterator[str]:
    """The report as text, some rows at a time, with a line of headings."""
    found = rows(desk, kind, scope)
    yield _text([COLUMNS])
    while chunk := list(islice(found, _AT_ONCE)):
        yield _text([safe_row([getattr(row, name) for name in COLUMNS]) for row in chunk])


def _finding(row: Row) -> answers.Finding:
    return answers.Finding(**{name: getattr(row, name) for name in ("id", *COLUMNS)})


def _text(table: list[tuple[str, ...]] | list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(table)
    return out.getvalue()
