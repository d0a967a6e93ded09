"""``e2s ra open``, ``evidence``, ``name``, ``refuse``, ``deliver``, ``cases`` and ``show``: one case."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from e2s.base import wire
from e2s.base.errors import Misuse
from e2s.base.instants import format_instant
from e2s.cli import files
from e2s.cli.homes import phrase_of
from e2s.cli.ra_home import (
    At,
    Case,
    DryRun,
    Json,
    Officer,
    PhraseFile,
    Yes,
    case_meant,
    confirm,
    officer_of,
    opened,
)
from e2s.cli.report import document, say, table
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.ports import Signer
from e2s.security.keys.durable import replace_file
from e2s.security.registration import acts, store
from e2s.security.registration.evidence import Evidence
from e2s.security.registration.office import Office
from e2s.security.registration.service import shown_case, shown_cases
from e2s.security.registration.sheets import request_of_pem
from e2s.security.registration.withdrawing import certificate_of

Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the record.")]


def open_(  # noqa: PLR0913, PLR0917 - each is an option of the command
    profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="What for (e2s ca profiles).")],
    party: Annotated[str, typer.Option("--party", metavar="NAME", help="Whose she is, in the community.")],
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="How she, or it, is called.")],
    request: Annotated[Path, typer.Option("--request", metavar="FILE", help="Her PKCS #10 request.")],
    officer: Officer,
    home: At = Path(),
    protection: Annotated[
        str,
        typer.Option("--protection", metavar="KIND", help="How she keeps her key: software, token, card."),
    ] = "software",
    confidence: Annotated[
        str, typer.Option("--confidence", metavar="LEVEL", help="low, substantial, high; else what follows.")
    ] = "",
    further: Annotated[
        list[str] | None,
        typer.Option("--further", metavar="NAME", help="Mail address, host, origin (again)."),
    ] = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Open a case for somebody who brought a request."""
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        said = acts.open_document(
            ra.office,
            signer.certificate.name,
            profile=profile,
            party=party,
            title=title,
            request=_request(request),
            protection=protection,
            confidence=confidence,
            further=tuple(further or ()),
        )
        _take(ra.office, said, signer, as_json=as_json)


def evidence(  # noqa: PLR0913, PLR0917 - each is an option of the command
    case: Case,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="passport, identity-card, employment...")
    ],
    issuer: Annotated[str, typer.Option("--issuer", metavar="TEXT", help="Who issued it.")],
    place: Annotated[str, typer.Option("--place", metavar="TEXT", help="Where you saw it.")],
    officer: Officer,
    home: At = Path(),
    seen: Annotated[
        str, typer.Option("--seen", metavar="HOW", help="original, chip, video, copy.")
    ] = "original",
    expires: Annotated[str, typer.Option("--expires", metavar="DAY", help="YYYY-MM-DD.")] = "",
    scan: Annotated[
        Path | None,
        typer.Option("--scan", metavar="FILE", help="A scan, which stays with you: its digest is kept."),
    ] = None,
    number_file: Annotated[
        Path | None,
        typer.Option("--number-file", metavar="FILE", help="Holds the number; else it is asked for."),
    ] = None,
    at: Annotated[
        str, typer.Option("--at", metavar="RFC3339", help="When you saw it; now if left out.")
    ] = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Record what you saw that identifies the holder: its number is kept only as a keyed digest."""
    number = phrase_of(number_file, f"Number of the {kind}")
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        found = Evidence(
            kind=kind,
            issuer=issuer,
            document=ra.office.document_digest(kind, issuer, number.octets.decode("utf-8")),
            expires=expires,
            seen=seen,
            place=place,
            at=at or format_instant(ra.office.now()),
            officer=signer.certificate.name,
            scan=wire.b64u(hashlib.sha256(files.read(scan)).digest()) if scan else "",
        )
        number.wipe()
        said = acts.evidence_document(ra.office, signer.certificate.name, case_meant(ra.office, case), found)
        _take(ra.office, said, signer, as_json=as_json)


def name(
    case: Case,
    officer: Officer,
    label: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The name wanted; else the first free one.")
    ] = "",
    home: At = Path(),
    same: Annotated[
        bool, typer.Option("--same", help="She is the person who has this name: a second officer must agree.")
    ] = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Give the holder a name that means nobody else, for ever."""
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        said = acts.name_document(
            ra.office, signer.certificate.name, case_meant(ra.office, case), label, same=same
        )
        _take(ra.office, said, signer, as_json=as_json)


