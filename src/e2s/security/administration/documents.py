"""What officers sign for administration: a log-in, a policy that they propose, a decision on one.

Each names the community, the CA in whose domain it is said, the officer, and the instant of its signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from e2s.base import wire
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.crypto.forms import Check, Form, digest, instant, octets, octets_max, one_of, text
from e2s.security.administration.subjects import MAX_BYTES
from e2s.security.registration.office import Office

CHALLENGE_BYTES: Final = 48
_ANY: Final[Mapping[str, Check]] = {
    "community": text(64),
    "ca": text(64),
    "officer": text(255),
    "at": instant,
}
#: ``audience`` is where she logs in: the origin of the interface, as she reached it.
LOGIN: Final = Form(
    "e2s/1/admin-login",
    {**_ANY, "audience": text(255), "challenge": octets(CHALLENGE_BYTES)},
    envelope=False,
)
#: ``base`` is the digest of the version that the proposal changes.
PROPOSAL: Final = Form(
    "e2s/1/policy-proposal",
    {**_ANY, "policy": text(64), "base": digest, "content": octets_max(MAX_BYTES), "why": text(300)},
    envelope=False,
)
#: ``proposal`` is the digest of the proposal's content.
DECISION: Final = Form(
    "e2s/1/policy-decision",
    {**_ANY, "proposal": digest, "decision": one_of("approve", "decline"), "why": text(300, min_length=0)},
    envelope=False,
)
FORMS: Final = {form.type: form for form in (PROPOSAL, DECISION)}


def login_document(office: Office, officer: str, audience: str, challenge: bytes) -> Document:
    """What an officer signs to log in."""
    said = _said(office, LOGIN.type, officer)
    return {**said, "audience": audience, "challenge": wire.b64u(challenge)}


def proposal_document(
    office: Office, officer: str, *, policy: str, base: str, content: bytes, why: str
) -> Document:
    """What an officer signs to propose a policy."""
    said = _said(office, PROPOSAL.type, officer)
    return {**said, "policy": policy, "base": base, "content": wire.b64u(content), "why": why}


def decision_document(
    office: Office, officer: str, *, proposal: str, decision: str, why: str = ""
) -> Document:
    """What another officer signs to approve a proposal or decline it."""
    said = _said(office, DECISION.type, officer)
    return {**said, "proposal": proposal, "decision": decision, "why": why}


def _said(office: Office, kind: str, officer: str) -> Document:
    return {
        "type": kind,
        "community": office.community,
        "ca": office.ca,
        "officer": officer,
        "at": format_instant(office.now()),
    }
