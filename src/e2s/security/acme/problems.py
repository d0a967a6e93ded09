"""What went wrong is told in ACME's words and in our own: a problem document (RFC 7807) with the rule.

Clients read ``type`` (RFC 8555, 6.7); people and programs that know E2S read ``rule``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.http import Response
from e2s.base.wire import Document
from e2s.crypto.jose.jws import ALGORITHMS

PROBLEM: Final = "application/problem+json"
_ERROR: Final = "urn:ietf:params:acme:error:"
_MAX_DETAIL: Final = 500


def _table() -> Mapping[str, tuple[str, int]]:
    rows: Mapping[tuple[str, int], str] = {
        ("accountDoesNotExist", 400): "no-such-account",
        ("alreadyReplaced", 409): "already-replaced",
        ("alreadyRevoked", 400): "already-revoked",
        ("badCSR", 400): (
            "bad-csr bad-request names-differ no-possession suite-unknown key-not-permitted key-reused "
            "other-request same-key foreign-key account-key"
        ),
        ("badNonce", 400): "bad-nonce",
        ("badPublicKey", 400): "bad-jwk private-jwk key-not-supported",
        ("badRevocationReason", 400): "bad-reason",
        ("badSignatureAlgorithm", 400): "wrong-algorithm",
        ("connection", 400): "unreachable timed-out connection-lost broken-answer",
        ("dns", 400): "no-such-host",
        ("externalAccountRequired", 403): "no-external-account",
        (
            "incorrectResponse",
            403,
        ): "wrong-answer answer-status answer-too-large too-many-redirects bad-redirect",
        ("invalidContact", 400): "bad-contact",
        ("malformed", 404): "not-found",
        ("malformed", 405): "wrong-method",
        ("malformed", 413): "too-large",
        ("malformed", 415): "wrong-content-type",
        ("orderNotReady", 403): "order-not-ready",
        ("rateLimited", 429): "too-many-requests too-many-pending too-many-tries",
        ("rejectedIdentifier", 403): (
            "host-not-permitted foreign-name bad-identifier wildcard network-not-permitted port-not-permitted"
        ),
        ("serverInternal", 500): "internal-error",
        ("tls", 400): "bad-handshake no-alpn wrong-certificate",
        ("unauthorized", 401): "account-deactivated",
        ("unauthorized", 403): (
            "bad-signature wrong-url not-yours bad-mac weak-secret no-such-invitation wrong-code bad-code "
            "invitation-used invitation-over invitation-withdrawn account-not-bound not-at-this-door "
            "not-by-this-means not-enrolled wrong-profile confidence protection not-authorised own-case "
            "old-key foreign-certificate no-such-certificate declined too-early expired"
        ),
        ("unsupportedContact", 400): "contact-not-supported",
        ("unsupportedIdentifier", 400): "identifier-not-supported",
        ("userActionRequired", 403): "terms-not-agreed",
        ("malformed", 409): "key-in-use",
    }
    return {rule: kind for kind, rules in rows.items() for rule in rules.split()}


_KINDS: Final = _table()


def kind_of(rule: str) -> tuple[str, int]:
    """ACME's type of error for a rule, and the status."""
    return _KINDS.get(rule, ("malformed", 400))


def described(error: E2SError) -> Document:
    """The problem as a document."""
    kind, status = kind_of(error.rule)
    if isinstance(error, Unreachable) and error.rule not in _KINDS:
        kind, status = "serverInternal", 503
    problem: Document = {
        "type": _ERROR + kind,
        "detail": f"{error.rule}: {error.message}"[:_MAX_DETAIL],
        "status": status,
        "rule": error.rule,
    }
    if kind == "badSignatureAlgorithm":
        problem["algorithms"] = list(ALGORITHMS)
    return problem


def answer(error: E2SError) -> Response:
    """The problem as an answer."""
    problem = described(error)
    headers = {"content-type": PROBLEM, "e2s-rule": error.rule}
    wait = error.facts.get("wait")
    if wait is not None:
        headers["retry-after"] = str(wait)
    where = error.facts.get("location")
    if where is not None:
        headers["location"] = str(where)
    return Response(problem["status"], msgspec.json.encode(problem), headers)


def read_problem(response: Response, what: str) -> Refusal:
    """What a server refused, as a client says it: its rule where it is ours, else its type of error."""
    rule, detail = "", ""
    try:
        said = msgspec.json.decode(response.body[:65536])
        kind = str(said.get("type", ""))
        detail = str(said.get("detail", ""))[:_MAX_DETAIL]
        rule = str(said.get("rule") or kind.removeprefix(_ERROR))[:64]
    except (msgspec.DecodeError, AttributeError, UnicodeDecodeError):
        detail = f"{what}: status {response.status}"
    shown = "".join(one if one.isprintable() else " " for one in detail)
    return Refusal(rule if rule.isprintable() and rule else "peer-refused", shown, status=response.status)
