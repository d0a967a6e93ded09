"""The purchasing manager's page: statements against her organisation's own trades, VAT, limits per card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Response
from e2s.base.money import parse_amount
from e2s.client.wallet.home import Holder, ManagerHome
from e2s.client.wallet.purchases import purchases_at
from e2s.client.wallet.reconciling import Finding, Purchase, reconcile
from e2s.client.wallet.templating import page
from e2s.crypto.acts import Act
from e2s.network.sessions.gate import Asked, redirect, told
from e2s.network.sessions.owner_page import Doors, OwnerPage
from e2s.security.keys.phrase import Phrase


class ManagerPage(OwnerPage):
    """The manager's door for her browser."""

    def __init__(self, home: ManagerHome, *, port: int, random: Callable[[int], bytes]) -> None:
        """``port`` is where it is served on loopback; :attr:`start_path` opens it, once."""
        self._home = home
        super().__init__(port=port, random=random)

    def doors(self) -> Doors:
        """Statements and limits."""
        return {
            ("GET", "/"): self._statements,
            ("GET", "/limits"): self._limits,
            ("POST", "/statement"): self._fetch,
            ("POST", "/limits"): self._set,
        }

    def _show(
        self, asked: Asked, template: str, *, status: int = 200, alert: str = "", **values: Any
    ) -> Response:
        office = self._home.desk.office
        return page(
            template, status=status, alert=alert, token=asked.token, office=office, path=asked.path, **values
        )

    # ------------------------------------------------------------------ statements
    def _statements(self, asked: Asked, *, alert: str = "", status: int = 200) -> Response:
        acts = self._home.desk.statements()
        wanted = asked.count("n") or len(acts)
        chosen = acts[wanted - 1] if 0 < wanted <= len(acts) else None
        findings = self._findings(acts, chosen) if chosen else []
        return self._show(
            asked,
            "statements.html",
            alert=alert,
            status=status,
            statements=acts,
            chosen=chosen,
            findings=list(zip(findings, chosen.document["entries"], strict=False)) if chosen else [],
            uncharged=[f for f in findings if f.verdict == "not-charged"],
            matched=sum(f.verdict == "matched" for f in findings),
        )

    def _findings(self, acts: list[Act], chosen: Act) -> list[Finding]:
        """The chosen statement against the wallets' trades; those that another one charges are left out."""
        elsewhere = {e["xid"] for act in acts if act.id != chosen.id for e in act.document["entries"]}
        return reconcile(chosen.document, [p for p in self._purchases() if p.xid not in elsewhere])

    def _purchases(self) -> list[Purchase]:
        return [purchase for wallet in self._home.wallets for purchase in purchases_at(wallet)]

    def _fetch(self, asked: Asked) -> Response:
        try:
            _with_phrase(asked, self._home.desk.fetch_statement)
        except E2SError as error:
            return self._statements(asked, alert=told(error), status=409)
        return redirect("/")

    # ------------------------------------------------------------------ limits
    def _limits(self, asked: Asked, *, alert: str = "", status: int = 200) -> Response:
        known = self._home.desk.controls()
        said = {one["holder"]: one for one in known[0]["holders"]} if known else {}
        rows = [(n, holder, said.get(holder.certificate)) for n, holder in enumerate(self._home.holders, 1)]
        return self._show(
            asked, "limits.html", alert=alert, status=status, rows=rows, known=known, typed=asked.fields
        )

    def _set(self, asked: Asked) -> Response:
        try:
            holders = [
                row for n, holder in enumerate(self._home.holders, 1) if (row := self._row(asked, n, holder))
            ]
            _with_phrase(asked, lambda phrase: self._home.desk.set_controls(holders, phrase))
        except E2SError as error:
            return self._limits(asked, alert=told(error), status=409)
        return redirect("/limits")

    def _row(self, asked: Asked, n: int, holder: Holder) -> dict[str, Any] | None:
        """One card's limits as typed; none where both amounts are left empty."""
        currency = self._home.desk.office.currency
        purchase, period = asked.get(f"purchase-{n}"), asked.get(f"period-{n}")
        if not purchase and not period:
            return None
        if parse_amount(purchase, currency) < 0 or parse_amount(period, currency) < 0:
            raise Refusal("bad-amount", "a limit is not negative")
        return {
            "holder": holder.certificate,
            "perPurchase": purchase,
            "perPeriod": period,
            "periodDays": asked.count(f"days-{n}") or 30,
            "classes": asked.get(f"classes-{n}").replace(",", " ").split(),
            "merchants": asked.get(f"merchants-{n}").replace(",", " ").split(),
        }


def _with_phrase(asked: Asked, act: Callable[[Phrase], Any]) -> None:
    phrase = Phrase(asked.secret())
    try:
        act(phrase)
    finally:
        phrase.wipe()
