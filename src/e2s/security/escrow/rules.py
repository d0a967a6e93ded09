"""The rules of a case, on values alone: the vault asks them, officers' tools, and whoever checks later.

Nobody approves her own case, nor one that gives the key to her, nor one about her own key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol

from cryptography import x509

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, parse_instant
from e2s.base.rights import Authoriser
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.escrow.policy import DRILL, Basis, Policy
from e2s.security.escrow.words import Word, digest_of
from e2s.security.pki.approvals import REGISTRATION
from e2s.security.pki.rights import RIGHTS, require
from e2s.security.registration.documents import read_word

#: How long before it is taken a word may have been signed.
FRESH: Final = timedelta(days=1)


class Check(Protocol):
    """Port: raises :class:`Refusal` unless a certificate is good for ``purpose`` as ``name`` at ``at``."""

    def __call__(
        self,
        certificate: Certificate,
        others: Sequence[Certificate],
        *,
        purpose: str | None,
        name: str | None,
        at: datetime,
    ) -> None:
        """Judge it."""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Who may say what at an instant; ``domain`` is where officers have their rights."""

    check: Check
    rights: Callable[[datetime], Authoriser]
    community: str
    vault: str
    domain: str

    def here(self, word: Word, at: datetime) -> None:
        """Raise unless the word is for this vault, and was fresh at ``at``."""
        if (word.document["community"], word.document["vault"]) != (self.community, self.vault):
            raise Refusal("other-vault", "the word is for another escrow", vault=word.document["vault"])
        if not at - FRESH <= parse_instant(word.document["at"]) <= at + DELTA:
            raise Refusal("stale-word", "the word was signed too long ago, or in time to come")

    def officer(self, word: Word, right: str, at: datetime, *, alone: bool = False) -> None:
        """Raise unless the signer is the officer that it names, good then, and held ``right``."""
        purpose = oids.SIGNING["officer"]
        self.check(word.certificate, word.certificates, purpose=purpose, name=word.officer, at=at)
        require(self.rights(at), word.officer, right, self.domain, alone=alone)

    def person(self, word: Word, at: datetime) -> None:
        """Raise unless the signer is who it names, and signed with a key that is for signing."""
        usage = word.certificate.values.get(x509.KeyUsage)
        if usage is None or not usage.digital_signature:
            raise Refusal("wrong-key-use", "the word is signed with a key that is not for signing")
        self.check(word.certificate, word.certificates, purpose=None, name=word.officer, at=at)

    def keeper(self, word: Word, at: datetime) -> None:
        """Raise unless it is the vault's own word."""
        self.check(word.certificate, word.certificates, purpose=oids.COMPONENT, name=word.officer, at=at)
        if self.vault != word.officer.rsplit(":", 1)[-1]:
            raise Refusal("other-vault", "the word is another component's", name=word.officer)

    def reader(self, chain: Sequence[Certificate], more: Sequence[Certificate], at: datetime) -> None:
        """Raise unless what is sealed to the first of ``chain`` is for its holder alone."""
        own = chain[0]
        usage = own.values.get(x509.KeyUsage)
        if usage is None or not (usage.key_agreement or usage.key_encipherment) or not own.name:
            raise Refusal("wrong-key-use", "the recipient's certificate is not for sealing to")
        others = dict.fromkeys((*chain[1:], *more))
        self.check(own, tuple(others), purpose=None, name=own.name, at=at)


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One set of shares of a deposit: among the officers of a policy; rows by officer."""

    policy: str
    threshold: int
    rows: Mapping[str, Document]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A deposit as its word says it, with every generation of its shares, by their policy."""

    id: str
    document: Document
    certificate: Certificate
    generations: Mapping[str, Generation]

    @property
    def holder(self) -> str:
        """Whose key it is."""
        return str(self.document["holder"])

    @property
    def drill(self) -> bool:
        """Whether it is of a rehearsal."""
        return bool(self.document["drill"])


def kept_of(word: Word, policy: Policy, more: Sequence[Generation] = ()) -> Kept:
    """The deposit; raises ``bad-deposit`` where its shares are not its policy's officers'."""
    rows = {row["officer"]: row for row in word.document["shares"]}
    expected = {officer.name: index for index, officer in enumerate(policy.officers, 1)}
    if word.document["policy"] != policy.id or len(rows) != len(word.document["shares"]):
        raise Refusal("bad-deposit", "the deposit is of another policy")
    if {name: row["index"] for name, row in rows.items()} != expected:
        raise Refusal("bad-deposit", "the shares are not those of the policy's officers")
    first = Generation(policy=policy.id, threshold=policy.threshold, rows=rows)
    return Kept(
        id=digest_of(word.content),
        document=word.document,
        certificate=Certificate.read(wire.unb64u(word.document["certificate"])),
        generations={one.policy: one for one in (first, *more)},
    )


