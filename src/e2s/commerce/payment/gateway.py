"""The gateway opens card numbers, never orders, and invents nothing: it passes on what three others signed.

It refuses only before it forwards, in a signed word that lasts; afterwards only the issuer decides, and
the gateway asks until it has heard.  After the dual signature's ``until`` it asks for a reversal instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Exchange, Request, Response
from e2s.base.instants import Clock, format_instant, parse_instant
from e2s.commerce.acts import draft, over_exactly, received
from e2s.commerce.payment import gateway_store as tables
from e2s.commerce.payment.documents import (
    AUTH,
    AUTHRES,
    AUTHRES_REFUSED,
    AUTHREV,
    CAPREQ,
    CAPRES,
    CAPTURED,
    DECISION,
    ISSUE,
    PAY,
    PI,
    REVERSE,
    REVERSED,
    REVRES,
)
from e2s.commerce.payment.doors import PostDoors, Refusals, opened, opened_parcel
from e2s.commerce.payment.dual_signature import (
    check_amount,
    check_authorisation,
    names_of,
    same_payment,
    until_of,
)
from e2s.commerce.payment.instructions import check_payment_instruction, read_instruction
from e2s.commerce.payment.patience import Patience
from e2s.commerce.payment.peers import Peer, post, seal_to
from e2s.commerce.payment.tables import GATEWAY
from e2s.commerce.steps import follow
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act, read_parcel, sign_act, write_parcel
from e2s.crypto.forms import Form
from e2s.crypto.ports import Opener, Signer
from e2s.security.pki.trust import Trust

#: How long the gateway's own words say to be of use.
_LASTING = timedelta(days=60)
#: Rules that say that somebody could not be asked just now; no lasting refusal follows from them.
_PASSING = frozenset({"revocation-unknown"})


@dataclass(frozen=True, kw_only=True)
class Acquirer:
    """One gateway: name, keys, tables, trust; ``merchants`` by party name, ``issuers`` by signing certificate."""

    name: str
    store: Database
    signer: Signer
    opener: Opener
    trust: Trust
    clock: Clock
    exchange: Exchange
    random: Callable[[int], bytes] = field(repr=False)
    merchants: Mapping[str, Peer]
    issuers: Mapping[str, Peer]
    component: str = "gateway"


class Gateway:
    """The gateway's component."""

    def __init__(self, acquirer: Acquirer) -> None:
        """``acquirer.store`` is opened on the tables of :mod:`e2s.commerce.payment.gateway_store`."""
        self.acquirer = acquirer
        self._refusals = Refusals(acquirer.component)
        self._patience = Patience()
        doors = {
            "/payment/authorise": self.authorise,
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
            if self._patience.due((merchant, xid), now):
                try:
                    self._decided(merchant, xid)
                except E2SError:
                    continue
        self._refusals.flush(acquirer.store, tables.OUTBOX, now)

    def close(self) -> None:
        """Give the database back."""
        self.acquirer.store.close()

    # ------------------------------------------------------------------ authorisation

    def authorise(self, envelope: bytes) -> bytes:
        """E_G{AuthReq} -> E_P{AuthRes or its refusal}; the stored answer for a repeat.

        Raises :class:`Refusal` ``xid-reused`` for another request under the same (merchant, xid), and
        :class:`Unreachable` while the issuer has not decided.
        """
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        items = read_parcel(opened_parcel(envelope, acquirer.opener), "e2s/1/authreq")
        if len(items) != 3:
            raise Refusal("bad-parcel", "the parcel holds AuthReq, PI and SI")
        auth, merchant = self._merchants_word(items[0], AUTH, now)
        xid = auth.document["xid"]
        with acquirer.store.reading() as connection:
            row = tables.authorisation(connection, merchant.name, xid)
        if row is None:
            rule = self._fault(auth, items[1], now)
            if rule:
                self._refuse(merchant, auth, rule, now)
            else:
                self._forward(merchant, auth, items[1], items[2], now)
        elif row.auth_id != auth.id:
            raise Refusal("xid-reused", "this transaction was asked for by another request")
        return self._to_merchant(merchant, self._decided(merchant.name, xid), now)

    def _merchants_word(self, octets: bytes, form: Form, now: datetime) -> tuple[Act, Peer]:
        """An act of one of the acquirer's merchants, over one other."""
        acquirer = self.acquirer
        act = over_exactly(
            received(octets, form, trust=acquirer.trust, to=acquirer.name, role="merchant-payment", at=now), 1
        )
        merchant = acquirer.merchants.get(act.certificate.name)
        if merchant is None or merchant.signing != act.certificate:
            raise Refusal("unknown-merchant", "the acquirer has no contract with this merchant")
        return act, merchant

    def _fault(self, auth: Act, envelope: bytes, now: datetime) -> str:
        """The rule by which the request is not forwarded, or the empty string."""
        acquirer = self.acquirer
        try:
            ds = received(
                auth.inner(), PAY, trust=acquirer.trust, to=acquirer.name, role="card-holder", at=now
            )
            over_exactly(ds, 0)
            if ds.document["gateway"] != acquirer.signer.certificate.id:
                raise Refusal("other-gateway", "the dual signature goes through another gateway")
            check_authorisation(auth, ds)
            check_amount(ds)
            if now >= until_of(ds):
                raise Refusal("ds-after-until", "the card-holder's order has lapsed")
            if ds.document["issuer"] not in acquirer.issuers:
                raise Refusal("unknown-issuer", "the acquirer does not reach the card's bank")
            octets = opened(envelope, acquirer.opener, oids.PLAIN_PI)
            pi = read_instruction(octets, PI, reader=acquirer.name, digest=ds.document["hPI"])
            check_payment_instruction(pi, ds.document, ds.certificate)
        except Refusal as refusal:
            if refusal.rule in _PASSING:
                raise
            return refusal.rule
        return ""

    def _refuse(self, merchant: Peer, auth: Act, rule: str, now: datetime) -> None:
        """Commit the lasting refusal."""
        acquirer, said = self.acquirer, auth.document
        step = follow(GATEWAY, "none", "authreq-bad")
        document = draft(
            AUTHRES_REFUSED,
            by=acquirer.signer.certificate,
            to=[merchant.name],
            at=now,
            until=now + _LASTING,
            trade=said["trade"],
            xid=said["xid"],
            ds=said["ds"],
            req=auth.id,
            merchant=auth.certificate.id,
            rule=rule,
        )
        act = sign_act(document, (), acquirer.signer, now)
        values = {"state": step.state, "auth_id": auth.id, "auth": auth.octets, "result": "refused", "answer": act}
        self._add(merchant, said["xid"], values, now, rule=rule)

    def _forward(self, merchant: Peer, auth: Act, pi: bytes, si: bytes, now: datetime) -> None:
        """Commit that this request goes to the issuer, and in which words."""
        acquirer, ds = self.acquirer, auth.inner()
        step = follow(GATEWAY, "none", "authreq")
        document = draft(
            ISSUE,
            by=acquirer.signer.certificate,
            to=[self._issuer_of(ds).name],
            at=now,
            until=until_of(ds),
            trade=ds.document["trade"],
            xid=ds.document["xid"],
            ds=ds.id,
            auth=auth.id,
        )
        values = {
            "state": step.state,
            "auth_id": auth.id,
            "auth": auth.octets,
            "pi": pi,
            "si": si,
            "issue_doc": wire.encode(document),
        }
        self._add(merchant, auth.document["xid"], values, now)

    def _add(self, merchant: Peer, xid: str, values: Mapping[str, Any], now: datetime, rule: str = "") -> None:
        """Insert the authorisation unless its repeat came first."""
        acquirer = self.acquirer
        with acquirer.store.transaction() as connection:
            if tables.authorisation(connection, merchant.name, xid) is None:
                members = {"merchant": merchant.name, "xid": xid, "at": format_instant(now), **values}
                tables.add_authorisation(connection, members)
                self._note(connection, f"payment.{values['state']}", now, xid=xid, rule=rule)

    def _decided(self, merchant: str, xid: str) -> bytes:
        """The signed answer to the merchant, got from the issuer where there is none yet."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        with acquirer.store.reading() as connection:
            row = _known(tables.authorisation(connection, merchant, xid))
        if row.answer is not None:
            return bytes(row.answer)
        key = (merchant, xid)
        try:
            decision = self._ask(row, now)
        except E2SError:
            self._patience.failed(key, now)
            raise
        self._patience.done(key)
        auth = read_act(row.auth)
        step = follow(GATEWAY, row.state, "decision")
        answer = self._authres(auth, decision, now)
        values = {
            "state": step.state,
            "result": decision.document["result"],
            "answer": answer,
            "answer_id": read_act(answer).id,
        }
        with acquirer.store.transaction() as connection:
            if tables.advance(connection, merchant, xid, row.state, values):
                self._note(connection, "payment.decided", now, xid=xid, result=decision.document["result"])
                return answer
            row = _known(tables.authorisation(connection, merchant, xid))
        return bytes(row.answer)

    def _ask(self, row: sa.Row[Any], now: datetime) -> Act:
        """AuthIss, or after ``until`` the reversal, to the issuer; its decision, proven to be about this payment."""
        acquirer = self.acquirer
        auth = read_act(row.auth)
        ds = auth.inner()
        issuer = self._issuer_of(ds)
        try:
            if follow(GATEWAY, row.state, "until" if now >= until_of(ds) else "time-out").send == "reverse":
                octets = post(acquirer.exchange, issuer, "/payment/reverse-unanswered", self._reversal(row, ds, now))
            else:
                octets = post(acquirer.exchange, issuer, "/payment/issue", self._authiss(row, auth, issuer, now))
        except Refusal as refusal:
            raise Unreachable("issuer-refused", "the issuer gave no signed word", rule=refusal.rule) from refusal
        return self._issuers_word(octets, DECISION, ds, issuer, now)

    def _authiss(self, row: sa.Row[Any], auth: Act, issuer: Peer, now: datetime) -> bytes:
        acquirer = self.acquirer
        document = wire.decode(row.issue_doc)
        issue = sign_act(document, [auth.octets], acquirer.signer, parse_instant(document["at"]))
        pi = opened(row.pi, acquirer.opener, oids.PLAIN_PI)
        parcel = write_parcel("e2s/1/authiss", [issue, pi, row.si])
        return self._seal(issuer, parcel, oids.PLAIN_PARCEL, now)

    def _reversal(self, row: sa.Row[Any], ds: Act, now: datetime) -> bytes:
        """S_G<reverse; DS>, its document committed before."""
        acquirer = self.acquirer
        octets = row.reverse_doc
        if octets is None:
            document = draft(
                REVERSE,
                by=acquirer.signer.certificate,
                to=[self._issuer_of(ds).name],
                at=now,
                until=now + _LASTING,
                trade=ds.document["trade"],
                xid=ds.document["xid"],
                ds=ds.id,
                reason="no decision in time",
            )
            octets = wire.encode(document)
            with acquirer.store.transaction() as connection:
                tables.advance(connection, row.merchant, row.xid, row.state, {"reverse_doc": octets})
                self._note(connection, "payment.reversal", now, xid=row.xid)
        document = wire.decode(octets)
        return sign_act(document, [ds.octets], acquirer.signer, parse_instant(document["at"]))

    def _issuers_word(self, octets: bytes | Act, form: Form, ds: Act, issuer: Peer, now: datetime) -> Act:
        """An answer signed by the bank that the dual signature draws on, about this payment and no other."""
        acquirer = self.acquirer
        act = received(
            octets, form, trust=acquirer.trust, to=acquirer.name, role="issuer", at=now, name=issuer.name
        )
        if act.certificate.id != ds.document["issuer"]:
            raise Refusal("other-issuer", "the answer is by another bank")
        same_payment(act.document, {**names_of(ds), "trade": ds.document["trade"]})
        return over_exactly(act, 0)

    def _authres(self, auth: Act, decision: Act, now: datetime) -> bytes:
        acquirer, ds = self.acquirer, auth.inner()
        document = draft(
            AUTHRES,
            by=acquirer.signer.certificate,
            to=[auth.certificate.name, ds.certificate.name],
            at=now,
            until=now + _LASTING,
            trade=ds.document["trade"],
            **names_of(ds),
            req=auth.id,
            result=decision.document["result"],
        )
        return sign_act(document, [decision.octets], acquirer.signer, now)

    # ------------------------------------------------------------------ capture and reversal

    def capture(self, envelope: bytes) -> bytes:
        """E_G{Parcel[CapReq, E_I{LI}]} -> E_P{CapRes}; LI passes through unopened and unstored."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        items = read_parcel(opened_parcel(envelope, acquirer.opener), "e2s/1/capture")
        if len(items) != 2:
            raise Refusal("bad-parcel", "the parcel holds CapReq and LI")
        request, merchant = self._merchants_word(items[0], CAPREQ, now)

        def ask(ds: Act, issuer: Peer) -> Act:
            parcel = write_parcel("e2s/1/capture", [request.octets, items[1]])
            sealed = self._seal(issuer, parcel, oids.PLAIN_PARCEL, now)
            octets = post(acquirer.exchange, issuer, "/payment/capture", sealed)
            return self._issuers_word(octets, CAPTURED, ds, issuer, now)

        return self._forwarded("capreq", request, merchant, CAPRES, ask, now)

    def reverse(self, envelope: bytes) -> bytes:
        """E_G{AuthRev} -> E_P{RevRes}."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        octets = opened(envelope, acquirer.opener, oids.ACT)
        request, merchant = self._merchants_word(octets, AUTHREV, now)

        def ask(ds: Act, issuer: Peer) -> Act:
            sealed = self._seal(issuer, request.octets, oids.ACT, now)
            answer = post(acquirer.exchange, issuer, "/payment/reverse", sealed)
            return self._issuers_word(answer, REVERSED, ds, issuer, now)

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
            row = _known(tables.authorisation(connection, merchant.name, said["xid"]))
            known = tables.forwarded(connection, merchant.name, said["xid"], kind, said["n"])
        follow(GATEWAY, row.state, kind)
        if row.result != "approved" or request.inner().id != row.answer_id:
            raise Refusal("not-approved", "the gateway did not say what the request claims")
        if known is not None and known.request != request.id:
            raise Refusal("double-capture", "another request of this number was answered before", kind=kind)
        if known is not None:
            return self._to_merchant(merchant, bytes(known.answer), now)
        ds = read_act(row.auth).inner()
        same_payment(said, {"trade": ds.document["trade"], "currency": ds.document["currency"]})
        if Decimal(said["amount"]) > Decimal(ds.document["amount"]):
            raise Refusal("capture-over-hold", "more is asked for than was approved")
        told = ask(ds, self._issuer_of(ds))
        if told.document["req"] != request.id or told.document.get("n", said["n"]) != said["n"]:
            raise Refusal("other-transaction", "the issuer answers another request")
        members = {"n": said["n"]} if form is CAPRES else {}
        document = draft(
            form,
            by=acquirer.signer.certificate,
            to=[merchant.name],
            at=now,
            until=now + _LASTING,
            trade=said["trade"],
            xid=said["xid"],
            req=request.id,
            result=told.document["result"],
            **members,
        )
        answer = sign_act(document, [told.octets], acquirer.signer, now)
        with acquirer.store.transaction() as connection:
            known = tables.forwarded(connection, merchant.name, said["xid"], kind, said["n"])
            if known is None:
                values = (merchant.name, said["xid"], kind, said["n"], request.id, answer)
                connection.execute(tables.FORWARDED.insert().values(values))
                self._note(connection, f"payment.{kind}", now, xid=said["xid"], result=told.document["result"])
            else:
                answer = bytes(known.answer)
        return self._to_merchant(merchant, answer, now)

    # ------------------------------------------------------------------ shared

    def _issuer_of(self, ds: Act) -> Peer:
        issuer = self.acquirer.issuers.get(ds.document["issuer"])
        if issuer is None:
            raise Refusal("unknown-issuer", "the acquirer does not reach the card's bank")
        return issuer

    def _seal(self, peer: Peer, content: bytes, content_type: str, now: datetime) -> bytes:
        acquirer = self.acquirer
        return seal_to(peer, content, content_type, trust=acquirer.trust, at=now, random=acquirer.random)

    def _to_merchant(self, merchant: Peer, act: bytes, now: datetime) -> bytes:
        return self._seal(merchant, act, oids.ACT, now)

    def _note(self, connection: sa.Connection, kind: str, at: datetime, **facts: str | int) -> None:
        event = Event(kind=kind, at=at, component=self.acquirer.component, facts=facts)
        tables.OUTBOX.sink(connection).append(event)


def _known(row: sa.Row[Any] | None) -> sa.Row[Any]:
    if row is None:
        raise Refusal("unknown-payment", "the gateway knows no such payment")
    return row
