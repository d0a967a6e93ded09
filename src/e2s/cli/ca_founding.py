"""``e2s ca root`` and ``create``: a root is founded, and certifies the CAs that do the daily work."""

from __future__ import annotations

import getpass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.ca_home import (
    Folder,
    Json,
    Note,
    Officer,
    PhraseFile,
    Present,
    RootFolder,
    RootPhraseFile,
    facts,
    new_phrase,
    officer_of,
    opened_root,
    setting,
)
from e2s.cli.report import document, say
from e2s.security.ceremonies.ceremony import ROOT_NAME, Occasion, found_authority, found_root, officer_rights
from e2s.security.ceremonies.folder import ROOT_LIST
from e2s.security.certificates.place_file import write_places
from e2s.security.certificates.places import Places
from e2s.security.keys.durable import replace_file
from e2s.security.keys.key_place import InSealedFile, InToken, Where

Suite = Annotated[str, typer.Option("--suite", metavar="SUITE", help="Of the new key (e2s suites).")]
Module = Annotated[
    Path | None, typer.Option("--module", metavar="FILE", help="The PKCS #11 module of a token for the key.")
]
Token = Annotated[str, typer.Option("--token", metavar="LABEL", help="The token's label.")]
KeyLabel = Annotated[
    str,
    typer.Option("--key-label", metavar="LABEL", help="The key's label in the token; the CA's if left out."),
]
Base = Annotated[
    str, typer.Option("--base", metavar="URL", help="The repository's origin, for all its certificates.")
]
Ocsp = Annotated[str, typer.Option("--ocsp", metavar="URL", help="The OCSP responder's URL.")]
Cps = Annotated[str, typer.Option("--cps", metavar="URL", help="The practice statement's URL.")]
Shards = Annotated[int, typer.Option("--shards", metavar="N", help="In how many parts the list is.")]
Deltas = Annotated[bool, typer.Option("--deltas", help="There are delta lists too.")]


class Kind(StrEnum):
    """What a root certifies."""

    operating_ca = "operating-ca"
    card_ca = "card-ca"
    sub_ca = "sub-ca"
    buying_ca = "buying-ca"


def where_of(module: Path | None, token: str, label: str) -> Where:
    """Where a new key is to live; raises :class:`Misuse` ``half-a-token``."""
    if module is None and not token:
        return InSealedFile()
    if module is None or not token:
        raise Misuse("half-a-token", "a token is named by --module and --token together")
    from e2s.security.keys.token import TokenPlace

    return InToken(place=TokenPlace(module=module, token=token), label=label)


def root(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    name: Annotated[str, typer.Option("--name", metavar="COMMUNITY", help="The community's name.")],
    officer: Annotated[
        str, typer.Option("--officer", metavar="NAME", help="The first officer, a URN; you if left out.")
    ] = "",
    present: Present = None,
    note: Note = "",
    suite: Suite = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Found a root: its key, its certificate, and the record of who was there.

    A phrase file that is not there is made, with a new pass phrase.  Keep DIR where no network comes; it is
    opened for ceremonies only.
    """
    first = officer or f"urn:e2s:{name}:authority:{getpass.getuser()}"
    phrase = new_phrase(phrase_file, "the root")
    made = found_root(
        folder,
        phrase,
        community=name,
        rights=officer_rights(first, (ROOT_NAME,)),
        setting=setting(suite=suite, where=where_of(module, token, key_label or f"{name} root")),
        officer=first,
        occasion=Occasion(present=tuple(present or ()), note=note),
    )
    certificate, head = made.certificate, made.chain.head
    made.close()
    if as_json:
        document(facts(certificate, folder=str(folder), officer=first, record=head))
        return
    say(f"root of {name} founded in {folder}")
    say(f"certificate  {certificate.id}")
    say(f"officer      {first}")
    say(f"record 1     {head}")


def create(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    root_folder: RootFolder,
    kind: Annotated[Kind, typer.Option("--kind", help="What it certifies.")] = Kind.operating_ca,
    party: Annotated[
        str, typer.Option("--party", metavar="NAME", help="Whose CA it is, in the community.")
    ] = "authority",
    component: Annotated[
        str, typer.Option("--component", metavar="NAME", help="The CA's own name; the folder's if left out.")
    ] = "",
    base: Base = "",
    ocsp: Ocsp = "",
    cps: Cps = "",
    shards: Shards = 1,
    deltas: Deltas = False,
    officer: Officer = "",
    present: Present = None,
    note: Note = "",
    suite: Suite = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "",
    phrase_file: PhraseFile = None,
    root_phrase_file: RootPhraseFile = None,
    as_json: Json = False,
) -> None:
    """Found a CA that the root certifies, in one ceremony; the root's list is signed with it.

    The officer may certify and revoke at it.  Repeated after an interruption it goes on with the same key.
    """
    named = component or folder.resolve().name
    places = Places(base=base, ocsp=ocsp, cps=cps, shards=shards, deltas=deltas)
    with opened_root(root_folder, root_phrase_file) as opened:
        acting = officer_of(opened, officer)
        phrase = new_phrase(phrase_file, named)
        write_places(folder, places)
        made = found_authority(
            opened,
            folder,
            phrase,
            kind=kind.value,
            name=f"urn:e2s:{opened.community}:{party}",
            component=named,
            officer=acting,
            authoriser=None,
            setting=setting(suite=suite, where=where_of(module, token, key_label or named)),
            occasion=Occasion(
                present=tuple(present or ()),
                note=note,
                list_too=True,
                rights=officer_rights(acting, (named,)),
            ),
        )
        replace_file(folder / ROOT_LIST, opened.current_crl(), 0o644)
        certificate, head, number = made.certificate, opened.chain.head, opened.chain.newest.number
        made.close()
    if as_json:
        document(facts(certificate, folder=str(folder), component=named, officer=acting, record=head))
        return
    say(f"{named} certified by the root as {kind.value}, in {folder}")
    say(f"certificate  {certificate.id}")
    say(f"officer      {acting}")
    say(f"record {number:<5} {head}")
