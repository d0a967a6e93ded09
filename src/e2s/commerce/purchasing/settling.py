"""Pay, deliver, take the money or give it back: the merchant's side of steps 8 and 9.

The payment component alone speaks to the gateway and says how a payment stands; only its word, which
is the gateway's, ends *asking*.  Goods leave by a stamped delivery, while the hold surely stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.instants import parse_instant, passed_for_counterpart, passed_for_owner
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.order import SUMS
from e2s.commerce.purchasing import offer as rules
from e2s.commerce.purchasing import store
from e2s.commerce.purchasing.counter import Counter
from e2s.commerce.purchasing.offer import Buyer
from e2s.commerce.purchasing.selling import Selling
from e2s.commerce.purchasing.store import Trade
from e2s.commerce.purchasing.tables import MERCHANT
from e2s.commerce.steps import follow
from e2s.crypto.acts import Act, read_act, read_parcel
from e2s.security.keys.key_handler import AskLink

PREQ = "e2s/1/preq"
MAX_STATE_BYTES = 2 * 1024 * 1024
#: The acts that the payment component's state carries, each where there is one.
_WORDS = ("auth", "pres", "capreq", "capres", "revres", "cancel")
#: Events of the merchant's table by the payment component's state, as seen while *asking*.
OUTCOMES = {
    "authorised": "approved",
    "capturing": "approved",
    "captured": "approved",
    "unpaid": "approved",
    "reversing": "approved",
    "reversed": "approved",
    "declined": "declined",
    "refused": "refused",
}
#: Whether the goods can be delivered: the policy of the shop.
Deliverable = Callable[[Trade, Act], bool]


def always(_trade: Trade, _offer: Act) -> bool:
    """Everything is in stock."""
    return True


class Settling:
    """The acts from a contract to its end."""

    def __init__(
        self, counter: Counter, selling: Selling, payment: AskLink, deliverable: Deliverable = always
    ) -> None:
        """``payment`` leads to the payment component."""
        self._counter = counter
        self._selling = selling
        self._payment = payment
        self._deliverable = deliverable

    # ------------------------------------------------------------------ step 8
    def pinit(self, buyer: Buyer, args: Document) -> Document:
        """The payment component's signed terms for paying this contract."""
        with self._counter.alone(buyer.person, args["trade"]):
            trade = self._contract(buyer, args, "pinit")
            with self._counter.store.reading() as connection:
                document = store.needed(connection, trade.id, "offer").document
            asked = {
                **{name: args[name] for name in ("trade", "cid", "nC", "brand", "issuer")},
                "buyer": buyer.person,
                "total": document["total"],
                "currency": document["currency"],
                "payBy": trade.pay_by,
            }
            answer = self._ask("/pinit", asked)
        return {name: answer[name] for name in ("pinit", "certificates")}

    def _contract(self, buyer: Buyer, args: Document, event: str) -> Trade:
        """The trade as it stands, once ``event`` has a place in its state and payment is not late."""
        trade = self._selling.lapsed(self._selling.known(buyer, args["trade"]))
        follow(MERCHANT, trade.state, event)
        if "cid" in args and args["cid"] != trade.cid:
            raise Refusal("other-contract", "the trade's contract is another")
        late = passed_for_owner(parse_instant(trade.pay_by), self._counter.now())
        if trade.state == "confirmed" and late:
            raise Refusal("late-payment", "the contract was to be paid before now")
        return trade

    def pay(self, buyer: Buyer, args: Document) -> Document:
        """PRes, *pending*, or Void; the parcel is handed on unopened but for the signed order to pay."""
        parcel = unb64u(args["parcel"])
        ds = read_act(read_parcel(parcel, PREQ)[0])
        with self._counter.alone(buyer.person, args["trade"]):
            trade = self._contract(buyer, args, "preq")
            if trade.state == "void":
                return {"void": b64u(self._lapse(trade))}
            cid, named = ds.document.get("cid"), ds.document.get("trade")
            if ds.type != "e2s/1/pay" or cid != trade.cid or named != trade.trade:
                raise Refusal("ds-for-other-contract", "the order to pay is for another contract")
            with self._counter.store.reading() as connection:
                known = store.act(connection, trade.id, "ds")
                answered = {ds_id for ds_id, _ in _answers(connection, trade.id)}
            under_way = trade.state != "confirmed" or "preq" in self._intents(trade)
            if under_way and known is not None and known.id != ds.id:
                raise Refusal("payment-under-way", "another order to pay this contract is under way")
            if trade.state in ("confirmed", "asking") and ds.id not in answered:
                trade = self._order(trade, ds, parcel)
            return self._answer(trade, ds.id)

    def _order(self, trade: Trade, ds: Act, parcel: bytes) -> Trade:
        """Intend the request, hand it to the payment component, follow what it says."""
        counter = self._counter
        if "preq" not in self._intents(trade):
            with counter.store.transaction() as connection:
                store.keep(connection, trade.id, "ds", ds.octets)
                store.intend(connection, trade.id, "preq", parcel)
        try:
            return self.request(trade)
        except Unreachable:  # *pending*: the request stands, and time repeats it
            return trade

    def request(self, trade: Trade) -> Trade:
        """Send the intended request (again); a refusal before anything was sent leaves no trace."""
        counter = self._counter
        with counter.store.reading() as connection:
            intended = store.intent(connection, trade.id, "preq")
            if intended is None:  # nothing was ordered yet, or the last order was answered
                return trade
            document = store.needed(connection, trade.id, "offer").document
            ds = store.needed(connection, trade.id, "ds")
        contract = {name: document[name] for name in SUMS}
        contract |= {"trade": trade.trade, "cid": trade.cid, "payBy": trade.pay_by}
        try:
            state = self._ask("/pay", {"parcel": b64u(intended[0]), "contract": contract})
        except Refusal:
            if trade.state == "confirmed":
                with counter.store.transaction() as connection:
                    store.fulfil(connection, trade.id, "preq")
                    store.forget_act(connection, trade.id, ds.id)
            raise
        return self._follow(trade, state)

    def _follow(self, trade: Trade, state: Document) -> Trade:
        """Bring the trade to what the payment component says, in one commit."""
        counter, crls = self._counter, self._crls(state)
        with counter.store.transaction() as connection:
            if trade.state == "confirmed":
                store.move(connection, trade.id, "preq", xid=state["xid"], issuer=state["issuer"])
            now = store.get(connection, trade.id).state
            event = OUTCOMES.get(state["state"], "") if now in ("asking", "void") else ""
            if event:
                times = {
                    column: state[name]
                    for name, column in (("holdUntil", "hold_until"), ("claimUntil", "claim_until"))
                    if name in state
                }
                store.move(connection, trade.id, event, **times)
                if event == "approved":
                    store.keep_opened(connection, trade.id, "OI", self._order_information(connection, trade))
                store.fulfil(connection, trade.id, "preq")
                store.keep_crls(connection, trade.id, crls)
                counter.event(connection, f"payment.{event}", trade=trade.trade, xid=state["xid"])
            for name in ("auth", "pres", "capreq", "capres", "revres"):
                if name in state:
                    store.keep(connection, trade.id, name, unb64u(state[name]))
            return store.get(connection, trade.id)

    @staticmethod
    def _order_information(connection: sa.Connection, trade: Trade) -> bytes:
        """OI: the second item of the parcel that the buyer sent, hers and ours to show."""
        intended = store.intent(connection, trade.id, "preq")
        return read_parcel(intended[0], PREQ)[1] if intended else b""

    def _answer(self, trade: Trade, ds_id: str) -> Document:
        """The stored answer to this order to pay, or *pending*."""
        with self._counter.store.reading() as connection:
            answers = dict(_answers(connection, trade.id))
        return {"pres": b64u(answers[ds_id])} if ds_id in answers else {"pending": True}

    def _lapse(self, trade: Trade) -> bytes:
        """The signed word that the contract lapsed, made once."""
        counter = self._counter
        with counter.store.reading() as connection:
            offer = store.needed(connection, trade.id, "offer")
            said = store.act(connection, trade.id, "void") or store.intent(connection, trade.id, "void")
        if said is None:
            document = rules.make_void(counter.sender, offer, None, "lapsed", counter.now())
            with counter.store.transaction() as connection:
                counter.intend(connection, trade.id, "void", document)
        return self._selling.made(trade, "void")

    # ------------------------------------------------------------------ step 9, and the end
    def advance(self, trade: Trade) -> Trade:
        """Do what the trade's state calls for now; the caller holds the trade."""
        trade = self._selling.lapsed(trade)
        if trade.state in ("confirmed", "asking"):
            trade = self.request(trade)
        if trade.state == "authorised":
            trade = self._deliver(trade)
        if trade.state == "delivered":
            trade = self._capture(trade)
        if trade.state == "reversing":
            trade = self._reverse(trade)
        return trade

    def _deliver(self, trade: Trade) -> Trade:
        """Release a stamped delivery; or, when that cannot be in time, set out to give the money back."""
        counter = self._counter
        hold = parse_instant(trade.hold_until)
        with counter.store.reading() as connection:
            offer = store.needed(connection, trade.id, "offer")
            ds = store.needed(connection, trade.id, "ds")
            intended = store.intent(connection, trade.id, "delivery")
        if counter.now() >= hold - counter.deadlines.margin:
            return self._move(trade, "margin")
        if not self._deliverable(trade, offer):
            return self._move(trade, "cannot")
        if intended is None:
            document = rules.make_delivery(
                counter.sender, offer, trade.cid, ds.document, trade.issuer, counter.now()
            )
            with counter.store.transaction() as connection:
                counter.intend(connection, trade.id, "delivery", document, ["pres", "ds"])
        octets = counter.sign(trade.id, "delivery")
        token = counter.stamped(read_act(octets))
        if token is None:  # 9.6: not released without its stamp; tried again until the margin
            return trade
        with counter.store.transaction() as connection:
            store.move(connection, trade.id, "deliver")
            act = counter.keep(connection, trade.id, "delivery", octets)
            store.keep_stamp(connection, trade.id, act.id, token)
            counter.event(connection, "delivery.released", trade=trade.trade, act=act.id)
            return store.get(connection, trade.id)

    def _move(self, trade: Trade, event: str) -> Trade:
        with self._counter.store.transaction() as connection:
            store.move(connection, trade.id, event)
            store.fulfil(connection, trade.id, "delivery")  # was never released, and never will be
            self._counter.event(connection, f"trade.{event}", trade=trade.trade)
            return store.get(connection, trade.id)

    def _capture(self, trade: Trade) -> Trade:
        counter = self._counter
        with counter.store.reading() as connection:
            delivery = store.needed(connection, trade.id, "delivery")
            token = store.stamp(connection, trade.id, delivery.id)
        asked = {"xid": trade.xid, "delivery": b64u(delivery.octets), "token": b64u(token or b"")}
        try:
            state = self._ask("/capture", asked)
        except Unreachable:
            state = {"state": "capturing"}
        event = {"captured": "captured", "unpaid": "not-captured"}.get(state["state"], "")
        claim = trade.claim_until
        if not event and claim and passed_for_counterpart(parse_instant(claim), counter.now()):
            event = "claim-until"
        return self._ended(trade, event, state) if event else trade

    def _reverse(self, trade: Trade) -> Trade:
        """Give the money back; the payment component says so, over the bank's word, in a Cancel."""
        state = self._ask("/reverse", {"xid": trade.xid, "reason": "the goods cannot be delivered in time"})
        return self._ended(trade, "reversed", state) if state["state"] == "reversed" else trade

    def _ended(self, trade: Trade, event: str, state: Document) -> Trade:
        counter, crls = self._counter, self._crls(state)
        with counter.store.transaction() as connection:
            store.move(connection, trade.id, event)
            for name in ("capreq", "capres", "revres", "cancel"):
                if name in state:
                    store.keep(connection, trade.id, name, unb64u(state[name]))
            store.keep_crls(connection, trade.id, crls)
            counter.event(connection, f"trade.{event}", trade=trade.trade, xid=trade.xid)
            return store.get(connection, trade.id)

    def _crls(self, state: Document) -> Sequence[bytes]:
        """The lists of this moment about all who signed what ``state`` carries: before anything is kept."""
        words = [read_act(unb64u(state[name])) for name in _WORDS if name in state]
        signers = [certificate for word in words for certificate in (word.certificate, *word.certificates)]
        return self._counter.trust.source.crls(*signers)

    def receipt(self, buyer: Buyer, args: Document, rid: str, asked: bytes) -> Document:
        """Keep the buyer's receipt of the delivery; a known one gets the same answer."""
        counter = self._counter
        act = read_act(unb64u(args["act"]))
        with counter.alone(buyer.person, args["trade"]):
            trade = self._selling.known(buyer, args["trade"])
            follow(MERCHANT, trade.state, "receipt")
            with counter.store.reading() as connection:
                known = store.act(connection, trade.id, "receipt")
                delivery = store.needed(connection, trade.id, "delivery")
                offer = store.needed(connection, trade.id, "offer")
            if known is not None and known.id != act.id:
                raise Refusal("already-received", "another receipt was taken for this delivery")
            if known is None:
                key, name, now = offer.document["buyer"], counter.party.name, counter.now()
                rules.check_receipt(act, delivery, buyer, key, name, counter.trust, now)
                stored: Document = {"stored": act.id}
                with counter.store.transaction() as connection:
                    store.keep(connection, trade.id, "receipt", act.octets)
                    store.keep_crls(connection, trade.id, counter.trust.source.crls())
                    counter.event(connection, "receipt.taken", trade=trade.trade, act=act.id)
                    store.keep_result(connection, buyer.person, rid, asked, wire.encode(stored), now)
        return {"stored": act.id}

    def _intents(self, trade: Trade) -> list[str]:
        with self._counter.store.reading() as connection:
            return store.intents(connection, trade.id)

    def _ask(self, path: str, body: Document) -> Document:
        """The payment component's answer, of the form that its doors have."""
        answer = wire.decode(self._payment.ask(path, wire.encode(body)), MAX_STATE_BYTES)
        if path != "/pinit" and not {"state", "xid", "issuer"} <= answer.keys():
            raise E2SError("bad-answer", "the payment component's answer has another form")
        return answer


def _answers(connection: sa.Connection, key: int) -> list[tuple[str, bytes]]:
    """Each order to pay that was answered, by its #, with the answer."""
    return [
        (read_act(octets).document["ds"], octets)
        for name, _, octets in store.acts(connection, key)
        if name == "pres" and read_act(octets).document["result"] != "pending"
    ]
