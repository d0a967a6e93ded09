"""A deposit is durable before its key is released: sealed by who made the key, signed for by the vault.

The same certificate's key once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.security.escrow import store
from e2s.security.escrow.rules import kept_of
from e2s.security.escrow.sealing import MAX_SEALED_BYTES, Sealed, check_keepable, sealed
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import DEPOSIT, digest_of, read, sign_at


@dataclass(frozen=True, kw_only=True)
class Depositor:
    """The port :class:`~e2s.security.keys.deposit.Deposit` on a vault; ``issuers`` are the certificates'."""

    vault: Vault
    issuers: tuple[Certificate, ...] = ()

    def deposit(self, holder: str, certificate: Certificate, key: PrivateKey) -> None:
        """Seal the key here, so that the vault gets nothing that it could open, and have it kept."""
        deposit(self.vault, holder, certificate, key, issuers=self.issuers)


def deposit(
    vault: Vault,
    holder: str,
    certificate: Certificate,
    key: PrivateKey,
    *,
    issuers: Sequence[Certificate] = (),
    drill: bool = False,
) -> str:
    """Keep a key for its holder; the deposit's digest.

    Raises what :func:`~e2s.security.escrow.sealing.sealed` and :func:`take` do, and ``no-policy``.
    """
    try:
        check_keepable(certificate, key)
        with vault.database.reading() as connection:
            known = store.deposit_of(connection, certificate.id)
            policy = vault.in_force(connection)
        if known is not None and holder in certificate.names:
            return str(known.id)
        made = sealed(holder, certificate, key, policy, vault.random, drill=drill)
    except Refusal as refusal:
        vault.refused(refusal, holder=holder[:255], certificate=certificate.id)
        raise
    return take(vault, made, issuers=issuers)


def take(vault: Vault, made: Sealed, *, issuers: Sequence[Certificate] = ()) -> str:
    """Keep what was sealed elsewhere; the deposit's digest.

    Raises :class:`Refusal` ``signing-key``, ``other-policy`` where another policy is in force now,
    ``bad-deposit``, and the verifier's rule for a certificate that is not good.
    """
    at = vault.now()
    said = vault.said(DEPOSIT.type, at, made.said)
    try:
        DEPOSIT.check(said)
        certificate = Certificate.read(wire.unb64u(said["certificate"]))
        check_keepable(certificate)
        _check_boxes(made)
        if not said["drill"]:
            _check_certificate(vault, certificate, (*issuers, *vault.signer.chain), said["holder"], at)
        octets = sign_at(said, vault.signer)
        return _keep(vault, octets, made, certificate)
    except Refusal as refusal:
        vault.refused(refusal, holder=str(said["holder"])[:255])
        raise


def _keep(vault: Vault, octets: bytes, made: Sealed, certificate: Certificate) -> str:
    word = read(octets, DEPOSIT)
    said = word.document
    with vault.database.transaction() as connection:
        known = store.deposit_of(connection, certificate.id)
        if known is not None:
            return str(known.id)
        policy = vault.in_force(connection)
        if said["policy"] != policy.id:
            raise Refusal("other-policy", "the key was sealed under another policy than the one in force")
        kept_of(word, policy)
        values = {
            "id": digest_of(word.content),
            "certificate": certificate.id,
            "holder": said["holder"],
            "policy": policy.id,
            "drill": int(said["drill"]),
            "at": said["at"],
            "word": octets,
            "key": made.key,
        }
        store.add_deposit(connection, values, made.shares)
        facts = {"deposit": values["id"], "holder": said["holder"], "certificate": certificate.id}
        vault.event(connection, "deposited", vault.now(), {**facts, "policy": policy.version})
    return str(values["id"])


def _check_certificate(
    vault: Vault, certificate: Certificate, others: Sequence[Certificate], holder: str, at: datetime
) -> None:
    """Raise the verifier's rule for one that no trusted CA gave the holder, or that is known to be revoked.

    What was sealed to an old key is as dear as what is sealed to a new one: an expired certificate is judged
    at its end, and lists that are missing or old refuse nothing.
    """
    when = min(at, certificate.not_after - timedelta(seconds=1))
    lists = vault.trust.source.crls(certificate, *others)
    vault.trust.verifier.judge(
        certificate, others, lists, at=when, purpose=None, name=holder, require_revocation=False
    ).or_refuse()


def _check_boxes(made: Sealed) -> None:
    """Raise ``bad-deposit`` unless what came is what the document says."""
    rows = {row["officer"]: row["sealed"] for row in made.said["shares"]}
    boxes = {officer: digest_of(box) for officer, box in made.shares.items()}
    large = max(map(len, (made.key, *made.shares.values())), default=0) > MAX_SEALED_BYTES
    if rows != boxes or digest_of(made.key) != made.said["sealed"] or large:
        raise Refusal("bad-deposit", "what is sealed is not what the deposit says")
