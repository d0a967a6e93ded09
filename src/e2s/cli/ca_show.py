"""``e2s ca list``, ``show``, ``lint``, ``profiles``, ``record``, ``key``: what there is."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.cli import files
from e2s.cli.ca_home import Folder, Json, facts, in_register, instant
from e2s.cli.report import document, say, table
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.ceremony_record import Chain, Record
from e2s.security.ceremonies.folder import copy_records
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.certificates.profiles import PROFILES
from e2s.security.keys.key_place import InSealedFile, read_where
from e2s.security.pki.holdings import Holding

_COLUMNS = 80


class State(StrEnum):
    """What became of a certificate."""

    good = "good"
    held = "held"
    revoked = "revoked"
    expired = "expired"


def list_(
    folder: Folder,
    state: Annotated[State | None, typer.Option("--state", help="Only those that are so.")] = None,
    profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="Only of this profile.")] = "",
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Only whose name has this in it.")] = "",
    as_json: Json = False,
) -> None:
    """List the certificates that a CA issued; its key is not needed."""
    look(folder)
    found = [
        one
        for one in in_register(folder)
        if (state is None or one.state == state.value)
        and (not profile or one.profile == profile)
        and name in one.name
    ]
    if as_json:
        document([_held_facts(one) for one in found])
        return
    rows = [
        (f"{one.serial:x}", one.name, one.profile, instant(one.certificate.not_after)[:10], one.state)
        for one in found
    ]
    table(("serial", "name", "profile", "until", "state"), rows)


def show(
    folder: Folder,
    which: Annotated[
        str, typer.Argument(metavar="[WHICH]", help="Serial (its beginning will do), or a file; else the CA.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show a CA, or one of its certificates and what became of it; its key is not needed."""
    seen = look(folder)
    if not which:
        _show_ca(seen, as_json=as_json)
        return
    serial = f"{files.certificates(Path(which))[0].serial:x}" if Path(which).is_file() else which.lower()
    found = [one for one in in_register(folder) if f"{one.serial:x}".startswith(serial)]
    if len(found) != 1:
        rule = "ambiguous-serial" if found else "no-such-certificate"
        raise Misuse(rule, "the CA issued no, or more than one, certificate of this serial", which=which)
    told = _held_facts(found[0])
    if as_json:
        document(told)
        return
    for name, value in told.items():
        if value not in {None, ""} if not isinstance(value, list) else value:
            say(f"{name + ':':<12} {', '.join(value) if isinstance(value, list) else value}")


def profiles(as_json: Json = False) -> None:
    """List the profiles: what each kind of certificate is for, how long it is good, who certifies it."""
    if as_json:
        document(
            [
                {
                    "name": one.name,
                    "use": one.use.value,
                    "days": one.lifetime.days,
                    "ekus": list(one.ekus),
                    "confidence": one.confidence,
                    "four-eyes": one.four_eyes,
                    "issues": sorted(one.issues),
                }
                for one in PROFILES.values()
            ]
        )
        return
    rows = [
        (
            one.name,
            one.use.value,
            str(one.lifetime.days),
            one.confidence or "",
            "two" if one.four_eyes else "one",
            ", ".join(other.name for other in PROFILES.values() if one.name in other.issues),
        )
        for one in PROFILES.values()
    ]
    table(("profile", "use", "days", "confidence", "officers", "certified by"), rows)


