"""A time stamping authority dates what it is shown, on record (RFC 3161, 2.2 and 2.4)."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.events import Event
from e2s.base.http import Request, Response
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.wire import b64u
from e2s.crypto import oids, stamps
from e2s.crypto.certificates import serial_number
from e2s.crypto.ports import Signer

TABLES = sa.MetaData()
OUTBOX = outbox_table(TABLES)
#: The one policy of E2S's authorities: the authority's clock is within a second of what it says.
POLICY = f"{oids.ARC}.6.1"
QUERY = "application/timestamp-query"
REPLY = "application/timestamp-reply"


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
