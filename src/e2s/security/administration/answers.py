"""What the interface is asked and answers, with members and bounds: its OpenAPI document is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from e2s.security.administration.subjects import MAX_BYTES

_Why: TypeAlias = Annotated[str, Meta(min_length=1, max_length=300)]
_WhyOrNot: TypeAlias = Annotated[str, Meta(max_length=300)]
_Case: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=64)]
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


class Given(Struct, kw_only=True):
    """What is answered."""


# ---------------------------------------------------------------- asked
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

    request: _Case
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


# ---------------------------------------------------------------- answered
class Problem(Given):
    """A refusal (RFC 9457): ``rule`` names it, ``detail`` says it, ``facts`` are about the case."""

    type: str
    title: str
    status: int
    detail: str
    rule: str
    facts: dict[str, str | int | bool | None] = msgspec.field(default_factory=dict)


class Challenge(Given):
    """What an officer signs to log in; ``document`` to be read, ``octets`` to be signed, base64url."""

    document: dict[str, Any]
    octets: str


class Me(Given):
    """Who is logged in, with which rights, until when."""

    officer: str
    community: str
    ca: str
    rights: list[str]
    until: str


class Token(Given):
    """A session: its token is sent as ``Authorization: Bearer``."""

    token: str
    me: Me


class Draft(Given):
    """A document to be signed, as it is read and as its octets; ``concerns``: what it would change."""

    document: dict[str, Any]
    octets: str
    concerns: list[str]
    lines: list[str]


class Taken(Given):
    """What became of a word."""

    officer: str
    type: str
    answer: dict[str, Any]


class CaseLine(Given):
    """A case of registration on a line."""

    case: str
    number: int
    state: str
    profile: str
    name: str
    officer: str
    serial: str
    rule: str
    batch: str


class Cases(Given):
    """Cases, the newest first."""

    cases: list[CaseLine]


class Case(Given):
    """A case with all that was seen."""

    case: str
    state: str
    shown: dict[str, Any]


class ApprovalLine(Given):
    """An approval that waits for the second officer."""

    approval: int
    officer: str
    orders: int
    until: str
    cases: list[CaseLine]


class Approvals(Given):
    """Approvals that wait."""

    approvals: list[ApprovalLine]


class CertificateLine(Given):
    """A certificate on a line; ``id`` is its place in the register."""

    id: int
    serial: str
    profile: str
    name: str
    begins: str
    until: str
    state: str
    case: str


class Certificates(Given):
    """Certificates in the order of issue; ``next`` goes on behind them, 0 where there is no more."""

    certificates: list[CertificateLine]
    next: int


class Certificate(Given):
    """A certificate with what is known of it."""

    line: CertificateLine
    reason: str
    since: str
    key: str
    hash: str
    same_key: list[str]


class ReportLine(Given):
    """A report and what it finds."""

    report: str
    finds: str


class Reports(Given):
    """The reports that there are."""

    reports: list[ReportLine]
    counts: dict[str, int]


class Finding(Given):
    """One finding about one certificate."""

    id: int
    serial: str
    profile: str
    name: str
    until: str
    state: str
    case: str
    finding: str
    detail: str


class Report(Given):
    """Findings; ``next`` goes on behind them, 0 where there is no more."""

    report: str
    rows: list[Finding]
    next: int


class PolicyLine(Given):
    """A policy: how many officers change it, and which version stands."""

    policy: str
    title: str
    officers: int
    version: int
    digest: str
    at: str


class Policies(Given):
    """The policies that there are."""

    policies: list[PolicyLine]


class VersionLine(Given):
    """A version of a policy on a line."""

    version: int
    at: str
    officers: str
    why: str
    digest: str


class Policy(Given):
    """A policy's text, and its versions, the newest first."""

    policy: str
    content: str
    versions: list[VersionLine]


class Value(Given):
    """A value that differs."""

    place: str
    now: str
    then: str


class Effect(Given):
    """What a change would do; ``refused``: why it would not be taken, or nothing."""

    lines: list[str]
    values: list[Value]
    concerns: list[str]
    refused: str


class ProposalLine(Given):
    """A proposal on a line."""

    proposal: int
    policy: str
    state: str
    officer: str
    at: str
    why: str
    decider: str
    decided: str


class Proposals(Given):
    """Proposals, the newest first."""

    proposals: list[ProposalLine]


class Proposal(Given):
    """A proposal with its text and what it would change in what it was proposed for."""

    line: ProposalLine
    content: str
    effect: Effect


class OfficerLine(Given):
    """An officer and her rights in this domain."""

    officer: str
    rights: list[str]
    duties: list[str]
    mixed: bool


class Officers(Given):
    """Officers by the newest ceremony's record."""

    officers: list[OfficerLine]
    record: int


class Ceremony(Given):
    """A ceremony by its record, verified."""

    number: int
    act: str
    at: str
    officer: str
    present: list[str]
    signed: list[str]
    note: str
    digest: str


class Ceremonies(Given):
    """The ceremonies, the newest first; ``head`` is to be compared with what was written down."""

    ceremonies: list[Ceremony]
    head: str


class RequestLine(Given):
    """A request for enrolment that waits for an officer."""

    request: str
    door: str
    profile: str
    names: list[str]
    confidence: str
    officer: str
    at: str


class Requests(Given):
    """Requests that wait."""

    requests: list[RequestLine]
