"""``e2s escrow create`` and ``policy``: a vault's home, and on which conditions it gives keys back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import Document
from e2s.cli import files
from e2s.cli.ca_home import new_phrase
from e2s.cli.escrow_home import (
    At,
    DryRun,
    Json,
    PhraseFile,
    VaultPhrase,
    Yes,
    confirm,
    edges,
    opened,
    own,
)
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say, table
from e2s.crypto.certificates import Certificate
from e2s.crypto.pem import armoured
from e2s.security.escrow import store
from e2s.security.escrow.comparing import statement
from e2s.security.escrow.governing import agree_document, policy_document, take_policy
from e2s.security.escrow.home import REQUEST, certified, found_home, terms_in, update_home
from e2s.security.escrow.policy import Policy, policy_of
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import POLICY, read
from e2s.security.keys.durable import replace_file

OwnPse = Annotated[Path | None, typer.Option("--pse", metavar="FILE", help="Your own PSE, to sign with.")]


def create(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The vault's home.")],
    ca: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="A CA's folder; no key of it is read.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="URN", help="The vault's name.")] = "",
    lists: Annotated[
        list[Path] | None,
        typer.Option("--lists", metavar="DIR", help="Where revocation lists lie, beside DIR/lists (again)."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="The vault's, then its issuers.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Take newer records of ceremonies from the CA.")
    ] = False,
    vault_phrase_file: VaultPhrase = None,
    as_json: Json = False,
) -> None:
    """Make a vault's home, its key and the request for its certificate; then put the certificate in."""
    if (certificate is not None) + update + bool(name) != 1 or (certificate is None) != (ca is not None):
        raise Misuse("what-for", "say --from CA --name URN, or --certificate FILE, or --from CA --update")
    if update and ca is not None:
        told: dict[str, object] = {"home": folder, "records": update_home(folder, ca)}
        line = f"{folder}: {told['records']} ceremonies on record"
    elif certificate is not None:
        phrase = phrase_of(vault_phrase_file, "Pass phrase of the vault")
        made = certified(folder, phrase, files.certificates(certificate), edges())
        phrase.wipe()
        told = {"home": folder, "name": made.name, "until": made.not_after.isoformat()}
        line = f"{made.name} may keep keys until {made.not_after:%Y-%m-%d}"
    elif ca is not None:
        phrase = new_phrase(vault_phrase_file, "the vault")
        octets = found_home(folder, ca, phrase, name, edges(), lists or ())
        phrase.wipe()
        replace_file(folder / REQUEST, armoured(octets, b"CERTIFICATE REQUEST"), 0o644)
        told = {"home": folder, "request": folder / REQUEST}
        line = f"{folder / REQUEST} asks for the certificate of {name}"
    if as_json:
        document(told)
    else:
        say(line)


