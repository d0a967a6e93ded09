"""The merchant's payment component: five link doors for purchasing, and what waits is asked again.

Bodies are canonical documents.  ``/pinit`` {trade, cid, nC, brand, issuer, buyer, total, currency, payBy}
gives {pinit, certificates}.  ``/pay`` {parcel, contract}, ``/state`` {cid}, ``/capture`` {xid, delivery,
token} and ``/reverse`` {xid, reason} give the payment's state: {state, xid, cid, holder, issuer, ds, auth?,
pres?, holdUntil?, claimUntil?, capreq?, capres?, revres?, cancel?}, or {state: none}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.order import SUMS, check_sums
from e2s.commerce.payment import store as tables
from e2s.commerce.payment.asking import Asking
from e2s.commerce.payment.doors import Refusals
from e2s.commerce.payment.merchant import Payments, Till
from e2s.crypto.forms import amount, currency_code, digest, instant, octets, octets_max, record, text

Door: TypeAlias = Callable[[str, bytes], bytes]

_BODY_BYTES = 2 * 1024 * 1024
_TRADE = octets(16)
_XID = octets(20)
_PINIT = record(
    {
        "trade": _TRADE,
        "cid": digest,
        "nC": octets(32),
        "brand": text(64),
        "issuer": text(200),
        "buyer": text(200),
        "total": amount,
        "currency": currency_code,
        "payBy": instant,
    }
)
_PAY = record(
    {
        "parcel": octets_max(1024 * 1024),
        "contract": record({"trade": _TRADE, "cid": digest, "payBy": instant, **SUMS}),
    }
)
_STATE = record({"cid": digest})
_CAPTURE = record({"xid": _XID, "delivery": octets_max(1024 * 1024), "token": octets_max(64 * 1024)})
_REVERSE = record({"xid": _XID, "reason": text(200)})


class MerchantPayment:
    """The component; ``purchasing`` is the only linked component that it listens to."""

    def __init__(self, till: Till, *, purchasing: str) -> None:
        """``purchasing``: the name of the purchasing component on its link."""
        self.till = till
        self._purchasing = purchasing
        self._payments = Payments(till)
        self._asking = Asking(till)
        self._refusals = Refusals(till.component)

    @property
    def doors(self) -> Mapping[str, Door]:
        """The link doors by path."""
        return {
            "/pinit": self._door(self.pinit),
            "/pay": self._door(self.pay),
            "/state": self._door(self.state),
            "/capture": self._door(self.capture),
            "/reverse": self._door(self.reverse),
        }

    def tick(self) -> None:
        """Ask the gateway again about whatever waits, and write down what was refused."""
        self._payments.try_again(self._asking.ask)
        self._refusals.flush(self.till.store, tables.OUTBOX, self.till.clock.now())

    def close(self) -> None:
        """Give the database back."""
        self.till.store.close()

    def pinit(self, asked: Document) -> Document:
        """PInitRes for (cid, nC)."""
        _PINIT(asked, asked.get("currency", ""))
        act, certificates = self._payments.pinit(asked)
        return {"pinit": b64u(act), "certificates": [b64u(one.der) for one in certificates]}

    def pay(self, asked: Document) -> Document:
        """Take PReq, ask for the money, and say what is known."""
        _PAY(asked, "")
        check_sums(asked["contract"])
        xid = self._payments.pay(unb64u(asked["parcel"]), asked["contract"])
        return self._asked(xid)

    def state(self, asked: Document) -> Document:
        """The contract's newest payment."""
        _STATE(asked, "")
        return self._payments.newest(asked["cid"])

    def capture(self, asked: Document) -> Document:
        """Take the stamped Delivery and ask for the capture."""
        _CAPTURE(asked, "")
        self._payments.capture(asked["xid"], unb64u(asked["delivery"]), unb64u(asked["token"]))
        return self._asked(asked["xid"])

    def reverse(self, asked: Document) -> Document:
        """Give the money back that was never captured."""
        _REVERSE(asked, "")
        self._payments.reverse(asked["xid"], asked["reason"])
        return self._asked(asked["xid"])

    def _asked(self, xid: str) -> Document:
        """The payment's state after one try; what did not come now is asked for again at the next tick."""
        self._payments.try_again(self._asking.ask, only=xid)
        return self._payments.of(xid)

    def _door(self, act: Callable[[Document], Document]) -> Door:
        def door(peer: str, body: bytes) -> bytes:
            if peer != self._purchasing:
                raise Refusal("wrong-component", "only purchasing speaks to payment", component=peer)
            try:
                return wire.encode(act(wire.decode(body, _BODY_BYTES)))
            except Refusal as refusal:
                self._refusals.add(refusal)
                raise

        return door
