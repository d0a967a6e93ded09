"""``e2s ca prepare``, ``certify``, ``install``: a root that never meets the machine of its CA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.ca_founding import (
    Base,
    Cps,
    Deltas,
    KeyLabel,
    Kind,
    Module,
    Ocsp,
    Shards,
    Suite,
    Token,
    where_of,
)
from e2s.cli.ca_home import (
    Folder,
    Json,
    Note,
    Officer,
    PhraseFile,
    Present,
    chosen,
    facts,
    new_phrase,
    officer_of,
    opened_root,
    setting,
    write_new,
)
from e2s.cli.ca_issue import request_of
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say
from e2s.crypto.pem import armoured
from e2s.security.ceremonies.apart import certify_apart, renew_apart
from e2s.security.ceremonies.apart import install as install_brought
from e2s.security.ceremonies.apart import prepare as prepare_key
from e2s.security.ceremonies.ceremony import NewCa, Occasion, officer_rights
from e2s.security.certificates.place_file import write_places
from e2s.security.certificates.places import Places
from e2s.security.keys.where import read_where


def prepare(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the request goes.")],
    suite: Suite = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a CA's key in DIR, and a request that goes to the root's machine; the key waits here."""
    named = folder.resolve().name
    phrase = new_phrase(phrase_file, named)
    own = setting(suite=suite, where=where_of(module, token, key_label or named))
    octets = prepare_key(folder, phrase, f"urn:e2s:ca:{named}", setting=own)
    write_new(out, armoured(octets, b"CERTIFICATE REQUEST"))
    if as_json:
        document({"folder": str(folder), "request": str(out)})
        return
    say(f"request      {out}")
    say("next, at the root: e2s ca certify")


def certify(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Annotated[Path, typer.Argument(metavar="ROOT", help="The root's folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="What goes back to the CA's machine.")],
    request: Annotated[
        Path | None, typer.Option("--request", metavar="FILE", help="What e2s ca prepare wrote.")
    ] = None,
    renew: Annotated[
        str, typer.Option("--renew", metavar="WHICH", help="A CA's certificate instead, to be renewed.")
    ] = "",
    component: Annotated[str, typer.Option("--component", metavar="NAME", help="The CA's own name.")] = "",
    kind: Annotated[Kind, typer.Option("--kind", help="What it certifies.")] = Kind.operating_ca,
    party: Annotated[
        str, typer.Option("--party", metavar="NAME", help="Whose CA it is, in the community.")
    ] = "authority",
    officer: Officer = "",
    present: Present = None,
    note: Note = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Certify the request of a CA on another machine, in a ceremony; DIR goes back, all of it public.

    With --renew, a CA's key is certified again before its certificate ends; e2s ca install takes it too.
    """
    if bool(renew) == (request is not None) or bool(component) == bool(renew):
        raise Misuse("one-of-two", "say --request with --component, or --renew")
    with opened_root(folder, phrase_file) as root:
        acting = officer_of(root, officer)
        occasion = Occasion(
            present=tuple(present or ()),
            note=note,
            list_too=True,
            rights=officer_rights(acting, (component,)),
        )
        if request is not None:
            wanted = NewCa(kind.value, f"urn:e2s:{root.community}:{party}", component, occasion)
            made = certify_apart(root, request_of(request), wanted, out, officer=acting)
        else:
            old = chosen(root.authority, renew)
            made = renew_apart(root, old, out, officer=acting, occasion=occasion)
        item = root.chain.certified(made)
        fingerprint = root.certificate.id
    if as_json:
        document(facts(made, folder=str(out), component=item.component, root=fingerprint))
        return
    say(f"{item.component} certified by the root as {item.profile}; {out} goes back")
    say(f"certificate  {made.id}")
    say(f"root         {fingerprint}")


def install(
    folder: Folder,
    brought: Annotated[Path, typer.Option("--from", metavar="DIR", help="What e2s ca certify wrote.")],
    root: Annotated[
        str, typer.Option("--root-digest", metavar="DIGEST", help="The root's, as e2s ca certify printed it.")
    ],
    base: Base = "",
    ocsp: Ocsp = "",
    cps: Cps = "",
    shards: Shards = 1,
    deltas: Deltas = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Give the key that waits in DIR its certificate, the root and the records; the CA is ready then.

    The root's digest is to come by another way than the files: read out, or on paper.
    """
    phrase = phrase_of(phrase_file, f"Pass phrase of {folder.resolve().name}")
    write_places(folder, Places(base=base, ocsp=ocsp, cps=cps, shards=shards, deltas=deltas))
    seen = install_brought(folder, phrase, brought, root, setting=setting(where=read_where(folder)))
    if as_json:
        document(facts(seen.own, folder=str(folder), component=seen.component, kind=seen.kind))
        return
    say(f"{seen.component} is ready as {seen.kind}, in {folder}")
