"""``e2s external map``, ``unmap``, ``users``, ``evidence``: who another provider's users are here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2s.cli import files
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
from e2s.cli.external_trust import tell
from e2s.cli.ra_home import case_meant, officer_of
from e2s.cli.ra_home import opened as opened_ra
from e2s.cli.report import document, say, table
from e2s.security.certificates.profile_file import EKUS
from e2s.security.external import office as acts
from e2s.security.external import store
from e2s.security.external.mapping import Rule
from e2s.security.external.registering import evidence_by
from e2s.security.registration import acts as registration

Pattern = Annotated[
    str, typer.Argument(metavar="PATTERN", help="mail:, dns:, uri: or dir: and a name, with one * at most.")
]
Party = Annotated[str, typer.Option("--party", metavar="NAME", help="Whose people they are here.")]
Label = Annotated[
    str,
    typer.Option("--label", metavar="LABEL", help="What they are called, with a * where the pattern has."),
]


def map_(
    folder: Domain,
    name: Provider,
    pattern: Pattern,
    party: Party,
    label: Label = "*",
    officer: OfficerFolder = Path(),
    why: Why = "",
    dry_run: DryRun = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Say who a provider's users are here: one name for each, never one for two."""
    rule = Rule(provider=name, pattern=pattern, party=party, label=label)
    with opened(folder) as office, officer_of(officer, phrase_file) as signer:
        state = acts.map_users(office, signer, rule, why=why, dry=dry_run)
    tell(state, as_json=as_json, dry=dry_run)


def unmap(
    folder: Domain,
    name: Provider,
    pattern: Pattern,
    party: Party,
    label: Label = "*",
    officer: OfficerFolder = Path(),
    why: Why = "",
    dry_run: DryRun = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Say it no more; names that were given stay given."""
    rule = Rule(provider=name, pattern=pattern, party=party, label=label)
    with opened(folder) as office, officer_of(officer, phrase_file) as signer:
        state = acts.unmap_users(office, signer, rule, why=why, dry=dry_run)
    tell(state, as_json=as_json, dry=dry_run)


def users(folder: Domain, as_json: Json = False) -> None:
    """List the users of others who have a name here."""
    with opened(folder) as office, office.database.reading() as connection:
        found = store.users(connection)
    header = ("name", "provider", "at")
    if as_json:
        document([{one: getattr(row, one) for one in header} for row in found])
    else:
        table(header, [[getattr(row, one) for one in header] for row in found])


def evidence(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Domain,
    case: Annotated[str, typer.Argument(metavar="CASE", help="The case (e2s ra cases).")],
    certificate: Annotated[
        Path, typer.Argument(metavar="CERT", help="The holder's certificate of the other provider.")
    ],
    home: Annotated[Path, typer.Option("--home", metavar="DIR", help="The registration authority's home.")],
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="NAME", help="What it is trusted for.")
    ] = "email",
    place: Annotated[
        str, typer.Option("--place", metavar="TEXT", help="Where you judged it.")
    ] = "registration",
    untrusted: Untrusted = None,
    crl: Crl = None,
    officer: OfficerFolder = Path(),
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Record another provider's certificate as what identifies the holder of a case.

    It is judged now, with its revocation, under the limits of the trust in it. Where a rule says who she is
    here, that is the name to give: e2s ra name.
    """
    own, *beside = files.certificates(certificate)
    with (
        opened(folder) as office,
        opened_ra(home) as ra,
        officer_of(officer, phrase_file) as signer,
    ):
        now = ra.office.now()
        provider, _verdict = acts.judge(
            office.state(),
            own,
            (*beside, *all_certificates(untrusted)),
            all_lists(crl),
            at=now,
            purpose=EKUS.get(purpose, purpose),
        )
        local = acts.seen_as(office, provider, own)
        if local:
            acts.user_of(office, provider, own)
        found = evidence_by(
            provider,
            own,
            digest=ra.office.document_digest,
            officer=signer.certificate.name,
            place=place,
            at=now,
        )
        said = registration.evidence_document(
            ra.office, signer.certificate.name, case_meant(ra.office, case), found
        )
        told = registration.take(ra.office, registration.signed(said, signer))
    if as_json:
        document({**told, "provider": provider.name, "here": local})
    else:
        say(f"{told['case']}  {told['state']}  by {provider.name}" + (f"  as {local}" if local else ""))
