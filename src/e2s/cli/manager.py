"""``e2s manager``: what each card may buy, and what the issuer charged against what was ordered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.cli.homes import Home, PhraseFile, edges, phrase_of, serve_page
from e2s.cli.report import Json, document, say, table

if TYPE_CHECKING:
    from e2s.client.wallet.home import ManagerHome
    from e2s.security.keys.phrase import Phrase

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    epilog="Example: e2s manager limits --home market/alpha/alpha-manager",
)


@contextmanager
def _open(home: Path, phrase: Phrase) -> Iterator[ManagerHome]:
    from e2s.client.wallet.home import open_manager

    opened = open_manager(home, phrase, edges())
    try:
        yield opened
    finally:
        opened.desk.close()
        phrase.wipe()


@app.command(epilog="Example: e2s manager limits --per-purchase 500.00 --per-period 2000.00 --home DIR")
def limits(
    home: Path = Home,
    per_purchase: str = typer.Option("", metavar="AMOUNT", help="Set: the most for one purchase."),
    per_period: str = typer.Option("", metavar="AMOUNT", help="Set: the most in a period."),
    days: int = typer.Option(30, min=1, max=366, help="Days of the period."),
    card: str = typer.Option("", metavar="NAME", help="Set only this card-holder's limits, keep the others."),
    classes: list[str] = typer.Option(
        ["*"], "--class", help="A kind of goods that may be bought; * for all."
    ),
    merchants: list[str] = typer.Option(["*"], "--merchant", help="A merchant that may be paid; * for all."),
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Show the limits of your organisation's cards, or set them with the pass phrase."""
    phrase = phrase_of(phrase_file)
    with _open(home, phrase) as opened:
        opened.desk.resume()
        if per_purchase or per_period:
            if not (per_purchase and per_period):
                raise Misuse("half-a-limit", "say both --per-purchase and --per-period")
            values = {
                "perPurchase": per_purchase,
                "perPeriod": per_period,
                "periodDays": days,
                "classes": list(classes),
                "merchants": list(merchants),
            }
            opened.desk.set_controls(_holders(opened, card, values), phrase)
        _say_limits(opened, as_json=as_json)


def _holders(opened: ManagerHome, card: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The limits of every card: the new ones for ``card`` (or all), those in force for the others."""
    known = opened.desk.controls()
    before = {one["holder"]: one for one in known[0]["holders"]} if known else {}
    chosen = {h.certificate for h in opened.holders if not card or h.title.casefold() == card.casefold()}
    if not chosen:
        raise Refusal("unknown-card", "the settings name no such card-holder", card=card)
    kept = [said for holder, said in before.items() if holder not in chosen]
    return kept + [{"holder": holder, **values} for holder in sorted(chosen)]


def _say_limits(opened: ManagerHome, *, as_json: bool) -> None:
    known = opened.desk.controls()
    titles = {holder.certificate: holder.title for holder in opened.holders}
    if as_json:
        document({"controls": known[0] if known else None, "taken": bool(known and known[1])})
        return
    if known is None:
        say("no limits were set: no card may buy anything")
        return
    controls, taken = known
    rows = [
        (
            titles.get(one["holder"], one["holder"]),
            one["perPurchase"],
            f"{one['perPeriod']} in {one['periodDays']} days",
            " ".join(one["classes"]) or "none",
            " ".join(one["merchants"]) or "none",
        )
        for one in controls["holders"]
    ]
    table(("card of", f"one purchase {controls['currency']}", "period", "kinds", "merchants"), rows)
    say(f"version {controls['n']}, {'in force' if taken else 'not confirmed by the bank yet'}")


@app.command(epilog="Example: e2s manager statement --fetch --home market/alpha/alpha-manager")
def statement(
    home: Path = Home,
    fetch: bool = typer.Option(False, "--fetch", help="Fetch the next one from the bank first."),
    n: int = typer.Option(0, min=0, help="Which one to show; the newest if not given."),
    out: Path | None = typer.Option(
        None, metavar="FILE", help="Write the signed statement, for wallets to close."
    ),
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Show a statement against the organisation's orders, with VAT report; status 1 if they differ."""
    from e2s.client.wallet.purchases import purchases_at
    from e2s.client.wallet.reconciling import reconcile, vat_report
    from e2s.security.keys.durable import replace_file

    phrase = phrase_of(phrase_file)
    with _open(home, phrase) as opened:
        if fetch:
            opened.desk.fetch_statement(phrase)
        kept = opened.desk.statements()
        if not kept or n > len(kept):
            raise Refusal("no-statement", "there is no such statement; --fetch asks for the next")
        act = kept[n - 1]
        elsewhere = {e["xid"] for one in kept if one.id != act.id for e in one.document["entries"]}
        known = [p for wallet in opened.wallets for p in purchases_at(wallet) if p.xid not in elsewhere]
    if out:
        replace_file(out, act.octets, 0o644)
    findings = reconcile(act.document, known)
    if as_json:
        shown = [asdict(finding) for finding in findings]
        document({"statement": act.document, "findings": shown, "vat": vat_report(act.document)})
    else:
        said = act.document
        say(f"statement {said['n']}, {said['begins']} to {said['ends']}: {said['total']} {said['currency']}")
        rows = [(f.trade, f.buyer, f.merchant or "-", f.amount, f.verdict, f.why) for f in findings]
        table(("order", "buyer", "merchant", "amount", "check", "why"), rows)
        for row in vat_report(said):
            say(f"VAT {row['rate']} % of {row['base']}: {row['tax']}")
    if any(finding.verdict in {"differs", "unknown"} for finding in findings):
        raise typer.Exit(1)


@app.command(epilog="Example: e2s manager serve --home market/alpha/alpha-manager --port 8701")
def serve(
    home: Path = Home,
    port: int = typer.Option(0, min=0, max=65535, help="The port on loopback, a free one if not given."),
    phrase_file: Path | None = PhraseFile,
) -> None:
    """Serve the manager's page to your own browser; the link that it prints opens it once."""
    from e2s.base.http import Handler
    from e2s.client.wallet.manager_page import ManagerPage

    with _open(home, phrase_of(phrase_file)) as opened:

        def make(at: int) -> tuple[Handler, str]:
            page = ManagerPage(opened, port=at, random=edges().random)
            return page.handle, page.start_path

        serve_page(make, port, say)
