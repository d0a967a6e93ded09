"""A refusal as a problem document (RFC 9457): its rule, its sentence, its facts, and the status that fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.security.administration.answers import Problem

MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final[Mapping[str, int]] = {
    "no-session": 401,
    **dict.fromkeys(
        (
            "not-authorised",
            "duties-not-separate",
            "other-officer",
            "wrong-audience",
            "same-officer",
            "own-case",
        ),
        403,
    ),
    **dict.fromkeys(
        (
            "decided",
            "policy-changed",
            "nothing-changes",
            "out-of-order",
            "other-word",
            "other-request",
            "register-changed",
            "evidence-altered",
            "not-drafted",
            "approval-lapsed",
            "mixed-eyes",
            "challenge-used",
            "register-cut",
        ),
        409,
    ),
    "too-large": 413,
    "not-json": 415,
    "too-many-sessions": 429,
}
_TITLES: Final[Mapping[int, str]] = {
    400: "The request is not good",
    401: "Log in first",
    403: "Not permitted",
    404: "There is no such thing",
    405: "Not done here",
    409: "Something stands against it now",
    413: "Too large",
    415: "Send JSON",
    429: "Too many at once",
    500: "Something went wrong here",
    503: "Somebody did not answer",
}
#: Every status that a problem may have.
STATUSES: Final = tuple(_TITLES)


class LoginRefused(Refusal):
    """Who is not let in, whatever the rule: the status says to log in."""

    def __init__(self, refusal: Refusal) -> None:
        """As ``refusal`` says it."""
        super().__init__(refusal.rule, refusal.message, **refusal.facts)


def status_of(error: E2SError) -> int:
    """The status that goes with an error's rule."""
    if isinstance(error, Unreachable):
        return 503
    if isinstance(error, LoginRefused):
        return 429 if error.rule == "too-many-sessions" else 401
    if error.rule.startswith("no-such-") or error.rule == "no-enrolment":
        return 404
    return _STATUS.get(error.rule, 400)


def problem_of(error: E2SError) -> Problem:
    """The problem that an error is."""
    return problem(status_of(error), error.rule, error.message, dict(error.facts))


def problem(
    status: int, rule: str, detail: str, facts: dict[str, str | int | bool | None] | None = None
) -> Problem:
    """A problem of this status and rule."""
    return Problem(
        type=f"urn:e2s:rule:{rule}",
        title=_TITLES.get(status, "The request is not good"),
        status=status,
        detail=detail,
        rule=rule,
        facts=facts or {},
    )
