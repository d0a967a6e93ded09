"""``e2s enrol case``: a request that waits becomes a case of registration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.ca_home import Folder, Json
from e2s.cli.enrol_decide import OfficerFolder, OwnPhrase, Request
from e2s.cli.enrol_home import seen_office
from e2s.cli.ra_home import At, officer_of, opened
from e2s.cli.report import document, say
from e2s.security.enrolment import deciding
from e2s.security.registration import acts


def case(
    folder: Folder,
    request: Request,
    officer: OfficerFolder,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Who it is, in words.")],
    party: Annotated[
        str, typer.Option("--party", metavar="NAME", help="Her party; that of the name if left out.")
    ] = "",
    protection: Annotated[
        str, typer.Option("--protection", metavar="KIND", help="How the key is kept.")
    ] = "software",
    home: At = Path(),
    phrase_file: OwnPhrase = None,
    as_json: Json = False,
) -> None:
    """Open a case at a registration authority (e2s ra) for a request that waits.

    Officers see evidence, name and approve it there; once the CA has certified the very key, the holder gets
    the certificate at the door where she asked.
    """
    with seen_office(folder) as office:
        row = next((one for one in deciding.waiting(office) if one.case == request), None)
    if row is None or row.proven:
        raise Misuse("no-such-request", "no request in PKCS #10 waits under this name", request=request[:64])
    names: list[str] = json.loads(row.names)
    parts = names[0].split(":") if names[0].startswith("urn:e2s:") else []
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        said = acts.open_document(
            ra.office,
            signer.certificate.name,
            profile=row.profile,
            party=party or (parts[3] if len(parts) > 3 else ""),
            title=title,
            request=bytes(row.request),
            protection=protection,
            further=tuple(name for name in names if not name.startswith("urn:")),
        )
        answer = acts.take(ra.office, acts.signed(said, signer))
    if as_json:
        document({**answer, "request": request})
    else:
        say(f"{request} is case {answer['case']}")
