"""What is trusted of others is a chain of records, each signed by an officer over the digest of the last.

So who reads the file knows what holds now, who said it, and that none was left out between.  A record is
taken back by another (``undo``), never removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.crypto import der, oids
from e2s.crypto.acts import Act, check_act_signature, read_act, sign_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, digest, instant, integer, list_of, octets_max, one_of, record, text
from e2s.crypto.ports import Signer
from e2s.security.external.mapping import MAX_RULES, Rule
from e2s.security.external.providers import MAX_LIMITS, MAX_ROOTS, Provider
from e2s.security.verification.anchors import Anchor
from e2s.security.verification.verifier import Verifier

TYPE: Final = "e2s/1/external"
MAX_RECORDS: Final = 1000
MAX_FILE_BYTES: Final = 32 * 1024 * 1024
START: Final = "sha-256:" + "A" * 43
TRUST, FORGET, MAP, UNMAP, UNDO = "trust", "forget", "map", "unmap", "undo"
_TEXTS = list_of(text(200), MAX_LIMITS)
_FORM = Form(
    TYPE,
    {
        "from": digest,
        "to": list_of(text(255), 1, 1),
        "at": instant,
        "number": integer(1, MAX_RECORDS),
        "before": digest,
        "act": one_of(TRUST, FORGET, MAP, UNMAP, UNDO),
        "provider": text(64, min_length=0),
        "why": text(200, min_length=0),
    },
    {
        "roots": list_of(octets_max(16 * 1024, min_size=1), MAX_ROOTS, 1),
        "limits": record({"purposes": _TEXTS, "permitted": _TEXTS, "excluded": _TEXTS, "policies": _TEXTS}),
        "rule": record({"pattern": text(200), "party": text(64), "label": text(64)}),
        "undoes": integer(1, MAX_RECORDS),
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record as it was proven."""

    number: int
    id: str
    at: str
    officer: str
    document: wire.Document = field(repr=False)
    octets: bytes = field(repr=False)

    @property
    def act(self) -> str:
        """What it does."""
        return str(self.document["act"])


@dataclass(frozen=True)
class State:
    """What holds: providers by name, and rules."""

    providers: dict[str, Provider] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def anchors(self) -> tuple[Anchor, ...]:
        """Every root that is trusted, within its limits."""
        return tuple(anchor for one in self.providers.values() for anchor in one.anchors())

    def provider_of(self, root: Certificate | None) -> Provider:
        """Whose root this is; raises :class:`Refusal` ``unknown-root``."""
        for one in self.providers.values():
            if root in one.roots:
                return one
        raise Refusal("unknown-root", "this root is no provider's that is trusted here")


def document_of(
    act: str,
    provider: str,
    *,
    certificate: Certificate,
    to: str,
    at: datetime,
    before: Sequence[Record],
    why: str = "",
    **more: Any,
) -> wire.Document:
    """A record to be signed by the officer of ``certificate``; raises :class:`Misuse` ``too-many``."""
    if len(before) >= MAX_RECORDS:
        raise Misuse("too-many", "there are more records than a chain has", records=len(before))
    return {
        "type": TYPE,
        "from": certificate.id,
        "to": [to],
        "at": format_instant(at),
        "number": len(before) + 1,
        "before": before[-1].id if before else START,
        "act": act,
        "provider": provider,
        "why": why,
        **more,
    }


def signed(document: wire.Document, signer: Signer, at: datetime) -> bytes:
    """The record, signed."""
    return sign_act(document, (), signer, at)


def read_record(octets: bytes, before: Sequence[Record], *, root: Certificate, to: str) -> Record:
    """A record that follows those ``before``, by an officer under ``root``.

    The signer's certificate is judged as of the record's instant; whether he was revoked since, or had the
    right, was asked when it was taken.  Raises :class:`Refusal` ``broken-chain``, ``wrong-audience``, of the
    signature, and of the verifier's rule.
    """
    act: Act = read_act(octets)
    document = act.document
    _FORM.check(document)
    check_act_signature(act)
    if document["to"] != [to]:
        raise Refusal("wrong-audience", "the record is for another domain", found=document["to"][0])
    expected = before[-1].id if before else START
    if (document["number"], document["before"]) != (len(before) + 1, expected):
        raise Refusal("broken-chain", "the record does not follow the last one", number=document["number"])
    Verifier((root,)).judge(
        act.certificate,
        act.certificates,
        (),
        at=act.at,
        purpose=oids.SIGNING["officer"],
        name=None,
        require_revocation=False,
    ).or_refuse()
    return Record(
        number=document["number"],
        id=act.id,
        at=document["at"],
        officer=act.certificate.name,
        document=document,
        octets=octets,
    )


