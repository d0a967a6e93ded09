"""When officers change: shares are shared again, by enough old officers' tools and each new one's.

Deposits stay recoverable under the old policy's officers all the while, and afterwards as long as enough of
them hold their right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.crypto.ports import Opener
from e2s.security.escrow import store
from e2s.security.escrow.approving import newest, opener_for
from e2s.security.escrow.moving import check_accept, check_reshare, first_enough
from e2s.security.escrow.policy import Policy
from e2s.security.escrow.rules import Kept
from e2s.security.escrow.sealing import boxed, commitment_to, open_share, seal_share
from e2s.security.escrow.sharing import moved, shared_again
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import ACCEPT, RESHARE, Word, digest_of, read
from e2s.security.escrow.words import kept as kept_word

Random = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Depends:
    """What depends on one officer: under one policy, how many deposits, and how many others may be away."""

    officer: str
    version: int
    deposits: int
    spare: int


def depends(vault: Vault) -> list[Depends]:
    """Which deposits depend on whom."""
    with vault.database.reading() as connection:
        policies, rows = vault.policies(connection), store.depending(connection)
    return [
        Depends(
            officer=officer,
            version=policies[generation].version,
            deposits=number,
            spare=len(policies[generation].officers) - policies[generation].threshold,
        )
        for generation, officer, number in rows
    ]


def due(vault: Vault, officer: str) -> tuple[list[str], list[str]]:
    """The deposits whose shares ``officer`` is to share again, and those whose parts she is to join."""
    give, join = [], []
    with vault.database.reading() as connection:
        policy = vault.in_force(connection)
        for row in store.deposits(connection):
            kept = vault.kept(connection, row.id)[1]
            rows = kept.generations[policy.id].rows if policy.id in kept.generations else {}
            if len(rows) == len(policy.officers):
                continue
            reshares = _reshares(connection, row, policy)
            if officer not in rows and policy.officer(officer) and _is_enough(kept, reshares):
                join.append(row.id)
            elif not _is_enough(kept, reshares) and all(one.officer != officer for one in reshares):
                give += [row.id for one in kept.generations.values() if officer in one.rows][:1]
    return give, join


def share_again(
    vault: Vault, officer: str, ident: str, openers: Sequence[Opener], random: Random
) -> tuple[Document, dict[str, bytes]]:
    """An old officer's word, and its parts sealed to the new ones.

    Raises :class:`Refusal` ``no-such-share``, ``no-such-key``.
    """
    with vault.database.transaction() as connection:
        row, kept = vault.kept(connection, ident)
        policy, policies = vault.in_force(connection), vault.policies(connection)
        generation = newest(kept, officer)
        box = store.share(connection, row.n, generation.policy, officer)
        vault.event(connection, "shares-given", vault.now(), {"deposit": ident, "officer": officer})
    if box is None:
        raise Refusal("no-such-share", "this officer has no share of this key", officer=officer)
    mine = generation.rows[officer]
    opener = opener_for(policies[generation.policy], officer, openers)
    share = open_share(box, opener, kept.certificate, mine["commitment"], mine["index"])
    indices = range(1, len(policy.officers) + 1)
    parts = shared_again(
        share, threshold=policy.threshold, indices=indices, random=random, alone=policy.alone
    )
    boxes, rows = {}, []
    for to, part in zip(policy.officers, parts, strict=True):
        boxes[to.name], said = boxed(part, to.name, to.certificate, kept.certificate, random)
        rows.append(said)
    members = {"deposit": ident, "generation": generation.policy, "policy": policy.id}
    said = vault.asked(RESHARE.type, officer, {**members, "index": share.point, "parts": rows})
    return said, boxes


def join(
    vault: Vault, officer: str, ident: str, openers: Sequence[Opener], random: Random
) -> tuple[Document, dict[str, bytes]]:
    """A new officer's word, and her share sealed to herself.

    Raises :class:`Refusal` ``too-few-officers``, and ``wrong-share`` with whose part is not what she said.
    """
    with vault.database.transaction() as connection:
        row, kept = vault.kept(connection, ident)
        policy = vault.in_force(connection)
        used = first_enough(kept, _reshares(connection, row, policy))
        boxes = {one.id: store.parts(connection, _number(connection, one.id)) for one in used}
        vault.event(connection, "shares-given", vault.now(), {"deposit": ident, "officer": officer})
    opener, parts = opener_for(policy, officer, openers), []
    for word in used:
        mine = next(one for one in word.document["parts"] if one["officer"] == officer)
        try:
            box, said = boxes[word.id][officer], (mine["commitment"], mine["index"])
            parts.append((word.document["index"], open_share(box, opener, kept.certificate, *said)))
        except (Refusal, KeyError) as error:
            sentence = "an officer's part is not what she said of it"
            raise Refusal("wrong-share", sentence, officer=word.officer) from error
    threshold = kept.generations[used[0].document["generation"]].threshold
    share = moved(parts, threshold=threshold)
    own = seal_share(share, opener.certificate, random)
    members = {
        "deposit": ident,
        "policy": policy.id,
        "index": share.point,
        "commitment": commitment_to(share, kept.certificate),
        "sealed": digest_of(own),
        "of": [one.id for one in used],
    }
    return vault.asked(ACCEPT.type, officer, members), {officer: own}


def take_move(vault: Vault, octets: bytes, boxes: Mapping[str, bytes]) -> Document:
    """Take a word by which shares move; gives ``deposit`` and how many ``joined``.

    Raises :class:`Refusal` of the word's form, of the rules, ``moved-already``, ``other-shares``.
    """
    word = read(octets, RESHARE, ACCEPT)
    at = vault.now()
    try:
        vault.judge().here(word, at)
        with vault.database.transaction() as connection:
            row, kept = vault.kept(connection, word.document["deposit"])
            policy = vault.in_force(connection)
            if store.move(connection, word.id) is None:
                _take(vault, connection, row, kept, policy, word, boxes)
            after = vault.kept(connection, row.id)[1].generations.get(policy.id)
            return {"deposit": row.id, "joined": len(after.rows) if after else 0}
    except Refusal as refusal:
        vault.refused(refusal, type=word.document["type"], officer=word.officer)
        raise


def _take(
    vault: Vault,
    connection: sa.Connection,
    row: sa.Row[Any],
    kept: Kept,
    policy: Policy,
    word: Word,
    boxes: Mapping[str, bytes],
) -> None:
    at, said = vault.now(), word.document
    before = [one for one in store.moves(connection, row.n) if one.policy == policy.id]
    kind = "reshare" if said["type"] == RESHARE.type else "accept"
    if any((one.kind, one.officer) == (kind, word.officer) for one in before):
        raise Refusal("moved-already", "this officer has done so", officer=word.officer)
    if kind == "reshare":
        check_reshare(word, kept, policy, vault.judge(), at)
        expected = {one["officer"]: one["sealed"] for one in said["parts"]}
    else:
        check_accept(word, kept, _reshares(connection, row, policy), policy, vault.judge(), at)
        expected = {word.officer: said["sealed"]}
    if {officer: digest_of(box) for officer, box in boxes.items()} != expected:
        raise Refusal("other-shares", "the sealed shares are not those of the word", officer=word.officer)
    values = {"id": word.id, "deposit": row.n, "policy": policy.id, "kind": kind, "officer": word.officer}
    store.add_move(connection, {**values, "word": word.octets}, boxes if kind == "reshare" else {})
    if kind == "accept":
        store.add_share(connection, row.n, policy.id, word.officer, boxes[word.officer])
    facts = {"deposit": row.id, "officer": word.officer, "policy": policy.version}
    vault.event(connection, "reshared" if kind == "reshare" else "joined", at, facts)


def move_all(
    vault: Vault,
    officer: str,
    openers: Sequence[Opener],
    sign: Callable[[Document], bytes],
    random: Random,
) -> tuple[int, int]:
    """All that is due from one officer: how many shares she shared again, and how many she joined."""
    done = []
    for place, make in enumerate((share_again, join)):
        # what she shared again may have been what was missing for her own part
        idents = due(vault, officer)[place]
        for ident in idents:
            said, boxes = make(vault, officer, ident, openers, random)
            take_move(vault, sign(said), boxes)
        done.append(len(idents))
    return done[0], done[1]


def _reshares(connection: sa.Connection, row: sa.Row[Any], policy: Policy) -> list[Word]:
    """The words by which shares of a deposit were shared again under ``policy``, in order."""
    return [
        kept_word(one.word, RESHARE)
        for one in store.moves(connection, row.n)
        if one.kind == "reshare" and one.policy == policy.id
    ]


def _is_enough(kept: Kept, reshares: Sequence[Word]) -> bool:
    try:
        return bool(first_enough(kept, reshares))
    except Refusal:
        return False


def _number(connection: sa.Connection, ident: str) -> int:
    row = store.move(connection, ident)
    if row is None:
        raise Refusal("no-such-share", "there is no such word")
    return int(row.n)
