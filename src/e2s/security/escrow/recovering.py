"""The recipient's own tool: only here do shares meet, and only here is the key whole again.

A share that is not the one that was deposited is found by its commitment, and its officer named; where enough
others are good the key is recovered all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.ports import Opener
from e2s.security.escrow import store
from e2s.security.escrow.casefile import case_file
from e2s.security.escrow.rules import Generation, Kept, recipient_of
from e2s.security.escrow.sealing import open_share, recovered
from e2s.security.escrow.sharing import Share
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import Word, digest_of


@dataclass(frozen=True, kw_only=True)
class Package:
    """What a release hands to the recipient: sealed keys, and the approvals with their shares."""

    case: Word
    kept: tuple[Kept, ...]
    keys: tuple[bytes, ...] = field(repr=False)
    approvals: tuple[tuple[Word, tuple[bytes, ...]], ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """One key, its certificate, and the officers whose shares were wrong."""

    certificate: Certificate
    key: PrivateKey = field(repr=False)
    wrong: tuple[str, ...] = ()


def package(vault: Vault, case: str) -> Package:
    """What was released; on record.  Raises ``no-such-case``, ``not-released``, ``already-received``."""
    file = case_file(vault, case)
    if file.row.state == "received":
        raise Refusal("already-received", "the key was received: it is given once", case=file.row.short)
    if not file.releases:
        raise Refusal("not-released", "nothing was released yet in this case", case=file.row.short)
    counted = set(file.releases[-1].document["approvals"])
    with vault.database.transaction() as connection:
        boxes = {
            row.id: tuple(store.turned(connection, row.n))
            for row in store.words(connection, file.row.n)
            if row.id in counted
        }
        facts = {"case": file.row.short, "recipient": file.row.recipient}
        vault.event(connection, "package-given", vault.now(), facts)
    return Package(
        case=file.word,
        kept=file.kept,
        keys=tuple(row.key for row in file.rows),
        approvals=tuple((one, boxes[one.id]) for one in file.approvals if one.id in counted),
    )


def recover(given: Package, opener: Opener) -> list[Recovered]:
    """The keys of the case.

    Raises :class:`Refusal` ``not-for-me``, ``altered-deposit``, ``wrong-shares``, and ``too-few-shares`` with
    the officers whose shares are wrong.
    """
    if opener.certificate != recipient_of(given.case)[0]:
        raise Refusal("not-for-me", "the case names another recipient")
    return [_one(given, place, opener) for place in range(len(given.kept))]


def _one(given: Package, place: int, opener: Opener) -> Recovered:
    kept, sealed = given.kept[place], given.keys[place]
    if digest_of(sealed) != kept.document["sealed"]:
        raise Refusal("altered-deposit", "what was deposited was altered")
    good: dict[str, list[Share]] = {}
    wrong: list[str] = []
    for word, boxes in given.approvals:
        row = word.document["shares"][place]
        generation = kept.generations[row["generation"]]
        if len(good.get(generation.policy, ())) >= generation.threshold:
            continue
        try:
            share = _opened(boxes[place], row["sealed"], opener, kept, generation.rows[word.officer])
        except Refusal:
            wrong.append(word.officer)
            continue
        good.setdefault(generation.policy, []).append(share)
    generation = _enough(kept, good, wrong)
    key = recovered(
        sealed,
        good[generation.policy],
        kept.certificate,
        threshold=generation.threshold,
        commitment=kept.document["key"],
    )
    return Recovered(certificate=kept.certificate, key=key, wrong=tuple(wrong))


def _opened(box: bytes, sealed: str, opener: Opener, kept: Kept, row: dict[str, object]) -> Share:
    if digest_of(box) != sealed:
        raise Refusal("wrong-share", "the sealed share is not the approval's")
    return open_share(box, opener, kept.certificate, str(row["commitment"]), int(str(row["index"])))


def _enough(kept: Kept, good: dict[str, list[Share]], wrong: Sequence[str]) -> Generation:
    for generation in reversed(tuple(kept.generations.values())):
        if len(good.get(generation.policy, ())) >= generation.threshold:
            return generation
    sentence = "the shares of these officers are wrong, and too few are good"
    raise Refusal("too-few-shares", sentence, officers=" ".join(wrong))
