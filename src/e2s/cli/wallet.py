"""``e2s wallet``: browse, buy, take up what was cut short, and look at what was bought.

Every command opens the home with the pass phrase; each signature that binds its owner takes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.cli.homes import Home, PhraseFile, edges, phrase_of, serve_page
from e2s.cli.report import Json, document, say, table

if TYPE_CHECKING:
    from e2s.client.wallet.home import WalletHome
    from e2s.client.wallet.store import Trade
    from e2s.security.keys.phrase import Phrase

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    epilog="Example: e2s wallet search 'op amp' --home market/alpha/alpha-wallet",
)

ShopName = typer.Option(
    "", "--shop", metavar="NAME", help="The merchant; the first of the settings if not given."
)
Lines = typer.Argument(..., metavar="SKU=QTY...", help="Items and how many of each.")
TradeName = typer.Argument(
    ..., metavar="TRADE", help="The order, as history shows it (its beginning is enough)."
)
_PAUSE_SECONDS = 0.3


@contextmanager
def _open(home: Path, phrase: Phrase) -> Iterator[WalletHome]:
    from e2s.client.wallet.home import open_wallet

    opened = open_wallet(home, phrase, edges())
    try:
        yield opened
    finally:
        opened.wallet.close()
        phrase.wipe()


def _shop(opened: WalletHome, name: str) -> str:
    shops = opened.wallet.desk.shops
    if not name and not shops:
        raise Misuse("no-shop", "the wallet's settings name no merchant")
    return opened.wallet.desk.shop(name).name if name else shops[0].name


def _lines(given: list[str]) -> list[tuple[str, str]]:
    pairs = [text.rpartition("=") for text in given]
    if not all(sku and qty for sku, _, qty in pairs):
        raise Misuse("bad-line", "a line is written SKU=QUANTITY")
    return [(sku, qty) for sku, _, qty in pairs]


def _told(trade: Trade) -> dict[str, Any]:
    sums = trade.wanted["sums"]
    return {
        "trade": trade.trade,
        "shop": trade.shop,
        "state": trade.state,
        "settled": trade.settled,
        "ended": trade.ended,
        "total": sums["total"],
        "currency": sums["currency"],
        "because": trade.because,
        "bundle": trade.bundle,
        "opened": trade.opened,
    }


def _say_trade(opened: WalletHome, trade: Trade, *, as_json: bool) -> None:
    folder = opened.wallet.desk.evidence
    bundle = str(folder / trade.bundle) if folder and trade.bundle else ""
    if as_json:
        document({**_told(trade), "bundle": bundle})
        return
    because = f" ({trade.because})" if trade.because else ""
    say(f"{trade.trade}: {trade.state}{because}")
    if bundle:
        say(f"evidence: {bundle}")


def _find(opened: WalletHome, beginning: str) -> str:
    found = [t.trade for t in opened.wallet.trades() if t.trade.startswith(beginning)]
    if len(found) != 1:
        raise Refusal("unknown-trade", "no single order of this wallet begins so", trade=beginning)
    return found[0]


@app.command(epilog="Example: e2s wallet login --home market/alpha/alpha-wallet")
def login(
    home: Path = Home, shop: str = ShopName, phrase_file: Path | None = PhraseFile, as_json: bool = Json
) -> None:
    """Log in at the merchant and say until when the session may last."""
    from e2s.base.instants import format_instant

    with _open(home, phrase_of(phrase_file)) as opened:
        name = _shop(opened, shop)
        end = format_instant(opened.wallet.login(name))
        if as_json:
            document({"shop": name, "until": end})
        else:
            say(f"{name} is who it says it is; a session may last until {end}")


@app.command(epilog="Example: e2s wallet search 'op amp' --home market/alpha/alpha-wallet")
def search(
    words: list[str] = typer.Argument(None, help="Beginnings of words to look for."),
    home: Path = Home,
    shop: str = ShopName,
    kind: str = typer.Option("", "--class", help="Only items of this kind."),
    limit: int = typer.Option(20, min=1, max=100, help="How many rows."),
    offset: int = typer.Option(0, min=0, help="How many rows to leave out first."),
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Search the catalogue at your organisation's prices."""
    with _open(home, phrase_of(phrase_file)) as opened:
        found = opened.wallet.search(
            _shop(opened, shop), " ".join(words or []), kind=kind, limit=limit, offset=offset
        )
    if as_json:
        document(found)
        return
    rows = [
        (row["sku"], row["text"][:48], row["listPrice"], row["unit"], row["vatRate"]) for row in found["rows"]
    ]
    table(("sku", "text", "list price", "your price", "VAT %"), rows)
    say(f"{found['total']} found")


