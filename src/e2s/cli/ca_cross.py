"""``e2s ca cross`` and ``buying``: authorities of other communities, and of buying organisations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli import files
from e2s.cli.ca_founding import KeyLabel, Module, Suite, Token, where_of
from e2s.cli.ca_home import (
    Folder,
    Json,
    Note,
    Officer,
    PhraseFile,
    Present,
    facts,
    file_name,
    instant,
    new_phrase,
    opened,
    opened_root,
    parsed_instant,
    setting,
    write_new,
)
from e2s.cli.ca_issue import request_of
from e2s.cli.report import document, say
from e2s.crypto import oids
from e2s.crypto.pem import armoured
from e2s.security.ceremonies.buying import Buying, found_buying
from e2s.security.ceremonies.ceremony import Occasion, Root
from e2s.security.ceremonies.cross import Foreign, ask, cross_certify
from e2s.security.ceremonies.standalone import look
from e2s.security.certificates.profiles import Limits
from e2s.security.pki.ca import Authority


def cross(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    certificate: Annotated[
        Path | None, typer.Option("--cert", metavar="FILE", help="The other authority's certificate.")
    ] = None,
    request: Annotated[
        Path | None, typer.Option("--request", metavar="FILE", help="Its PKCS #10 request instead.")
    ] = None,
    ask_out: Annotated[
        Path | None,
        typer.Option("--ask", metavar="FILE", help="Certify nobody: write our own request for them."),
    ] = None,
    permit: Annotated[
        list[str] | None,
        typer.Option("--permit", metavar="SUBTREE", help="Whose names: dir:O=x, dns:x.example (again)."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="SUBTREE", help="Whose names not (again).")
    ] = None,
    any_name: Annotated[bool, typer.Option("--any-name", help="It may certify anybody not ours.")] = False,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="POLICY", help="Of ours, or low, substantial, high (again)."),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="Which of theirs counts as ours (again)."),
    ] = None,
    path_length: Annotated[
        int | None, typer.Option("--path-length", metavar="N", min=0, help="How many CAs may follow it.")
    ] = None,
    until: Annotated[str, typer.Option("--until", metavar="RFC3339", help="Until when it is good.")] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the result goes.")] = None,
    officer: Officer = "",
    present: Present = None,
    note: Note = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Cross-certify another community's authority, confined to its names and to policies that count for ours.

    It never certifies names of our own community.  For the other direction they do the same with the root's
    certificate, or with the request that --ask writes.
    """
    if sum(one is not None for one in (certificate, request, ask_out)) != 1:
        raise Misuse("one-of-three", "say --cert, --request or --ask")
    if ask_out is not None:
        with opened_root(folder, phrase_file) as root:
            write_new(ask_out, armoured(ask(root.authority.signer), b"CERTIFICATE REQUEST"))
        say(f"request      {ask_out}")
        return
    foreign = (
        Foreign.of_certificate(files.certificates(certificate)[0])
        if certificate is not None
        else Foreign.of_request(request_of(request))  # type: ignore[arg-type]
    )
    pairs = tuple(_mapping(text) for text in mapping or ())
    policies = tuple(dict.fromkeys([*(_policy(text) for text in policy or ()), *(ours for ours, _ in pairs)]))
    limits = Limits(
        path_length=path_length,
        policies=policies,
        mappings=pairs,
        permitted=tuple(permit or ()),
        excluded=tuple(exclude or ()),
    )
    with _opened(folder, phrase_file) as (issuer, founder):
        made = cross_certify(
            issuer,
            foreign,
            limits,
            officer=officer or founder,
            not_after=parsed_instant(until) if until else None,
            any_name=any_name,
            occasion=Occasion(present=tuple(present or ()), note=note, list_too=True),
        )
    path = write_new(out or Path(f"cross-{file_name(made.subject)}.pem"[:80]), made.pem)
    if as_json:
        document(facts(made, file=str(path)))
        return
    say(f"cross-certified  {made.subject}")
    say(f"good until       {instant(made.not_after)}")
    say(f"certificate      {path}")


def buying(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    issuer_folder: Annotated[
        Path, typer.Option("--issuer", metavar="DIR", help="Who certifies it: the root's folder or a CA's.")
    ],
    party: Annotated[str, typer.Option("--party", metavar="NAME", help="The buying organisation.")],
    manager: Annotated[
        str, typer.Option("--manager", metavar="NAME", help="Its purchasing manager, who will run the CA.")
    ],
    component: Annotated[
        str, typer.Option("--component", metavar="NAME", help="The CA's own name; the folder's if left out.")
    ] = "",
    mail_domain: Annotated[
        list[str] | None,
        typer.Option("--mail-domain", metavar="HOST", help="Mail addresses it may certify (again)."),
    ] = None,
    officer: Officer = "",
    suite: Suite = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "",
    phrase_file: PhraseFile = None,
    issuer_phrase_file: Annotated[
        Path | None,
        typer.Option("--issuer-phrase-file", metavar="FILE", help="Holds the issuer's pass phrase or PIN."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Found a buying organisation's own CA, confined to its party; its manager is its first officer."""
    named = component or folder.resolve().name
    with _opened(issuer_folder, issuer_phrase_file) as (issuer, founder):
        community = look(issuer_folder).chain.newest.community
        urn = f"urn:e2s:{community}:{party}"
        manager_urn = manager if manager.startswith("urn:") else f"{urn}:{manager}"
        wanted = Buying(
            party=urn, component=named, manager=manager_urn, mail_domains=tuple(mail_domain or ())
        )
        phrase = new_phrase(phrase_file, named)
        made = found_buying(
            issuer,
            folder,
            phrase,
            wanted,
            root=look(issuer_folder).root,
            officer=officer or founder,
            setting=setting(suite=suite, where=where_of(module, token, key_label or named)),
        )
        certificate = made.certificate
        made.close()
    if as_json:
        document(facts(certificate, folder=str(folder), component=named, officer=manager_urn))
        return
    say(f"{named} certified for {urn}, in {folder}")
    say(f"certificate  {certificate.id}")
    say(f"officer      {manager_urn}")


@contextlib.contextmanager
def _opened(folder: Path, phrase_file: Path | None) -> Iterator[tuple[Root | Authority, str]]:
    """A root or another CA, for one command, and who founded it."""
    if look(folder).kind == "root":
        with opened_root(folder, phrase_file) as root:
            yield root, root.chain.founder
    else:
        with opened(folder, phrase_file) as (seen, authority):
            yield authority, seen.chain.founder


def _policy(text: str) -> str:
    """A policy by its identifier or by the level of confidence that it is."""
    return oids.CONFIDENCE.get(text, text)


def _mapping(text: str) -> tuple[str, str]:
    ours, mark, theirs = text.partition("=")
    if not mark or not theirs:
        raise Misuse("bad-mapping", "write a mapping as OURS=THEIRS", given=text[:80])
    return _policy(ours), theirs
