"""A time stamping authority dates what it is shown, on record; a client tries its authorities in turn.

A stamp is taken only once it is proven: imprint, nonce, signature, the authority's path and purpose, and
a time that is ours within twice the bound on clocks' errors (RFC 3161, 2.2 and 2.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Misuse, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Exchange, Request, Response, expect
from e2s.base.instants import DELTA, Clock
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.wire import b64u
from e2s.crypto import oids, stamps
from e2s.crypto.ports import Signer
from e2s.crypto.stamps import Stamp
from e2s.security.pki.certify import serial_number
from e2s.security.pki.trust import Trust
from e2s.security.pki.verdict import Verdict

TABLES = sa.MetaData()
OUTBOX = outbox_table(TABLES)
#: The one policy of E2S's authorities: the authority's clock is within a second of what it says.
POLICY = f"{oids.ARC}.6.1"
QUERY = "application/timestamp-query"
REPLY = "application/timestamp-reply"
_NONCE_BYTES = 16


class StampAuthority:
    """The component that answers time-stamp queries at any path by POST."""

    def __init__(
        self,
        signer: Signer,
        database: Database,
        *,
        component: str,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """``signer`` has a certificate of profile ``tsa``; ``database`` has :data:`TABLES`."""
        if signer.certificate.ekus != {oids.EKU_TIME_STAMPING}:
            raise Misuse("wrong-purpose", "a time stamping authority's key does nothing else")
        self.database = database
        self.outbox = Outbox(OUTBOX)
        self._signer = signer
        self._component = component
        self._clock = clock
        self._random = random

    def handle(self, request: Request) -> Response:
        """One query, one reply; a query that cannot be granted is answered by a rejection (2.4.2)."""
        if request.method != "POST":
            return Response(405, b"", {"allow": "POST"})
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != QUERY:
            return Response(415)
        at, serial = self._clock.now(), serial_number(self._random)
        try:
            imprint = stamps.read_request(request.body).imprint
            reply = stamps.respond(request.body, self._signer, serial, at, POLICY)
        except Refusal as refusal:
            return Response(200, stamps.reject(refusal.message), {"content-type": REPLY})
        event = Event(
            kind="stamp.issued",
            at=at,
            component=self._component,
            facts={"serial": f"{serial:x}", "imprint": b64u(imprint)},
        )
        with self.database.transaction() as connection:
            self.outbox.sink(connection).append(event)
        return Response(200, reply, {"content-type": REPLY})

    def tick(self) -> None:
        """Nothing waits here but the outbox, which its pump empties."""

    def close(self) -> None:
        """Give back the record."""
        self.database.close()


@dataclass(frozen=True, kw_only=True)
class StampClient:
    """Gets time stamps from ``authorities`` (origins): the first, or its spares in turn."""

    exchange: Exchange
    authorities: Sequence[str]
    trust: Trust
    clock: Clock
    random: Callable[[int], bytes]

    def stamp(self, imprint: bytes) -> bytes:
        """A proven token, DER, over a SHA-256 digest.

        Raises :class:`Unreachable` ``no-stamp`` when no authority gave a good one: the sender repeats.
        """
        failures: list[str] = []
        for origin in self.authorities:
            try:
                return self._from(origin, imprint)
            except E2SError as error:
                failures.append(f"{origin}: {error.rule}")
        raise Unreachable(
            "no-stamp", "no time stamping authority gave a good stamp", tried="; ".join(failures)
        )

    def _from(self, origin: str, imprint: bytes) -> bytes:
        """One authority's token, proven."""
        # The top bit is set so that the nonce is positive and of full length in DER.
        nonce = int.from_bytes(self.random(_NONCE_BYTES), "big") | 1 << (8 * _NONCE_BYTES - 1)
        query = Request("POST", "/", stamps.request(imprint, nonce), {"content-type": QUERY})
        token = stamps.read_response(expect(self.exchange.send(origin, query), what="time stamp"))
        now = self.clock.now()
        stamp, _verdict = check_stamp(token, imprint, self.trust, at=now, nonce=nonce)
        if abs(stamp.at - now) > 2 * DELTA:
            raise Refusal("stamp-time", "the authority's clock and ours are too far apart")
        return token


def check_stamp(
    token: bytes, imprint: bytes, trust: Trust, *, at: datetime | None = None, nonce: int | None = None
) -> tuple[Stamp, Verdict]:
    """The stamp in ``token`` and the verdict on its authority at ``at`` (by default the stamp's own time).

    Raises :class:`Refusal` of the token's or the verifier's rule.
    """
    stamp = stamps.check_token(token, imprint, nonce)
    signed = stamp.signed
    verdict = trust.check_certificate(
        signed.signer_certificate,
        signed.certificates,
        purpose=oids.EKU_TIME_STAMPING,
        name=None,
        at=at or stamp.at,
    )
    return stamp, verdict
