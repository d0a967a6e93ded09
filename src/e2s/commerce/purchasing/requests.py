"""What a buyer may ask for in a session, member by member; all else is refused before it is looked at."""

from __future__ import annotations

from collections.abc import Mapping

from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.crypto.acts import MAX_PARCEL_BYTES
from e2s.crypto.forms import Check, digest, integer, list_of, number, octets, octets_max, record, text, token

MAX_LINES = 400
MAX_ACT_BYTES = 512 * 1024

_LINES = list_of(record({"sku": token, "qty": number}), MAX_LINES, 1)
_TRADE = octets(16)
_ACT = octets_max(MAX_ACT_BYTES, min_size=1)

#: The members of each operation's arguments (protocol, sections 3 and 9.4).
ARGUMENTS: Mapping[str, Check] = {
    "search": record(
        {"q": text(200, min_length=0)},
        {"class": token, "offset": integer(0, 1_000_000), "limit": integer(1, 100)},
    ),
    "item": record({"sku": token}),
    "basket": record({"lines": _LINES}),
    "offer": record(
        # ``buyer``: the certificate B that will accept; Ba, which logged in, signs nothing that binds
        {"trade": _TRADE, "list": digest, "lines": _LINES, "deliverTo": text(500), "buyer": digest}
    ),
    "accept": record({"trade": _TRADE, "act": _ACT}),
    "pinit": record(
        {"trade": _TRADE, "cid": digest, "nC": octets(32), "brand": text(64), "issuer": text(200)}
    ),
    "pay": record({"trade": _TRADE, "parcel": octets_max(MAX_PARCEL_BYTES // 2, min_size=1)}),
    "status": record({"trade": _TRADE}),
    "receipt": record({"trade": _TRADE, "act": _ACT}),
}
#: Operations that bind the merchant, for which the buyer's card must have been there just now.
PRESENT = frozenset({"offer"})


def check_call(op: str, args: Document) -> None:
    """Raise :class:`Refusal` ``unknown-operation`` or ``bad-document`` for what cannot be asked."""
    check = ARGUMENTS.get(op)
    if check is None:
        raise Refusal("unknown-operation", "this shop has no such operation")
    check(args, "")