@app.command(epilog="Example: e2s wallet basket R-10K=1000 --home market/alpha/alpha-wallet")
def basket(
    lines: list[str] = Lines,
    home: Path = Home,
    shop: str = ShopName,
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Show what items cost you, VAT taken together by rate; nothing is ordered."""
    with _open(home, phrase_of(phrase_file)) as opened:
        found = opened.wallet.basket(_shop(opened, shop), _lines(lines))
    if as_json:
        document({"list": found.list, **found.sums})
    else:
        _say_sums(found.sums)


def _say_sums(sums: dict[str, Any]) -> None:
    rows = [(line["sku"], line["qty"], line["unit"], line["vatRate"], line["net"]) for line in sums["lines"]]
    table(("sku", "quantity", "price of one", "VAT %", "net"), rows)
    for row in sums["vat"]:
        say(f"VAT {row['rate']} % of {row['base']}: {row['tax']}")
    say(f"total {sums['total']} {sums['currency']}")


@app.command(epilog="Example: e2s wallet buy R-10K=1000 --at-most 50.00 --phrase-file phrase")
def buy(
    lines: list[str] = Lines,
    home: Path = Home,
    shop: str = ShopName,
    at_most: str = typer.Option("", metavar="AMOUNT", help="Accept and pay up to this total without asking."),
    deliver_to: str = typer.Option("", help="Where to deliver; the settings say it if not given."),
    cost_centre: str = typer.Option("", help="What to book it to; the settings say it if not given."),
    wait: float = typer.Option(60.0, help="Seconds to wait for the goods."),
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Order, accept, pay and receive; without --at-most you see the offer and type your pass phrase to it.

    Whatever cuts it short, e2s wallet resume takes it up where it was.
    """
    from e2s.client.wallet.wallet import Wish

    if not at_most and phrase_file:
        raise Misuse("nobody-asked", "with --phrase-file nobody is asked: say --at-most AMOUNT")
    phrase = phrase_of(phrase_file)
    with _open(home, phrase) as opened:
        wish = Wish(
            shop=_shop(opened, shop),
            lines=_lines(lines),
            deliver_to=deliver_to or opened.deliver_to,
            cost_centre=cost_centre or opened.cost_centre,
            at_most=at_most,
        )
        trade = opened.wallet.begin(wish)
        if not as_json:
            say(f"order {trade}")
        if not at_most:
            _attended(opened, trade)
        _say_trade(opened, _driven(opened, trade, phrase, wait), as_json=as_json)


def _attended(opened: WalletHome, trade: str) -> None:
    """Show the offer; each pass phrase typed is the consent to one signature."""
    wallet = opened.wallet
    wallet.poll(trade)
    review = wallet.review(trade)
    _say_sums(review.document)
    say(f"offer {review.id} by {review.signer}, to accept by {review.document['confirmBy']}")
    for purpose, act in (("accept this offer", "accept"), ("pay this contract", "pay")):
        phrase = phrase_of(None, f"Pass phrase to {purpose}")
        try:
            if act == "accept":
                wallet.accept(trade, phrase, offer=review.id)
            else:
                wallet.pay(trade, phrase)
        finally:
            phrase.wipe()


def _driven(opened: WalletHome, trade: str, phrase: Phrase, wait: float) -> Trade:
    """Advance the order until it ends or the time to wait is over; a silent peer is asked again."""
    pause = edges().pause
    known, silent = opened.wallet.trade(trade), None
    for _ in range(max(1, int(wait / _PAUSE_SECONDS))):
        try:
            known, silent = opened.wallet.advance(trade, phrase), None
        except Unreachable as error:
            silent = error
        if silent is None and (known.ended or known.state in {"offered", "contract", "declined", "received"}):
            return known
        pause(_PAUSE_SECONDS)
    if silent is not None:
        raise silent
    return opened.wallet.trade(trade)


@app.command(epilog="Example: e2s wallet resume --home market/alpha/alpha-wallet --phrase-file phrase")
def resume(
    home: Path = Home,
    wait: float = typer.Option(60.0, help="Seconds to wait for each order."),
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Take up every order that has not ended; signs only what was allowed when it was ordered."""
    phrase = phrase_of(phrase_file)
    with _open(home, phrase) as opened:
        left = opened.wallet.unfinished()
        done = []
        for trade in left:
            try:
                known = _driven(opened, trade.trade, phrase, wait)
            except (Refusal, Unreachable) as error:
                known = replace(opened.wallet.trade(trade.trade), because=f"{error.rule}: {error.message}")
            done.append(known)
            if not as_json:
                _say_trade(opened, known, as_json=False)
        if as_json:
            document([_told(trade) for trade in done])
        elif not left:
            say("every order has ended")
    if any(not trade.ended for trade in done):
        raise typer.Exit(1)


@app.command(epilog="Example: e2s wallet history --home market/alpha/alpha-wallet --json")
def history(home: Path = Home, phrase_file: Path | None = PhraseFile, as_json: bool = Json) -> None:
    """List every order, newest first."""
    with _open(home, phrase_of(phrase_file)) as opened:
        trades = opened.wallet.trades()
    if as_json:
        document([_told(trade) for trade in trades])
        return
    rows = [(t.trade, t.opened, t.shop, t.state, t.wanted["sums"]["total"], t.bundle or "-") for t in trades]
    table(("order", "opened", "merchant", "state", "total", "evidence"), rows)


@app.command(epilog="Example: e2s wallet show Zm9v --home market/alpha/alpha-wallet")
def show(
    trade: str = TradeName, home: Path = Home, phrase_file: Path | None = PhraseFile, as_json: bool = Json
) -> None:
    """Show one order: the offer as it is signed, and how the order stands."""
    with _open(home, phrase_of(phrase_file)) as opened:
        name = _find(opened, trade)
        review = opened.wallet.review(name)
        if as_json:
            document({**_told(opened.wallet.trade(name)), "offer": review.id, "document": review.document})
            return
        _say_sums(review.document)
        say(f"offer {review.id} by {review.signer}, to accept by {review.document['confirmBy']}")
        _say_trade(opened, opened.wallet.trade(name), as_json=False)


def _act(home: Path, trade: str, phrase_file: Path | None, act: str, *, as_json: bool) -> None:
    """One act of :class:`~e2s.client.wallet.wallet.Wallet` on one order."""
    phrase = phrase_of(phrase_file)
    with _open(home, phrase) as opened:
        name = _find(opened, trade)
        wallet = opened.wallet
        known = wallet.decline(name) if act == "decline" else getattr(wallet, act)(name, phrase)
        _say_trade(opened, known, as_json=as_json)


@app.command(epilog="Example: e2s wallet accept Zm9v --home market/alpha/alpha-wallet")
def accept(
    trade: str = TradeName, home: Path = Home, phrase_file: Path | None = PhraseFile, as_json: bool = Json
) -> None:
    """Sign the acceptance of an order's offer, as show shows it."""
    _act(home, trade, phrase_file, "accept", as_json=as_json)


@app.command(epilog="Example: e2s wallet pay Zm9v --home market/alpha/alpha-wallet")
def pay(
    trade: str = TradeName, home: Path = Home, phrase_file: Path | None = PhraseFile, as_json: bool = Json
) -> None:
    """Sign the payment of a contract; after a declined payment, a new one."""
    _act(home, trade, phrase_file, "pay", as_json=as_json)


@app.command(epilog="Example: e2s wallet receipt Zm9v --home market/alpha/alpha-wallet")
def receipt(
    trade: str = TradeName, home: Path = Home, phrase_file: Path | None = PhraseFile, as_json: bool = Json
) -> None:
    """Sign the receipt of everything that was delivered."""
    _act(home, trade, phrase_file, "receipt", as_json=as_json)


@app.command(epilog="Example: e2s wallet decline Zm9v --home market/alpha/alpha-wallet")
def decline(
    trade: str = TradeName, home: Path = Home, phrase_file: Path | None = PhraseFile, as_json: bool = Json
) -> None:
    """Let an offer, or the contract of a declined payment, go."""
    _act(home, trade, phrase_file, "decline", as_json=as_json)


@app.command(epilog="Example: e2s wallet close statement.cms --home market/alpha/alpha-wallet")
def close(
    statement: Path = typer.Argument(
        ..., metavar="FILE", help="The signed statement that the manager wrote."
    ),
    home: Path = Home,
    phrase_file: Path | None = PhraseFile,
    as_json: bool = Json,
) -> None:
    """Close the delivered orders that the issuer's statement charges as they were ordered."""
    try:
        octets = statement.read_bytes()
    except OSError as error:
        raise Misuse("no-statement", "the statement cannot be read", path=str(statement)) from error
    with _open(home, phrase_of(phrase_file)) as opened:
        closed = [
            opened.wallet.close_by(trade.trade, octets)
            for trade in opened.wallet.trades()
            if trade.state == "received" and opened.wallet.charged(trade.trade, octets)
        ]
        if as_json:
            document([_told(trade) for trade in closed])
        else:
            for trade in closed:
                _say_trade(opened, trade, as_json=False)
            say(f"{len(closed)} closed")


@app.command(epilog="Example: e2s wallet serve --home market/alpha/alpha-wallet --port 8700")
def serve(
    home: Path = Home,
    port: int = typer.Option(0, min=0, max=65535, help="The port on loopback, a free one if not given."),
    phrase_file: Path | None = PhraseFile,
) -> None:
    """Serve the wallet's page to your own browser; the link that it prints opens it once."""
    from e2s.base.http import Handler
    from e2s.client.wallet.page import WalletPage

    with _open(home, phrase_of(phrase_file)) as opened:

        def make(at: int) -> tuple[Handler, str]:
            page = WalletPage(
                opened.wallet,
                port=at,
                random=edges().random,
                deliver_to=opened.deliver_to,
                cost_centre=opened.cost_centre,
            )
            return page.handle, page.start_path

        serve_page(make, port, say)