def read_chain(octets: Sequence[bytes], *, root: Certificate, to: str) -> tuple[Record, ...]:
    """Every record, in turn."""
    found: list[Record] = []
    for one in octets:
        found.append(read_record(one, found, root=root, to=to))
    return tuple(found)


def written(records: Sequence[Record]) -> bytes:
    """The chain as a file that others read."""
    return der.sequence(*(der.octet_string(one.octets) for one in records))


def read_file(octets: bytes) -> list[bytes]:
    """The records in such a file; raises :class:`Refusal` ``bad-records``."""
    if len(octets) > MAX_FILE_BYTES:
        raise Refusal("bad-records", "the file is larger than may be read", size=len(octets))
    try:
        outer = der.Reader(octets)
        inner = outer.enter()
        outer.done()
        elements = inner.elements(der.OCTET_STRING, MAX_RECORDS) if inner.pos != inner.end else []
        return [der.Reader(one).content(der.OCTET_STRING) for one in elements]
    except Refusal as refusal:
        raise Refusal("bad-records", f"the file holds no records: {refusal.message}") from refusal


def domain_in(octets: Sequence[bytes]) -> str:
    """For which domain records are, by the first of them; raises :class:`Refusal` ``bad-records``."""
    if not octets:
        raise Refusal("bad-records", "the file holds no records")
    document = read_act(octets[0]).document
    _FORM.check(document)
    return str(document["to"][0])


def state_of(records: Sequence[Record]) -> State:
    """What holds after all records; raises what :func:`after` does."""
    state = State()
    undone = {one.document["undoes"] for one in _standing(records) if one.act == UNDO}
    for one in records:
        if one.number not in undone and one.act != UNDO:
            state = after(state, one.document)
    return state


def _standing(records: Sequence[Record]) -> list[Record]:
    """Those that were not undone themselves."""
    undone: set[int] = set()
    for one in reversed(records):
        if one.act == UNDO and one.number not in undone:
            undone.add(one.document["undoes"])
    return [one for one in records if one.number not in undone]


def after(state: State, document: wire.Document) -> State:
    """What holds after one record.

    Raises :class:`Refusal` ``no-such-provider``, ``provider-known``, ``rule-known``, ``no-such-rule``, and
    :class:`Misuse` for limits or rules that contradict themselves.
    """
    act, name = document["act"], document["provider"]
    if act == TRUST:
        return _trusted(state, name, document)
    if name not in state.providers:
        raise Refusal("no-such-provider", "no provider of this name is trusted", provider=name)
    if act == FORGET:
        kept = {known: one for known, one in state.providers.items() if known != name}
        return State(kept, tuple(rule for rule in state.rules if rule.provider != name))
    rule = Rule(provider=name, **document["rule"])
    if act == MAP:
        return _mapped(state, rule)
    if rule not in state.rules:
        raise Refusal("no-such-rule", "there is no such rule", pattern=rule.pattern)
    return replace(state, rules=tuple(one for one in state.rules if one != rule))


def _trusted(state: State, name: str, document: wire.Document) -> State:
    roots = tuple(Certificate.read(wire.unb64u(one)) for one in document["roots"])
    limits = {key: tuple(value) for key, value in document["limits"].items()}
    made = Provider(name=name, roots=roots, **limits)
    if name in state.providers:
        raise Refusal("provider-known", "this provider is trusted already: forget it first", provider=name)
    for other in state.providers.values():
        if set(other.roots) & set(roots):
            raise Refusal("provider-known", "this root is another provider's", provider=other.name)
    return replace(state, providers={**state.providers, name: made})


def _mapped(state: State, rule: Rule) -> State:
    if len(state.rules) >= MAX_RULES:
        raise Refusal("too-many", "there are as many rules as there may be", rules=len(state.rules))
    if any(one.provider == rule.provider and one.pattern == rule.pattern for one in state.rules):
        raise Refusal("rule-known", "this pattern has a rule already", pattern=rule.pattern)
    return replace(state, rules=(*state.rules, rule))
