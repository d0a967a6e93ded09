"""``e2s escrow deposit``, ``list``, ``reshare``, ``rehearse``: what is kept, and that it can be recovered."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from e2s.base import wire
from e2s.base.errors import Misuse
from e2s.base.wire import Document
from e2s.cli import files
from e2s.cli.escrow_home import At, DryRun, Json, Own, PhraseFile, Pse, VaultPhrase, opened, own
from e2s.cli.options import key_of
from e2s.cli.report import document, say, table
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.security.escrow import store
from e2s.security.escrow.casefile import case_file
from e2s.security.escrow.cases import NOTICE
from e2s.security.escrow.deposits import deposit as keep
from e2s.security.escrow.rehearsing import finish, start
from e2s.security.escrow.resharing import depends, due, move_all
from e2s.security.escrow.rules import recipient_of
from e2s.security.escrow.sealing import check_keepable
from e2s.security.escrow.tables import OUTBOX

_MOST = 10_000


def deposit(
    home: At = Path(),
    cert: Annotated[
        Path | None, typer.Option("--cert", metavar="FILE", help="The key's certificate, then its issuers.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="And the private key.")] = None,
    key_phrase_file: Annotated[
        Path | None, typer.Option("--key-phrase-file", metavar="FILE", help="Holds the key's pass phrase.")
    ] = None,
    pse: Annotated[
        Path | None, typer.Option("--pse", metavar="FILE", help="Or a PSE: every key of it that only opens.")
    ] = None,
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Keep a key that opens what was sealed to it: sealed here, and split among the policy's officers.

    A key that signs is refused (signing-key).
    """
    if (pse is None) == (cert is None or key is None):
        raise Misuse("which-key", "say --cert and --key, or --pse")
    if cert is not None and key is not None:
        chain = files.certificates(cert)
        found = [(chain, key_of(key, key_phrase_file))]
        check_keepable(chain[0], found[0][1])
    else:
        with own(pse or Path(), phrase_file) as me:
            found = _of_pse(me)
    told = []
    if dry_run:
        told = [{"holder": chain[0].name, "certificate": chain[0].id} for chain, _ in found]
    else:
        with opened(home, vault_phrase_file) as vault:
            for chain, private in found:
                ident = keep(vault, chain[0].name, chain[0], private, issuers=chain[1:])
                told.append({"holder": chain[0].name, "certificate": chain[0].id, "deposit": ident})
    if as_json:
        document(told)
        return
    for one in told:
        say(f"{one['holder']}  {one['certificate']}  {'would be kept' if dry_run else 'kept'}")


def list_(
    home: At = Path(),
    holder: Annotated[str, typer.Option("--holder", metavar="URN", help="Only of this holder.")] = "",
    cases: Annotated[bool, typer.Option("--cases", help="List cases instead of keys.")] = False,
    state: Annotated[str, typer.Option("--state", metavar="STATE", help="Only cases of this state.")] = "",
    officers: Annotated[
        bool, typer.Option("--officers", help="List how many keys depend on each officer.")
    ] = False,
    notices: Annotated[
        bool, typer.Option("--notices", help="List what owners are to be told, and were not yet.")
    ] = False,
    vault_phrase_file: VaultPhrase = None,
    as_json: Json = False,
) -> None:
    """List the keys that are kept, the cases, which keys depend on whom, or what owners are to be told."""
    with opened(home, vault_phrase_file) as vault:
        if officers:
            header: tuple[str, ...] = ("officer", "policy", "keys", "may be away")
            rows: list[tuple[str, ...]] = [
                (one.officer, str(one.version), str(one.deposits), str(one.spare)) for one in depends(vault)
            ]
        elif notices:
            header = ("to", "case", "number", "basis", "at")
            with vault.database.reading() as connection:
                waiting = [wire.decode(body) for _, body in OUTBOX.waiting(connection, NOTICE, _MOST)]
            rows = [tuple(str(one[name]) for name in header) for one in waiting]
        elif cases or state:
            header = ("no", "case", "state", "keys of", "recipient", "opened")
            with vault.database.reading() as connection:
                rows = [
                    (str(one.n), one.short, one.state, one.holder, one.recipient, one.at)
                    for one in store.cases(connection, state)
                ]
        else:
            header = ("holder", "certificate", "policy", "since")
            with vault.database.reading() as connection:
                versions = {one.id: str(one.version) for one in store.policies(connection)}
                rows = [
                    (one.holder, one.certificate, versions[one.policy], one.at)
                    for one in store.deposits(connection, holder=holder)
                ]
    if as_json:
        document([dict(zip(header, row, strict=True)) for row in rows])
    else:
        table(header, rows)


def reshare(
    pse: Pse,
    home: At = Path(),
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Do your part in moving shares to the officers of the policy in force: share yours again, or join hers.

    Enough officers of the old policy run it, then each of the new ones.
    """
    with opened(home, vault_phrase_file) as vault, own(pse, phrase_file) as me:
        if dry_run:
            give, parts = map(len, due(vault, me.name))
        else:
            give, parts = move_all(vault, me.name, me.openers(), me.sign(), secrets.token_bytes)
        left = [len(one) for one in due(vault, me.name)]
    if as_json:
        document({"officer": me.name if dry_run else "", "shared": give, "joined": parts, "left": sum(left)})
    else:
        verb = "to be " if dry_run else ""
        say(f"{give} shares {verb}shared again, {parts} {verb}joined")


def rehearse(
    pse: Pse,
    case: Annotated[
        str, typer.Argument(metavar="[CASE]", help="The rehearsal to end, once officers approved it.")
    ] = "",
    home: At = Path(),
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    as_json: Json = False,
) -> None:
    """Start a rehearsal with a test key, or end it: recover the key, compare it, and forget it."""
    with opened(home, vault_phrase_file) as vault, own(pse, phrase_file) as me:
        if case:
            opener = me.opener(recipient_of(case_file(vault, case).word)[0])
            told = finish(vault, me.name, case, opener, me.sign())
        else:
            told = start(vault, me.name, me.chain(), me.sign())
    _told(told, as_json=as_json)


def _told(told: Document, *, as_json: bool) -> None:
    if as_json:
        document(told)
    elif told["state"] == "received":
        say(f"{told['case']}  the test key was recovered by {told['approvals']} officers")
    else:
        say(f"{told['case']}  open: officers approve it, then e2s escrow rehearse {told['case']}")


def _of_pse(me: Own) -> list[tuple[tuple[Certificate, ...], PrivateKey]]:
    """The keys of a PSE that may be kept; raises :class:`Misuse` ``no-opening-key``."""
    found = []
    openers = {opener.certificate for opener in me.openers()}
    for entry in me.pse.entries(me.phrase).values():
        if entry.certificate in openers:
            check_keepable(entry.certificate, entry.private_key)
            found.append(((entry.certificate, *entry.chain), entry.private_key))
    if not found:
        raise Misuse("no-opening-key", "this PSE has no certified key that opens")
    return found