def refuse(
    case: Case,
    why: Why,
    officer: Officer,
    home: At = Path(),
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Refuse an application; a name that it was given stays given."""
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        said = acts.refuse_document(ra.office, signer.certificate.name, case_meant(ra.office, case), why)
        if dry_run:
            _say_case(shown_case(ra.office, case_meant(ra.office, case)), as_json=as_json)
            return
        confirm(f"Refuse {case}?", yes=yes)
        _take(ra.office, said, signer, as_json=as_json)


def deliver(
    case: Case,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the certificate goes, with its chain.")
    ],
    officer: Officer,
    how: Annotated[
        str, typer.Option("--how", metavar="TEXT", help="How she gets it, for the record.")
    ] = "by file",
    home: At = Path(),
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Write the certificate of a case to a file, and record that the holder has it."""
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        certificate = certificate_of(ra.office, case_meant(ra.office, case))
        replace_file(
            out, certificate.pem + b"".join(one.pem for one in _chain(ra.office, certificate)), 0o644
        )
        said = acts.deliver_document(
            ra.office, signer.certificate.name, case_meant(ra.office, case), certificate.id, how
        )
        _take(ra.office, said, signer, as_json=as_json)


def cases(
    home: At = Path(),
    state: Annotated[str, typer.Option("--state", metavar="STATE", help="Only those in this state.")] = "",
    batch: Annotated[str, typer.Option("--batch", metavar="BATCH", help="Only those of this batch.")] = "",
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=1, max=100_000, help="At most so many.")
    ] = 200,
    as_json: Json = False,
) -> None:
    """Show the newest cases."""
    with opened(home) as ra:
        found = shown_cases(ra.office, state=state, batch=batch, most=most)
    if as_json:
        document(found)
        return
    members = ("case", "state", "profile", "name", "rule")
    rows = [(str(one["number"]), *(one[member] for member in members)) for one in found]
    table(("no", *members), rows)


def show(case: Case, home: At = Path(), as_json: Json = False) -> None:
    """Show a case: what was seen, who approved it, its certificate."""
    with opened(home) as ra:
        _say_case(shown_case(ra.office, case_meant(ra.office, case)), as_json=as_json)


def _take(office: Office, said: dict[str, Any], signer: Signer, *, as_json: bool) -> None:
    """Sign the document, have it taken, and say what became of the case."""
    answer = acts.take(office, acts.signed(said, signer))
    if as_json:
        document(answer)
    else:
        say("  ".join(str(answer[part]) for part in ("case", "state", "name", "confidence") if answer[part]))


def _say_case(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        document(shown)
        return
    for member in ("case", "state", "profile", "name", "title", "party", "confidence", "protection", "eyes"):
        if shown[member]:
            say(f"{member}: {shown[member]}")
    for one in shown["evidence"]:
        until = f", valid until {one['expires']}" if one["expires"] else ""
        say(f"seen: {one['kind']} of {one['issuer']}{until}, {one['seen']}, {one['at']}, {one['place']}")
        say(f"  by {one['officer']}")
    if "approval" in shown:
        approval = shown["approval"]
        say(f"approval {approval['number']}: {approval['state']}, by {' and '.join(approval['officers'])}")
    for member in ("serial", "rule", "message"):
        if shown[member]:
            say(f"{member}: {shown[member]}")


def _request(path: Path) -> bytes:
    octets = files.read(path)
    if b"-----BEGIN" not in octets[:256]:
        return octets
    try:
        return request_of_pem(octets.decode("ascii"))
    except UnicodeDecodeError as error:
        raise Misuse("bad-request", "the file is no request in PEM", file=str(path)) from error


def _chain(office: Office, certificate: Certificate) -> tuple[Certificate, ...]:
    """The certificates of the CA that issued this one, where the last answer of the CA had them."""
    with office.database.reading() as connection:
        octets = store.setting(connection, "chain")
    found = read_certificates(octets) if octets else ()
    return found if found and found[0].slices.subject == certificate.slices.issuer else ()
