"""What asks a CA at its doors, with nothing checked: tests send through it what registration never would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import parse_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto.certificates import Certificate
from e2s.security.pki.feed_service import Asked
from e2s.security.pki.service import ISSUE, MAX_MESSAGE_BYTES, REVOKE


class CaClient:
    """The other end: what registration asks its CA."""

    def __init__(self, link: Asked) -> None:
        """``link`` to the CA's component."""
        self._link = link

    def issue(self, approval: bytes, requests: Sequence[bytes]) -> list[Certificate | Refusal]:
        """For each request its certificate, or why there is none.

        Raises :class:`Refusal` where the approval as a whole is refused, and ``bad-answer``.
        """
        document = {"approval": b64u(approval), "requests": [b64u(one) for one in requests]}
        body = wire.encode({"type": "e2s/1/issue", **document})
        answer = wire.decode(self._link.ask(ISSUE, body), MAX_MESSAGE_BYTES)
        try:
            results = [_read_result(one) for one in answer["results"]]
        except (KeyError, TypeError, Misuse) as error:
            raise Refusal("bad-answer", "the CA's answer is not well formed") from error
        if len(results) != len(requests):
            raise Refusal("bad-answer", "the CA answers each request")
        return results

    def withdraw(self, withdrawal: bytes) -> datetime:
        """Since when the CA tells it; raises what it refuses."""
        body = wire.encode({"type": "e2s/1/withdraw", "withdrawal": b64u(withdrawal)})
        answer = wire.decode(self._link.ask(REVOKE, body))
        return parse_instant(str(answer.get("at")))


def _read_result(one: Document) -> Certificate | Refusal:
    if "certificate" in one:
        return Certificate.read(unb64u(one["certificate"]))
    return Refusal(str(one["rule"]), str(one["message"]))
