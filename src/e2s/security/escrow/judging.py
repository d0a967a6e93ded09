"""A transcript is judged without its vault: by the root alone, with the same rules as when it was written.

Whatever is missing, in another place, or somebody else's word is refused with its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.crypto.certificates import Certificate
from e2s.security.escrow.moving import with_moves
from e2s.security.escrow.policy import Policy, policy_of
from e2s.security.escrow.recorded import Judges, ceremonies
from e2s.security.escrow.rules import (
    Judge,
    Kept,
    check_approval,
    check_case,
    check_in_time,
    check_policy,
    check_receipt,
    check_release,
    check_stop,
    kept_of,
    recipient_of,
)
from e2s.security.escrow.states import follow
from e2s.security.escrow.transcript import Transcript, read_transcript, word_of
from e2s.security.escrow.words import (
    ACCEPT,
    AGREE,
    APPROVAL,
    CASE,
    DEPOSIT,
    ENTRY,
    NONE,
    POLICY,
    RECEIPT,
    RESHARE,
    STOP,
    Word,
    case_id,
    digest_of,
    read,
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a good transcript says; instants as it writes them, empty where there is none."""

    case: str
    number: str
    basis: str
    holder: str
    certificates: tuple[str, ...]
    requester: str
    officers: tuple[str, ...]
    recipient: str
    policy: int
    state: str
    opened: str
    released: str
    received: str


@dataclass
class _Walk:
    """A case as its entries tell it, one after the other."""

    case: Word
    kept: Sequence[Kept]
    policy: Policy
    judge: Judge
    words: dict[str, Word]
    state: str = ""
    told: bool = False
    approvals: list[Word] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    lists: set[str] = field(default_factory=set)
    at: dict[str, str] = field(default_factory=dict)

    @property
    def opened(self) -> datetime:
        return parse_instant(self.at["opened"])

    def word(self, entry: Word) -> Word:
        """The word that an entry took; raises :class:`Refusal` ``word-missing``."""
        found = self.words.pop(entry.document["of"], None)
        if found is None:
            number = entry.document["number"]
            raise Refusal("word-missing", "a word that the vault took is not there", number=number)
        return found


def judge_transcript(octets: bytes, anchors: Sequence[Certificate]) -> Account:
    """What the transcript says, if everything in it is good under one of ``anchors``.

    Raises :class:`Refusal` of the rule that is broken: of its form and signatures, ``transcript-order``,
    ``word-missing``, ``word-extra``, ``state-differs``, ``owner-not-told``, ``other-lists``, and those of the
    rules of a case.
    """
    given = read_transcript(octets)
    root, chain = ceremonies(given, anchors)
    policies, pairs = _policies(given)
    case = read(wire.unb64u(given.document["case"]), CASE)
    policy = policies.get(case.document["policy"])
    if policy is None:
        raise Refusal("other-policy", "the case's policy is not among those that were agreed")
    judges = Judges(given, root, chain, policy.domain)
    loose = judges.made(required=False)
    loose.keeper(word_of(given), given.at)
    before: Policy | None = None
    for word, agreed in pairs:
        found = policy_of(word.document)
        check_policy(word, agreed, found, before, loose)
        before = found
    kept = [_kept(one, policies, loose) for one in given.document["deposits"]]
    walk = _Walk(case, kept, policy, judges.made(required=True), _words(given))
    _walk(walk, [read(one, ENTRY) for one in given.octets("entries")])
    _check_end(walk, given, pairs)
    return _account(walk, given)


def _walk(walk: _Walk, entries: Sequence[Word]) -> None:
    """Each entry follows the one before, and is judged at its instant."""
    previous, last = NONE, ""
    for number, entry in enumerate(entries, 1):
        said = entry.document
        if (said["case"], said["number"], said["previous"]) != (walk.case.id, number, previous):
            raise Refusal("transcript-order", "an entry does not follow the one before", number=number)
        if said["at"] < last:
            raise Refusal("transcript-order", "an entry is older than the one before", number=number)
        at = parse_instant(said["at"])
        walk.state = follow(walk.state, said["kind"])
        walk.lists.update(said["lists"])
        walk.judge.here(entry, at)
        walk.judge.keeper(entry, at)
        _STEPS[said["kind"]](walk, entry, at)
        walk.at[said["kind"]] = said["at"]
        previous, last = entry.id, said["at"]


def _opened(walk: _Walk, entry: Word, at: datetime) -> None:
    _of_case(walk, entry)
    walk.judge.here(walk.case, at)
    check_case(walk.case, walk.kept, walk.policy, walk.judge, at)


def _notified(walk: _Walk, entry: Word, _at: datetime) -> None:
    _of_case(walk, entry)
    if entry.document.get("to") != walk.kept[0].holder:
        raise Refusal("owner-not-told", "somebody else than the owner was told")
    walk.told = True


