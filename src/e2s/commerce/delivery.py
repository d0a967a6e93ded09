"""What ends a contract: goods delivered and received, or the payment given back (6.2.1.1 step 9).

Payment carries a delivery in its capture and signs the cancel; purchasing signs the delivery; so these
forms stand between the two rooms.
"""

from __future__ import annotations

from e2s.crypto.forms import Form, digest, integer, list_of, number, octets, record, text

_PART = record({"n": integer(1, 1000), "qty": number})
_GOODS = record(
    {"name": text(200), "size": integer(0, 2**53 - 1), "chunk": integer(1, 262_144), "root": digest}
)
DELIVERY = Form(
    "e2s/1/delivery",
    {"cid": digest, "xid": octets(20), "n": integer(1, 1000), "lines": list_of(_PART, 400, 1)},
    {"goods": _GOODS},
)
RECEIPT = Form(
    "e2s/1/receipt",
    {"cid": digest, "delivery": digest, "received": list_of(_PART, 400, 0)},
    {"complaint": text(2000)},
)
CANCEL = Form("e2s/1/cancel", {"cid": digest, "xid": octets(20), "reason": text(200)})
