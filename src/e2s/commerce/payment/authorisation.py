"""The gateway's part of an authorisation: refused before it is forwarded, or decided by the issuer alone.

A refusal lasts for (merchant, xid).  What was forwarded is asked for until the issuer's signed word; after
the dual signature's ``until`` a reversal is asked for instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.instants import format_instant, parse_instant
from e2s.commerce.acts import draft, over_exactly, received
from e2s.commerce.payment import gateway_store as tables
from e2s.commerce.payment.acquirer import LASTING, Acquirer, known
from e2s.commerce.payment.documents import AUTH, AUTHRES, AUTHRES_REFUSED, DECISION, ISSUE, PAY, PI, REVERSE
from e2s.commerce.payment.doors import opened, opened_parcel
from e2s.commerce.payment.dual_signature import check_amount, check_authorisation, names_of, until_of
from e2s.commerce.payment.instructions import check_payment_instruction, read_instruction
from e2s.commerce.payment.patience import Patience
from e2s.commerce.payment.peers import Peer, post
from e2s.commerce.payment.tables import GATEWAY
from e2s.commerce.steps import follow
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act, read_parcel, sign_act, write_parcel

#: Rules that say that somebody could not be asked just now; no lasting refusal follows from them.
_PASSING = frozenset({"revocation-unknown"})


class Authorising:
    """Takes AuthReq, asks the issuer, answers."""

    def __init__(self, acquirer: Acquirer) -> None:
        """``acquirer``: whose gateway this is."""
        self.acquirer = acquirer
        self.patience = Patience()

    def authorise(self, envelope: bytes) -> bytes:
        """E_G{AuthReq} -> E_P{AuthRes or its refusal}; the stored answer for a repeat.

        Raises :class:`Refusal` ``xid-reused`` for another request under the same (merchant, xid), and
        :class:`Unreachable` while the issuer has not decided.
        """
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        items = read_parcel(opened_parcel(envelope, acquirer.opener), "e2s/1/authreq")
        if len(items) != 3:
            raise Refusal("bad-parcel", "the parcel holds AuthReq, PI and SI")
        auth, merchant = self.acquirer.merchants_word(items[0], AUTH, now)
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
        return self.acquirer.to_merchant(merchant, self.decided(merchant.name, xid), now)

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
            until=now + LASTING,
            trade=said["trade"],
            xid=said["xid"],
            ds=said["ds"],
            req=auth.id,
            merchant=auth.certificate.id,
            rule=rule,
        )
        act = sign_act(document, (), acquirer.signer, now)
        values = {
            "state": step.state,
            "auth_id": auth.id,
            "auth": auth.octets,
            "result": "refused",
            "answer": act,
        }
        self._add(merchant, said["xid"], values, now, rule=rule)

    def _forward(self, merchant: Peer, auth: Act, pi: bytes, si: bytes, now: datetime) -> None:
        """Commit that this request goes to the issuer, and in which words."""
        acquirer, ds = self.acquirer, auth.inner()
        step = follow(GATEWAY, "none", "authreq")
        document = draft(
            ISSUE,
            by=acquirer.signer.certificate,
            to=[self.acquirer.issuer_of(ds).name],
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

    def _add(
        self, merchant: Peer, xid: str, values: Mapping[str, Any], now: datetime, rule: str = ""
    ) -> None:
        """Insert the authorisation unless its repeat came first."""
        acquirer = self.acquirer
        with acquirer.store.transaction() as connection:
            if tables.authorisation(connection, merchant.name, xid) is None:
                members = {"merchant": merchant.name, "xid": xid, "at": format_instant(now), **values}
                tables.add_authorisation(connection, members)
                self.acquirer.note(connection, f"payment.{values['state']}", now, xid=xid, rule=rule)

    def decided(self, merchant: str, xid: str) -> bytes:
        """The signed answer to the merchant, got from the issuer where there is none yet."""
        acquirer, now = self.acquirer, self.acquirer.clock.now()
        with acquirer.store.reading() as connection:
            row = known(tables.authorisation(connection, merchant, xid))
        if row.answer is not None:
            return bytes(row.answer)
        key = (merchant, xid)
        try:
            state, decision = self._ask(row, now)
        except E2SError:
            self.patience.failed(key, now)
            raise
        self.patience.done(key)
        auth = read_act(row.auth)
        step = follow(GATEWAY, state, "decision")
        answer = self._authres(auth, decision, now)
        values = {
            "state": step.state,
            "result": decision.document["result"],
            "answer": answer,
            "answer_id": read_act(answer).id,
        }
        with acquirer.store.transaction() as connection:
            if tables.advance(connection, merchant, xid, state, values):
                self.acquirer.note(
                    connection, "payment.decided", now, xid=xid, result=decision.document["result"]
                )
                return answer
            row = known(tables.authorisation(connection, merchant, xid))
        if row.answer is None:
            raise Unreachable("undecided", "a reversal is under way: only the answer to it counts now")
        return bytes(row.answer)

    def _ask(self, row: sa.Row[Any], now: datetime) -> tuple[str, Act]:
        """AuthIss, or after ``until`` the reversal, to the issuer: the state asked in, and its decision."""
        acquirer = self.acquirer
        auth = read_act(row.auth)
        ds = auth.inner()
        issuer = self.acquirer.issuer_of(ds)
        try:
            step = follow(GATEWAY, row.state, "until" if now >= until_of(ds) else "time-out")
            if step.send == "reverse":
                octets = post(
                    acquirer.exchange, issuer, "/payment/reverse-unanswered", self._reversal(row, ds, now)
                )
            else:
                octets = post(
                    acquirer.exchange, issuer, "/payment/issue", self._authiss(row, auth, issuer, now)
                )
        except Refusal as refusal:
            raise Unreachable(
                "issuer-refused", "the issuer gave no signed word", rule=refusal.rule
            ) from refusal
        return step.state, self.acquirer.issuers_word(octets, DECISION, ds, issuer, now)

    def _authiss(self, row: sa.Row[Any], auth: Act, issuer: Peer, now: datetime) -> bytes:
        acquirer = self.acquirer
        document = wire.decode(row.issue_doc)
        issue = sign_act(document, [auth.octets], acquirer.signer, parse_instant(document["at"]))
        pi = opened(row.pi, acquirer.opener, oids.PLAIN_PI)
        parcel = write_parcel("e2s/1/authiss", [issue, pi, row.si])
        return self.acquirer.seal(issuer, parcel, oids.PLAIN_PARCEL, now)

    def _reversal(self, row: sa.Row[Any], ds: Act, now: datetime) -> bytes:
        """S_G<reverse; DS>, its document and the state *reversing* committed before it leaves."""
        acquirer = self.acquirer
        octets = row.reverse_doc
        if octets is None:
            document = draft(
                REVERSE,
                by=acquirer.signer.certificate,
                to=[self.acquirer.issuer_of(ds).name],
                at=now,
                until=now + LASTING,
                trade=ds.document["trade"],
                xid=ds.document["xid"],
                ds=ds.id,
                reason="no decision in time",
            )
            octets = wire.encode(document)
            with acquirer.store.transaction() as connection:
                step = follow(GATEWAY, row.state, "until")
                values = {"state": step.state, "reverse_doc": octets}
                if not tables.advance(connection, row.merchant, row.xid, "forwarded", values):
                    raise Unreachable("undecided", "the payment moved on while it was looked at")
                self.acquirer.note(connection, "payment.reversal", now, xid=row.xid)
        document = wire.decode(octets)
        return sign_act(document, [ds.octets], acquirer.signer, parse_instant(document["at"]))

    def _authres(self, auth: Act, decision: Act, now: datetime) -> bytes:
        acquirer, ds = self.acquirer, auth.inner()
        document = draft(
            AUTHRES,
            by=acquirer.signer.certificate,
            to=[auth.certificate.name, ds.certificate.name],
            at=now,
            until=now + LASTING,
            trade=ds.document["trade"],
            **names_of(ds),
            req=auth.id,
            result=decision.document["result"],
        )
        return sign_act(document, [decision.octets], acquirer.signer, now)
