"""``e2s escrow open``, ``approve``, ``stop``, ``release`` and ``recover``: one case."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock
from e2s.base.wire import Document
from e2s.cli import files
from e2s.cli.ca_home import new_phrase
from e2s.cli.escrow_home import (
    At,
    Case,
    DryRun,
    Json,
    PhraseFile,
    Pse,
    VaultPhrase,
    Yes,
    confirm,
    opened,
    own,
)
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say
from e2s.crypto.certificates import Certificate
from e2s.security.environments.holding import Edges
from e2s.security.environments.making import take_in
from e2s.security.environments.pkcs12 import written
from e2s.security.escrow import store
from e2s.security.escrow.approving import approval, given
from e2s.security.escrow.casefile import case_file
from e2s.security.escrow.cases import (
    case_document,
    receipt_document,
    stop_document,
    take,
)
from e2s.security.escrow.cases import release as let_go
from e2s.security.escrow.recovering import Recovered, package
from e2s.security.escrow.recovering import recover as joined
from e2s.security.escrow.rules import recipient_of
from e2s.security.escrow.vault import Vault
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse

_PKCS12 = (".p12", ".pfx")


def open_(  # noqa: PLR0913, PLR0917 - each is an option of the command
    number: Annotated[
        str, typer.Option("--number", metavar="TEXT", help="The case's number, as others know it.")
    ],
    basis: Annotated[
        str, typer.Option("--basis", metavar="NAME", help="The legal basis (e2s escrow policy).")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")],
    recipient: Annotated[
        Path,
        typer.Option("--recipient", metavar="CERT", help="Who gets the key: her certificate."),
    ],
    pse: Pse,
    holder: Annotated[str, typer.Option("--holder", metavar="URN", help="Whose keys: all of hers.")] = "",
    certificates: Annotated[
        list[Path] | None, typer.Option("--cert", metavar="FILE", help="Or the keys of these (again).")
    ] = None,
    registration: Annotated[
        Path | None,
        typer.Option(
            "--registration", metavar="FILE", help="The owner was identified again: the officer's word."
        ),
    ] = None,
    home: At = Path(),
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Open a case: as an officer who may, or as the owner, for her own key."""
    with opened(home, vault_phrase_file) as vault, own(pse, phrase_file) as me:
        deposits, owner = _meant(vault, holder, certificates or [])
        path = "identified" if registration else "owner" if me.name == owner else "officers"
        said = case_document(
            vault,
            me.name,
            deposits,
            files.certificates(recipient),
            number=number,
            basis=basis,
            reason=reason,
            path=path,
            registration=files.read(registration) if registration else b"",
        )
        if not as_json or dry_run:
            _say_case(said, owner, files.certificates(recipient)[0], as_json=as_json)
        if dry_run:
            return
        confirm(f"Open the case as {me.name}?", yes=yes)
        _told(take(vault, me.sign()(said)), as_json=as_json)


