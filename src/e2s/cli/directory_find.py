"""``e2s directory look-up``: what a directory has under a name; nothing of it is judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from e2s.cli.directory_home import (
    In,
    Json,
    PasswordFile,
    Suffix,
    Trust,
    directory_of,
)
from e2s.cli.pki_find import certificate_facts, list_facts
from e2s.cli.pki_words import said, shown
from e2s.crypto.pem import armoured
from e2s.security.directory.reading import Found, Reader
from e2s.security.keys.durable import replace_file


def look_up(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A common name, a user's or host's name, a mail address, a URN."),
    ],
    server: In,
    suffix: Suffix = "",
    password_file: PasswordFile = None,
    trust: Trust = None,
    lists: Annotated[bool, typer.Option("--lists", help="Write revocation lists, not certificates.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write what is found, PEM.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find entries by a name, with their certificates and lists.

    The name is taken as it is: no character of it widens the search.  What is found is not judged: give it to
    e2s pki verify.  Status 0 when something is found, 1 when nothing is.
    """
    reader = Reader(directory_of(server, suffix, password_file, trust))
    try:
        found = reader.look_up(name)
    finally:
        reader.close()
    if out is not None and found:
        kind = b"X509 CRL" if lists else b"CERTIFICATE"
        octets = [one for each in found for one in (each.lists if lists else each.certificates)]
        replace_file(out, b"".join(armoured(one, kind) for one in octets), 0o644)
    told = [_told(one) for one in found]
    said({"found": told}, _lines(found), as_json=as_json)
    raise typer.Exit(0 if found else 1)


def _told(found: Found) -> dict[str, object]:
    return {
        "dn": found.dn,
        "certificates": [certificate_facts(one) for one in found.certificates],
        "lists": [list_facts(one) for one in found.lists],
    }


def _lines(found: list[Found]) -> Iterator[str]:
    if not found:
        yield "nothing found"
    for one in found:
        yield shown(one.dn)
        told = [*map(certificate_facts, one.certificates), *map(list_facts, one.lists)]
        for facts in told:
            yield "  " + "  ".join(shown(f"{name} {value}") for name, value in facts.items() if value)
