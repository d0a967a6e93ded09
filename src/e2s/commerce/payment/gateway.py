"""The gateway opens card numbers, never orders, and invents nothing: it passes on what three others signed.

Captures and reversals go through it once for (merchant, xid, n); the lines in a capture are sealed to the
issuer and are neither opened nor stored here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Request, Response
from e2s.commerce.acts import draft
from e2s.commerce.payment import gateway_store as tables
from e2s.commerce.payment.acquirer import LASTING, Acquirer, known
from e2s.commerce.payment.authorisation import Authorising
from e2s.commerce.payment.documents import AUTHREV, CAPREQ, CAPRES, CAPTURED, REVERSED, REVRES
from e2s.commerce.payment.doors import PostDoors, Refusals, opened, opened_parcel
from e2s.commerce.payment.dual_signature import same_payment
from e2s.commerce.payment.peers import Peer, post
from e2s.commerce.payment.tables import GATEWAY
from e2s.commerce.steps import follow
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act, read_parcel, sign_act, write_parcel
from e2s.crypto.forms import Form

__all__ = ["Acquirer", "Gateway"]


class Gateway:
    """The gateway's component."""

    def __init__(self, acquirer: Acquirer) -> None:
        """``acquirer.store`` is opened on the tables of :mod:`e2s.commerce.payment.gateway_store`."""
        self.acquirer = acquirer
        self._refusals = Refusals(acquirer.component)
        self._authorising = Authorising(acquirer)
        doors = {
            "/payment/authorise": self._authorising.authorise,
            "/payment/capture": self.capture,
            "/payment/reverse": self.reverse,
        }
        self._doors = PostDoors(doors, self._refusals)

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        return self._doors.handle(request)

    def tick(self) -> None:
        """Ask the issuers again about what is undecided, and write down what was refused."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        with acquirer.store.reading() as connection:
            waiting = tables.undecided(connection)
        for merchant, xid in waiting:
            if self._authorising.patience.due((merchant, xid), now):
                try:
                    self._authorising.decided(merchant, xid)
                except E2SError:
                    continue
        self._refusals.flush(acquirer.store, tables.OUTBOX, now)

    def close(self) -> None:
        """Give the database back."""
        self.acquirer.store.close()

    # ------------------------------------------------------------------ capture and reversal

    def capture(self, envelope: bytes) -> bytes:
        """E_G{Parcel[CapReq, E_I{LI}]} -> E_P{CapRes}; LI passes through unopened and unstored."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        items = read_parcel(opened_parcel(envelope, acquirer.opener), "e2s/1/capture")
        if len(items) != 2:
            raise Refusal("bad-parcel", "the parcel holds CapReq and LI")
        request, merchant = acquirer.merchants_word(items[0], CAPREQ, now)

        def ask(ds: Act, issuer: Peer) -> Act:
            parcel = write_parcel("e2s/1/capture", [request.octets, items[1]])
            sealed = acquirer.seal(issuer, parcel, oids.PLAIN_PARCEL, now)
            octets = post(acquirer.exchange, issuer, "/payment/capture", sealed)
            return acquirer.issuers_word(octets, CAPTURED, ds, issuer, now)

        return self._forwarded("capreq", request, merchant, CAPRES, ask, now)

    def reverse(self, envelope: bytes) -> bytes:
        """E_G{AuthRev} -> E_P{RevRes}."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        octets = opened(envelope, acquirer.opener, oids.ACT)
        request, merchant = acquirer.merchants_word(octets, AUTHREV, now)

        def ask(ds: Act, issuer: Peer) -> Act:
            sealed = acquirer.seal(issuer, request.octets, oids.ACT, now)
            answer = post(acquirer.exchange, issuer, "/payment/reverse", sealed)
            return acquirer.issuers_word(answer, REVERSED, ds, issuer, now)

        return self._forwarded("authrev", request, merchant, REVRES, ask, now)

    def _forwarded(
        self,
        kind: str,
        request: Act,
        merchant: Peer,
        form: Form,
        ask: Callable[[Act, Peer], Act],
        now: datetime,
    ) -> bytes:
        """The signed answer to a capture or reversal, once for (merchant, xid, n)."""
        acquirer, said = self.acquirer, request.document
        with acquirer.store.reading() as connection:
            row = known(tables.authorisation(connection, merchant.name, said["xid"]))
            earlier = tables.forwarded(connection, merchant.name, said["xid"], kind, said["n"])
        follow(GATEWAY, row.state, kind)
        if row.result != "approved" or request.inner().id != row.answer_id:
            raise Refusal("not-approved", "the gateway did not say what the request claims")
        if earlier is not None and earlier.request != request.id:
            raise Refusal("double-capture", "another request of this number was answered before", kind=kind)
        if earlier is not None:
            return acquirer.to_merchant(merchant, bytes(earlier.answer), now)
        ds = read_act(row.auth).inner()
        same_payment(said, {"trade": ds.document["trade"], "currency": ds.document["currency"]})
        if Decimal(said["amount"]) > Decimal(ds.document["amount"]):
            raise Refusal("capture-over-hold", "more is asked for than was approved")
        told = ask(ds, acquirer.issuer_of(ds))
        if told.document["req"] != request.id or told.document.get("n", said["n"]) != said["n"]:
            raise Refusal("other-transaction", "the issuer answers another request")
        answer = self._answer(kind, request, merchant, form, told, now)
        return acquirer.to_merchant(merchant, answer, now)

    def _answer(self, kind: str, request: Act, merchant: Peer, form: Form, told: Act, now: datetime) -> bytes:
        """Sign and commit the answer over the issuer's word; one that came first stays."""
        acquirer, said = self.acquirer, request.document
        xid, result = said["xid"], told.document["result"]
        members = {"n": said["n"]} if form is CAPRES else {}
        document = draft(
            form,
            by=acquirer.signer.certificate,
            to=[merchant.name],
            at=now,
            until=now + LASTING,
            trade=said["trade"],
            xid=xid,
            req=request.id,
            result=result,
            **members,
        )
        answer = sign_act(document, [told.octets], acquirer.signer, now)
        with acquirer.store.transaction() as connection:
            earlier = tables.forwarded(connection, merchant.name, xid, kind, said["n"])
            if earlier is not None:
                return bytes(earlier.answer)
            mine = {"merchant": merchant.name, "xid": xid, "kind": kind, "n": said["n"]}
            tables.add_forwarded(connection, {**mine, "request": request.id, "answer": answer})
            acquirer.note(connection, f"payment.{kind}", now, xid=xid, result=result)
        return answer
