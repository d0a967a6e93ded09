"""A draft is signed only if it says what the officer asked for; and is shown as she reads it.

The interface is not believed in this: whatever took it over could have another document signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.security.administration.documents import DECISION, PROPOSAL
from e2s.security.enrolment import deciding
from e2s.security.pki.approvals import APPROVAL, REGISTRATION, WITHDRAWAL
from e2s.security.registration import documents
from e2s.security.registration.documents import read_word

_TYPES: Final[Mapping[str, str]] = {
    "approve-cases": REGISTRATION.type,
    "countersign": APPROVAL.type,
    "refuse-case": documents.REFUSE.type,
    "revoke": WITHDRAWAL.type,
    "hold": WITHDRAWAL.type,
    "release": WITHDRAWAL.type,
    "propose": PROPOSAL.type,
    "go-back": PROPOSAL.type,
    "decide": DECISION.type,
    "decide-request": deciding.DECISION.type,
}
_TITLES: Final[Mapping[str, str]] = {
    "approve-cases": "Approve",
    "countersign": "Agree with an approval",
    "refuse-case": "Refuse an application",
    "revoke": "Revoke a certificate for good",
    "hold": "Suspend a certificate",
    "release": "End a suspension",
    "propose": "Propose a policy",
    "go-back": "Propose a former version",
    "decide": "Decide on a proposal",
    "decide-request": "Decide on a request",
}
#: Acts that cannot be taken back.
FINAL: Final = frozenset({"revoke", "refuse-case"})


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What an officer asked for, the document for it, and what it would change."""

    act: Document = field(repr=False)
    document: Document = field(repr=False)
    concerns: Sequence[str] = ()
    lines: Sequence[str] = ()
    back: str = "/"

    @property
    def title(self) -> str:
        """What it is, in words."""
        kind = str(self.act["act"])
        if kind in {"decide", "decide-request"}:
            return f"{str(self.act['decision']).capitalize()} a {'request' if '-' in kind else 'proposal'}"
        return _TITLES[kind]

    @property
    def final(self) -> bool:
        """Whether it cannot be taken back."""
        return self.act["act"] in FINAL

    @property
    def orders(self) -> Sequence[Document]:
        """What is to be certified, by an approval or by the one that it agrees with."""
        said = self.document
        if said["type"] == APPROVAL.type:
            inner = wire.unb64u(said["registration"])
            if wire.b64u(sha256(inner).digest()) != said["of"]:
                raise Refusal("wrong-draft", "the approval is of another registration than it holds")
            said = read_word(inner, {REGISTRATION.type: REGISTRATION}).document
        found: Sequence[Document] = said.get("orders", ())
        return found

    @property
    def values(self) -> Sequence[tuple[str, str]]:
        """What the document says, a line each; long octets are told by their size."""
        return [(name, _shown(value)) for name, value in self.document.items() if name not in _ELSEWHERE]

    @property
    def whole(self) -> str:
        """The document as it is signed."""
        return json.dumps(self.document, ensure_ascii=False, indent=1, sort_keys=True)


_ELSEWHERE: Final = frozenset({"type", "orders", "registration", "content"})


def check(draft: Draft, officer: str) -> Draft:
    """The draft; raises :class:`Refusal` ``wrong-draft`` unless it says what was asked for."""
    act, said = draft.act, draft.document
    kind = str(act["act"])
    good = said.get("type") == _TYPES[kind] and said.get("officer") == officer and _same(kind, act, said)
    if not good:
        raise Refusal("wrong-draft", "what the interface gave to sign is not what you asked for", act=kind)
    return draft


def _same(kind: str, act: Document, said: Document) -> bool:
    """Whether a document of the right type is about what the act is about."""
    match kind:
        case "approve-cases":
            return [order["case"] for order in said["orders"]] == list(act["cases"])
        case "refuse-case":
            return (said["case"], said["why"]) == (act["case"], act["why"])
        case "revoke" | "hold" | "release":
            wanted = (act["serial"], kind, act.get("reason", ""))
            return (said["serial"], said["act"], said["reason"]) == wanted
        case "propose":
            content = wire.b64u(str(act["content"]).encode())
            return (said["policy"], said["content"], said["why"]) == (act["policy"], content, act["why"])
        case "go-back":
            return (said["policy"], said["why"]) == (act["policy"], act["why"])
        case "decide":
            return bool(said["decision"] == act["decision"])
        case "decide-request":
            return (said["request"], said["decision"]) == (act["request"], act["decision"])
    return True


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= 200 else f"{len(text)} characters"
