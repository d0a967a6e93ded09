"""Policies come into force by two officers' words: one proposes the whole of it, another agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Fact, Refusal
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.escrow import store
from e2s.security.escrow.policy import Policy, Terms, policy_of
from e2s.security.escrow.rules import check_policy
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import AGREE, POLICY, Word, digest_of, read
from e2s.security.pki.rights import RIGHTS


def policy_document(
    vault: Vault,
    officer: str,
    terms: Terms,
    officers: Sequence[Certificate],
    *,
    party: str,
    jurisdiction: str,
    location: str,
) -> Document:
    """The next version of the policy, to be signed by ``officer``."""
    with vault.database.reading() as connection:
        known = list(vault.policies(connection).values())
    before = known[-1] if known else None
    members: Mapping[str, Any] = {
        "version": before.version + 1 if before else 1,
        "previous": before.id if before else digest_of(b""),
        "party": party,
        "domain": vault.domain,
        "jurisdiction": jurisdiction,
        "location": location,
        "threshold": terms.threshold,
        "alone": terms.alone,
        "persons": terms.persons,
        "caseDays": terms.case_days,
        "bases": [
            {"name": one.name, "hours": one.hours, "notify": one.notify, "own": one.own}
            for one in terms.bases
        ],
        "officers": [{"name": one.name, "certificate": wire.b64u(one.der)} for one in officers],
    }
    return vault.asked(POLICY.type, officer, members)


def agree_document(vault: Vault, officer: str, policy: str) -> Document:
    """What the second officer signs; ``policy`` is the digest of the proposed one."""
    return vault.asked(AGREE.type, officer, {"of": policy})


def take_policy(vault: Vault, octets: bytes, issuers: Sequence[Certificate] = ()) -> Document:
    """Take a proposal or an agreement; gives ``policy``, ``version`` and ``state``.

    ``issuers`` are those of the officers' certificates.  Raises :class:`Refusal` of the words' form, of their
    signers, ``bad-policy``, ``policy-order``, ``same-officer``, ``no-such-policy``.
    """
    word = read(octets, POLICY, AGREE)
    at = vault.now()
    try:
        with vault.database.reading() as connection:
            known = store.policy(connection, word.document.get("of", digest_of(word.content)))
            if known is not None and (word.document["type"] == POLICY.type or known.agreed is not None):
                return _answer(known)
        vault.judge().here(word, at)
        if word.document["type"] == POLICY.type:
            return _propose(vault, word, issuers, at)
        return _agree(vault, word, at)
    except Refusal as refusal:
        vault.refused(refusal, type=word.document["type"], officer=word.officer)
        raise


def _propose(vault: Vault, word: Word, issuers: Sequence[Certificate], at: datetime) -> Document:
    policy, judge = policy_of(word.document), vault.judge()
    if policy.domain != vault.domain:
        raise Refusal("other-vault", "the policy is of another domain", domain=policy.domain)
    judge.officer(word, RIGHTS.policy, at, alone=policy.alone)
    purpose = oids.AGREEMENT["officer"]
    others = (*issuers, *word.certificates)
    for one in policy.officers:
        judge.check(one.certificate, others, purpose=purpose, name=one.name, at=at)
    with vault.database.transaction() as connection:
        before = _newest(vault, connection)
        if (policy.version, policy.previous) != (
            (before.version + 1, before.id) if before else (1, digest_of(b""))
        ):
            raise Refusal("policy-order", "the policy does not follow the one in force")
        values = {"id": policy.id, "version": policy.version, "word": word.octets, "agreed": None}
        store.add_policy(connection, values)
        facts: dict[str, Fact] = {"policy": policy.id, "version": policy.version, "officer": word.officer}
        vault.event(connection, "policy-proposed", at, facts)
        row = store.policy(connection, policy.id)
        return _answer(row)


def _agree(vault: Vault, word: Word, at: datetime) -> Document:
    with vault.database.transaction() as connection:
        row = store.policy(connection, word.document["of"])
        if row is None:
            raise Refusal("no-such-policy", "no policy of this digest was proposed")
        proposed = read(row.word, POLICY)
        policy = policy_of(proposed.document)
        check_policy(proposed, word, policy, _newest(vault, connection), vault.judge())
        store.agree(connection, policy.id, word.octets)
        facts: dict[str, Fact] = {"policy": policy.id, "version": policy.version, "officer": word.officer}
        vault.event(connection, "policy-agreed", at, facts)
        return _answer(store.policy(connection, policy.id))


def _newest(vault: Vault, connection: sa.Connection) -> Policy | None:
    known = list(vault.policies(connection).values())
    return known[-1] if known else None


def _answer(row: sa.Row[Any] | None) -> Document:
    if row is None:
        raise Refusal("no-such-policy", "no policy of this digest was proposed")
    state = "proposed" if row.agreed is None else "agreed"
    return {"policy": row.id, "version": row.version, "state": state}
