"""What purchasing does, free of any transport: serve requests, move trades with time, keep the proof.

A request is answered once per (buyer, rid); what it binds is stored with its answer, so a repeat after
a lost answer, a new login or a restart changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal
from e2s.base.events import Event
from e2s.base.instants import DELTA
from e2s.base.refusals import RefusalCounter
from e2s.base.wire import Document, b64u
from e2s.commerce.evidence import TradeRecord, write_bundle
from e2s.commerce.purchasing import store
from e2s.commerce.purchasing.counter import Counter
from e2s.commerce.purchasing.offer import Buyer
from e2s.commerce.purchasing.requests import check_call
from e2s.commerce.purchasing.selling import Selling
from e2s.commerce.purchasing.settling import Deliverable, Settling, always
from e2s.commerce.purchasing.shelf import Shelf
from e2s.commerce.purchasing.store import Trade
from e2s.network.sessions.calls import Call
from e2s.network.sessions.merchant import Caller
from e2s.security.keys.durable import replace_file
from e2s.security.keys.key_handler import AskLink

#: Stored answers are kept as long as somebody may still repeat the request.
RESULTS_KEPT = timedelta(days=1)
_MAX_WAIT_SECONDS = 60
_PER_TICK = 500
#: What ``status`` shows of a trade, by the name under which it is kept.
SHOWN = (
    "offer",
    "accept",
    "confirm",
    "void",
    "ds",
    "pres",
    "delivery",
    "receipt",
    "capres",
    "revres",
    "cancel",
)


class Purchasing:
    """The acts of the purchasing component."""

    def __init__(
        self,
        *,
        counter: Counter,
        shelf: Shelf,
        payment: AskLink,
        deliverable: Deliverable = always,
        evidence: Path | None = None,
    ) -> None:
        """``evidence``: the folder in which the bundle of each ended trade is written."""
        self.counter = counter
        self.shelf = shelf
        self.selling = Selling(counter, shelf)
        self.settling = Settling(counter, self.selling, payment, deliverable)
        self._evidence = evidence
        self._refusals = RefusalCounter(counter.component)
        self._tries: dict[int, tuple[datetime, int]] = {}
        self._pruned: datetime | None = None

    # ------------------------------------------------------------------ requests
    def serve(self, caller: Caller, call: Call) -> Document:
        """The result of one authenticated request; raises :class:`Refusal` without effect."""
        try:
            check_call(call.op, call.args)
            return self._served(buyer_of(caller), call)
        except Refusal as refusal:
            now = self.counter.now()
            events = self._refusals.note(f"refused.{call.op}"[:40], refusal.rule, now)
            self._write(events)
            raise

    def _served(self, buyer: Buyer, call: Call) -> Document:
        args, rid = call.args, call.rid
        match call.op:
            case "search":
                return self.selling.search(buyer, args)
            case "item":
                return self.selling.item(buyer, args)
            case "basket":
                return self.selling.basket(buyer, args)
            case "pinit":
                return self.settling.pinit(buyer, args)
            case "pay":
                return self.settling.pay(buyer, args)
            case "status":
                return self.status(buyer, args["trade"])
        asked = sha256(wire.encode({"op": call.op, "args": args})).digest()
        with self.counter.store.reading() as connection:
            stored = store.result(connection, buyer.person, rid, asked)
        if stored is not None:
            return wire.decode(stored, max_bytes=len(stored))
        if call.op == "offer":
            return self.selling.offer(buyer, args, rid, asked)
        if call.op == "accept":
            return self.selling.accept(buyer, args, rid, asked)
        return self.settling.receipt(buyer, args, rid, asked)

    def status(self, buyer: Buyer, trade: str) -> Document:
        """State and acts of the buyer's trade, after whatever it can do now was done."""
        with self.counter.alone(buyer.person, trade):
            known = self._tried(self.selling.known(buyer, trade))
        with self.counter.store.reading() as connection:
            kept = store.acts(connection, known.id)
            stamps = store.stamps(connection, known.id)
        newest = {name: (act_id, octets) for name, act_id, octets in kept}
        shown: Document = {}
        for name in SHOWN:
            if name not in newest:
                continue
            act_id, octets = newest[name]
            shown[name] = b64u(octets)
            if act_id in stamps:
                shown["stamp" if name == "confirm" else f"{name}Stamp"] = b64u(stamps[act_id])
        return {"state": known.state, "acts": shown}

    # ------------------------------------------------------------------ time
    def tick(self) -> None:
        """Lapse what has lapsed, take up what a kill or a silent peer left, write bundles of ended trades."""
        now = self.counter.now()
        self._write(self._refusals.due(now))
        with self.counter.store.reading() as connection:
            waiting = store.waiting(connection, _PER_TICK)
            unstamped = store.unstamped(connection, now - 2 * DELTA, _PER_TICK)
        held = {trade.id for trade in waiting} | set(unstamped)
        self._tries = {key: tried for key, tried in self._tries.items() if key in held}
        for trade in waiting:
            if self._is_due(trade.id, now):
                with self.counter.alone(trade.person, trade.trade):
                    after = self._tried(self._current(trade.id))
                self._wait(trade.id, now, moved=after.state != trade.state)
        for key in unstamped:
            if self._is_due(-key, now):
                self._wait(-key, now, moved=self.selling.stamp_confirmation(key))
        self._prune(now)
        self._seal()

    def _tried(self, trade: Trade) -> Trade:
        """The trade after an attempt to move it; a silent or refusing peer leaves it where it stands."""
        try:
            self._take_up(trade)
            return self.settling.advance(trade)
        except E2SError as error:
            self._write(self._refusals.note("attempt", error.rule, self.counter.now()))
        return self._current(trade.id)

    def _current(self, key: int) -> Trade:
        with self.counter.store.reading() as connection:
            return store.get(connection, key)

    def _take_up(self, trade: Trade) -> None:
        """Sign what was intended before a kill."""
        with self.counter.store.reading() as connection:
            left = store.intents(connection, trade.id)
        for name in ("offer", "confirm", "void"):
            if name in left and (name == "void" or trade.state != "void"):
                self.selling.made(trade, name)

    def _is_due(self, key: int, now: datetime) -> bool:
        """Whether to try now; a clock that was set back makes nobody wait longer than the wait."""
        since, tries = self._tries.get(key, (now, 0))
        seconds = min(2 ** min(tries, 10) - 1, _MAX_WAIT_SECONDS)
        return not timedelta(0) <= now - since < timedelta(seconds=seconds)

    def _wait(self, key: int, now: datetime, *, moved: bool) -> None:
        """Wait twice as long after each attempt that moved nothing."""
        self._tries[key] = (now, 0 if moved else self._tries.get(key, (now, 0))[1] + 1)

    def _prune(self, now: datetime) -> None:
        if self._pruned is None or now - self._pruned > timedelta(hours=1):
            self._pruned = now
            with self.counter.store.transaction() as connection:
                store.forget_results(connection, now - RESULTS_KEPT)

    def _write(self, events: list[Event]) -> None:
        if events:
            with self.counter.store.transaction() as connection:
                for event in events:
                    store.OUTBOX.sink(connection).append(event)

    # ------------------------------------------------------------------ proof
    def trade_record(self, person: str, trade: str) -> TradeRecord:
        """Everything that the merchant keeps of a trade; raises :class:`Refusal` ``no-such-trade``."""
        with self.counter.store.reading() as connection:
            found = store.find(connection, person, trade)
            if found is None:
                raise Refusal("no-such-trade", "there is no such trade", trade=trade)
            acts = store.acts(connection, found.id)
            return TradeRecord(
                trade=trade,
                party=self.counter.party.name,
                acts=[(name, f"e2s/1/{store.TYPES.get(name, name)}", octets) for name, _, octets in acts],
                stamps=store.stamps(connection, found.id),
                crls=store.crls(connection, found.id),
                opened=store.opened(connection, found.id),
            )

    def _seal(self) -> None:
        """Write the bundles of trades that ended, or got one more act since."""
        if self._evidence is None:
            return
        with self.counter.store.reading() as connection:
            done = store.ended(connection, 20)
        for trade in done:
            record = self.trade_record(trade.person, trade.trade)
            replace_file(self._evidence / f"{trade.trade}.tar", write_bundle(record))
            with self.counter.store.transaction() as connection:
                store.sealed(connection, trade.id, len(record.acts))


def buyer_of(caller: Caller) -> Buyer:
    """The person and organisation that a session's certificate names; raises ``no-organisation``."""
    names = caller.certificate.names
    if len(names) < 2 or not names[0].startswith(f"{names[1]}:"):
        raise Refusal("no-organisation", "the certificate names no person of an organisation")
    return Buyer(person=names[0], organisation=names[1], subject=caller.certificate.subject)