def recipient_of(case: Word) -> tuple[Certificate, ...]:
    """The certificate that the case's key goes to, then its issuers."""
    return tuple(Certificate.read(wire.unb64u(one)) for one in case.document["recipient"])


def check_policy(word: Word, agreed: Word, policy: Policy, before: Policy | None, judge: Judge) -> None:
    """Raise unless ``policy`` follows ``before``, proposed and agreed by two who may set policy."""
    expected = (before.version + 1, before.id) if before else (1, digest_of(b""))
    if (policy.version, policy.previous) != expected:
        raise Refusal("policy-order", "the policy does not follow the one before", version=policy.version)
    if agreed.document["of"] != policy.id:
        raise Refusal("other-policy", "another policy was agreed to", version=policy.version)
    if word.officer == agreed.officer and not policy.alone:
        raise Refusal("same-officer", "who proposed a policy does not agree to it", officer=word.officer)
    for one in (word, agreed):
        judge.officer(one, RIGHTS.policy, parse_instant(one.document["at"]), alone=policy.alone)


def check_case(case: Word, kept: Sequence[Kept], policy: Policy, judge: Judge, at: datetime) -> Basis:
    """Raise unless the case may be opened at ``at``; gives its basis.

    :class:`Refusal` ``other-policy``, ``no-such-basis``, ``wrong-path``, ``mixed-keys``, ``not-the-owner``,
    ``not-identified``, and the judge's.
    """
    said = case.document
    if said["policy"] != policy.id:
        raise Refusal("other-policy", "the case is opened under another policy than the one in force")
    basis = policy.basis(said["basis"])
    if len({one.holder for one in kept}) != 1 or len({one.id for one in kept}) != len(kept):
        raise Refusal("mixed-keys", "a case is about one holder's keys, each once")
    if [one.id for one in kept] != said["deposits"]:
        raise Refusal("no-such-deposit", "the case names other deposits")
    holder, path = kept[0].holder, said["path"]
    drill = path == "drill"
    if drill != (basis.name == DRILL) or any(one.drill != drill for one in kept):
        raise Refusal("wrong-path", "a rehearsal recovers the keys of rehearsals, and no others")
    if not drill and basis.own != (path in {"owner", "identified"}):
        raise Refusal("wrong-path", "this legal basis is for another path", path=path, basis=basis.name)
    chain = recipient_of(case)
    if path == "owner":
        judge.person(case, at)
        if case.officer != holder:
            raise Refusal("not-the-owner", "the owner's own case is opened by her", holder=holder)
    else:
        judge.officer(case, RIGHTS.open_case, at, alone=policy.alone)
    if basis.own and chain[0].name != holder:
        raise Refusal("not-the-owner", "on this basis a key goes to its owner", recipient=chain[0].name)
    if path == "identified":
        _check_identified(case, holder, chain[0], judge, at)
    judge.reader(chain, case.certificates, at)
    return basis


def _check_identified(case: Word, holder: str, recipient: Certificate, judge: Judge, at: datetime) -> None:
    """Raise unless an officer of registration says that the recipient's key is the holder's."""
    octets = wire.unb64u(case.document.get("registration", ""))
    if not octets:
        raise Refusal("not-identified", "the registration in which she was identified again is missing")
    word = read_word(octets, {REGISTRATION.type: REGISTRATION})
    key = wire.b64u(sha256(recipient.spki).digest())
    if not any(holder in one["names"] and one["spki"] == key for one in word.document["orders"]):
        raise Refusal("not-identified", "the registration is not of this holder with the recipient's key")
    purpose = oids.SIGNING["officer"]
    said_at = parse_instant(word.document["at"])
    judge.check(word.certificate, word.certificates, purpose=purpose, name=word.officer, at=at)
    require(judge.rights(said_at), word.officer, RIGHTS.register, judge.domain)


