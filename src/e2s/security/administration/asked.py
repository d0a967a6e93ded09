"""What the interface is asked, with members and bounds: its OpenAPI document is made of these."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from e2s.security.administration.subjects import MAX_BYTES

_Why: TypeAlias = Annotated[str, Meta(min_length=1, max_length=300)]
_WhyOrNot: TypeAlias = Annotated[str, Meta(max_length=300)]
_Case: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=64)]
_Request: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]+$", min_length=1, max_length=64)]
_Serial: TypeAlias = Annotated[str, Meta(pattern=r"^[1-9a-f][0-9a-f]{0,39}$")]
_Policy: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z-]{1,64}$")]
_Number: TypeAlias = Annotated[int, Meta(ge=1, le=2**53 - 1)]
_Base64: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]*$", max_length=4 * 1024 * 1024)]
_Decision: TypeAlias = Literal["approve", "decline"]
_Reason: TypeAlias = Literal[
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
]


#: The states that there are, and the reports.
CaseState: TypeAlias = Literal[
    "opened",
    "recorded",
    "named",
    "countersign",
    "approved",
    "ordered",
    "certified",
    "delivered",
    "refused",
    "withdrawn",
]
CertificateState: TypeAlias = Literal["good", "held", "revoked", "expired"]
ProposalState: TypeAlias = Literal["waiting", "approved", "declined"]
ReportKind: TypeAlias = Literal["expiring", "orphaned", "unused", "weak", "held", "duplicates"]


class Strict(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is sent has the members that are named, and no other."""


class Officer(Strict):
    """Who wants to log in."""

    officer: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[!-~]+$")]


class Signed(Strict):
    """A document as an officer signed it: CMS, DER, base64url."""

    word: _Base64


class ApproveCases(Strict, tag="approve-cases", tag_field="act"):
    """Approve cases as the first officer."""

    cases: Annotated[list[_Case], Meta(min_length=1, max_length=200)]


class Countersign(Strict, tag="countersign", tag_field="act"):
    """Agree with another officer's approval."""

    approval: _Number


class RefuseCase(Strict, tag="refuse-case", tag_field="act"):
    """Refuse an application."""

    case: _Case
    why: _Why


class Revoke(Strict, tag="revoke", tag_field="act"):
    """Revoke a certificate for good."""

    serial: _Serial
    reason: _Reason


class Hold(Strict, tag="hold", tag_field="act"):
    """Suspend a certificate."""

    serial: _Serial


class Release(Strict, tag="release", tag_field="act"):
    """End a suspension."""

    serial: _Serial


class Propose(Strict, tag="propose", tag_field="act"):
    """Propose what a policy is to say."""

    policy: _Policy
    why: _Why
    content: Annotated[str, Meta(max_length=MAX_BYTES)]


class GoBack(Strict, tag="go-back", tag_field="act"):
    """Propose that a policy say again what it said in a version."""

    policy: _Policy
    why: _Why
    version: _Number


class Decide(Strict, tag="decide", tag_field="act"):
    """Approve a proposal, or decline it."""

    proposal: _Number
    decision: _Decision
    why: _WhyOrNot = ""


class DecideRequest(Strict, tag="decide-request", tag_field="act"):
    """Approve a request for enrolment that waits, or decline it."""

    request: _Request
    decision: _Decision
    why: _WhyOrNot = ""


Act: TypeAlias = (
    ApproveCases
    | Countersign
    | RefuseCase
    | Revoke
    | Hold
    | Release
    | Propose
    | GoBack
    | Decide
    | DecideRequest
)


class Text(Strict):
    """The text of a policy."""

    content: Annotated[str, Meta(max_length=MAX_BYTES)]
