"""``e2s external trust`` to ``export``: whom of others a domain trusts, and for what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2s.cli import files
from e2s.cli.ca_home import write_new
from e2s.cli.external_home import (
    Crl,
    Domain,
    DryRun,
    Json,
    OfficerFolder,
    PhraseFile,
    Provider,
    Untrusted,
    Why,
    all_certificates,
    all_lists,
    opened,
)
from e2s.cli.ra_home import officer_of
from e2s.cli.report import document, say, table
from e2s.security.certificates.profile_file import EKUS
from e2s.security.external import office as acts
from e2s.security.external import records
from e2s.security.external.providers import Provider as Trusted
from e2s.security.external.records import State


def trust(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Domain,
    name: Provider,
    root: Annotated[
        list[Path], typer.Option("--root", metavar="FILE", help="A root of theirs (again for more).")
    ],
    purpose: Annotated[
        list[str],
        typer.Option("--purpose", metavar="NAME", help="For which purposes, by name or OID (again)."),
    ],
    permit: Annotated[
        list[str],
        typer.Option(
            "--permit",
            metavar="SUBTREE",
            help="mail:, dns:, uri:, ip: or dir: and its base (again for more).",
        ),
    ],
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="SUBTREE", help="What of that is not trusted.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", metavar="OID", help="Only under these policies (again).")
    ] = None,
    officer: OfficerFolder = Path(),
    why: Why = "",
    dry_run: DryRun = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Trust another provider's roots, for these purposes and names alone.

    You hold the right admin.policy. What is said is a record that you sign; e2s external undo takes it back.
    """
    made = Trusted(
        name=name,
        roots=all_certificates(root),
        purposes=tuple(purpose),
        permitted=tuple(permit),
        excluded=tuple(exclude or ()),
        policies=tuple(policy or ()),
    )
    with opened(folder) as office, officer_of(officer, phrase_file) as signer:
        state = acts.trust(office, signer, made, why=why, dry=dry_run)
    tell(state, as_json=as_json, dry=dry_run)


def forget(
    folder: Domain,
    name: Provider,
    officer: OfficerFolder = Path(),
    why: Why = "",
    dry_run: DryRun = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Trust a provider no more, nor map its users."""
    with opened(folder) as office, officer_of(officer, phrase_file) as signer:
        state = acts.forget(office, signer, name, why=why, dry=dry_run)
    tell(state, as_json=as_json, dry=dry_run)


def undo(
    folder: Domain,
    number: Annotated[int, typer.Argument(metavar="N", help="The record (e2s external records).")],
    officer: OfficerFolder = Path(),
    why: Why = "",
    dry_run: DryRun = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Take a record back; the record of that stays too."""
    with opened(folder) as office, officer_of(officer, phrase_file) as signer:
        state = acts.undo(office, signer, number, why=why, dry=dry_run)
    tell(state, as_json=as_json, dry=dry_run)


def list_(folder: Domain, as_json: Json = False) -> None:
    """List the providers that are trusted, and for what; and how their users are named here."""
    with opened(folder) as office:
        tell(office.state(), as_json=as_json, dry=False)


def records_(folder: Domain, as_json: Json = False) -> None:
    """List every record: what was said, by whom, when, and why."""
    with opened(folder) as office:
        found = office.records()
    header = ("n", "at", "act", "provider", "officer", "why")
    rows = [
        (str(one.number), one.at, one.act, _about(one), one.officer, str(one.document["why"]))
        for one in found
    ]
    if as_json:
        document([dict(zip(header, row, strict=True)) for row in rows])
    else:
        table(header, rows)


def export(
    folder: Domain,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
) -> None:
    """Write the records to a file: e2s pki verify --external and components read it, under the root."""
    with opened(folder) as office:
        found = office.records()
    write_new(out, records.written(found))
    say(f"{out} holds {len(found)} records")


def judged(
    folder: Domain,
    certificate: Annotated[
        Path, typer.Argument(metavar="CERT", help="A certificate of theirs, then those in between.")
    ],
    purpose: Annotated[str, typer.Option("--purpose", metavar="NAME", help="For what, by name or OID.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Which name it must bear.")] = "",
    untrusted: Untrusted = None,
    crl: Crl = None,
    as_json: Json = False,
) -> None:
    """Say whether a certificate of another provider is trusted here, by whom, and who its holder is."""
    own, *beside = files.certificates(certificate)
    with opened(folder) as office:
        state = office.state()
        provider, verdict = acts.judge(
            state,
            own,
            (*beside, *all_certificates(untrusted)),
            all_lists(crl),
            at=office.clock.now(),
            purpose=EKUS.get(purpose, purpose),
            name=name or None,
        )
        local = acts.seen_as(office, provider, own)
    path = [one.name or one.subject for one in verdict.path]
    if as_json:
        document({"accepted": True, "provider": provider.name, "path": path, "here": local})
        return
    say(f"trusted by {provider.name}")
    say(f"here {local or 'nobody: no rule says who'}")
    for one in path:
        say(f"  {one}")


def _about(one: records.Record) -> str:
    if one.act == records.UNDO:
        return f"record {one.document['undoes']}"
    rule = one.document.get("rule")
    return f"{one.document['provider']} {rule['pattern']}" if rule else str(one.document["provider"])


def tell(state: State, *, as_json: bool, dry: bool) -> None:
    """Say what is trusted from now on, and who is known here by it."""
    rules = [
        {"provider": one.provider, "pattern": one.pattern, "party": one.party, "label": one.label}
        for one in state.rules
    ]
    if as_json:
        providers = [
            {"name": one.name, "roots": [root.id for root in one.roots], **one.said()}
            for one in state.providers.values()
        ]
        document({"dry-run": dry, "providers": providers, "rules": rules})
        return
    if dry:
        say("nothing is changed; this would hold:")
    for one in state.providers.values():
        but = f" but {' '.join(one.excluded)}" if one.excluded else ""
        say(f"{one.name}: {' '.join(one.purposes)} for {' '.join(one.permitted)}{but}")
    for rule in rules:
        say(f"  {rule['provider']} {rule['pattern']} is {rule['party']}:{rule['label']}")
