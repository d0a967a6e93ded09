"""The buyer's page: search, basket, the offer octet by octet, pass phrase, payment, history and proof.

Server-rendered and without script; every act is a form, every result a page that can be reloaded.  A
pass phrase lives from the form to the signature and is wiped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Response
from e2s.base.money import parse_number
from e2s.client.wallet import store
from e2s.client.wallet.templating import page
from e2s.client.wallet.wallet import Wallet
from e2s.commerce.bankcard.evidence import judge
from e2s.network.sessions.gate import Asked, redirect, told
from e2s.network.sessions.owner_page import Doors, OwnerPage
from e2s.security.keys.phrase import Phrase

ROWS = 15
_TRADE = re.compile(r"/trade/([A-Za-z0-9_-]{22})(?:/([a-z]+))?", re.ASCII)
_EVIDENCE = re.compile(r"/evidence/([A-Za-z0-9_-]{22})\.tar", re.ASCII)


class WalletPage(OwnerPage):
    """The wallet's door for its owner's browser."""

    def __init__(
        self,
        wallet: Wallet,
        *,
        port: int,
        random: Callable[[int], bytes],
        deliver_to: str = "",
        cost_centre: str = "",
    ) -> None:
        """``port`` is where it is served on loopback; :attr:`start_path` opens it, once."""
        self._wallet = wallet
        super().__init__(port=port, random=random)
        self._deliver_to = deliver_to
        self._cost_centre = cost_centre
        self._verdicts: dict[tuple[str, int], tuple[bool, str]] = {}

    def doors(self) -> Doors:
        """Catalogue, basket, orders."""
        return {
            ("GET", "/"): self._catalogue,
            ("GET", "/basket"): self._basket,
            ("GET", "/trades"): self._history,
            ("POST", "/basket/put"): self._put,
            ("POST", "/offer"): self._ask,
        }

    def _elsewhere(self, asked: Asked) -> Response:
        """One trade, or its evidence."""
        if (found := _TRADE.fullmatch(asked.path)) is not None:
            return self._trade(asked, found[1], found[2] or "")
        if asked.method == "GET" and (found := _EVIDENCE.fullmatch(asked.path)) is not None:
            return self._evidence(found[1])
        return super()._elsewhere(asked)

    def _show(
        self, asked: Asked, template: str, *, status: int = 200, alert: str = "", **values: Any
    ) -> Response:
        desk = self._wallet.desk
        with desk.database.reading() as connection:
            basket = sum(len(store.basket_of(connection, shop.name)) for shop in desk.shops)
        return page(
            template,
            status=status,
            alert=alert,
            token=asked.token,
            desk=desk,
            basket_count=basket,
            path=asked.path,
            **values,
        )

    # ------------------------------------------------------------------ catalogue and basket
    def _shop(self, asked: Asked) -> str:
        wanted = asked.get("shop")
        shops = self._wallet.desk.shops
        return next((shop.name for shop in shops if shop.name == wanted), shops[0].name)

    def _catalogue(self, asked: Asked) -> Response:
        shop, words, offset = self._shop(asked), asked.get("q")[:200], asked.count("offset")
        kind = asked.get("class")[:64]
        found: dict[str, Any] = {"rows": [], "total": 0}
        alert = ""
        try:
            found = self._wallet.search(shop, words, kind=kind, offset=offset, limit=ROWS)
        except E2SError as error:
            alert = told(error)
        with self._wallet.desk.database.reading() as connection:
            inside = dict(store.basket_of(connection, shop))
        return self._show(
            asked,
            "catalogue.html",
            alert=alert,
            shop=shop,
            q=words,
            kind=kind,
            offset=offset,
            found=found,
            inside=inside,
            rows_per_page=ROWS,
        )

    def _put(self, asked: Asked) -> Response:
        """Set quantities: fields ``qty-SKU``; an empty or zero quantity takes the item out."""
        shop, back = self._shop(asked), asked.get("back", "/basket")
        with self._wallet.desk.database.transaction() as connection:
            for name, value in asked.fields.items():
                if not name.startswith("qty-"):
                    continue
                try:
                    qty = value.strip() if value.strip() and parse_number(value.strip()) > 0 else ""
                except Refusal:
                    continue
                store.put_in_basket(connection, shop, name.removeprefix("qty-")[:64], qty)
        return redirect(back if back.startswith("/") and not back.startswith("//") else "/basket")

    def _basket(self, asked: Asked, *, alert: str = "", status: int = 200) -> Response:
        shop = self._shop(asked)
        with self._wallet.desk.database.reading() as connection:
            lines = store.basket_of(connection, shop)
        sums: dict[str, Any] | None = None
        if lines:
            try:
                sums = self._wallet.basket(shop, lines).sums
            except E2SError as error:
                alert = alert or told(error)
        return self._show(
            asked,
            "basket.html",
            alert=alert,
            status=status,
            shop=shop,
            lines=lines,
            sums=sums,
            deliver_to=asked.get("deliver_to", self._deliver_to),
            cost_centre=asked.get("cost_centre", self._cost_centre),
        )

    def _ask(self, asked: Asked) -> Response:
        """Ask for the offer on exactly the sums that the basket's page showed."""
        shop = self._shop(asked)
        with self._wallet.desk.database.reading() as connection:
            lines = store.basket_of(connection, shop)
        try:
            basket = self._wallet.basket(shop, lines)
            if basket.sums["total"] != asked.get("total"):
                raise Refusal("price-changed-after-view", "the prices changed since you looked; look again")
            review = self._wallet.ask(basket, asked.get("deliver_to"), asked.get("cost_centre") or "-")
        except E2SError as error:
            return self._basket(asked, alert=told(error), status=409)
        with self._wallet.desk.database.transaction() as connection:
            store.empty_basket(connection, shop)
        return redirect(f"/trade/{review.trade}")

    # ------------------------------------------------------------------ one trade
    def _trade(self, asked: Asked, trade: str, act: str) -> Response:
        try:
            self._wallet.trade(trade)
        except Refusal as refusal:
            return self._show(asked, "error.html", status=404, alert=told(refusal))
        if asked.method == "GET" and not act:
            return self._trade_page(asked, trade)
        acts: dict[str, Callable[[Phrase], Any]] = {
            "accept": lambda phrase: self._wallet.accept(trade, phrase, offer=asked.get("offer")),
            "pay": lambda phrase: self._wallet.pay(trade, phrase),
            "receipt": lambda phrase: self._wallet.receipt(
                trade, phrase, missing=_missing(asked), complaint=asked.get("complaint")
            ),
            "inquire": lambda phrase: self._wallet.inquire(trade, phrase),
        }
        try:
            if act in acts:
                _with_phrase(asked, acts[act])
            elif act == "decline":
                self._wallet.decline(trade)
            elif act == "look":
                self._wallet.poll(trade)
            else:
                return self._show(asked, "error.html", status=404, alert="There is no such act.")
        except E2SError as error:
            return self._trade_page(asked, trade, alert=told(error), status=409)
        return redirect(f"/trade/{trade}")

    def _trade_page(self, asked: Asked, trade: str, *, alert: str = "", status: int = 200) -> Response:
        known = self._wallet.trade(trade)
        with self._wallet.desk.database.reading() as connection:
            acts = {
                kind: store.act_of(connection, trade, kind) for kind, _ in store.acts_of(connection, trade)
            }
            order = store.acts_of(connection, trade)
            stamped = set(store.stamps_of(connection, trade))
        offer = acts.get("offer")
        return self._show(
            asked,
            "trade.html",
            alert=alert,
            status=status,
            trade=known,
            offer=offer,
            delivery=acts.get("delivery"),
            receipt=acts.get("receipt"),
            octets=offer.doc_octets.decode() if offer else "",
            record=[(kind, acts[kind]) for kind in dict.fromkeys(kind for kind, _ in order)],
            stamped=stamped,
            verdict=self._verdict(known),
        )

    def _history(self, asked: Asked) -> Response:
        trades = self._wallet.trades()
        return self._show(
            asked, "trades.html", trades=trades, verdicts={t.trade: self._verdict(t) for t in trades}
        )

    def _verdict(self, known: store.Trade) -> tuple[bool, str] | None:
        """What a judge would say of the trade's bundle, worked out once for each state of the file."""
        folder = self._wallet.desk.evidence
        path = folder / known.bundle if folder is not None and known.bundle else None
        if path is None or not path.is_file():
            return None
        key = (known.trade, path.stat().st_mtime_ns)
        if key not in self._verdicts:
            report = judge(path.read_bytes(), self._wallet.desk.trust.verifier.anchors)
            why = "" if report.holds else f"check {report.findings[0].check}: {report.findings[0].object}"
            self._verdicts[key] = (report.holds, why)
        return self._verdicts[key]

    def _evidence(self, trade: str) -> Response:
        folder = self._wallet.desk.evidence
        path = folder / f"{trade}.tar" if folder is not None else None
        if path is None or not path.is_file():
            return Response(404)
        disposition = f'attachment; filename="{trade}.tar"'
        headers = {"content-type": "application/x-tar", "content-disposition": disposition}
        return Response(200, path.read_bytes(), headers)


def _with_phrase(asked: Asked, act: Callable[[Phrase], Any]) -> None:
    phrase = Phrase(asked.secret())
    try:
        act(phrase)
    finally:
        phrase.wipe()


def _missing(asked: Asked) -> list[int]:
    """The lines that the owner says did not come: fields ``missing-N``."""
    return [int(name[8:]) for name in asked.fields if name.startswith("missing-") and name[8:].isdigit()]
