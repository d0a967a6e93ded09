"""Each act received is asked: of this kind, for this reader, by whom, and is its signer still good.

The order is fixed: label, audience, signature, then path, purpose, name and revocation at the time of
use (protocol, section 1).  What cannot be established is refused, an unreachable repository included.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from e2s.base.errors import Refusal
from e2s.crypto.acts import Act, check_act_signature
from e2s.crypto.certificates import Certificate
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier


class CrlSource(Protocol):
    """Port: gives the CRLs known now."""

    def crls(self, *certificates: Certificate) -> Sequence[bytes]:
        """DER CRLs, possibly stale: the verifier decides about freshness.

        ``certificates`` are those to be judged: lists that they name may be wanted.  Without any it gives
        what was used last, and asks nobody.
        """


class HeldCrls:
    """CRLs at hand: an evidence bundle's, a test's, or a CA's own."""

    def __init__(self, crls: Sequence[bytes] = ()) -> None:
        """``crls`` may be replaced later by :meth:`put`."""
        self._crls = tuple(crls)

    def put(self, crls: Sequence[bytes]) -> None:
        """Hold these instead."""
        self._crls = tuple(crls)

    def crls(self, *certificates: Certificate) -> Sequence[bytes]:  # noqa: ARG002 - nothing is fetched
        """The CRLs held."""
        return self._crls


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
        crls = self.source.crls(certificate, *untrusted)
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
