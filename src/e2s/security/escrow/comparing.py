"""Before two parties trust each other's escrow they compare their policies, rule by rule, and both sign.

What differs is said, and whether theirs asks for what we ask of others at least; an agreement is one
officer's word of each side, over both policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.base.rights import TableAuthoriser
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, digest, instant, list_of, octets_max, text
from e2s.security.ceremonies import ceremony_record
from e2s.security.escrow.policy import Minimum, Policy, policy_of
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import AGREE, MAX_WORD_BYTES, POLICY, Word, read
from e2s.security.pki.rights import RIGHTS, require
from e2s.security.verification.verifier import Verifier

MAX_STATEMENT_BYTES: Final = 16 * 1024 * 1024
_WORD: Final = octets_max(MAX_WORD_BYTES, min_size=1)
#: A party's policy for others to read: its two words, and the records that say who may sign them.
STATEMENT: Final = Form(
    "e2s/1/escrow-statement",
    {"policy": _WORD, "agreed": _WORD, "records": list_of(_WORD, 9999, 1)},
    envelope=False,
)
TRUST: Final = Form(
    "e2s/1/escrow-trust",
    {
        "community": text(64),
        "vault": text(64),
        "officer": text(255),
        "at": instant,
        "ours": digest,
        "theirs": digest,
        "until": instant,
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One rule that the two policies have otherwise."""

    rule: str
    ours: str
    theirs: str


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """One rule in which theirs asks for less than we ask of others."""

    rule: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Stated:
    """A party's policy, as two of its officers signed it, and the records that say who may."""

    community: str
    vault: str
    policy: Policy
    records: tuple[bytes, ...] = field(repr=False)


def statement(vault: Vault) -> bytes:
    """The policy in force, for other parties; raises :class:`Refusal` ``no-policy``."""
    with vault.database.reading() as connection:
        vault.in_force(connection)
        policy, agreed = vault.word_pairs(connection)[-1]
    members: Document = {
        "type": STATEMENT.type,
        "policy": wire.b64u(policy.octets),
        "agreed": wire.b64u(agreed.octets),
        "records": [wire.b64u(one) for one in vault.records()],
    }
    return wire.encode(members)


def read_statement(octets: bytes, anchors: Sequence[Certificate]) -> Stated:
    """A party's policy, its words judged under one of ``anchors`` at the instants that they state.

    Raises :class:`Refusal` of its form, of the records, ``other-policy``, ``same-officer``,
    ``not-authorised``, and the verifier's.
    """
    document = wire.decode(octets, MAX_STATEMENT_BYTES)
    STATEMENT.check(document)
    word, agreed = (
        read(wire.unb64u(document[name]), form) for name, form in (("policy", POLICY), ("agreed", AGREE))
    )
    policy = policy_of(word.document)
    if agreed.document["of"] != policy.id:
        raise Refusal("other-policy", "another policy was agreed to")
    if word.officer == agreed.officer and not policy.alone:
        raise Refusal("same-officer", "who proposed a policy does not agree to it", officer=word.officer)
    records = [wire.unb64u(one) for one in document["records"]]
    for one in (word, agreed):
        _check_officer(one, records, anchors, policy)
    return Stated(
        community=word.document["community"],
        vault=word.document["vault"],
        policy=policy,
        records=tuple(records),
    )


def _check_officer(
    word: Word, records: Sequence[bytes], anchors: Sequence[Certificate], policy: Policy
) -> None:
    at = parse_instant(word.document["at"])
    verdict = Verifier(tuple(anchors)).judge(
        word.certificate,
        word.certificates,
        (),
        at=at,
        purpose=oids.SIGNING["officer"],
        name=word.officer,
        require_revocation=False,
    )
    path = verdict.or_refuse().path
    root = next(one for one in anchors if one == path[-1])
    held = ceremony_record.chain([ceremony_record.read(one, root) for one in records])
    rights = [record.rights for record in held.records if record.at <= at]
    table = TableAuthoriser(rights[-1] if rights else frozenset())
    require(table, word.officer, RIGHTS.policy, policy.domain, alone=policy.alone)


