"""``e2s ra approve`` and ``submit``: an officer's signature over cases, and their order from the CA."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from e2s.base.errors import Misuse
from e2s.base.wire import Document
from e2s.cli.ra_home import (
    At,
    DryRun,
    Json,
    PhraseFile,
    Yes,
    case_meant,
    confirm,
    officer_of,
    opened,
)
from e2s.cli.report import document, say, table
from e2s.crypto.ports import Signer
from e2s.security.registration import acts, approving, store
from e2s.security.registration.home import Home
from e2s.security.registration.ordering import submit as send

Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="Ask again for so long.")]
_PAUSE_SECONDS = 0.2


def approve(
    officer: Annotated[
        Path, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key.")
    ],
    cases: Annotated[
        list[str] | None, typer.Argument(metavar="[CASE]...", help="Cases that are named; as first officer.")
    ] = None,
    approval: Annotated[
        list[int] | None,
        typer.Option("--approval", metavar="N", help="As second officer: an approval that waits (again)."),
    ] = None,
    batch: Annotated[
        str, typer.Option("--batch", metavar="BATCH", help="As second officer: all of a batch that wait.")
    ] = "",
    home: At = Path(),
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Approve cases by your signature over what the register says, or agree with another officer's."""
    with opened(home) as ra:
        waiting = _waiting(ra, approval or [], batch)
        if bool(cases) == bool(waiting):
            _say_waiting(ra, as_json=as_json)
            if cases or approval or batch:
                raise Misuse(
                    "what-for", "approve cases, or what another officer approved: say one, that waits"
                )
            return
        with officer_of(officer, phrase_file) as signer:
            name = signer.certificate.name
            if cases:
                said = approving.draft(ra.office, [case_meant(ra.office, one) for one in cases], name)
                shown = said["orders"]
            else:
                shown = [one for row in waiting for one in approving.approved_orders(row).values()]
            if not as_json or dry_run:
                _say_orders(shown, as_json=as_json)
            if dry_run:
                return
            confirm(f"Sign for {len(shown)} as {name}?", yes=yes)
            answers = [_first(ra, said, signer)] if cases else [_second(ra, row.n, signer) for row in waiting]
        if as_json:
            document(answers)
        else:
            for answer in answers:
                state = "waits for a second officer" if answer["state"] == "once" else "ready to submit"
                say(f"approval {answer['approval']}: {answer['orders']} cases, {state}")


def submit(home: At = Path(), wait: Wait = 0.0, as_json: Json = False) -> None:
    """Order what is approved from the CA; status 1 when something still waits."""
    until = time.monotonic() + wait
    with opened(home) as ra:
        while True:
            sent = send(ra.office, ra.ask)
            if not sent.waiting or time.monotonic() >= until:
                break
            time.sleep(_PAUSE_SECONDS)
        with ra.office.database.reading() as connection:
            counts = store.counts(connection)
    if as_json:
        told = {"certified": counts.get("certified", 0) + counts.get("delivered", 0), "waiting": sent.waiting}
        document({**told, "declined": sent.declined, "why": sent.why})
    else:
        say(f"{sent.certified} certified, {sent.declined} declined, {sent.waiting} waiting")
        if sent.why:
            say(sent.why)
    if sent.waiting or sent.declined:
        raise typer.Exit(1)


def _first(ra: Home, said: Document, signer: Signer) -> Document:
    return approving.take_first(ra.office, acts.signed(said, signer))


def _second(ra: Home, n: int, signer: Signer) -> Document:
    said = approving.second_document(ra.office, n, signer.certificate.name)
    return approving.take_second(ra.office, acts.signed(said, signer))


def _waiting(ra: Home, numbers: list[int], batch: str) -> list[Any]:
    """The approvals meant that wait for a second officer."""
    with ra.office.database.reading() as connection:
        rows = store.approvals(connection, "once", 100_000)
    return [row for row in rows if row.n in numbers or (batch and row.batch == batch)]


def _say_waiting(ra: Home, *, as_json: bool) -> None:
    with ra.office.database.reading() as connection:
        rows = store.approvals(connection, "once")
        named = [row.id for row in store.cases(connection, state="named")]
    if as_json:
        approvals = [{"approval": row.n, "officer": row.officer, "orders": row.orders} for row in rows]
        document({"named": named, "approvals": approvals})
        return
    for ident in named:
        say(f"{ident} waits for an officer")
    for row in rows:
        say(f"approval {row.n}: {row.orders} cases by {row.officer}, for a second officer until {row.until}")
    if not named and not rows:
        say("nothing waits for an approval")


def _say_orders(orders: list[Document], *, as_json: bool) -> None:
    if as_json:
        document({"orders": orders})
        return
    rows = [
        (one["case"], one["profile"], " ".join(one["names"]), one["confidence"], str(len(one["evidence"])))
        for one in orders
    ]
    table(("case", "profile", "names", "confidence", "seen"), rows)
