"""The other end of the plain door: a request and a code go there, its certificate comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Exchange, Request, expect
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.security.certificates.possession import read_proof

PKCS10: Final = "/enrol/pkcs10"
_ACCEPTED: Final = 202
_UNAVAILABLE: Final = 503
_MAX_WAIT: Final = 86_400
_WAIT: Final = 30


@dataclass(frozen=True, kw_only=True)
class Waits:
    """An officer has to agree: ask again after ``retry_seconds``."""

    retry_seconds: int


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The certificate, and its issuers up to below the root."""

    certificate: Certificate
    chain: tuple[Certificate, ...] = field(repr=False)


def enrol(exchange: Exchange, origin: str, code: str, request: bytes) -> Enrolled | Waits:
    """Ask at ``origin`` with an invitation's code for what the PKCS #10 ``request`` (DER) is for.

    Asking again is safe: the same request gets the same answer.  Raises the door's refusal,
    :class:`Unreachable` where there was no answer, and :class:`Refusal` ``wrong-certificate`` for that of
    another key.
    """
    key = read_proof(request).spki
    headers = {"authorization": f"Bearer {code}", "content-type": "application/pkcs10"}
    answer = exchange.send(origin, Request("POST", PKCS10, request, headers))
    if answer.status == _ACCEPTED:
        said = answer.headers.get("retry-after", "")
        return Waits(retry_seconds=min(int(said), _MAX_WAIT) if said.isdecimal() and len(said) < 7 else _WAIT)
    if answer.status == _UNAVAILABLE:
        raise Unreachable(
            answer.headers.get("e2s-rule", "unavailable"), "the door answers later", origin=origin
        )
    certificate, *chain = read_certificates(expect(answer, what="enrolment"))
    if certificate.spki != key:
        raise Refusal("wrong-certificate", "the certificate is of another key than the request")
    return Enrolled(certificate=certificate, chain=tuple(chain))