def differences(ours: Policy, theirs: Policy) -> list[Difference]:
    """What the two policies say otherwise, rule by rule."""
    pairs = [
        ("threshold", _of(ours), _of(theirs)),
        ("persons", str(ours.persons), str(theirs.persons)),
        ("case-days", str(ours.case_days), str(theirs.case_days)),
        ("jurisdiction", ours.jurisdiction, theirs.jurisdiction),
        ("location", ours.location, theirs.location),
    ]
    names = sorted({*ours.bases, *theirs.bases})
    pairs += [(f"basis {name}", _basis(ours, name), _basis(theirs, name)) for name in names]
    return [Difference(rule=rule, ours=one, theirs=other) for rule, one, other in pairs if one != other]


def shortfalls(ours: Policy, theirs: Policy, minimum: Minimum) -> list[Shortfall]:
    """In which rules theirs is not acceptable by our minimum; none means that it is."""
    return [Shortfall(rule=rule, sentence=sentence) for rule, sentence in _short(ours, theirs, minimum)]


def _short(ours: Policy, theirs: Policy, minimum: Minimum) -> Iterator[tuple[str, str]]:
    if theirs.alone:
        yield "alone", "one officer alone may do what several should"
    if theirs.threshold < minimum.threshold:
        yield "threshold", f"{theirs.threshold} officers are enough, {minimum.threshold} are asked for"
    if len(theirs.officers) < theirs.threshold + minimum.spare:
        yield "officers", f"fewer than {minimum.spare} officers may be away"
    if theirs.persons < minimum.persons:
        yield "persons", f"{theirs.persons} persons are enough, {minimum.persons} are asked for"
    if minimum.jurisdictions and theirs.jurisdiction not in minimum.jurisdictions:
        yield "jurisdiction", f"{theirs.jurisdiction} is none of {' '.join(sorted(minimum.jurisdictions))}"
    for basis in theirs.bases.values():
        hours = minimum.own_hours if basis.own else minimum.hours
        if basis.hours < hours:
            yield f"basis {basis.name}", f"{basis.hours} hours of waiting, {hours} are asked for"
        if not basis.notify and basis.name not in minimum.quiet:
            yield f"basis {basis.name}", "the owner is not told"
    names = {one.name for one in ours.officers} & {one.name for one in theirs.officers}
    keys = {one.certificate.spki for one in ours.officers} & {one.certificate.spki for one in theirs.officers}
    if minimum.disjoint and (names or keys):
        yield (
            "officers",
            f"the same persons keep ours and theirs: {' '.join(sorted(names)) or 'by their keys'}",
        )


def trust_document(ours: Stated, theirs: Stated, officer: str, at: datetime, until: datetime) -> Document:
    """What our officer signs: that we trust their escrow as its policy is."""
    return {
        "type": TRUST.type,
        "community": ours.community,
        "vault": ours.vault,
        "officer": officer,
        "at": format_instant(at),
        "ours": ours.policy.id,
        "theirs": theirs.policy.id,
        "until": format_instant(until),
    }


def check_agreement(
    words: Sequence[Word], sides: tuple[Stated, Stated], anchors: Sequence[Certificate], at: datetime
) -> None:
    """Raise unless there is a word of each side over both policies, by one who may set policy there.

    :class:`Refusal` ``no-agreement``, ``agreement-over``, and those of who signed.
    """
    wanted = {
        (one.community, one.vault, one.policy.id, other.policy.id): one for one, other in (sides, sides[::-1])
    }
    said = [tuple(str(word.document[name]) for name in _SIDES) for word in words]
    if sorted(said) != sorted(wanted):
        raise Refusal("no-agreement", "the words are not one of each side over these two policies")
    for word, key in zip(words, said, strict=True):
        side = wanted[(key[0], key[1], key[2], key[3])]
        _check_officer(word, side.records, anchors, side.policy)
        if not parse_instant(word.document["at"]) <= at < parse_instant(word.document["until"]):
            raise Refusal("agreement-over", "the agreement is over, or of a time to come")


_SIDES: Final = ("community", "vault", "ours", "theirs")


def _of(policy: Policy) -> str:
    return f"{policy.threshold} of {len(policy.officers)}"


def _basis(policy: Policy, name: str) -> str:
    found = policy.bases.get(name)
    if found is None:
        return "none"
    told = "owner told" if found.notify else "owner not told"
    return f"{found.hours} h, {told}{', owner only' if found.own else ''}"
