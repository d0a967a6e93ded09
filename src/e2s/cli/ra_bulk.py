"""``e2s ra bulk``: many at once, from a CSV; each row judged before any is registered."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from e2s.base.errors import Misuse
from e2s.cli.ra_home import At, DryRun, Json, Officer, PhraseFile, Yes, confirm, officer_of, opened
from e2s.cli.report import document, say
from e2s.security.registration import batch as bulk_of
from e2s.security.registration import store
from e2s.security.registration.applicants import REPORT, Tally, judge_rows
from e2s.security.registration.home import Home
from e2s.security.registration.ordering import submit

_SHOWN = 50


def bulk(  # noqa: PLR0913, PLR0917 - each is an option of the command
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The rows; see docs/registration.md.")],
    officer: Officer,
    home: At = Path(),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a batch that was begun; what is registered stays so.")
    ] = False,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Register the good rows though others are refused.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.csv", help="A line for each row: ok or refused, and why."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", help="What became of each row, with its certificate."),
    ] = None,
    order: Annotated[bool, typer.Option("--submit", help="Order from the CA at once.")] = False,
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Register and approve every row of a CSV by your signature; nothing is done if one row is refused.

    Columns: name, party, profile, evidence, issuer, number, seen, place, request are needed; person,
    protection, confidence, further, expires, seen-at, scan may follow.
    """
    with opened(home) as ra, officer_of(officer, phrase_file) as signer, _reading(file) as rows:
        name = signer.certificate.name
        batch = bulk_of.batch_id(rows, ra.office)
        _check_begun(ra, batch, resume=resume or dry_run)
        tally = Tally()
        with _writing(report) as write:
            for judged, _ in judge_rows(ra.office, rows, file.parent, name, batch):
                tally.count(judged)
                write(judged.cells())
                if judged.result == "refused" and not as_json and tally.refused <= _SHOWN:
                    where = f", column {judged.column}" if judged.column else ""
                    say(f"line {judged.line}{where}: {judged.rule}: {judged.message}")
                _progress("judged", tally.ok + tally.refused + tally.done)
        if not as_json:
            say(f"{batch}: {tally.ok} good, {tally.refused} refused, {tally.done} registered before")
        if dry_run or (tally.refused and not skip_refused):
            _end(ra, batch, tally, out=None, as_json=as_json)
            raise typer.Exit(1 if tally.refused else 0)
        if tally.ok:
            confirm(f"Register {tally.ok} and sign for them as {name}?", yes=yes)
        rows.seek(0)
        done = bulk_of.register(
            ra.office, rows, file.parent, signer, batch, lambda number: _progress("registered", number)
        )
        if order:
            submit(ra.office, ra.ask, lambda sent: _progress("certified", sent.certified))
        _end(ra, batch, done, out=out, as_json=as_json)
        if done.refused:
            raise typer.Exit(1)


def _end(ra: Home, batch: str, tally: Tally, *, out: Path | None, as_json: bool) -> None:
    """Say what became of the batch, and write its results."""
    with ra.office.database.reading() as connection:
        counts = store.counts(connection, batch)
        waiting = sum(row.batch == batch for row in store.approvals(connection, "once", 100_000))
    if out is not None:
        with _whole(out) as written:
            bulk_of.write_results(ra.office, batch, written)
    if as_json:
        told: dict[str, Any] = {"batch": batch, "ok": tally.ok, "refused": tally.refused, "done": tally.done}
        first = tally.first
        if first is not None:
            told["first"] = {
                "line": first.line,
                "column": first.column,
                "rule": first.rule,
                "message": first.message,
            }
        document({**told, "states": counts, "waitingForSecond": waiting})
        return
    for state, number in sorted(counts.items()):
        say(f"{number} {state}")
    if waiting:
        say(f"{waiting} approvals wait for a second officer: e2s ra approve --batch {batch}")


def _check_begun(ra: Home, batch: str, *, resume: bool) -> None:
    with ra.office.database.reading() as connection:
        begun = store.counts(connection, batch)
    if begun and not resume:
        sentence = "this file was registered, or begun, before: --resume goes on with it"
        raise Misuse("batch-known", sentence, batch=batch, cases=sum(begun.values()))


def _progress(what: str, number: int) -> None:
    """How many rows are done, on a terminal only."""
    if number % 500 == 0 and number and sys.stderr.isatty():
        print(f"\r{what}: {number}", end="", file=sys.stderr, flush=True)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Misuse("no-such-file", "the file cannot be read", file=str(path), why=error.strerror) from error
    with file:
        yield file


@contextmanager
def _writing(path: Path | None) -> Iterator[Callable[[list[str]], None]]:
    """Writes the report's rows, or forgets them."""
    if path is None:
        yield lambda _cells: None
        return
    with _whole(path) as out:
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(REPORT)
        yield lambda cells: writer.writerow(cells) and None


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that has its name only when it is whole; only its owner reads it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