def approve(
    case: Case,
    pse: Pse,
    home: At = Path(),
    older: Annotated[
        bool, typer.Option("--older", help="Give the share from before shares were shared again.")
    ] = False,
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Approve a case by your signature over all of it, and seal your share to its recipient."""
    with opened(home, vault_phrase_file) as vault:
        file = case_file(vault, case)
        if not as_json or dry_run:
            owner, to = file.kept[0].holder, recipient_of(file.word)[0]
            _say_case(file.word.document, owner, to, as_json=as_json)
        if dry_run:
            return
        with own(pse, phrase_file) as me:
            confirm(f"Approve as {me.name}?", yes=yes)
            handed = given(vault, file.row.id, me.name, older=older)
            said, boxes = approval(vault, handed, me.openers(), secrets.token_bytes)
            _told(take(vault, me.sign()(said), boxes), as_json=as_json)


def stop(
    case: Case,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the record.")],
    pse: Pse,
    home: At = Path(),
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    as_json: Json = False,
) -> None:
    """Stop a case before its release: who opened it, the owner, or an officer who may approve."""
    with opened(home, vault_phrase_file) as vault, own(pse, phrase_file) as me:
        _told(take(vault, me.sign()(stop_document(vault, me.name, case, why))), as_json=as_json)


def release(
    case: Case, home: At = Path(), vault_phrase_file: VaultPhrase = None, as_json: Json = False
) -> None:
    """Release a case's keys to its recipient, if every condition of the policy is met now."""
    with opened(home, vault_phrase_file) as vault:
        _told(let_go(vault, case), as_json=as_json)


def recover(
    case: Case,
    pse: Pse,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A PSE; or, ending in .p12, PKCS #12 of one key.")
    ],
    home: At = Path(),
    out_phrase_file: Annotated[
        Path | None,
        typer.Option("--out-phrase-file", metavar="FILE", help="Holds its pass phrase, or is made with one."),
    ] = None,
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    as_json: Json = False,
) -> None:
    """Recover what was released to you, once: only your key opens the shares.

    The file is written before you sign for it; where that was cut short, the same command goes on.
    """
    with opened(home, vault_phrase_file) as vault, own(pse, phrase_file) as me:
        file = case_file(vault, case)
        found = joined(package(vault, case), me.opener(recipient_of(file.word)[0]))
        phrase = new_phrase(out_phrase_file, str(out)) if not out.exists() else phrase_of(out_phrase_file)
        _write(out, phrase, _entries(vault, found))
        phrase.wipe()
        told = take(vault, me.sign()(receipt_document(vault, me.name, file.row.id)))
    wrong = sorted({officer for one in found for officer in one.wrong})
    if as_json:
        document({**told, "out": out, "keys": [one.certificate.id for one in found], "wrong": wrong})
        return
    for one in found:
        say(f"{one.certificate.name}  {one.certificate.id}")
    for officer in wrong:
        say(f"wrong share: {officer}")
    say(f"{out}  received")


def _entries(vault: Vault, found: list[Recovered]) -> dict[str, Entry]:
    chain = vault.signer.chain
    entries = {}
    for place, one in enumerate(found, 1):
        issuer = one.certificate.slices.issuer
        issuers = chain if chain and chain[0].slices.subject == issuer else ()
        label = "recovered" if len(found) == 1 else f"recovered-{place}"
        entries[label] = Entry(private_key=one.key, certificate=one.certificate, chain=issuers)
    return entries


def _write(out: Path, phrase: Phrase, entries: dict[str, Entry]) -> None:
    """Put every key into the file; one that is there already from a command that was cut short stays."""
    if out.suffix in _PKCS12:
        if len(entries) != 1:
            raise Misuse("several-keys", "PKCS #12 carries one key here: name a PSE", keys=len(entries))
        ((label, entry),) = entries.items()
        replace_file(out, written(label, entry, phrase))
        return
    there = _there(out, phrase)
    machine = Edges(clock=SystemClock(), random=secrets.token_bytes)
    for label, entry in entries.items():
        if entry.certificate.spki not in there:
            take_in(out, phrase, label, entry, machine)


def _there(out: Path, phrase: Phrase) -> set[bytes]:
    if not out.exists():
        return set()
    pse = SoftwarePse.open(out, phrase)
    try:
        return {pse.certificate(label).spki for label in pse.labels()}
    finally:
        pse.close()


def _meant(vault: Vault, holder: str, certificates: list[Path]) -> tuple[list[str], str]:
    """The deposits meant, and whose they are; raises :class:`Refusal` ``no-such-deposit``."""
    if bool(holder) == bool(certificates):
        raise Misuse("whose-key", "say --holder or --cert: whose keys")
    with vault.database.reading() as connection:
        if holder:
            rows = store.deposits(connection, holder=holder)
        else:
            found = [files.certificates(one)[0] for one in certificates]
            rows = [row for one in found if (row := store.deposit_of(connection, one.id)) is not None]
    if not rows or (certificates and len(rows) != len(certificates)):
        raise Refusal("no-such-deposit", "no such key is kept here", holder=holder)
    return [str(row.id) for row in rows], str(rows[0].holder)


def _say_case(said: Document, owner: str, to: Certificate, *, as_json: bool) -> None:
    shown = {
        "number": said["number"],
        "basis": said["basis"],
        "reason": said["reason"],
        "opened by": said["officer"],
        "keys of": owner,
        "keys": str(len(said["deposits"])),
        "recipient": to.name,
        "recipient's key": to.id,
    }
    if as_json:
        document(shown)
        return
    for name, value in shown.items():
        say(f"{name + ':':<16} {value}")


def _told(told: Document, *, as_json: bool) -> None:
    if as_json:
        document(told)
    else:
        say(f"{told['case']}  {told['state']}  {told['approvals']} approved")