def check_approval(
    approval: Word,
    case: Word,
    kept: Sequence[Kept],
    policy: Policy,
    approvals: Sequence[Word],
    judge: Judge,
    at: datetime,
) -> None:
    """Raise unless the approval counts: of this case, by one who may, with her own share of each key.

    :class:`Refusal` ``other-case``, ``own-case``, ``approved-already``, ``other-shares``, and the judge's.
    """
    if approval.document["case"] != case.id:
        raise Refusal("other-case", "the approval is of another case", officer=approval.officer)
    judge.officer(approval, RIGHTS.recover, at, alone=policy.alone)
    if approval.officer in {case.officer, kept[0].holder, *recipient_of(case)[0].names} and not policy.alone:
        raise Refusal("own-case", "nobody approves a case that she has a part in", officer=approval.officer)
    if any(one.officer == approval.officer for one in approvals):
        raise Refusal("approved-already", "this officer has approved", officer=approval.officer)
    rows = approval.document["shares"]
    if [row["deposit"] for row in rows] != [one.id for one in kept]:
        raise Refusal("other-shares", "the approval has a share of each key, in the case's order")
    for row, one in zip(rows, kept, strict=True):
        generation = one.generations.get(row["generation"])
        mine = generation.rows.get(approval.officer) if generation else None
        if mine is None or mine["index"] != row["index"]:
            raise Refusal("other-shares", "this officer has no such share", officer=approval.officer)


def check_release(
    case: Word,
    kept: Sequence[Kept],
    policy: Policy,
    approvals: Sequence[Word],
    *,
    opened: datetime,
    at: datetime,
    judge: Judge,
) -> None:
    """Raise unless the keys may be released at ``at``: enough approve still, and the time is over.

    :class:`Refusal` ``waiting-time``, ``case-lapsed``, ``too-few-officers``, ``too-few-persons``, and the
    judge's for an officer who is one no more.
    """
    basis = policy.basis(case.document["basis"])
    check_in_time(policy, opened, at)
    if at < opened + timedelta(hours=basis.hours):
        raise Refusal("waiting-time", "the waiting time is not over", hours=basis.hours)
    judge.reader(recipient_of(case), case.certificates, at)
    for approval in approvals:
        judge.officer(approval, RIGHTS.recover, at, alone=policy.alone)
    if len(approvals) < policy.threshold or any(enough_of(one, approvals) is None for one in kept):
        found = len(approvals)
        raise Refusal("too-few-officers", "fewer officers approve than have to", found=found)
    persons = {case.officer, recipient_of(case)[0].name, *(one.officer for one in approvals)}
    # the owner is who asks and who receives
    needed = policy.persons - (case.officer == recipient_of(case)[0].name)
    if len(persons) < needed:
        raise Refusal(
            "too-few-persons", "fewer different persons have a part", needed=needed, found=len(persons)
        )


def check_in_time(policy: Policy, opened: datetime, at: datetime) -> None:
    """Raise :class:`Refusal` ``case-lapsed`` for a case that is too old to go on."""
    if at > opened + timedelta(days=policy.case_days):
        raise Refusal("case-lapsed", "the case is too old: open another", days=policy.case_days)


def enough_of(kept: Kept, approvals: Sequence[Word]) -> Generation | None:
    """The generation of which enough approving officers have shares, the newest such; None without."""
    named: dict[str, int] = {}
    for approval in approvals:
        for row in approval.document["shares"]:
            if row["deposit"] == kept.id:
                named[row["generation"]] = named.get(row["generation"], 0) + 1
    for generation in reversed(tuple(kept.generations.values())):
        if named.get(generation.policy, 0) >= generation.threshold:
            return generation
    return None


def check_stop(stop: Word, case: Word, kept: Sequence[Kept], judge: Judge, at: datetime) -> None:
    """Raise unless the word stops this case: of who opened it, the owner, or who may approve it."""
    if stop.document["case"] != case.id:
        raise Refusal("other-case", "the word is about another case", officer=stop.officer)
    if stop.officer in {case.officer, kept[0].holder}:
        judge.person(stop, at)
    else:
        judge.officer(stop, RIGHTS.recover, at)


def check_receipt(receipt: Word, case: Word, releases: Sequence[str], judge: Judge, at: datetime) -> None:
    """Raise unless the recipient says that she has the key of one of the case's ``releases``."""
    if receipt.document["case"] != case.id or receipt.document["release"] not in releases:
        raise Refusal("other-case", "the receipt is for another release", officer=receipt.officer)
    if receipt.officer not in recipient_of(case)[0].names:
        raise Refusal("not-the-recipient", "the receipt is not the recipient's", officer=receipt.officer)
    judge.person(receipt, at)