def lint(
    certificate: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate, PEM or DER.")],
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="Check against this profile too.")
    ] = "",
    issuer: Annotated[
        Path | None, typer.Option("--issuer", metavar="FILE", help="Check against its issuer's too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a certificate by the rules that hold before one is signed; status 1 if it breaks one."""
    from e2s.security.certificates import lint as rules
    from e2s.security.certificates.profiles import profile as profile_of

    chosen = profile_of(profile) if profile else None
    octets = _der(files.read(certificate))
    found = list(rules.certificate(octets, chosen))
    if issuer is not None and not found:
        tbs = files.certificates(certificate)[0].slices.tbs
        found += rules.findings(tbs, chosen, files.certificates(issuer)[0])
    if as_json:
        document({"good": not found, "findings": [{"rule": rule, "message": said} for rule, said in found]})
    elif not found:
        say("good: it breaks no rule")
    for rule, said in () if as_json else found:
        say(f"{rule}: {said}")
    raise typer.Exit(1 if found else 0)


def _der(octets: bytes) -> bytes:
    """A certificate's DER, from DER or the first block of PEM, whether or not it can be read."""
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    if not octets.lstrip().startswith(b"-----"):
        return octets
    try:
        return base64.b64decode(octets.partition(begin)[2].partition(end)[0])
    except binascii.Error as error:
        raise Refusal("bad-pem", "the block is not base64") from error


def record(
    folder: Folder,
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="One ceremony; all if left out.")
    ] = None,
    update_from: Annotated[
        Path | None,
        typer.Option("--update-from", metavar="DIR", help="First take newer records from this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the ceremonies' records, once all signatures and the chain are checked."""
    seen = look(folder)
    chain = seen.chain
    if update_from is not None:
        chain = copy_records(update_from, folder, chain_root(seen))
    found = [one for one in chain.records if number is None or one.number == number]
    if not found:
        raise Misuse("no-such-record", "there is no ceremony of this number", number=number)
    if as_json:
        document([one.document() | {"digest": one.digest} for one in found])
        return
    for one in found:
        _transcript(one, chain)


def key(folder: Folder, as_json: Json = False) -> None:
    """Say where a CA's key lives."""
    where = read_where(folder)
    if isinstance(where, InSealedFile):
        told = {"kind": "sealed-file", "file": str(folder / "ca.pse")}
    else:
        told = {
            "kind": "token",
            "module": str(where.place.module),
            "token": where.place.token,
            "label": where.label,
        }
    if as_json:
        document(told)
        return
    for name, value in told.items():
        say(f"{name + ':':<8} {value}")


def chain_root(seen: Look) -> Certificate:
    """Who signs the folder's records."""
    return seen.own if seen.chain.newest.root == seen.own.id else seen.root


def _held_facts(one: Holding) -> dict[str, object]:
    return facts(
        one.certificate,
        profile=one.profile,
        state=one.state,
        reason=one.reason or None,
        **{"revoked-at": instant(one.revoked_at) if one.revoked_at else None},
    )


def _show_ca(seen: Look, *, as_json: bool) -> None:
    newest = seen.chain.newest
    rights = sorted(right for right in newest.rights if right[2] == seen.component)
    told = facts(
        seen.own,
        kind=seen.kind,
        component=seen.component,
        root=seen.root.id,
        record=newest.number,
        head=newest.digest,
        base=seen.places.base or None,
        ocsp=seen.places.ocsp or None,
        shards=seen.places.shards,
        deltas=seen.places.deltas,
    )
    if as_json:
        document(told | {"rights": [[who, right] for who, right, _ in rights]})
        return
    for name, value in told.items():
        if value not in (None, [], ""):
            say(f"{name + ':':<12} {', '.join(value) if isinstance(value, list) else value}")
    for who, right, _ in rights:
        say(f"{'right:':<12} {right:<12} {who}")


def _transcript(one: Record, chain: Chain) -> None:
    """One ceremony in lines of at most 80 columns."""
    before = chain.records[one.number - 2].rights if one.number > 1 else frozenset()
    own = chain.records[0].items[0].component if chain.records[0].items else "root"
    whose = f"the root of {one.community}" if own == "root" else own
    say(f"Ceremony {one.number} of {whose}: {one.act}")
    _line("held", instant(one.at))
    _line("by", one.officer or "nobody named")
    for who in one.present:
        _line("present", who)
    for item in one.items:
        whose = item.component or item.name
        _line(item.kind, " ".join(filter(None, (item.profile, whose, item.detail))))
        _line("", item.digest)
    for sign, rights in (("given", one.rights - before), ("withdrawn", before - one.rights)):
        for who, right, where in sorted(rights):
            _line(
                sign, f"{right} at {where} to {who}" if sign == "given" else f"{right} at {where} from {who}"
            )
    if one.note:
        _line("note", one.note)
    _line("software", one.software or "not said")
    _line("after", one.previous or "none: it is the first")
    _line("record", one.digest)
    say("")


def _line(name: str, text: str) -> None:
    head = f"  {name:<12} "
    for line in wrap(text, _COLUMNS, initial_indent=head, subsequent_indent=" " * len(head)):
        say(line)
