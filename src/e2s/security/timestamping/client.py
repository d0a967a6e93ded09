"""A client tries its time stamping authorities in turn, and takes a stamp only once it is proven.

Proven are imprint, nonce, signature, the authority's path and purpose, and a time that is ours within twice
the bound on clocks' errors (RFC 3161, 2.2 and 2.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.http import Exchange, Request, expect
from e2s.base.instants import DELTA, Clock
from e2s.crypto import oids, stamps
from e2s.crypto.stamps import Stamp
from e2s.security.verification.trust import Trust
from e2s.security.verification.verdict import Verdict

_NONCE_BYTES = 16


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
        query = Request("POST", "/", stamps.request(imprint, nonce), {"content-type": stamps.QUERY})
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
