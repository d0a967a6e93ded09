"""What the manager of a buying organisation's CA does beside issuing: officers, and newer certificates.

Each is a record signed by the CA's own key, that names the one before, as a root's ceremonies are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from e2s.base.errors import Misuse, Refusal
from e2s.base.rights import Refused, TableAuthoriser
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.ceremonies.buying import PROFILE
from e2s.security.ceremonies.ceremony_record import Record
from e2s.security.ceremonies.folder import Setting, open_folder_key, publish_own
from e2s.security.ceremonies.occasion import PLAIN, Occasion, certified, put_record
from e2s.security.ceremonies.standalone import Look
from e2s.security.keys.phrase import Phrase
from e2s.security.pki.ca import RIGHTS
from e2s.security.pki.rights import Right
from e2s.security.verification.verifier import Verifier


def change_officers(
    seen: Look,
    secret: Phrase,
    rights: frozenset[Right],
    *,
    officer: str,
    setting: Setting,
    occasion: Occasion = PLAIN,
) -> Record:
    """Let ``rights`` be those in force from now on; who may name officers is left.

    Raises :class:`Refusal` ``not-authorised``, ``last-officer`` or ``foreign-right``.
    """
    _require_own(seen)
    _require_namer(seen, officer)
    if any(where != seen.component for _, _, where in rights):
        raise Refusal("foreign-right", "this CA gives rights at itself alone", component=seen.component)
    if not any(right == RIGHTS.name for _, right, _ in rights):
        raise Refusal("last-officer", "somebody must be left who may name officers")
    key = open_folder_key(seen.folder, secret)
    try:
        next_ = replace(_next(seen, "officers", officer, setting, occasion), rights=rights)
        return put_record(seen.folder, next_, key.signer())
    finally:
        key.close()


def adopt(
    seen: Look,
    secret: Phrase,
    chain: Sequence[Certificate],
    root: Certificate,
    *,
    officer: str,
    setting: Setting,
) -> None:
    """Take a newer certificate of the same key, with those between it and ``root``; repeated, it goes on.

    A lost CA's successor, or a new root, certified it.  Raises :class:`Refusal` ``not-authorised``, of the
    verifier's rule where the path is not good, and ``key-mismatch`` for another key or name.
    """
    _require_own(seen)
    _require_namer(seen, officer)
    own, *between = chain
    if (own.spki, own.x509.subject) != (seen.own.spki, seen.own.x509.subject):
        raise Refusal("key-mismatch", "the certificate is for another key or name", certificate=own.id)
    at = setting.clock.now()
    Verifier([root]).judge(
        own, between, (), at=at, purpose=None, name=None, require_revocation=False
    ).or_refuse()
    key = open_folder_key(seen.folder, secret)
    try:
        key.recertified(own, tuple(between), secret, random=setting.random)
        _record_adopted(seen, own, key.signer(), officer, setting)
    finally:
        key.close()
    publish_own(seen.folder, chain, root)


def _record_adopted(seen: Look, own: Certificate, signer: Signer, officer: str, setting: Setting) -> None:
    if any(item.digest == own.id for item in seen.chain.items("certificate")):
        return
    record = _next(seen, "renewing", officer, setting, PLAIN)
    item = certified(own, PROFILE, seen.component)
    put_record(seen.folder, replace(record, root=own.id, items=(item,)), signer)


def _next(seen: Look, act: str, officer: str, setting: Setting, occasion: Occasion) -> Record:
    """The record that follows, with the rights as they are."""
    newest = seen.chain.newest
    return Record(
        number=newest.number + 1,
        previous=newest.digest,
        act=act,
        at=max(setting.clock.now(), newest.at),
        community=newest.community,
        root=seen.own.id,
        rights=newest.rights,
        officer=officer,
        present=occasion.present,
        software=setting.software,
        note=occasion.note,
    )


def _require_own(seen: Look) -> None:
    if seen.kind != PROFILE:
        raise Misuse("not-the-root", "the root keeps this CA's records", ca=seen.component)


def _require_namer(seen: Look, officer: str) -> None:
    decision = TableAuthoriser(seen.chain.newest.rights).decide(officer, RIGHTS.name, seen.component)
    if isinstance(decision, Refused):
        raise Refusal("not-authorised", decision.because, officer=officer, right=RIGHTS.name)
