"""``e2s pki find``: look certificates and lists up at a repository (RFC 4387) or in a directory, unjudged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.cli import files
from e2s.cli.pki_words import Json, said, shown
from e2s.crypto.certificates import Certificate
from e2s.crypto.pem import armoured
from e2s.network.sessions.client import HttpExchange
from e2s.security.keys.durable import replace_file
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, look_up, search_key

if TYPE_CHECKING:
    from e2s.security.directory.reading import DirectoryExchange

#: What a search key is made of, of a certificate that is at hand.
_PARTS: Final[dict[str, Callable[[Certificate], bytes]]] = {
    "certHash": lambda one: one.der,
    "iHash": lambda one: one.slices.issuer,
    "iAndSHash": lambda one: one.issuer_and_serial,
    "sHash": lambda one: one.slices.subject,
    "sKIDHash": lambda one: one.key_id or b"",
}
_TEXTS: Final = ("name", "uri")


def find(
    origin: Annotated[
        str,
        typer.Argument(
            metavar="ORIGIN", help="The repository, as http://host:port; or a directory: ldap://host:port."
        ),
    ],
    query: Annotated[
        str,
        typer.Argument(
            metavar="ATTRIBUTE=VALUE",
            help="name, uri, certHash, iHash, iAndSHash, sHash, sKIDHash; of a hash also @CERT, a file.",
        ),
    ],
    lists: Annotated[bool, typer.Option("--lists", help="Look for revocation lists.")] = False,
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="FILE", help="The roots of its certificate, for TLS.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write what is found, PEM.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find certificates, or with --lists revocation lists, by one attribute.

    A directory is searched by name and uri only.  What is found is not judged: give it to e2s pki verify.
    Status 0 when something is found, 1 when nothing is.
    """
    attribute, value = _asked(query)
    exchange = _exchange(origin, trust)
    try:
        found = look_up(exchange, origin, attribute, value, path=CRLS_PATH if lists else CERTIFICATES_PATH)
    finally:
        exchange.close()
    told = [list_facts(der) if lists else certificate_facts(der) for der in found]
    if out is not None and found:
        replace_file(
            out, b"".join(armoured(der, b"X509 CRL" if lists else b"CERTIFICATE") for der in found), 0o644
        )
    said({"found": told}, _lines(told), as_json=as_json)
    raise typer.Exit(0 if found else 1)


def _exchange(origin: str, trust: Path | None) -> HttpExchange | DirectoryExchange:
    """How the origin is asked."""
    if not origin.lower().startswith("ldap"):
        return HttpExchange(anchors=files.read(trust) if trust else b"")
    from e2s.cli.directory_home import directory_of  # only here
    from e2s.security.directory.reading import DirectoryExchange

    return DirectoryExchange([directory_of(origin, trust=trust)])


def _asked(query: str) -> tuple[str, str]:
    """Attribute and value; raises :class:`Misuse` ``bad-query``."""
    attribute, separator, value = query.partition("=")
    if not separator or not value or attribute not in {*_PARTS, *_TEXTS}:
        raise Misuse(
            "bad-query", f"ask for one of {', '.join((*_TEXTS, *_PARTS))}, as name=anna", given=query
        )
    if attribute in _PARTS and value.startswith("@"):
        return attribute, search_key(_PARTS[attribute](files.certificates(Path(value[1:]))[0]))
    return attribute, value


def certificate_facts(der: bytes) -> dict[str, str]:
    """Who it names, for a program."""
    try:
        one = Certificate.read(der)
    except Refusal as refusal:
        return {"rule": refusal.rule}
    return {
        "subject": one.subject,
        "name": one.name,
        "id": one.id,
        "serial": f"{one.serial:x}",
        "until": format_instant(one.not_after),
    }


def list_facts(der: bytes) -> dict[str, str]:
    """Which list it is, for a program."""
    try:
        one = CrlIndex.read(der)
    except Refusal as refusal:
        return {"rule": refusal.rule}
    return {
        "number": str(one.number),
        "kind": "complete" if one.base is None else "delta",
        "at": format_instant(one.this_update),
        "until": format_instant(one.next_update),
    }


def _lines(told: list[dict[str, str]]) -> Iterator[str]:
    """The same for a person."""
    if not told:
        yield "nothing found"
    for one in told:
        yield "  ".join(shown(f"{name} {value}") for name, value in one.items() if value)
