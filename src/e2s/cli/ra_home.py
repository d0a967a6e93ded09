"""What the commands of ``e2s ra`` share: options, how a registration authority and an officer are opened."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.homes import phrase_of
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.network.sessions.client import HttpExchange
from e2s.security.keys.software import SoftwarePse
from e2s.security.registration import store
from e2s.security.registration.home import OFFICER, PSE, SETTINGS, Edges, Home, open_home
from e2s.security.registration.office import Office

At = Annotated[Path, typer.Option("--home", metavar="DIR", help="The registration authority's home.")]
Officer = Annotated[
    Path, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key (e2s ra officer).")
]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="Holds your pass phrase; else it is asked for."),
]
Case = Annotated[str, typer.Argument(metavar="CASE", help="The case, or its number (e2s ra cases).")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]

_SERIAL = re.compile(r"[0-9a-f]{8,40}", re.ASCII)
_CASE = re.compile(r"c-[a-z2-7]{16}", re.ASCII)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """The registration authority in ``folder``: alone, or a component of a community."""
    home = _open(folder)
    try:
        yield home
    finally:
        home.close()


@contextlib.contextmanager
def officer_of(folder: Path, phrase_file: Path | None) -> Iterator[Signer]:
    """The officer's signer, for one command; raises :class:`Misuse` ``not-certified`` before she has one."""
    phrase = phrase_of(phrase_file, "Your pass phrase")
    try:
        pse = SoftwarePse.open(folder / PSE, phrase)
    finally:
        phrase.wipe()
    try:
        signer = pse.signer(OFFICER)
        if signer.certificate.x509.issuer == signer.certificate.x509.subject:
            sentence = "your key has no certificate yet: e2s ra officer DIR --certificate FILE puts it in"
            raise Misuse("not-certified", sentence, officer=str(folder))
        yield signer
    finally:
        pse.close()


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether it is meant; who says no ends the command with status 1."""
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)


def case_meant(office: Office, which: str) -> str:
    """The case meant by its name or number; raises :class:`Refusal` ``no-such-case``."""
    if not which.isdecimal() or len(which) > 9:
        return which
    with office.database.reading() as connection:
        row = store.case_numbered(connection, int(which))
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=which)
    return str(row.id)


def certificate_meant(office: Office, which: str) -> tuple[int, str]:
    """The serial meant by a case, a serial or a certificate's file, and its holder's name.

    Raises :class:`Refusal` ``no-such-case``, ``not-certified``, ``no-such-certificate``.
    """
    with office.database.reading() as connection:
        if _CASE.fullmatch(which):
            return _of_case(store.case(connection, which), which)
        if which.isdecimal() and len(which) < 8:
            row = store.case_numbered(connection, int(which))
            return _of_case(row, which)
        if _SERIAL.fullmatch(which) and not Path(which).exists():
            row = store.case_of_serial(connection, which)
            return int(which, 16), row.name if row is not None else ""
    found: Certificate = files.certificates(Path(which))[0]
    return found.serial, found.name or found.subject


def _of_case(row: Any, which: str) -> tuple[int, str]:
    if row is None:
        raise Refusal("no-such-case", "there is no such case", case=which)
    if row.serial is None:
        raise Refusal("not-certified", "this case has no certificate", case=which, state=row.state)
    return int(row.serial, 16), row.name


def edges() -> Edges:
    """The machine's clock and randomness."""
    clock = SystemClock()
    return Edges(clock=clock, random=secrets.token_bytes, exchange=HttpExchange(timeout_seconds=30))


def _open(folder: Path) -> Home:
    file = folder.absolute().parent.parent / "community.toml"
    if (folder / SETTINGS).exists() or not file.exists():
        return open_home(folder, edges())
    from e2s.community.assembly_registration import office_of  # only here
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome
    from e2s.community.running import place_of

    community, whole = load_community(file), CommunityHome.of_file(file)
    name = folder.absolute().name
    if community.component(name).kind != "registration":
        raise Misuse("no-home", "this component is no registration authority", component=name)
    place = place_of(community, whole, name, clock=SystemClock(), random=secrets.token_bytes)
    link = place.link(place.peer("certification-authority"))
    return Home(office=office_of(place), ask=link.ask)
