"""A time stamp proves that octets existed, by the word of an authority (RFC 3161, profile of RFC 5816).

The token is a SignedData over TSTInfo; here it is asked for, given, read and its signature checked.
The path of the authority's certificate and its purpose are the verifier's to judge.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto.ports import Signer
from e2s.crypto.stamp_answers import FAILURES, granted, read_response, reject
from e2s.crypto.stamp_requests import IMPRINTS, MAX_BYTES, Query, read_request, request
from e2s.crypto.stamp_tokens import Stamp, check_token, grant, read_token, with_certificates

__all__ = [
    "FAILURES",
    "IMPRINTS",
    "MAX_BYTES",
    "QUERY",
    "REPLY",
    "Query",
    "Stamp",
    "check_token",
    "grant",
    "granted",
    "read_request",
    "read_response",
    "read_token",
    "reject",
    "request",
    "respond",
    "with_certificates",
]

#: Media types of a request and of its answer over HTTP (RFC 3161, 3.4).
QUERY: Final = "application/timestamp-query"
REPLY: Final = "application/timestamp-reply"


def respond(request_der: bytes, signer: Signer, serial: int, at: datetime, policy: str) -> bytes:
    """A TimeStampResp that grants what is asked: a token of ``serial`` at ``at`` under ``policy``.

    Raises :class:`Refusal` for a request that cannot be granted; :func:`reject` makes its answer.
    """
    query = read_request(request_der)
    if query.policy not in {None, policy}:
        raise Refusal("stamp-policy", "the policy asked for is not this authority's")
    return granted(grant(query, signer, serial=serial, at=at, policy=policy))
