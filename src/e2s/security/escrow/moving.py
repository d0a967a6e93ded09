"""The rules by which shares move to the officers of a newer policy, on values alone.

Enough old officers each share their share again, one part for each new officer; she joins the parts of the
same first words as all others, and says what she made of them.  The secret is nowhere whole meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from e2s.base.errors import Refusal
from e2s.security.escrow.policy import Policy
from e2s.security.escrow.rules import Generation, Judge, Kept
from e2s.security.escrow.words import Word
from e2s.security.pki.rights import RIGHTS


def check_reshare(word: Word, kept: Kept, to: Policy, judge: Judge, at: datetime) -> None:
    """Raise unless an officer shares her own share of this deposit among the officers of ``to``.

    :class:`Refusal` ``other-shares``, ``other-policy``, and the judge's.
    """
    said = word.document
    judge.officer(word, RIGHTS.recover, at, alone=to.alone)
    mine = _rows(kept, said["generation"]).get(word.officer)
    if said["deposit"] != kept.id or mine is None or mine["index"] != said["index"]:
        raise Refusal("other-shares", "this officer has no such share", officer=word.officer)
    if said["policy"] != to.id or said["generation"] == to.id:
        raise Refusal("other-policy", "shares are shared again under a newer policy")
    expected = [(officer.name, index) for index, officer in enumerate(to.officers, 1)]
    if [(row["officer"], row["index"]) for row in said["parts"]] != expected:
        raise Refusal("other-shares", "the parts are not for the policy's officers")


def check_accept(
    word: Word, kept: Kept, reshares: Sequence[Word], to: Policy, judge: Judge, at: datetime
) -> None:
    """Raise unless a new officer joined the parts of the first words that are enough.

    :class:`Refusal` ``other-shares``, ``too-few-officers``, and the judge's.
    """
    said = word.document
    judge.officer(word, RIGHTS.recover, at, alone=to.alone)
    place = next((n for n, one in enumerate(to.officers, 1) if one.name == word.officer), 0)
    if said["deposit"] != kept.id or said["policy"] != to.id or said["index"] != place:
        raise Refusal("other-shares", "this officer has no such share", officer=word.officer)
    if said["of"] != [one.id for one in first_enough(kept, reshares)]:
        raise Refusal("other-shares", "all officers join the parts of the same first words")


def first_enough(kept: Kept, reshares: Sequence[Word]) -> list[Word]:
    """The first words of one generation that are enough; raises :class:`Refusal` ``too-few-officers``."""
    by_generation: dict[str, list[Word]] = {}
    for word in reshares:
        mine = by_generation.setdefault(word.document["generation"], [])
        if all(word.officer != one.officer for one in mine):
            mine.append(word)
        if len(mine) == kept.generations[word.document["generation"]].threshold:
            return mine
    raise Refusal("too-few-officers", "fewer officers shared their shares again than have to")


def with_moves(
    kept: Kept,
    moves: Sequence[Word],
    policies: Mapping[str, Policy],
    judge: Judge,
    at: Mapping[str, datetime],
) -> Kept:
    """The deposit after all ``moves``, each judged at its instant; raises as the rules above do."""
    reshares: dict[str, list[Word]] = {}
    for word in moves:
        to = policies.get(word.document["policy"])
        if to is None:
            raise Refusal("other-policy", "shares moved under a policy that is not here")
        known = reshares.setdefault(to.id, [])
        if "parts" in word.document:
            check_reshare(word, kept, to, judge, at[word.id])
            known.append(word)
        else:
            check_accept(word, kept, known, to, judge, at[word.id])
            rows = {**_rows(kept, to.id), word.officer: word.document}
            made = Generation(policy=to.id, threshold=to.threshold, rows=rows)
            kept = Kept(
                id=kept.id,
                document=kept.document,
                certificate=kept.certificate,
                generations={**kept.generations, to.id: made},
            )
    return kept


def _rows(kept: Kept, generation: str) -> Mapping[str, dict[str, object]]:
    found = kept.generations.get(generation)
    return found.rows if found else {}
