"""What waits for the gateway: the same request again until its signed word, which is proven before it counts.

The answer must name this merchant, this dual signature and this request, and nest the issuer's own word;
so neither gateway nor merchant can claim money that no bank gave.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant, passed_for_counterpart
from e2s.commerce.acts import draft, over_exactly, received
from e2s.commerce.delivery import CANCEL
from e2s.commerce.payment import store as tables
from e2s.commerce.payment.documents import (
    AUTHRES,
    AUTHRES_REFUSED,
    CAPRES,
    CAPTURED,
    DECISION,
    PRES,
    REVERSED,
    REVRES,
)
from e2s.commerce.payment.dual_signature import names_of, same_payment
from e2s.commerce.payment.instructions import line_items
from e2s.commerce.payment.merchant import KEY, LASTING, Till, known
from e2s.commerce.payment.peers import Peer, post, seal_to
from e2s.commerce.payment.tables import PAYMENT
from e2s.commerce.steps import follow
from e2s.crypto import oids
from e2s.crypto.acts import Act, act_id, read_act, write_parcel
from e2s.crypto.forms import Form

_EVENTS = {"approved": "approved", "declined": "declined", "void": "voided"}


class Asking:
    """Carries one payment's open question to the gateway and takes the answer."""

    def __init__(self, till: Till) -> None:
        """``till``: whose payments these are."""
        self.till = till

    def ask(self, xid: str) -> None:
        """Send what waits, once; raises :class:`E2SError` when no signed word came."""
        with self.till.store.reading() as connection:
            row = known(tables.payment(connection, xid))
        if row.state == "asking":
            self._authorise(row)
        elif row.state == "capturing":
            self._capture(row)
        elif row.state == "reversing":
            self._reverse(row)

    # ------------------------------------------------------------------ AuthReq

    def _authorise(self, row: sa.Row[Any]) -> None:
        till, now = self.till, self.till.clock.now()
        follow(PAYMENT, row.state, "time-out")
        auth = till.keys.sign_octets(KEY, row.auth_doc, [row.ds])
        parcel = write_parcel("e2s/1/authreq", [auth, row.pi, row.si])
        answer = self._exchange("/payment/authorise", parcel, oids.PLAIN_PARCEL, now)
        auth_id, ds = read_act(auth).id, read_act(row.ds)
        if answer.type == AUTHRES_REFUSED.type:
            self._refused(row, answer, auth_id, ds, now)
            return
        authres, decision = self._authres(answer, auth_id, ds, now)
        result = authres.document["result"]
        step = follow(PAYMENT, row.state, _EVENTS[result])
        holder = ds.certificate.name
        pres = draft(
            PRES,
            by=till.keys.certificate(KEY),
            to=[holder, row.buyer],
            at=now,
            until=now + LASTING,
            trade=ds.document["trade"],
            xid=row.xid,
            ds=ds.id,
            result=result,
        )
        values = {
            "state": step.state,
            "auth": auth,
            "authres": authres.octets,
            "pres": till.keys.sign_octets(KEY, wire.encode(pres), [authres.octets]),
            "hold_until": decision.document.get("holdUntil"),
            "claim_until": decision.document.get("claimUntil"),
        }
        self._commit(row, values, now)

    def _authres(self, answer: Act, auth_id: str, ds: Act, now: datetime) -> tuple[Act, Act]:
        """AuthRes and the issuer's Decision in it, both about this payment and no other."""
        till = self.till
        authres = over_exactly(self._gateways_word(answer, AUTHRES, ds, now), 1)
        names = {**names_of(ds), "trade": ds.document["trade"]}
        same_payment(authres.document, names)
        if authres.document["req"] != auth_id:
            raise Refusal("other-transaction", "the gateway answers another request")
        decision = self._issuers_word(authres.inner(), DECISION, ds, now)
        result = decision.document["result"]
        if authres.document["result"] != result:
            raise Refusal("gateway-invents", "the gateway says something else than the issuer", result=result)
        if result == "approved":
            hold, claim = decision.document.get("holdUntil"), decision.document.get("claimUntil")
            if not hold or not claim or parse_instant(hold) > parse_instant(claim):
                raise Refusal(
                    "bad-document", "an approval says until when it holds", component=till.component
                )
        return authres, decision

    def _refused(self, row: sa.Row[Any], answer: Act, auth_id: str, ds: Act, now: datetime) -> None:
        """The gateway will not forward this request, ever."""
        refused = over_exactly(self._gateways_word(answer, AUTHRES_REFUSED, ds, now), 0)
        said = refused.document
        own = self.till.keys.certificate(KEY).id
        wanted = {"xid": row.xid, "ds": ds.id, "merchant": own, "trade": ds.document["trade"]}
        same_payment(said, wanted)
        if said["req"] != auth_id:
            raise Refusal("other-transaction", "the gateway answers another request")
        step = follow(PAYMENT, row.state, "refused")
        self._commit(row, {"state": step.state, "authres": refused.octets, "reason": said["rule"]}, now)

    # ------------------------------------------------------------------ CapReq

    def _capture(self, row: sa.Row[Any]) -> None:
        till, now = self.till, self.till.clock.now()
        if passed_for_counterpart(parse_instant(row.claim_until), now):
            step = follow(PAYMENT, row.state, "not-captured")
            self._commit(row, {"state": step.state, "reason": "claim-until"}, now)
            return
        follow(PAYMENT, row.state, "time-out")
        ds = read_act(row.ds)
        issuer = till.issuers[ds.document["issuer"]]
        request = till.keys.sign_octets(KEY, row.capreq_doc, [row.authres])
        sealed = self._sealed_lines(row, issuer, now)
        parcel = write_parcel("e2s/1/capture", [request, sealed])
        answer = self._exchange("/payment/capture", parcel, oids.PLAIN_PARCEL, now)
        request_id = act_id(wire.decode(row.capreq_doc), [row.authres])
        result = self._told(answer, CAPRES, CAPTURED, request_id, ds, now)
        step = follow(PAYMENT, row.state, "captured" if result == "captured" else "not-captured")
        self._commit(row, {"state": step.state, "capreq": request, "capres": answer.octets}, now)

    def _sealed_lines(self, row: sa.Row[Any], issuer: Peer, now: datetime) -> bytes:
        """E_I{LI, OI, Delivery, its time stamp}."""
        li = line_items(wire.decode(row.oi), issuer=issuer.name, delivery=read_act(row.delivery).id)
        parcel = write_parcel("e2s/1/li", [wire.encode(li), row.oi, row.delivery, row.token])
        return self._seal(issuer, parcel, oids.PLAIN_PARCEL, now)

    # ------------------------------------------------------------------ AuthRev

    def _reverse(self, row: sa.Row[Any]) -> None:
        till, now = self.till, self.till.clock.now()
        follow(PAYMENT, row.state, "time-out")
        ds = read_act(row.ds)
        request = till.keys.sign_octets(KEY, row.authrev_doc, [row.authres])
        answer = self._exchange("/payment/reverse", request, oids.ACT, now)
        request_id = act_id(wire.decode(row.authrev_doc), [row.authres])
        result = self._told(answer, REVRES, REVERSED, request_id, ds, now)
        if result == "captured":
            raise Refusal("already-captured", "the issuer says that this payment was captured", xid=row.xid)
        step = follow(PAYMENT, row.state, "reversed")
        cancel = draft(
            CANCEL,
            by=till.keys.certificate(KEY),
            to=[ds.certificate.name, row.buyer],
            at=now,
            until=now + LASTING,
            trade=ds.document["trade"],
            cid=row.cid,
            xid=row.xid,
            reason=row.reason,
        )
        values = {
            "state": step.state,
            "authrev": request,
            "revres": answer.octets,
            "cancel": till.keys.sign_octets(KEY, wire.encode(cancel), [answer.octets]),
        }
        self._commit(row, values, now)

    # ------------------------------------------------------------------ shared

    def _told(self, answer: Act, outer: Form, inner: Form, request: str, ds: Act, now: datetime) -> str:
        """What the issuer says became of a capture or reversal, nested in the gateway's word."""
        act = over_exactly(self._gateways_word(answer, outer, ds, now), 1)
        told = self._issuers_word(act.inner(), inner, ds, now)
        if act.document["req"] != request or told.document["req"] != request:
            raise Refusal("other-transaction", "the answer is to another request")
        same_payment(act.document, {member: ds.document[member] for member in ("xid", "trade")})
        if any(act.document[m] != told.document[m] for m in ("n", "result") if m in act.document):
            raise Refusal("gateway-invents", "the gateway says something else than the issuer")
        return str(told.document["result"])

    def _gateways_word(self, act: Act, form: Form, ds: Act, now: datetime) -> Act:
        till = self.till
        found = received(
            act, form, trust=till.trust, to=till.name, role="gateway", at=now, name=till.gateway.name
        )
        if found.certificate.id != ds.document["gateway"]:
            raise Refusal("other-gateway", "the answer is by another gateway")
        return found

    def _issuers_word(self, act: Act, form: Form, ds: Act, now: datetime) -> Act:
        till = self.till
        found = over_exactly(received(act, form, trust=till.trust, to=till.name, role="issuer", at=now), 0)
        if found.certificate.id != ds.document["issuer"]:
            raise Refusal("other-issuer", "the word is by another bank")
        same_payment(found.document, {**names_of(ds), "trade": ds.document["trade"]})
        return found

    def _exchange(self, path: str, content: bytes, content_type: str, now: datetime) -> Act:
        """Seal to the gateway, send, and open the answer to P's agreement key."""
        till = self.till
        answer = post(till.exchange, till.gateway, path, self._seal(till.gateway, content, content_type, now))
        found, octets = till.keys.open("payment-agreement", answer)
        if found != oids.ACT:
            raise Refusal("bad-envelope", "the envelope holds something else", expected=oids.ACT)
        return read_act(octets)

    def _seal(self, peer: Peer, content: bytes, content_type: str, now: datetime) -> bytes:
        till = self.till
        return seal_to(peer, content, content_type, trust=till.trust, at=now, random=till.random)

    def _commit(self, row: sa.Row[Any], values: dict[str, Any], now: datetime) -> None:
        """Commit the answer unless another thread took it first."""
        till = self.till
        with till.store.transaction() as connection:
            if tables.advance(connection, row.xid, row.state, values):
                till.note(connection, f"payment.{values['state']}", now, xid=row.xid)