def policy(  # noqa: PLR0913, PLR0917 - each is an option of the command
    home: At = Path(),
    keepers: Annotated[
        list[Path] | None,
        typer.Option(
            "--keeper", metavar="CERT", help="Propose: an officer's certificate to seal to (again)."
        ),
    ] = None,
    jurisdiction: Annotated[
        str, typer.Option("--jurisdiction", metavar="TEXT", help="Under which law the escrow stands.")
    ] = "",
    location: Annotated[str, typer.Option("--location", metavar="TEXT", help="Where the vault is.")] = "",
    agree: Annotated[
        int | None, typer.Option("--agree", metavar="VERSION", help="Agree to what another officer proposed.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the policy in force, for others.")
    ] = None,
    pse: OwnPse = None,
    phrase_file: PhraseFile = None,
    vault_phrase_file: VaultPhrase = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Show the policy in force, propose the next one, or agree to it as another officer.

    What a new policy states stands in policy.toml of the home; officers and place are said here.
    """
    who, how = (pse, phrase_file), (yes, dry_run, as_json)
    with opened(home, vault_phrase_file) as vault:
        if keepers and agree is None:
            _propose(vault, home, keepers, (jurisdiction, location), who, how)
        elif agree is not None and not keepers:
            _agree(vault, agree, who, how)
        elif keepers or agree is not None:
            raise Misuse("what-for", "propose with --keeper, or agree with --agree: say one")
        elif out is not None:
            replace_file(out, statement(vault), 0o644)
            say(f"{out}")
        else:
            _show(vault, as_json=as_json)


_Who = tuple[Path | None, Path | None]
_How = tuple[bool, bool, bool]


def _propose(
    vault: Vault, home: Path, keepers: list[Path], place: tuple[str, str], who: _Who, how: _How
) -> None:
    chains = [files.certificates(one) for one in keepers]
    officers = [chain[0] for chain in chains]
    issuers = tuple(one for chain in chains for one in chain[1:])
    party = vault.signer.certificate.name.split(":")[3]
    terms = terms_in(home)
    if not all(place):
        raise Misuse("no-place", "say --jurisdiction and --location: others judge by them")
    with own(_pse(who[0]), who[1]) as me:
        said = policy_document(
            vault, me.name, terms, officers, party=party, jurisdiction=place[0], location=place[1]
        )
        _sign(vault, said, me.sign(), how, policy_of(said), issuers)


def _agree(vault: Vault, version: int, who: _Who, how: _How) -> None:
    with vault.database.reading() as connection:
        rows = [one for one in store.policies(connection) if one.version == version and one.agreed is None]
    if not rows:
        raise Refusal("no-such-policy", "no policy of this version waits for an agreement", version=version)
    proposed = policy_of(read(rows[-1].word, POLICY).document)
    with own(_pse(who[0]), who[1]) as me:
        _sign(vault, agree_document(vault, me.name, proposed.id), me.sign(), how, proposed)


def _sign(
    vault: Vault,
    said: Document,
    sign: Callable[[Document], bytes],
    how: _How,
    shown: Policy,
    issuers: tuple[Certificate, ...] = (),
) -> None:
    yes, dry_run, as_json = how
    if not as_json or dry_run:
        _say(shown, as_json=as_json)
    if dry_run:
        return
    confirm(f"Sign as {said['officer']}?", yes=yes)
    told = take_policy(vault, sign(said), issuers)
    if as_json:
        document(told)
    else:
        say(f"policy {told['version']}: {told['state']}")


def _show(vault: Vault, *, as_json: bool) -> None:
    with vault.database.reading() as connection:
        rows = store.policies(connection)
    if not rows:
        raise Refusal("no-policy", "no policy of this escrow is proposed yet")
    agreed = [one for one in rows if one.agreed is not None]
    for row in (*agreed[-1:], *(one for one in rows if one.agreed is None)):
        if row.agreed is None and agreed and row.version <= agreed[-1].version:
            continue
        if not as_json:
            say(f"policy {row.version}: {'proposed' if row.agreed is None else 'in force'}")
        _say(policy_of(read(row.word, POLICY).document), as_json=as_json)


def _say(shown: Policy, *, as_json: bool) -> None:
    if as_json:
        document(
            {
                "policy": shown.id,
                "version": shown.version,
                "threshold": shown.threshold,
                "persons": shown.persons,
                "officers": [one.name for one in shown.officers],
                "jurisdiction": shown.jurisdiction,
                "location": shown.location,
                "bases": {name: vars(one) for name, one in shown.bases.items()},
            }
        )
        return
    say(f"{shown.threshold} of {len(shown.officers)} officers, {shown.persons} persons in a case")
    say(f"{shown.jurisdiction}, {shown.location}")
    for officer in shown.officers:
        say(f"  {officer.name}")
    rows = [
        (one.name, f"{one.hours} h", "told" if one.notify else "not told", "owner" if one.own else "")
        for one in shown.bases.values()
    ]
    table(("basis", "waiting", "owner is", "only for"), rows)


def _pse(path: Path | None) -> Path:
    if path is None:
        raise Misuse("no-pse", "say --pse: the word is to be signed by you")
    return path
