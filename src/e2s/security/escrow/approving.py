"""An officer's own tool: it judges the case for itself, opens her shares, and seals them to the recipient.

Her approval is her word over the whole case and what she sealed; no share meets another one at the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.crypto.ports import Opener
from e2s.security.escrow import store
from e2s.security.escrow.casefile import File, case_file
from e2s.security.escrow.policy import Policy
from e2s.security.escrow.rules import Generation, Kept, check_case, check_in_time, recipient_of
from e2s.security.escrow.sealing import open_share, seal_share
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import APPROVAL, digest_of


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the vault gives an officer for her approval: the case, and her sealed share of each key."""

    file: File
    officer: str
    shares: tuple[tuple[Kept, Generation, bytes], ...] = field(repr=False)
    policies: dict[str, Policy]


def given(vault: Vault, case: str, officer: str, *, older: bool = False) -> Given:
    """What ``officer`` needs to approve; on record.  ``older``: shares from before they were shared again.

    Raises :class:`Refusal` ``no-such-case``, ``no-such-share``.
    """
    file = case_file(vault, case)
    with vault.database.transaction() as connection:
        policies = vault.policies(connection)
        shares = []
        for row, kept in zip(file.rows, file.kept, strict=True):
            generation = _chosen(kept, officer, older=older)
            box = store.share(connection, row.n, generation.policy, officer)
            if box is None:
                raise Refusal("no-such-share", "this officer has no share of this key", officer=officer[:255])
            shares.append((kept, generation, box))
        facts = {"case": file.row.short, "officer": officer[:255], "shares": len(shares)}
        vault.event(connection, "shares-given", vault.now(), facts)
    return Given(file=file, officer=officer, shares=tuple(shares), policies=policies)


def newest(kept: Kept, officer: str) -> Generation:
    """The newest shares that are enough and of which one is hers; raises ``no-such-share``."""
    return _chosen(kept, officer, older=False)


def _chosen(kept: Kept, officer: str, *, older: bool) -> Generation:
    generations = tuple(kept.generations.values())
    for generation in generations if older else reversed(generations):
        if officer in generation.rows and len(generation.rows) >= generation.threshold:
            return generation
    raise Refusal("no-such-share", "this officer has no share of this key", officer=officer[:255])


def approval(
    vault: Vault, handed: Given, openers: Sequence[Opener], random: Callable[[int], bytes]
) -> tuple[Document, list[bytes]]:
    """The approval that she is to sign, and her shares sealed to the recipient.

    Raises :class:`Refusal` of the case's rules, which are asked again, ``no-such-key`` where none of her keys
    opens a share, ``wrong-share``.
    """
    file, now = handed.file, vault.now()
    check_in_time(file.policy, file.opened, now)
    check_case(file.word, file.kept, file.policy, vault.judge(), now)
    to = recipient_of(handed.file.word)[0]
    rows, boxes = [], []
    for kept, generation, box in handed.shares:
        row = generation.rows[handed.officer]
        opener = opener_for(handed.policies[generation.policy], handed.officer, openers)
        share = open_share(box, opener, kept.certificate, row["commitment"], row["index"])
        turned = seal_share(share, to, random)
        boxes.append(turned)
        members = {"deposit": kept.id, "generation": generation.policy}
        rows.append({**members, "index": share.point, "sealed": digest_of(turned)})
    said = vault.asked(APPROVAL.type, handed.officer, {"case": handed.file.row.id, "shares": rows})
    return said, boxes


def opener_for(policy: Policy, officer: str, openers: Sequence[Opener]) -> Opener:
    """Which of her keys the policy's shares were sealed to; raises :class:`Refusal` ``no-such-key``."""
    mine = policy.officer(officer)
    for opener in openers:
        if mine is not None and opener.certificate == mine.certificate:
            return opener
    raise Refusal("no-such-key", "none of these keys is the one that the share was sealed to")
