"""``e2s ca revoke``, ``hold``, ``release``, ``crl``: what was certified is withdrawn, and lists tell it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Misuse, Refusal
from e2s.cli.ca_home import (
    DryRun,
    Folder,
    Json,
    Officer,
    PhraseFile,
    Which,
    Yes,
    chosen,
    confirm,
    instant,
    officer_of,
    opened,
    opened_root,
    parsed_instant,
)
from e2s.cli.report import document, say
from e2s.security.ceremonies.ceremony import Root
from e2s.security.ceremonies.folder import ROOT_LIST
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.keys.durable import replace_file
from e2s.security.pki.ca import Authority
from e2s.security.pki.feed import Listed
from e2s.security.pki.holdings import Holding
from e2s.security.repository.files import Repository
from e2s.security.verification.crls import CrlIndex


class Reason(StrEnum):
    """Why a certificate is revoked (RFC 5280, 5.3.1)."""

    unspecified = "unspecified"
    key_compromise = "keyCompromise"
    ca_compromise = "cACompromise"
    affiliation_changed = "affiliationChanged"
    superseded = "superseded"
    cessation = "cessationOfOperation"
    privilege_withdrawn = "privilegeWithdrawn"


#: For help texts.
REASONS = ", ".join(Reason)


def revoke(
    folder: Folder,
    which: Which,
    reason: Annotated[
        Reason, typer.Option("--reason", metavar="REASON", help=f"Why: {REASONS}.")
    ] = Reason.unspecified,
    invalidity: Annotated[
        str, typer.Option("--invalidity", metavar="RFC3339", help="Since when the key may be lost.")
    ] = "",
    officer: Officer = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Revoke a certificate for good; at a root this is a ceremony, and its list is signed with it."""
    since = parsed_instant(invalidity) if invalidity else None
    seen = look(folder)
    if seen.kind == "root":
        with opened_root(folder, phrase_file) as root:
            found = _meant(
                root.authority, which, f"Revoke for good ({reason.value})?", dry_run=dry_run, yes=yes
            )
            if found is not None:
                acting = officer_of(root, officer)
                with root.ceremony("revoking", officer=acting):
                    root.revoke(found.serial, reason.value, officer=acting, invalidity=since)
                    root.crl()
    else:
        with opened(folder, phrase_file) as (_, authority):
            found = _meant(authority, which, f"Revoke for good ({reason.value})?", dry_run=dry_run, yes=yes)
            if found is not None:
                acting = officer_of(seen, officer)
                authority.revoke(found.serial, reason.value, officer=acting, invalidity=since)
    _told(found, "revoked", as_json=as_json, reason=reason.value)


def hold(
    folder: Folder,
    which: Which,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Suspend a certificate until it is released or revoked."""
    with opened(folder, phrase_file) as (seen, authority):
        found = chosen(authority, which)
        authority.hold(found.serial, officer=officer_of(seen, officer))
    _told(found, "held", as_json=as_json)


def release(
    folder: Folder,
    which: Which,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """End the suspension of a certificate."""
    with opened(folder, phrase_file) as (seen, authority):
        found = chosen(authority, which)
        authority.release(found.serial, officer=officer_of(seen, officer))
    _told(found, "released", as_json=as_json)


def crl(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where it goes; CA.crl if left out.")
    ] = None,
    delta: Annotated[bool, typer.Option("--delta", help="What changed since the complete list.")] = False,
    shard: Annotated[int | None, typer.Option("--shard", metavar="N", min=0, help="Which part.")] = None,
    pem: Annotated[bool, typer.Option("--pem", help="Write PEM instead of DER.")] = False,
    tell: Annotated[
        list[Path] | None,
        typer.Option("--tell", metavar="DIR", help="A CA's folder that gets the root's list (again)."),
    ] = None,
    publish: Annotated[
        Path | None, typer.Option("--publish", metavar="DIR", help="Put it among these static files too.")
    ] = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Write the newest revocation list; a new one where something was revoked or half its time is over.

    At a root a new list is a ceremony.
    """
    seen = look(folder)
    if seen.kind == "root":
        with opened_root(folder, phrase_file) as root:
            der = _of(root, shard, delta=delta)
    else:
        with opened(folder, phrase_file) as (_, authority):
            der = _of(authority, shard, delta=delta)
    path = out or Path(f"{list_stem(seen, shard, delta=delta)}.crl")
    octets = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) if pem else der
    replace_file(path, octets, 0o644)
    for one in tell or ():
        if seen.kind != "root" or look(one).root != seen.own:
            raise Misuse("not-the-root", "a CA is told its own root's list", folder=str(one))
        replace_file(one / ROOT_LIST, der, 0o644)
    if publish is not None:
        Repository(publish).publish_crl(seen.own, der, shard, delta=delta)
    index = CrlIndex.read(der)
    if as_json:
        document(
            {
                "list": str(path),
                "number": index.number,
                "base": index.base,
                "shard": shard,
                "revoked": len(index.revoked),
                "this-update": instant(index.this_update),
                "next-update": instant(index.next_update),
            }
        )
        return
    say(f"list {index.number}: {len(index.revoked)} revoked, good until {instant(index.next_update)}")
    say(f"written to {path}")


def _of(authority: Authority | Root, shard: int | None, *, delta: bool) -> bytes:
    """The list asked for; raises :class:`Misuse` ``no-such-list``."""
    if isinstance(authority, Root):
        lists: tuple[Listed, ...] = (Listed(None, False, 0, authority.current_crl()),)
    else:
        lists = authority.current_lists()
    for one in lists:
        if (one.shard, one.delta) == (shard, delta):
            return one.der
    raise Misuse(
        "no-such-list", "this CA has no such list (e2s ca show says which)", shard=shard, delta=delta
    )


def list_stem(seen: Look, shard: int | None, *, delta: bool) -> str:
    """What the file of a CA's list is called, without its ending."""
    parts = (seen.component, None if shard is None else str(shard), "delta" if delta else None)
    return "-".join(part for part in parts if part)


def _meant(authority: Authority, which: str, question: str, *, dry_run: bool, yes: bool) -> Holding | None:
    """The certificate to withdraw, once it was shown and meant; None in a dry run."""
    found = chosen(authority, which)
    if found.state == "revoked":
        raise Refusal(
            "already-revoked", "it was revoked before", serial=f"{found.serial:x}", reason=found.reason
        )
    if dry_run or not yes:
        say(f"{found.name}, {found.profile}, serial {found.serial:x}")
    if dry_run:
        say("nothing was done")
        return None
    confirm(question, yes=yes)
    return found


def _told(found: Holding | None, what: str, *, as_json: bool, reason: str = "") -> None:
    if found is None:
        return
    if as_json:
        document({"serial": f"{found.serial:x}", "name": found.name, "act": what, "reason": reason or None})
    else:
        say(f"{what}: {found.name}, {found.profile}, serial {found.serial:x}")
