"""What the commands of ``e2s ca`` share: options, how a CA's folder is opened, and whom it believes."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.homes import phrase_of
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.ceremony import Root, open_root
from e2s.security.ceremonies.folder import REGISTER, Setting
from e2s.security.ceremonies.standalone import Look, look, open_ca
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase, phrase_from_prompt
from e2s.security.pki import holdings, store
from e2s.security.pki.ca import Authority
from e2s.security.pki.holdings import Holding

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The CA's folder.")]
RootFolder = Annotated[Path, typer.Option("--root", metavar="DIR", help="The root's folder.")]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="Holds the CA's pass phrase or PIN; else a prompt."),
]
RootPhraseFile = Annotated[
    Path | None,
    typer.Option("--root-phrase-file", metavar="FILE", help="Holds the root's pass phrase or PIN."),
]
Officer = Annotated[
    str, typer.Option("--officer", metavar="NAME", help="Who does it; the founder if left out.")
]
Present = Annotated[
    list[str] | None,
    typer.Option("--present", metavar="NAME", help="Who is there, for the record (again for more)."),
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="What else the record should say.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]
Which = Annotated[
    str, typer.Argument(metavar="WHICH", help="Serial in hexadecimal (its beginning will do), or a file.")
]

_PHRASE_BYTES = 24
_SERIAL = re.compile(r"[0-9a-f]{4,40}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def setting(**more: Any) -> Setting:
    """The machine's clock and randomness."""
    clock, random = SystemClock(), secrets.token_bytes
    return Setting(clock=clock, random=random, software=f"e2s {version('e2s')}", **more)


def new_phrase(file: Path | None, purpose: str) -> Phrase:
    """The pass phrase of a new key: from its file, made where there is none yet, or asked for twice."""
    if file is None:
        first = phrase_from_prompt(f"New pass phrase of {purpose}: ")
        second = phrase_from_prompt("The same again: ")
        if first.octets != second.octets:
            raise Misuse("phrases-differ", "the two pass phrases are not the same")
        second.wipe()
        return first
    if not file.exists():
        replace_file(file, secrets.token_urlsafe(_PHRASE_BYTES).encode() + b"\n")
    return phrase_of(file)


@contextlib.contextmanager
def opened(folder: Path, phrase_file: Path | None) -> Iterator[tuple[Look, Authority]]:
    """The CA in ``folder``, for one command."""
    seen = look(folder)
    phrase = phrase_of(phrase_file, f"Pass phrase of {seen.component}")
    authority = open_ca(seen, phrase, setting=setting())
    phrase.wipe()
    try:
        yield seen, authority
    finally:
        authority.close()


@contextlib.contextmanager
def opened_root(folder: Path, phrase_file: Path | None) -> Iterator[Root]:
    """The root in ``folder``, for one ceremony."""
    seen = look(folder)
    if seen.kind != "root":
        raise Misuse("not-the-root", "this folder holds another CA", folder=str(folder), kind=seen.kind)
    phrase = phrase_of(phrase_file, "Pass phrase of the root")
    root = open_root(folder, phrase, setting=setting())
    phrase.wipe()
    try:
        yield root
    finally:
        root.close()


def in_register(folder: Path) -> list[Holding]:
    """What a CA's register has; its key is not needed."""
    path = folder / REGISTER
    if not path.exists():
        return []
    database = Database.open(path, store.TABLES)
    try:
        with database.reading() as connection:
            return list(holdings.holdings(connection, SystemClock().now()))
    finally:
        database.close()


def officer_of(seen: Look | Root, said: str) -> str:
    """Who acts: as said, or who founded it."""
    return said or seen.chain.founder


def chosen(authority: Authority, which: str) -> Holding:
    """The certificate meant by a serial, its beginning, or a file; raises ``no-such-certificate``..."""
    serial = _serial(which)
    now = SystemClock().now()
    with authority.database.reading() as connection:
        if serial is not None:
            found = [one for one in (holdings.of_serial(connection, serial, now),) if one is not None]
        else:
            every = holdings.holdings(connection, now)
            found = [one for one in every if f"{one.serial:x}".startswith(which.lower())]
    if len(found) != 1:
        rule = "ambiguous-serial" if found else "no-such-certificate"
        raise Misuse(rule, "the CA issued no, or more than one, certificate of this serial", which=which)
    return found[0]


def _serial(which: str) -> int | None:
    """The whole serial in ``which``, or None for the beginning of one."""
    if Path(which).is_file():
        return files.certificates(Path(which))[0].serial
    if not _SERIAL.fullmatch(which.lower()):
        raise Misuse("no-such-certificate", "this is neither a file nor a serial", which=which)
    return int(which, 16) if len(which) == 32 else None


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether it is meant; who says no ends the command with status 1."""
    if not yes:
        typer.confirm(question, abort=True)


def file_name(name: str) -> str:
    """A file name for what is called ``name``: a host, or the last part of a URN."""
    plain = _UNSAFE.sub("-", name.rsplit(":", 1)[-1] if name.startswith("urn:") else name).strip("-.")
    return plain or "certificate"


def write_new(path: Path, octets: bytes, *, private: bool = False) -> Path:
    """Write a file that is not there yet; raises :class:`Misuse` ``file-exists``."""
    if path.exists():
        raise Misuse("file-exists", "this file is there already: name another", file=str(path))
    replace_file(path, octets, 0o600 if private else 0o644)
    return path


def facts(certificate: Certificate, **more: object) -> dict[str, object]:
    """A certificate for a program."""
    return {
        "serial": f"{certificate.serial:x}",
        "names": [*certificate.names, *certificate.dns, *certificate.ips],
        "subject": certificate.subject,
        "not-before": instant(certificate.not_before),
        "not-after": instant(certificate.not_after),
        "digest": certificate.id,
        **more,
    }


def instant(at: datetime) -> str:
    """An instant as everywhere."""
    from e2s.base.instants import format_instant

    return format_instant(at)


def parsed_instant(text: str) -> datetime:
    """An instant of RFC 3339; raises :class:`Misuse` ``bad-instant``."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Misuse("bad-instant", "write the instant as 2026-03-02T09:00:00Z", given=text[:40])
    return at
