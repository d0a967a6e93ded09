"""What the interface answers: its OpenAPI document is made of these, as of :mod:`asked`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class Given(Struct, kw_only=True):
    """What is answered."""


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