def _approved(walk: _Walk, entry: Word, at: datetime) -> None:
    word = walk.word(entry)
    walk.judge.here(word, at)
    check_in_time(walk.policy, walk.opened, at)
    check_approval(word, walk.case, walk.kept, walk.policy, walk.approvals, walk.judge, at)
    walk.approvals.append(word)


def _released(walk: _Walk, entry: Word, at: datetime) -> None:
    _of_case(walk, entry)
    if entry.document.get("approvals") != [one.id for one in walk.approvals]:
        raise Refusal("word-missing", "the release counts other approvals", number=entry.document["number"])
    given = (walk.case, walk.kept, walk.policy, walk.approvals)
    check_release(*given, opened=walk.opened, at=at, judge=walk.judge)
    walk.releases.append(entry.id)


def _stopped(walk: _Walk, entry: Word, at: datetime) -> None:
    word = walk.word(entry)
    walk.judge.here(word, at)
    check_stop(word, walk.case, walk.kept, walk.judge, at)


def _received(walk: _Walk, entry: Word, at: datetime) -> None:
    word = walk.word(entry)
    walk.judge.here(word, at)
    check_receipt(word, walk.case, walk.releases, walk.judge, at)


_STEPS: Mapping[str, Callable[[_Walk, Word, datetime], None]] = {
    "opened": _opened,
    "notified": _notified,
    "approved": _approved,
    "released": _released,
    "stopped": _stopped,
    "received": _received,
}


def _of_case(walk: _Walk, entry: Word) -> None:
    if entry.document["of"] != walk.case.id:
        raise Refusal("other-case", "an entry is of another case", number=entry.document["number"])


def _check_end(walk: _Walk, given: Transcript, pairs: Sequence[tuple[Word, Word]]) -> None:
    """Raise unless the words are those of the entries, and the policy was in force."""
    if walk.words:
        raise Refusal("word-extra", "a word is there that the vault did not take")
    if sorted(walk.lists) != sorted(map(digest_of, given.octets("lists"))):
        raise Refusal("other-lists", "the lists are not those by which the words were judged")
    if walk.state != given.document["state"]:
        raise Refusal("state-differs", "the entries lead to another state", state=walk.state)
    if walk.policy.basis(walk.case.document["basis"]).notify and not walk.told:
        raise Refusal("owner-not-told", "the owner was not told, and the basis says that she is")
    later = [
        agreed.document["at"] for word, agreed in pairs if word.document["version"] > walk.policy.version
    ]
    if any(at < walk.at["opened"] for at in later):
        raise Refusal("other-policy", "the case was opened under a policy that was replaced")


def _account(walk: _Walk, given: Transcript) -> Account:
    said = walk.case.document
    return Account(
        case=case_id(walk.case.id),
        number=said["number"],
        basis=said["basis"],
        holder=walk.kept[0].holder,
        certificates=tuple(one.certificate.id for one in walk.kept),
        requester=walk.case.officer,
        officers=tuple(one.officer for one in walk.approvals),
        recipient=recipient_of(walk.case)[0].name,
        policy=walk.policy.version,
        state=given.document["state"],
        opened=walk.at["opened"],
        released=walk.at.get("released", ""),
        received=walk.at.get("received", ""),
    )


def _words(given: Transcript) -> dict[str, Word]:
    words = [read(one, APPROVAL, STOP, RECEIPT) for one in given.octets("words")]
    found = {one.id: one for one in words}
    if len(found) != len(words):
        raise Refusal("word-extra", "a word is there twice")
    return found


def _policies(given: Transcript) -> tuple[dict[str, Policy], list[tuple[Word, Word]]]:
    pairs = [
        (read(wire.unb64u(one["policy"]), POLICY), read(wire.unb64u(one["agreed"]), AGREE))
        for one in given.document["policies"]
    ]
    policies = [policy_of(word.document) for word, _ in pairs]
    return {one.id: one for one in policies}, pairs


def _kept(given: Mapping[str, object], policies: Mapping[str, Policy], judge: Judge) -> Kept:
    """A deposit with its moves, each judged when it was said."""
    word = read(wire.unb64u(str(given["deposit"])), DEPOSIT)
    at = parse_instant(word.document["at"])
    judge.here(word, at)
    judge.keeper(word, at)
    policy = policies.get(word.document["policy"])
    if policy is None:
        raise Refusal("other-policy", "a deposit's policy is not among those that were agreed")
    moves = [read(wire.unb64u(one), RESHARE, ACCEPT) for one in given["moves"]]  # type: ignore[attr-defined]
    instants = {one.id: parse_instant(one.document["at"]) for one in moves}
    return with_moves(kept_of(word, policy), moves, policies, judge, instants)
