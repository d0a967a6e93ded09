"""``e2s enrol serve``: the doors of enrolment, beside what the CA serves to everybody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.ca_home import Folder, Officer, PhraseFile, officer_of, setting
from e2s.cli.homes import LOOPBACK, phrase_of
from e2s.cli.report import say
from e2s.community.doors import DOORS
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.keys.deposit import Deposit

_THREADS = 16


@contextlib.contextmanager
def _vault(folder: Path | None, phrase_file: Path | None, seen: Look) -> Iterator[Deposit | None]:
    """The escrow that is deposited at while the doors are open, if there is one."""
    if folder is None:
        yield None
        return
    from e2s.security.escrow.deposits import Depositor
    from e2s.security.escrow.home import Edges, open_home

    phrase = phrase_of(phrase_file, "Pass phrase of the vault")
    given = setting()
    with open_home(folder, phrase, Edges(clock=given.clock, random=given.random)) as vault:
        phrase.wipe()
        yield Depositor(vault=vault, issuers=seen.issuers)


def serve(
    folder: Folder,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="On which port.")] = 0,
    origin: Annotated[
        str, typer.Option("--origin", metavar="URL", help="How it is reached from outside, without a path.")
    ] = "",
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Serve TLS with this certificate chain.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="And its key.")] = None,
    door: Annotated[
        list[str] | None,
        typer.Option("--door", metavar="NAME", help=f"One of {', '.join(DOORS)} (again for more); or all."),
    ] = None,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    escrow: Annotated[
        Path | None,
        typer.Option("--escrow", metavar="DIR", help="The vault for keys that doors make (e2s escrow)."),
    ] = None,
    escrow_phrase_file: Annotated[
        Path | None,
        typer.Option("--escrow-phrase-file", metavar="FILE", help="Holds the vault's pass phrase."),
    ] = None,
) -> None:
    """Serve the doors of enrolment, certificates, lists, look-up and OCSP on loopback until SIGTERM.

    The CA is open meanwhile. What is asked for without an invitation, a renewal say, is ordered in the name
    of --officer. EST and clients with certificates need TLS.
    """
    from e2s.community.standing import StandingDoors
    from e2s.network.sessions.server import Server, listen
    from e2s.network.sessions.tls import TlsFiles

    if (tls_cert is None) != (tls_key is None):
        raise Misuse("tls-files", "TLS needs a certificate and its key")
    seen = look(folder)
    phrase = phrase_of(phrase_file, f"Pass phrase of {seen.component}")
    acts = officer_of(seen, officer)
    with (
        _vault(escrow, escrow_phrase_file, seen) as deposit,
        StandingDoors.opened(seen, phrase, setting=setting(), officer=acts) as standing,
    ):
        phrase.wipe()
        listening = listen(LOOPBACK, port)
        scheme = "https" if tls_cert else "http"
        here = f"{scheme}://{LOOPBACK}:{listening.getsockname()[1]}"
        standing.open_doors(origin or here, door, deposit=deposit)
        tls = None
        if tls_cert is not None and tls_key is not None:
            anchors = standing.anchors_file()
            tls = TlsFiles(certificate_file=tls_cert, key_file=tls_key, client_anchors_file=anchors)
        server = Server(
            standing.handle,
            listening,
            tls=tls,
            tick=standing.tick,
            threads=_THREADS,  # those who wait for the same commit share it
            quick=standing.quick,
        )
        server.run(ready=lambda: say(f"serving {here}: {' '.join(standing.names)}"))
