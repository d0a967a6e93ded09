"""Each act received is asked: of this kind, for this reader, by whom, and is its signer still good.

The order is fixed: label, audience, signature, then path, purpose, name and revocation at the time of
use (protocol, section 1).  What cannot be established is refused, an unreachable repository included.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol

from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Exchange
from e2s.base.instants import Clock
from e2s.crypto.acts import Act, check_act_signature
from e2s.crypto.certificates import Certificate
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import fetch_crl
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier

_SOON = timedelta(seconds=1)


class CrlSource(Protocol):
    """Port: gives the CRLs known now."""

    def crls(self) -> Sequence[bytes]:
        """DER CRLs, possibly stale: the verifier decides about freshness."""


class HeldCrls:
    """CRLs at hand: an evidence bundle's, a test's, or a CA's own."""

    def __init__(self, crls: Sequence[bytes] = ()) -> None:
        """``crls`` may be replaced later by :meth:`put`."""
        self._crls = tuple(crls)

    def put(self, crls: Sequence[bytes]) -> None:
        """Hold these instead."""
        self._crls = tuple(crls)

    def crls(self) -> Sequence[bytes]:
        """The CRLs held."""
        return self._crls


class FetchedCrls:
    """CRLs fetched from repositories, at most every so often; an older one serves until its nextUpdate.

    When a repository cannot be reached the last list stays, and past its nextUpdate the verifier
    refuses: failure is closed.  So a list of which there is none yet is asked for again after a second, then
    after twice as long each time: one lost answer does not stop a component.  A list is never replaced by
    an older one.
    """

    def __init__(
        self,
        exchange: Exchange,
        issuers: Sequence[tuple[str, Certificate]],
        clock: Clock,
        *,
        every: timedelta = timedelta(seconds=60),
    ) -> None:
        """``issuers``: the repository's origin and the CA's certificate, for each CA."""
        self._exchange = exchange
        self._issuers = tuple(issuers)
        self._clock = clock
        self._every = every
        self._lock = Lock()
        self._held: dict[bytes, bytes] = {}
        self._asked: datetime | None = None
        self._wait = every
        self._lacking: list[tuple[str, Certificate]] = []
        self._patience = _SOON

    def crls(self) -> Sequence[bytes]:
        """The newest lists known, fetched again when the last fetch is older than ``every``."""
        with self._lock:
            now = self._clock.now()
            if self._asked is None or not timedelta(0) <= now - self._asked < self._wait:
                self._asked = now
                for origin, issuer in self._lacking if self._wait < self._every else self._issuers:
                    self._fetch(origin, issuer)
                held = self._held.keys()
                self._lacking = [one for one in self._issuers if one[1].digest not in held]
                self._wait = min(self._every, self._patience) if self._lacking else self._every
                self._patience = 2 * self._wait if self._lacking else _SOON
            return tuple(self._held.values())

    def _fetch(self, origin: str, issuer: Certificate) -> None:
        """Take the issuer's list unless it is older than the one held, or no good at all."""
        try:
            der = fetch_crl(self._exchange, origin, issuer)
            fetched = CrlIndex.read(der)
            if not fetched.names(issuer) or not fetched.signed_by(issuer):
                return
        except E2SError:
            return
        held = self._held.get(issuer.digest)
        if held is None or not CrlIndex.read(held).later_than(fetched):
            self._held[issuer.digest] = der


class Trust:
    """What one component trusts: a verifier and a source of CRLs."""

    def __init__(self, verifier: Verifier, source: CrlSource) -> None:
        """``source`` is asked at each check."""
        self.verifier = verifier
        self.source = source

    def check_certificate(
        self,
        certificate: Certificate,
        untrusted: Sequence[Certificate],
        *,
        purpose: str | None,
        name: str | None,
        at: datetime,
    ) -> Verdict:
        """The accepted verdict; raises :class:`Refusal` of the verifier's rule otherwise."""
        crls = self.source.crls()
        return self.verifier.judge(
            certificate, untrusted, crls, at=at, purpose=purpose, name=name
        ).or_refuse()

    def check_act(
        self,
        act: Act,
        *,
        type: str,  # noqa: A002 - the member's name in the document
        to: str,
        purpose: str,
        at: datetime,
        name: str | None = None,
    ) -> Act:
        """``act``, once it is of ``type``, for the reader ``to``, and signed for ``purpose`` by ``name``.

        Raises :class:`Refusal` ``wrong-label``, ``wrong-audience``, of the signature, or of the verifier's
        rule.  Whether its ``until`` has passed is the caller's to decide.
        """
        if act.type != type:
            raise Refusal("wrong-label", "an act of another type was expected", expected=type, found=act.type)
        audience = act.document.get("to")
        if not isinstance(audience, list) or to not in audience:
            raise Refusal("wrong-audience", "the act is not addressed to this reader", reader=to, type=type)
        check_act_signature(act)
        self.check_certificate(act.certificate, act.certificates, purpose=purpose, name=name, at=at)
        return act
